//! Captures: a slot's source → pictures and sound on the show's grid.
//!
//! | module | source |
//! |---|---|
//! | [`test_source`] | drawn by the box, with frame marks |
//! | [`camera`] | V4L2 |
//! | [`card`] | ALSA |
//! | [`playout`] | files and network streams, decoded by whatever fits |
//!
//! Every source ends in an [`outlet`], which is what the rest of the box sees: a live appsrc → appsink whose pictures
//! lie on the grid, one buffer a frame while the source delivers, and whose sound is contiguous. A source's own
//! timestamps, its end of stream and its errors never pass an outlet.

mod camera;
mod card;
mod levels;
mod look;
mod node;
mod normalise;
mod onto_grid;
mod outlet;
mod packed;
mod playout;
mod refusal;
mod sound_clock;
mod stretch;
mod test_source;
#[cfg(test)]
mod tests;

use cuebox_core::director::{self, CaptureSource};
use cuebox_core::ids::SlotId;

use super::context::{Context, Reporter};
use super::part::{Failure, Mailbox, Part};

/// The pipeline of a slot's picture, and of the sound that comes with it.
pub fn build(
    context: &Context,
    slot: SlotId,
    wish: &director::Capture,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    match &wish.source {
        CaptureSource::Test { marks, tone_hz } => {
            let look = test_source::Look { slot, name: wish.name.clone(), marks: *marks, tone_hz: *tone_hz };
            Ok(Box::new(test_source::TestSource::build(context, look, wish.own_sound, reporter)?))
        }
        CaptureSource::V4l2 { node, mode, controls } => {
            node::prepare(node, controls);
            Ok(Box::new(camera::Camera::build(context, slot, (node, mode), reporter, mailbox)?))
        }
        CaptureSource::File { path, repeat } => {
            Ok(Box::new(playout::Playout::file(context, slot, (path, *repeat), wish.own_sound, reporter, mailbox)?))
        }
        CaptureSource::Network { url } => {
            Ok(Box::new(playout::Playout::network(context, slot, url, wish.own_sound, reporter, mailbox)?))
        }
    }
}

/// The pipeline of a slot's own sound card.
pub fn build_sound(
    context: &Context,
    slot: SlotId,
    wish: &director::Sound,
    reporter: &Reporter,
    _mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    Ok(Box::new(card::Card::build(context, slot, &wish.device, reporter)?))
}
