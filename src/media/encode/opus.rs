//! A link's sound as an unbroken row of Opus packets, for tracks that go out live.
//!
//! ```text
//! link → line without gaps → opusenc →      (in the owner's pipeline)
//! ```
//!
//! Forward error correction is on: a lost packet is heard again in the next one. Discontinuous transmission is off,
//! because a track that falls silent looks like a lost one to players.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::chain::make;
use super::sound_line::{SoundLine, encoder_caps};
use crate::media::context::Context;
use crate::media::links::{Link, Subscription};
use crate::media::part::Failure;
use crate::media::timing::{SAMPLE_RATE, sample_at};

/// What has not come this long after its picture becomes silence. Longer than the mixers wait (two frames), short enough
/// that a track without sound does not hold its picture back at the viewer's.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(150);
/// One packet, in samples: 20 ms.
const PACKET: u64 = SAMPLE_RATE as u64 / 50;
/// Sound that waits longer than this for a line that stands still is dropped.
const WAITING: gst::ClockTime = gst::ClockTime::from_mseconds(400);
/// Loss that the redundancy is made for.
const EXPECTED_LOSS_PERCENT: i32 = 10;
const BITRATES_BPS: std::ops::RangeInclusive<u64> = 8_000..=510_000;

/// The sound of one link, encoded inside somebody's pipeline.
pub struct OpusTrack {
    line: Arc<SoundLine>,
    encoder: gst::Element,
    elements: Vec<gst::Element>,
    subscription: Mutex<Option<Subscription>>,
}

impl OpusTrack {
    /// Adds the elements to `pipeline`; what comes out of [`OpusTrack::output`] is to be linked. Nothing is heard before
    /// [`OpusTrack::listen`].
    pub fn build(pipeline: &gst::Pipeline, bitrate_bps: u64) -> Result<Self, Failure> {
        let encoder_input =
            gst_app::AppSrc::builder().caps(&encoder_caps()).format(gst::Format::Time).is_live(true).build();
        encoder_input.set_leaky_type(gst_app::AppLeakyType::Downstream);
        encoder_input.set_max_bytes(0);
        encoder_input.set_max_time(WAITING);
        let encoder = make("opusenc")?;
        encoder.set_property("inband-fec", true);
        encoder.set_property("packet-loss-percentage", EXPECTED_LOSS_PERCENT);
        encoder.set_property("dtx", false);
        let elements: Vec<gst::Element> = vec![encoder_input.clone().upcast(), encoder.clone()];
        pipeline.add_many(&elements)?;
        encoder_input.link(&encoder)?;
        let line = Arc::new(SoundLine::new(encoder_input));
        let track = Self { line, encoder, elements, subscription: Mutex::new(None) };
        track.set_bitrate(bitrate_bps);
        Ok(track)
    }

    /// The element that gives the packets.
    pub fn output(&self) -> &gst::Element {
        &self.encoder
    }

    /// All elements that were added, for a pipeline that plays already.
    pub fn elements(&self) -> &[gst::Element] {
        &self.elements
    }

    /// Hears `link` from now on.
    pub fn listen(&self, context: &Context, link: Link) {
        let line = self.line.clone();
        let subscription = context.links.listen(link, move |buffer, _| line.hear(buffer));
        *self.subscription.lock().unwrap_or_else(PoisonError::into_inner) = Some(subscription);
    }

    /// Hears nothing any more; the line begins anew with the next picture.
    pub fn stop(&self) {
        *self.subscription.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.line.end();
    }

    /// Silence in place of what is heard.
    pub fn mute(&self, on: bool) {
        self.line.mute(on);
    }

    /// Takes effect with the next packet.
    pub fn set_bitrate(&self, bitrate_bps: u64) {
        let bitrate_bps = bitrate_bps.clamp(*BITRATES_BPS.start(), *BITRATES_BPS.end());
        self.encoder.set_property("bitrate", i32::try_from(bitrate_bps).unwrap_or(i32::MAX));
    }

    /// Tells that the picture has come to this running time: bounds how long missing sound is waited for.
    pub fn follow(&self, running: gst::ClockTime) {
        let due = sample_at(running.saturating_sub(PATIENCE));
        let due = due - due % PACKET;
        self.line.follow(due, due);
    }
}
