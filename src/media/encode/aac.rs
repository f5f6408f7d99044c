//! A link's sound as an unbroken row of AAC packets, each with the true time of what it decodes to.
//!
//! ```text
//! link → line without gaps → voaacenc → appsink → packets      (in the owner's pipeline)
//! ```
//!
//! An AAC encoder looks back: its first packet decodes to nothing of use, and what is decoded lags behind what went in.
//! Measured for `voaacenc`: exactly 1,600 samples. [`Packet::start`] has that taken out.
//!
//! Why `voaacenc`: it counts in fixed point. Per 10 s of stereo it took 0.3 s of a processor without fast floating point
//! (an emulated one), `avenc_aac` 3.5 s, more than an H.264 encode of 640×360.

use std::sync::Arc;

use gst::prelude::*;

use super::chain::make;
use super::sound_line::{SoundLine, encoder_caps};
use crate::media::context::Context;
use crate::media::links::{Link, Subscription};
use crate::media::part::Failure;
use crate::media::timing::sample_at;

/// Samples that one packet decodes to.
pub const PACKET: u64 = 1_024;
/// Samples by which what is decoded lags behind what was encoded.
const PRIMING: u64 = 1_600;
/// The line begins this much before the first picture, so that the packets a segment needs before its first sample
/// exist.
const LEAD: u64 = 4 * PACKET;
/// What has not come this long after its time becomes silence.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// One encoded block of sound.
#[derive(Clone, Debug)]
pub struct Packet {
    pub buffer: gst::Buffer,
    /// `audio/mpeg`, raw, with codec data.
    pub caps: gst::Caps,
    /// First sample it decodes to, counted from running time zero.
    pub start: u64,
}

/// The sound of one link, encoded inside somebody's pipeline.
pub struct AacTrack {
    line: Arc<SoundLine>,
    _subscription: Subscription,
}

impl AacTrack {
    /// Adds the elements to `pipeline`. Nothing comes out before [`AacTrack::follow`] was called. `on_packet` runs on
    /// a streaming thread.
    pub fn build(
        pipeline: &gst::Pipeline,
        context: &Context,
        link: Link,
        bitrate_bps: u32,
        on_packet: impl FnMut(Packet) + Send + 'static,
    ) -> Result<Self, Failure> {
        let encoder_input =
            gst_app::AppSrc::builder().caps(&encoder_caps()).format(gst::Format::Time).max_bytes(0).build();
        let encoder = make("voaacenc")?;
        encoder.set_property("bitrate", i32::try_from(bitrate_bps).unwrap_or(i32::MAX));
        let encoded = gst_app::AppSink::builder().sync(false).async_(false).build();
        pipeline.add_many([encoder_input.upcast_ref::<gst::Element>(), &encoder, encoded.upcast_ref()])?;
        gst::Element::link_many([encoder_input.upcast_ref(), &encoder, encoded.upcast_ref()])?;

        let line = Arc::new(SoundLine::new(encoder_input));
        encoded.set_callbacks(packets(line.clone(), on_packet));
        let listener = line.clone();
        let subscription = context.links.listen(link, move |buffer, _| listener.hear(buffer));
        Ok(Self { line, _subscription: subscription })
    }

    /// Tells that the picture has come to this running time: the first call begins the line, later ones bound how
    /// long missing sound is waited for.
    pub fn follow(&self, running: gst::ClockTime) {
        self.line.follow(begins_at(sample_at(running)), sample_at(running.saturating_sub(PATIENCE)));
    }

    /// The first sample that has not gone to the encoder yet; `None` before the first [`AacTrack::follow`].
    pub fn heard_to(&self) -> Option<u64> {
        self.line.next()
    }

    /// Fills with silence until every packet up to sample `end` has come out.
    pub fn drain(&self, end: u64) {
        self.line.fill(end + PRIMING + 2 * PACKET);
    }
}

/// Where the line begins for a first picture at `sample`: never so early that its first packet would begin before running
/// time zero, which nothing can be numbered before.
fn begins_at(sample: u64) -> u64 {
    sample.saturating_sub(LEAD).max(PRIMING)
}

/// The encoder's input is unbroken, so its packets are numbered by counting, from the time of its first sample.
fn packets(line: Arc<SoundLine>, mut on_packet: impl FnMut(Packet) + Send + 'static) -> gst_app::AppSinkCallbacks {
    let mut next: Option<u64> = None;
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            let first = || buffer.pts().map(sample_at).or_else(|| line.next());
            // The very first packet lies before what was put in.
            let Some(start) = next.or_else(|| first().and_then(|at| at.checked_sub(PRIMING))) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            next = Some(start + PACKET);
            on_packet(Packet { buffer, caps, start });
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_of_a_line_has_a_number_also_right_after_the_start() {
        for (sample, begins) in [(0, 1_600), (4_800, 1_600), (5_696, 1_600), (5_697, 1_601), (48_000, 43_904)] {
            assert_eq!(begins_at(sample), begins, "{sample}");
        }
    }
}
