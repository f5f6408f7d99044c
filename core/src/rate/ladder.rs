//! Picture sizes from the full one downwards, each with the least bitrate at which it is better than the next.
//!
//! Source of the figures: the bitrates from which libwebrtc starts to send a size, for codecs other than VP9
//! (`GetDefaultSinglecastBitrateLimits` in `rtc_base/experiments/encoder_info_settings.cc`):
//!
//! | size, 30 pictures a second | least, kbit/s | bits per pixel |
//! |---|---|---|
//! | 1280x720 | 900 | 0.0326 |
//! | 960x540 | 500 | 0.0322 |
//! | 640x360 | 300 | 0.0434 |
//!
//! Larger sizes are taken to need as much for each pixel as 720 lines. Below what 360 lines need, every other picture is
//! left out.

use crate::picture_size::PictureSize;

use super::Limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub picture: PictureSize,
    /// Bits per second below which the next rung is better; 0 for the last.
    pub needs_bps: u64,
}

/// Lines of the sizes below the full one.
const LINES: [u32; 5] = [1440, 1080, 720, 540, 360];
/// Pictures a second that need no more than what the table says; more are halved before anything shrinks.
const USUAL_FPS: u32 = 30;
/// Fewer pictures than this are no motion.
const LEAST_FPS: u32 = 12;
/// Millionths of a bit for each pixel, up to so many pixels.
const MICROBITS: [(u64, u64); 2] = [(700 * 400, 43_400), (u64::MAX, 32_550)];

pub(super) fn rungs(limits: &Limits) -> Vec<Rung> {
    let full = limits.full;
    if !limits.resizable {
        return vec![Rung { picture: full, needs_bps: 0 }];
    }
    let mut pictures = vec![full];
    let usual = if full.fps > USUAL_FPS { halved(full) } else { None };
    pictures.extend(usual);
    let fps = usual.map_or(full.fps, |picture| picture.fps);
    let smaller = LINES.iter().filter(|lines| **lines < full.height);
    pictures.extend(smaller.map(|lines| PictureSize { width: width_at(full, *lines), height: *lines, fps }));
    pictures.extend(pictures.last().copied().and_then(halved));
    // Whoever asks for a large picture at a small rate gets it down to half of that rate.
    let scale = |needs: u64| match least(full) {
        natural if natural > limits.max_bps / 2 => {
            u64::try_from(u128::from(needs) * u128::from(limits.max_bps / 2) / u128::from(natural)).unwrap_or(needs)
        }
        _ => needs,
    };
    let last = pictures.len() - 1;
    let rung = |(place, picture)| Rung { picture, needs_bps: if place == last { 0 } else { scale(least(picture)) } };
    pictures.into_iter().enumerate().map(rung).collect()
}

fn least(picture: PictureSize) -> u64 {
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    let microbits = MICROBITS.iter().find(|(most, _)| pixels <= *most).map_or(0, |(_, microbits)| *microbits);
    pixels * u64::from(picture.fps) * microbits / 1_000_000
}

/// Every other picture, where that is an even beat.
fn halved(picture: PictureSize) -> Option<PictureSize> {
    let fps = picture.fps / 2;
    (picture.fps.is_multiple_of(2) && fps >= LEAST_FPS).then_some(PictureSize { fps, ..picture })
}

/// Even, because chroma is subsampled.
fn width_at(full: PictureSize, lines: u32) -> u32 {
    let width = u64::from(full.width) * u64::from(lines) / u64::from(full.height.max(1));
    u32::try_from(width & !1).unwrap_or(full.width).max(2)
}
