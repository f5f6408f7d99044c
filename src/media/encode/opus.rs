//! A link's sound as an unbroken row of Opus packets, for tracks that go out live.
//!
//! ```text
//! link ────┐
//!          ├ line of 16-bit samples → appsrc → opusenc →      (in the owner's pipeline)
//! silence ─┘
//! ```
//!
//! Forward error correction is on: a lost packet is heard again in the next one. Discontinuous transmission is off,
//! because a track that falls silent looks like a lost one to players.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

use super::aac::{encoder_caps, to_16_bit};
use super::chain::make;
use super::sound::Line;
use crate::media::Context;
use crate::media::actor::Failure;
use crate::media::links::{Link, Subscription};
use crate::media::timing::{CHANNELS, SAMPLE_RATE, sample_at, time_of_sample};

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
const HEARD_BYTES: usize = 4 * CHANNELS as usize;
const SAMPLE_BYTES: usize = 2 * CHANNELS as usize;

/// The sound of one link, encoded inside somebody's pipeline.
pub struct OpusTrack {
    shared: Arc<Shared>,
    encoder: gst::Element,
    elements: Vec<gst::Element>,
    subscription: Mutex<Option<Subscription>>,
}

struct Shared {
    encoder_input: gst_app::AppSrc,
    line: Mutex<Option<Line>>,
    muted: AtomicBool,
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
        let shared = Arc::new(Shared { encoder_input, line: Mutex::new(None), muted: AtomicBool::new(false) });
        let track = Self { shared, encoder, elements, subscription: Mutex::new(None) };
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
        let shared = self.shared.clone();
        let subscription = context.links.listen(link, move |buffer, _| shared.hear(buffer));
        *self.subscription.lock().unwrap_or_else(PoisonError::into_inner) = Some(subscription);
    }

    /// Hears nothing any more; the line begins anew with the next picture.
    pub fn stop(&self) {
        *self.subscription.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.shared.line() = None;
    }

    /// Silence in place of what is heard.
    pub fn mute(&self, on: bool) {
        self.shared.muted.store(on, Ordering::Relaxed);
    }

    /// Takes effect with the next packet.
    pub fn set_bitrate(&self, bitrate_bps: u64) {
        let bitrate_bps = bitrate_bps.clamp(*BITRATES_BPS.start(), *BITRATES_BPS.end());
        self.encoder.set_property("bitrate", i32::try_from(bitrate_bps).unwrap_or(i32::MAX));
    }

    /// Tells that the picture has come to this running time: bounds how long missing sound is waited for.
    pub fn follow(&self, running: gst::ClockTime) {
        let mut line = self.shared.line();
        let due = sample_at(running.saturating_sub(PATIENCE));
        match line.as_mut() {
            None => *line = Some(Line::new(due - due % PACKET)),
            Some(line) => self.shared.silence(line, due - due % PACKET),
        }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, buffer: &gst::BufferRef) {
        let Some(at) = buffer.pts() else { return };
        let mut guard = self.line();
        let Some(line) = guard.as_mut() else { return };
        let before = line.next();
        let placed = line.place(sample_at(at), (buffer.size() / HEARD_BYTES) as u64);
        self.push_silence(before, placed.silence);
        if placed.keep == 0 {
            return;
        }
        if self.muted.load(Ordering::Relaxed) {
            return self.push_silence(before + placed.silence, placed.keep);
        }
        let from = usize::try_from(placed.skip).unwrap_or(usize::MAX).saturating_mul(HEARD_BYTES);
        if let Ok(heard) = buffer.map_readable()
            && let Some(kept) = heard.get(from..)
        {
            self.push(gst::Buffer::from_mut_slice(to_16_bit(kept)), before + placed.silence, placed.keep);
        }
    }

    fn silence(&self, line: &mut Line, until: u64) {
        let before = line.next();
        let count = line.reach(until);
        self.push_silence(before, count);
    }

    fn push_silence(&self, mut at: u64, mut count: u64) {
        while count > 0 {
            let piece = count.min(5 * PACKET);
            let bytes = usize::try_from(piece).unwrap_or_default() * SAMPLE_BYTES;
            self.push(gst::Buffer::from_mut_slice(vec![0_u8; bytes]), at, piece);
            at += piece;
            count -= piece;
        }
    }

    fn push(&self, mut piece: gst::Buffer, at: u64, samples: u64) {
        let buffer = piece.make_mut();
        buffer.unset_flags(gst::BufferFlags::DISCONT);
        buffer.set_pts(time_of_sample(at));
        buffer.set_duration(time_of_sample(at + samples).saturating_sub(time_of_sample(at)));
        // Refused only while the pipeline is being taken down.
        let _ = self.encoder_input.push_buffer(piece);
    }
}
