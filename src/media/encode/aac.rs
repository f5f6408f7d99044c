//! A link's sound as an unbroken row of AAC packets, each with the true time of what it decodes to.
//!
//! ```text
//! link ────┐
//!          ├ line of 16-bit samples → appsrc → voaacenc → appsink → packets      (in the owner's pipeline)
//! silence ─┘
//! ```
//!
//! An AAC encoder looks back: its first packet decodes to nothing of use, and what is decoded lags behind what went in.
//! Measured for `voaacenc`: exactly 1,600 samples. [`Packet::start`] has that taken out.
//!
//! Why `voaacenc`: it counts in fixed point. Per 10 s of stereo it took 0.3 s of a processor without fast floating point
//! (the emulated test guest), `avenc_aac` 3.5 s, more than an H.264 encode of 640×360.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

use super::chain::make;
use super::sound::Line;
use crate::media::Context;
use crate::media::actor::Failure;
use crate::media::links::{Link, Subscription};
use crate::media::timing::{CHANNELS, SAMPLE_RATE, sample_at, time_of_sample};

/// Samples that one packet decodes to.
pub const PACKET: u64 = 1_024;
/// Samples by which what is decoded lags behind what was encoded.
const PRIMING: u64 = 1_600;
/// The line begins this much before the first picture, so that the packets a segment needs before its first sample
/// exist.
const LEAD: u64 = 4 * PACKET;
/// What has not come this long after its time becomes silence.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(500);
/// Longest single piece of silence, in samples.
const SILENCE: u64 = 4_800;
/// One sample of all channels, as links carry it (32-bit float) and as the encoder takes it (16-bit).
const HEARD_BYTES: usize = 4 * CHANNELS as usize;
const SAMPLE_BYTES: usize = 2 * CHANNELS as usize;

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
    shared: Arc<Shared>,
    _subscription: Subscription,
}

struct Shared {
    encoder_input: gst_app::AppSrc,
    line: Mutex<Option<Line>>,
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

        let shared = Arc::new(Shared { encoder_input, line: Mutex::new(None) });
        encoded.set_callbacks(packets(shared.clone(), on_packet));
        let listener = shared.clone();
        let subscription = context.links.listen(link, move |buffer, _| listener.hear(buffer));
        Ok(Self { shared, _subscription: subscription })
    }

    /// Tells that the picture has come to this running time: the first call begins the line, later ones bound how
    /// long missing sound is waited for.
    pub fn follow(&self, running: gst::ClockTime) {
        let mut line = self.shared.line();
        match line.as_mut() {
            None => *line = Some(Line::new(sample_at(running).saturating_sub(LEAD))),
            Some(line) => self.shared.silence(line, sample_at(running.saturating_sub(PATIENCE))),
        }
    }

    /// The first sample that has not gone to the encoder yet; `None` before the first [`AacTrack::follow`].
    pub fn heard_to(&self) -> Option<u64> {
        self.shared.line().as_ref().map(Line::next)
    }

    /// Fills with silence until every packet up to sample `end` has come out.
    pub fn drain(&self, end: u64) {
        if let Some(line) = self.shared.line().as_mut() {
            self.shared.silence(line, end + PRIMING + 2 * PACKET);
        }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sound of the link; before the line begins there is nothing to put it on.
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
            let piece = count.min(SILENCE);
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

/// What the encoder takes. Made of the links' format here and not by an element, because silence, which most slots have,
/// then costs nothing: converting it cost a slow processor more than encoding it.
pub(super) fn encoder_caps() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", i32::try_from(SAMPLE_RATE).unwrap_or(i32::MAX))
        .field("channels", i32::try_from(CHANNELS).unwrap_or(i32::MAX))
        .field("channel-mask", gst::Bitmask::new(3))
        .build()
}

/// Little-endian 32-bit float samples to 16-bit ones, clipped at full scale.
pub(super) fn to_16_bit(samples: &[u8]) -> Vec<u8> {
    // A number this large has no room for fractions: adding it rounds. `round` would be a call for each sample.
    const ROUND: f32 = 12_582_912.0;
    let scaled = |sample: &[u8; 4]| {
        let scaled = (f32::from_le_bytes(*sample) * 32_767.0).clamp(-32_768.0, 32_767.0);
        ((scaled + ROUND) - ROUND) as i16
    };
    let mut out = vec![0_u8; samples.len() / 2];
    for (out, sample) in out.as_chunks_mut::<2>().0.iter_mut().zip(samples.as_chunks::<4>().0) {
        *out = scaled(sample).to_le_bytes();
    }
    out
}

/// The encoder's input is unbroken, so its packets are numbered by counting, from the time of its first sample.
fn packets(shared: Arc<Shared>, mut on_packet: impl FnMut(Packet) + Send + 'static) -> gst_app::AppSinkCallbacks {
    let mut next: Option<u64> = None;
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            let first = || buffer.pts().map(sample_at).or_else(|| shared.line().as_ref().map(Line::next));
            // The very first packet lies before what was put in.
            let Some(start) = next.or_else(|| first().map(|at| at.saturating_sub(PRIMING))) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            next = Some(start + PACKET);
            on_packet(Packet { buffer, caps, start });
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}
