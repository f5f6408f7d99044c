//! Every other picture of a slot's recording is the one before once more, while the machine does not keep up.
//!
//! A repeated picture costs a software encoder less, and frame *n* of every recording stays the same instant. Repeats are
//! counted as those for lost pictures are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::ids::SlotId;
use gst::prelude::*;

use crate::media::context::Context;

/// The switch at one encode.
pub struct Halver(Arc<AtomicBool>);

impl Halver {
    /// Watches the pictures at this pad; off until it is turned on.
    pub fn new(pad: &gst::Pad, context: &Context, slot: SlotId) -> Self {
        let on = Arc::new(AtomicBool::new(false));
        let (context, is_on) = (context.clone(), on.clone());
        let before = Mutex::new(None);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = before.take();
            if !is_on.load(Ordering::Relaxed) {
                return gst::PadProbeReturn::Ok;
            }
            let Some(buffer) = info.buffer_mut() else { return gst::PadProbeReturn::Ok };
            let Some(pts) = buffer.pts() else { return gst::PadProbeReturn::Ok };
            let frame = context.timing.frame_at(context.format.grid, pts);
            if frame.0.is_multiple_of(2) {
                *before = Some((frame, buffer.clone()));
            } else if let Some((number, picture)) = kept
                && number.0 + 1 == frame.0
            {
                *buffer = again(&picture, buffer);
                context.links.repeats().note(slot, frame);
            }
            gst::PadProbeReturn::Ok
        });
        Self(on)
    }

    pub fn turn(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

/// The same picture, without a copy of it, in the place of `other`.
fn again(picture: &gst::Buffer, other: &gst::Buffer) -> gst::Buffer {
    let mut again = picture.copy();
    let own = again.make_mut();
    own.set_pts(other.pts());
    own.set_dts(other.dts());
    own.set_duration(other.duration());
    own.unset_flags(gst::BufferFlags::DISCONT);
    own.set_flags(other.flags() & gst::BufferFlags::DISCONT);
    again
}
