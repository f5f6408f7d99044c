//! A link's sound into an encoder, unbroken: what a [`Line`] places is what the encoder's input is given.
//!
//! ```text
//! link ────┐
//!          ├ line of 16-bit samples → appsrc → encoder
//! silence ─┘
//! ```
//!
//! Called by whoever brings sound and by whoever brings the pictures that it belongs to, on any thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sound::Line;
use crate::media::timing::{CHANNELS, SAMPLE_RATE, sample_at, time_of_sample};

/// Longest single piece of silence, in samples.
const SILENCE: u64 = 4_800;
/// One sample of all channels, as links carry it (32-bit float) and as encoders take it (16-bit).
const HEARD_BYTES: usize = 4 * CHANNELS as usize;
const SAMPLE_BYTES: usize = 2 * CHANNELS as usize;

pub struct SoundLine {
    encoder_input: gst_app::AppSrc,
    line: Mutex<Option<Line>>,
    muted: AtomicBool,
}

impl SoundLine {
    /// `encoder_input`: takes [`encoder_caps`]. Nothing flows before [`SoundLine::follow`].
    pub fn new(encoder_input: gst_app::AppSrc) -> Self {
        Self { encoder_input, line: Mutex::new(None), muted: AtomicBool::new(false) }
    }

    fn line(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The picture has come so far: the first call begins the line at sample `from`, later ones make what is missing
    /// before sample `until` silence.
    pub fn follow(&self, from: u64, until: u64) {
        let mut line = self.line();
        match line.as_mut() {
            None => *line = Some(Line::new(from)),
            Some(line) => self.silence(line, until),
        }
    }

    /// The first sample that has not gone to the encoder yet; `None` before the line began.
    pub fn next(&self) -> Option<u64> {
        self.line().as_ref().map(Line::next)
    }

    /// Fills with silence up to sample `end`.
    pub fn fill(&self, end: u64) {
        if let Some(line) = self.line().as_mut() {
            self.silence(line, end);
        }
    }

    /// The next picture begins the line anew.
    pub fn end(&self) {
        *self.line() = None;
    }

    /// Silence in place of what is heard.
    pub fn mute(&self, on: bool) {
        self.muted.store(on, Ordering::Relaxed);
    }

    /// Sound of the link; before the line begins there is nothing to put it on.
    pub fn hear(&self, buffer: &gst::BufferRef) {
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
pub fn encoder_caps() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", i32::try_from(SAMPLE_RATE).unwrap_or(i32::MAX))
        .field("channels", i32::try_from(CHANNELS).unwrap_or(i32::MAX))
        .field("channel-mask", gst::Bitmask::new(3))
        .build()
}

/// Little-endian 32-bit float samples to 16-bit ones, clipped at full scale.
fn to_16_bit(samples: &[u8]) -> Vec<u8> {
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
