//! Which of a camera's modes is taken: the one that gives the show most of its picture, and of equal ones the cheapest.
//!
//! Modes are ranked, in this order, by
//! 1. **fitness** = share of the show's pixels that the mode really has (after it was scaled into the show's frame with
//!    its shape kept) × (share of the show's frame rate)². The square says that motion is missed before sharpness:
//!    1920×1080 at 5 fps loses to 640×480 at 30;
//! 2. **fewest pixels**: what is scaled away is decoded for nothing;
//! 3. **format**, cheapest first: NV12 is what the program mixes, YUYV and UYVY are repacked, MJPEG and H.264 have to
//!    be decoded, the latter with delay;
//! 4. **rate**: the show's own, else a whole multiple of it (every frame then lasts equally long), else the lowest.

use std::cmp::Reverse;

use crate::device::{Mode, ModeGroup, PixelFormat, Rate};

/// A rate that reaches this share of the show's counts as the show's: 29.97 of 30, 59.94 of 60.
const SAME_RATE: f64 = 0.98;

/// The best mode for a show of this size and rate; `None` when the camera has none that can be used.
///
/// A group without rates is a bridge that delivers whatever arrives at its input: it is taken at the show's rate.
pub fn choose(modes: &[ModeGroup], width: u32, height: u32, fps: u32) -> Option<Mode> {
    modes
        .iter()
        .filter(|group| group.width > 0 && group.height > 0)
        .flat_map(|group| {
            let assumed = group.rates.is_empty().then(|| Rate::new(fps, 1));
            group.rates.iter().copied().chain(assumed).map(|rate| Mode {
                format: group.format,
                width: group.width,
                height: group.height,
                rate,
            })
        })
        .filter(|mode| mode.rate.fps() > 0.0)
        .max_by_key(|mode| rank(mode, width, height, fps))
}

/// Larger is better. Fitness is rounded to a thousandth, so that equal modes are equal.
fn rank(mode: &Mode, width: u32, height: u32, fps: u32) -> impl Ord + use<> {
    let pixels = u64::from(mode.width) * u64::from(mode.height);
    (
        thousandths(coverage(mode, width, height) * rate_share(mode.rate, fps).powi(2)),
        Reverse(pixels),
        Reverse(decode_cost(mode.format)),
        Reverse(rate_class(mode.rate, fps)),
        Reverse(thousandths(mode.rate.fps())),
        // Nothing is left to choose by; the list's order must not.
        Reverse(mode.format),
    )
}

/// Pixels of its own that the mode brings into the show's frame, 0 to 1.
fn coverage(mode: &Mode, width: u32, height: u32) -> f64 {
    let (w, h) = (f64::from(mode.width), f64::from(mode.height));
    let (show_w, show_h) = (f64::from(width.max(1)), f64::from(height.max(1)));
    // Enlarging adds no pixels, so the scale stops at one.
    let scale = (show_w / w).min(show_h / h).min(1.0);
    w * h * scale * scale / (show_w * show_h)
}

fn rate_share(rate: Rate, fps: u32) -> f64 {
    let share = rate.fps() / f64::from(fps.max(1));
    if share >= SAME_RATE { 1.0 } else { share }
}

const fn decode_cost(format: PixelFormat) -> u8 {
    match format {
        PixelFormat::Nv12 => 0,
        PixelFormat::Yuyv | PixelFormat::Uyvy => 1,
        PixelFormat::Mjpeg => 2,
        PixelFormat::H264 => 3,
    }
}

