//! Which frames of a slot repeat the picture before: its camera lost theirs, or the encoder was spared it.
//!
//! A capture fills the frame of a lost picture with the picture before, and an encode repeats every other one while the
//! machine does not keep up; recordings count these frames. The mark does not travel with the buffer, because encoders
//! and parsers do not carry foreign marks through.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::SlotId;

/// Runs that are remembered of each slot; at one lost picture a second they reach back eighteen hours.
const LIMIT: usize = 65_536;
/// A capture is a few frames ahead of the encode, so both write runs of their own at the same time.
const OPEN_RUNS: usize = 4;

#[derive(Clone, Default)]
pub struct Repeats(Arc<Mutex<BTreeMap<SlotId, Runs>>>);

/// The repeated frames of one slot; no frame is in two runs.
#[derive(Default)]
struct Runs {
    runs: VecDeque<Run>,
    latest: u64,
}

/// Frames that follow each other, or every other one.
#[derive(Clone, Copy)]
struct Run {
    first: u64,
    count: u64,
    step: u64,
}

impl Run {
    const fn last(&self) -> u64 {
        self.first + (self.count - 1) * self.step
    }

    /// How many of its frames come before this one.
    const fn before(&self, frame: u64) -> u64 {
        let reached = frame.saturating_sub(self.first).div_ceil(self.step);
        if reached < self.count { reached } else { self.count }
    }

    const fn contains(&self, frame: u64) -> bool {
        self.before(frame + 1) > self.before(frame)
    }

    /// False when the frame does not follow on it.
    fn extend(&mut self, frame: u64) -> bool {
        let step = frame.saturating_sub(self.last());
        let follows = if self.count == 1 { (1..=2).contains(&step) } else { step == self.step };
        if follows {
            self.step = step;
            self.count += 1;
        }
        follows
    }
}

impl Runs {
    fn note(&mut self, frame: u64) {
        // Frames come in order as a rule; another life of the capture may overlap by a few.
        if !self.runs.is_empty() && frame <= self.latest && self.runs.iter().rev().any(|run| run.contains(frame)) {
            return;
        }
        self.latest = self.latest.max(frame);
        if self.runs.iter_mut().rev().take(OPEN_RUNS).any(|run| run.extend(frame)) {
            return;
        }
        if self.runs.len() == LIMIT {
            self.runs.pop_front();
        }
        self.runs.push_back(Run { first: frame, count: 1, step: 1 });
    }

    fn between(&self, from: u64, to: u64) -> u64 {
        self.runs.iter().map(|run| run.before(to).saturating_sub(run.before(from))).sum()
    }
}

impl Repeats {
    /// This frame of the slot repeats the one before.
    pub fn note(&self, slot: SlotId, frame: FrameIndex) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(slot).or_default().note(frame.0);
    }

    /// How many frames of the slot do so, from `from` on and before `to`.
    pub fn between(&self, slot: SlotId, from: FrameIndex, to: FrameIndex) -> u64 {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&slot).map_or(0, |runs| runs.between(from.0, to.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_within_their_bounds() {
        let repeats = Repeats::default();
        let slot = SlotId::new(2).unwrap();
        for frame in [10, 20, 15, 20, 30] {
            repeats.note(slot, FrameIndex(frame));
        }
        let table = [(0, 100, 4), (10, 30, 3), (11, 20, 1), (31, 90, 0), (30, 10, 0)];
        for (from, to, count) in table {
            assert_eq!(repeats.between(slot, FrameIndex(from), FrameIndex(to)), count, "{from}..{to}");
        }
        assert_eq!(repeats.between(SlotId::new(1).unwrap(), FrameIndex(0), FrameIndex(100)), 0);
    }

    #[test]
    fn an_hour_at_half_the_rate_beside_lost_pictures_is_a_few_runs() {
        let mut runs = Runs::default();
        let mut known = std::collections::BTreeSet::new();
        for frame in (1..216_000).step_by(2) {
            // The capture is ahead of the encode, and loses one that the encode replaces as well now and then.
            if frame % 5_001 == 0 {
                for lost in [frame + 7, frame + 8] {
                    runs.note(lost);
                    known.insert(lost);
                }
            }
            runs.note(frame);
            known.insert(frame);
        }
        assert!(runs.runs.len() < 300, "{}", runs.runs.len());
        for (from, to) in [(0, 300_000), (5_000, 5_020), (10_000, 10_001), (30_001, 90_007)] {
            assert_eq!(runs.between(from, to), known.range(from..to).count() as u64, "{from}..{to}");
        }
    }
}
