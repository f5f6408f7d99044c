//! Which frames of a slot stand for a picture that its camera lost.
//!
//! A capture fills the frame of a lost picture with the picture before; recordings count these frames. The mark does
//! not travel with the buffer, because encoders and parsers do not carry foreign marks through.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::SlotId;

use super::links::Links;

/// Remembered per slot; at one lost picture a second this reaches back eighteen hours.
const LIMIT: usize = 65_536;

#[derive(Clone, Default)]
pub struct Repeats(Arc<Mutex<BTreeMap<SlotId, VecDeque<FrameIndex>>>>);

impl Repeats {
    fn note(&self, slot: SlotId, frame: FrameIndex) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let frames = slots.entry(slot).or_default();
        if frames.len() == LIMIT {
            frames.pop_front();
        }
        // Frames of one slot come in order; another life of the capture may overlap by a few.
        let at = frames.partition_point(|known| *known < frame);
        if frames.get(at) != Some(&frame) {
            frames.insert(at, frame);
        }
    }

    fn between(&self, slot: SlotId, from: FrameIndex, to: FrameIndex) -> u64 {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(frames) = slots.get(&slot) else { return 0 };
        let up_to = |frame: FrameIndex| frames.partition_point(|known| *known < frame);
        up_to(to).saturating_sub(up_to(from)) as u64
    }
}

impl Links {
    /// This frame of the slot repeats the one before because its own was lost.
    pub fn note_repeated(&self, slot: SlotId, frame: FrameIndex) {
        self.repeats().note(slot, frame);
    }

    /// How many frames of the slot were filled so, from `from` on and before `to`.
    pub fn repeated_between(&self, slot: SlotId, from: FrameIndex, to: FrameIndex) -> u64 {
        self.repeats().between(slot, from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_within_their_bounds() {
        let links = Links::default();
        let slot = SlotId::new(2).unwrap();
        for frame in [10, 20, 15, 20, 30] {
            links.note_repeated(slot, FrameIndex(frame));
        }
        let table = [(0, 100, 4), (10, 30, 3), (11, 20, 1), (31, 90, 0), (30, 10, 0)];
        for (from, to, count) in table {
            assert_eq!(links.repeated_between(slot, FrameIndex(from), FrameIndex(to)), count, "{from}..{to}");
        }
        assert_eq!(links.repeated_between(SlotId::new(1).unwrap(), FrameIndex(0), FrameIndex(100)), 0);
    }
}