/// 0: the show's rate, 1: a whole multiple of it, 2: any other.
fn rate_class(rate: Rate, fps: u32) -> u8 {
    let times = rate.fps() / f64::from(fps.max(1));
    let off_a_multiple = (times - times.round().max(1.0)).abs() / times.max(f64::MIN_POSITIVE);
    match (off_a_multiple <= 1.0 - SAME_RATE, times.round() <= 1.0) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
fn thousandths(value: f64) -> u64 {
    (value * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use PixelFormat::{H264, Mjpeg, Nv12, Uyvy, Yuyv};

    fn group(format: PixelFormat, width: u32, height: u32, rates: &[u32]) -> ModeGroup {
        ModeGroup { format, width, height, rates: rates.iter().map(|fps| Rate::new(*fps, 1)).collect() }
    }

    fn ntsc(format: PixelFormat, width: u32, height: u32) -> ModeGroup {
        ModeGroup { format, width, height, rates: vec![Rate::new(60_000, 1001), Rate::new(30_000, 1001)] }
    }

    /// Logitech C920: raw at high rates only when small, everything by MJPEG, H.264 in its older revisions.
    fn c920() -> Vec<ModeGroup> {
        const ALL: &[u32] = &[30, 24, 20, 15, 10, 5];
        vec![
            group(Yuyv, 640, 480, ALL),
            group(Yuyv, 640, 360, ALL),
            group(Yuyv, 800, 600, &[24, 20, 15, 10, 5]),
            group(Yuyv, 960, 720, &[15, 10, 5]),
            group(Yuyv, 1280, 720, &[10, 5]),
            group(Yuyv, 1920, 1080, &[5]),
            group(Yuyv, 2304, 1536, &[2]),
            group(H264, 1280, 720, ALL),
            group(H264, 1920, 1080, ALL),
            group(Mjpeg, 640, 360, ALL),
            group(Mjpeg, 960, 720, ALL),
            group(Mjpeg, 1280, 720, ALL),
            group(Mjpeg, 1920, 1080, ALL),
        ]
    }

    /// The common HDMI stick on USB 2: MJPEG up to 1080p, raw too slow to use above 640×480.
    fn usb2_stick() -> Vec<ModeGroup> {
        const FAST: &[u32] = &[60, 50, 30, 20, 10];
        vec![
            group(Mjpeg, 1920, 1080, &[30, 25, 20, 10, 5]),
            group(Mjpeg, 1280, 720, FAST),
            group(Mjpeg, 640, 480, FAST),
            group(Yuyv, 1920, 1080, &[5]),
            group(Yuyv, 1280, 720, &[10]),
            group(Yuyv, 640, 480, &[30, 20, 10, 5]),
        ]
    }

    /// A stick on USB 3: raw at full rate.
    fn usb3_stick() -> Vec<ModeGroup> {
        const ALL: &[u32] = &[60, 50, 30, 20, 10];
        vec![
            group(Yuyv, 1920, 1080, ALL),
            group(Yuyv, 1280, 720, ALL),
            group(Mjpeg, 3840, 2160, &[30]),
            group(Mjpeg, 1920, 1080, ALL),
            group(Mjpeg, 1280, 720, ALL),
        ]
    }

    /// Elgato Cam Link 4K: only the mode of its input, in two formats.
    fn cam_link() -> Vec<ModeGroup> {
        vec![ntsc(Nv12, 1920, 1080), ntsc(Yuyv, 1920, 1080)]
    }

    /// TC358743 bridge on CSI: the size of its input, no rates.
    fn tc358743() -> Vec<ModeGroup> {
        vec![group(Uyvy, 1920, 1080, &[])]
    }

    /// The kernel's vivid driver as a webcam, cut to the formats we know.
    fn vivid() -> Vec<ModeGroup> {
        let sizes: [(u32, u32, &[u32]); 4] = [
            (320, 180, &[1, 2, 4, 5, 10, 15, 25, 30, 50, 60]),
            (640, 360, &[1, 2, 4, 5, 10, 15, 25, 30, 50]),
            (1280, 720, &[1, 2, 4, 5, 10, 15, 25, 30]),
            (1920, 1080, &[1, 2, 4, 5, 10, 15, 25]),
        ];
        let all = |format| sizes.map(|(width, height, rates)| group(format, width, height, rates));
        [all(Yuyv), all(Uyvy), all(Nv12)].into_iter().flatten().collect()
    }

    #[test]
    fn real_cameras_get_the_mode_that_a_person_would_choose() {
        type Row = (&'static str, Vec<ModeGroup>, (u32, u32, u32), (PixelFormat, u32, u32, f64));
        let table: Vec<Row> = vec![
            ("C920 in a 720p30 show", c920(), (1280, 720, 30), (Mjpeg, 1280, 720, 30.0)),
            ("C920 in a 1080p30 show", c920(), (1920, 1080, 30), (Mjpeg, 1920, 1080, 30.0)),
            ("C920 in a small show is raw", c920(), (640, 360, 30), (Yuyv, 640, 360, 30.0)),
            ("C920 at 24 is exact", c920(), (1280, 720, 24), (Mjpeg, 1280, 720, 24.0)),
            ("C920 at 25 takes 30", c920(), (1280, 720, 25), (Mjpeg, 1280, 720, 30.0)),
            ("USB 2 stick, 720p30", usb2_stick(), (1280, 720, 30), (Mjpeg, 1280, 720, 30.0)),
            ("USB 2 stick at 25 takes twice as many", usb2_stick(), (1280, 720, 25), (Mjpeg, 1280, 720, 50.0)),
            ("USB 2 stick, 1080p60: motion before sharpness", usb2_stick(), (1920, 1080, 60), (Mjpeg, 1280, 720, 60.0)),
            ("USB 2 stick at 15 takes a multiple", usb2_stick(), (1920, 1080, 15), (Mjpeg, 1920, 1080, 30.0)),
            ("USB 3 stick is raw", usb3_stick(), (1920, 1080, 30), (Yuyv, 1920, 1080, 30.0)),
            ("USB 3 stick, 4K show", usb3_stick(), (3840, 2160, 30), (Mjpeg, 3840, 2160, 30.0)),
            ("Cam Link is NV12 at its own rate", cam_link(), (1920, 1080, 30), (Nv12, 1920, 1080, 29.97)),
            ("Cam Link in a 720p50 show", cam_link(), (1280, 720, 50), (Nv12, 1920, 1080, 59.94)),
            ("TC358743 tells no rates", tc358743(), (1280, 720, 30), (Uyvy, 1920, 1080, 30.0)),
            ("vivid in the kernel tests", vivid(), (640, 360, 15), (Nv12, 640, 360, 15.0)),
            (
                "two raw formats",
                vec![group(Uyvy, 640, 360, &[30]), group(Yuyv, 640, 360, &[30])],
                (640, 360, 30),
                (Yuyv, 640, 360, 30.0),
            ),
            ("vivid, 1080p30 has 25 only", vivid(), (1920, 1080, 30), (Nv12, 1920, 1080, 25.0)),
        ];
        for (name, modes, (width, height, fps), (format, mode_width, mode_height, rate)) in table {
            let mode = choose(&modes, width, height, fps).expect(name);
            assert_eq!((mode.format, mode.width, mode.height), (format, mode_width, mode_height), "{name}: {mode:?}");
            assert!((mode.rate.fps() - rate).abs() < 0.01, "{name}: {mode:?}");
        }
    }

    #[test]
    fn a_wider_mode_of_the_same_detail_beats_bars_at_the_sides() {
        let modes = [group(Yuyv, 1280, 960, &[30]), group(Mjpeg, 1280, 720, &[30])];
        assert_eq!(choose(&modes, 1280, 720, 30).unwrap().height, 720);
    }

    #[test]
    fn modes_that_mean_nothing_are_passed_over() {
        let broken =
            ModeGroup { format: Nv12, width: 640, height: 360, rates: vec![Rate::new(30, 0), Rate::new(0, 1)] };
        assert_eq!(choose(std::slice::from_ref(&broken), 640, 360, 30), None);
        assert_eq!(choose(&[group(Nv12, 0, 0, &[30])], 640, 360, 30), None);
        assert_eq!(choose(&[], 640, 360, 30), None);
        assert!(choose(&[broken, group(Mjpeg, 320, 180, &[5])], 640, 360, 30).is_some());
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        for modes in [c920(), usb2_stick(), usb3_stick(), vivid()] {
            let reversed: Vec<_> = modes.iter().rev().cloned().collect();
            for (width, height, fps) in [(1280, 720, 30), (1920, 1080, 25), (640, 360, 15)] {
                assert_eq!(choose(&modes, width, height, fps), choose(&reversed, width, height, fps));
            }
        }
    }
}
