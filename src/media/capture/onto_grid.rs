//! Decoded pictures with their source's own times → the slot's frames.
//!
//! Holds the picture before, so that a lost one can be filled.

use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::SlotId;
use cuebox_core::retime::{Placement, Retimer};
use cuebox_core::time::Mono;

use super::outlet::PicturePusher;
use crate::media::context::Context;

pub struct OntoGrid {
    context: Context,
    slot: SlotId,
    retimer: Retimer,
    previous: Option<gst::Buffer>,
    /// Pictures that the source lost, so far.
    lost: u64,
}

/// A picture and the frame that it goes to.
pub type Placed = (FrameIndex, gst::Buffer);

impl OntoGrid {
    pub fn new(context: &Context, slot: SlotId) -> Self {
        Self { context: context.clone(), slot, retimer: Retimer::new(context.format.grid), previous: None, lost: 0 }
    }

    /// Gives `place` every frame that this picture, taken at `at`, and its predecessor fill; in order. Stops when it
    /// returns false.
    pub fn take(&mut self, picture: gst::Buffer, at: Mono, mut place: impl FnMut(Placed) -> bool) -> bool {
        let Placement::Show(show) = self.retimer.place(at) else { return true };
        self.lost += show.lost;
        let first = show.index.0 - show.before;
        if let Some(previous) = &self.previous {
            for index in first..show.index.0 {
                if index >= show.index.0 - show.lost {
                    self.context.links.repeats().note(self.slot, FrameIndex(index));
                }
                if !place((FrameIndex(index), previous.clone())) {
                    return false;
                }
            }
        }
        self.previous = Some(picture.clone());
        (show.index.0..=show.index.0 + show.after).all(|index| place((FrameIndex(index), picture.clone())))
    }

    /// The same, straight into the slot's outlet.
    pub fn push(&mut self, picture: gst::Buffer, at: Mono, pusher: &mut PicturePusher) -> bool {
        pusher.delivered();
        let lost = self.lost;
        let going = self.take(picture, at, |(index, picture)| pusher.push(picture, index));
        pusher.lost(self.lost - lost);
        going
    }
}
