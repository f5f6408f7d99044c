//! What a camera can deliver, in the core's words: formats, sizes and rates, with ranges turned into the sizes and rates
//! that people use.

use cuebox_core::device::{ModeGroup, PixelFormat, Rate};

use super::v4l2::{FourCc, Interval, Intervals, Layout, Node, Sizes};

/// Offered of a device that scales to anything.
const STANDARD_SIZES: [[u32; 2]; 11] = [
    [320, 180],
    [640, 360],
    [640, 480],
    [720, 480],
    [720, 576],
    [960, 540],
    [1280, 720],
    [1280, 960],
    [1920, 1080],
    [2560, 1440],
    [3840, 2160],
];

/// Offered of a device that delivers at any rate.
const STANDARD_RATES: [Rate; 10] = [
    Rate::new(5, 1),
    Rate::new(10, 1),
    Rate::new(15, 1),
    Rate::new(24, 1),
    Rate::new(25, 1),
    Rate::new(30_000, 1001),
    Rate::new(30, 1),
    Rate::new(50, 1),
    Rate::new(60_000, 1001),
    Rate::new(60, 1),
];

/// Every mode of the node whose pixel format the box can take. An HDMI input with a signal has one size and rate, what
/// it receives; a device that lists no sizes has the one it is set to. Rates are empty where the device tells none.
pub fn read(node: &Node, layout: Layout) -> Vec<ModeGroup> {
    let signal = node.timings().ok();
    let mut groups: Vec<ModeGroup> = Vec::new();
    for fourcc in node.formats(layout) {
        let Some(format) = pixel_format(fourcc) else { continue };
        let sizes = signal.map_or_else(|| sizes(node, layout, fourcc), |signal| vec![[signal.width, signal.height]]);
        for [width, height] in sizes {
            let known = |group: &ModeGroup| (group.format, group.width, group.height) == (format, width, height);
            if groups.iter().any(known) {
                continue;
            }
            let rates = signal.map_or_else(
                || rates(node, layout, fourcc, [width, height]),
                |signal| signal_rate(signal.pixel_clock_hz, signal.pixels_per_frame).into_iter().collect(),
            );
            groups.push(ModeGroup { format, width, height, rates });
        }
    }
    groups
}

fn sizes(node: &Node, layout: Layout, fourcc: FourCc) -> Vec<[u32; 2]> {
    let listed: Vec<_> = node.sizes(fourcc).into_iter().flat_map(standard_sizes).collect();
    if !listed.is_empty() {
        return listed;
    }
    node.current_size(layout).into_iter().filter(|[width, height]| *width > 0 && *height > 0).collect()
}

/// Fastest first.
fn rates(node: &Node, layout: Layout, fourcc: FourCc, [width, height]: [u32; 2]) -> Vec<Rate> {
    let mut rates: Vec<_> = node.intervals(fourcc, width, height).into_iter().flat_map(standard_rates).collect();
    if rates.is_empty() {
        rates.extend(node.current_interval(layout).and_then(rate));
    }
    rates.sort_by(|a, b| b.fps().total_cmp(&a.fps()));
    rates.dedup();
    rates
}

fn pixel_format(fourcc: FourCc) -> Option<PixelFormat> {
    match &fourcc {
        b"NV12" | b"NM12" => Some(PixelFormat::Nv12),
        b"YUYV" => Some(PixelFormat::Yuyv),
        b"UYVY" => Some(PixelFormat::Uyvy),
        b"MJPG" | b"JPEG" => Some(PixelFormat::Mjpeg),
        b"H264" => Some(PixelFormat::H264),
        _ => None,
    }
}

fn standard_sizes(sizes: Sizes) -> Vec<[u32; 2]> {
    match sizes {
        Sizes::One { width, height } => vec![[width, height]],
        Sizes::Range { min, max, step } => {
            let fits = |size: &[u32; 2]| {
                (0..2).all(|axis| {
                    let inside = (min[axis]..=max[axis]).contains(&size[axis]);
                    inside && (size[axis] - min[axis]).is_multiple_of(step[axis].max(1))
                })
            };
            STANDARD_SIZES.into_iter().filter(fits).collect()
        }
    }
}

fn standard_rates(intervals: Intervals) -> Vec<Rate> {
    match intervals {
        Intervals::One(interval) => rate(interval).into_iter().collect(),
        Intervals::Range { min, max } => {
            let (Some(fastest), Some(slowest)) = (rate(min), rate(max)) else { return Vec::new() };
            // Bounds are often rounded: 29.97 counts as 30000/1001, whatever fraction says it.
            let near = 1e-3;
            let fits = |rate: &Rate| rate.fps() <= fastest.fps() + near && rate.fps() >= slowest.fps() - near;
            STANDARD_RATES.into_iter().filter(fits).collect()
        }
    }
}

/// A rate is the inverse of the interval; `None` for one that means nothing.
fn rate([seconds, parts]: Interval) -> Option<Rate> {
    let divisor = gcd(seconds, parts);
    (seconds > 0 && parts > 0).then(|| Rate::new(parts / divisor, seconds / divisor))
}

/// The standard rate within 0.1 % of a signal's, or the exact one in thousandths.
fn signal_rate(pixel_clock_hz: u64, pixels_per_frame: u64) -> Option<Rate> {
    let millihertz = u32::try_from(pixel_clock_hz.checked_mul(1000)?.checked_div(pixels_per_frame)?).ok()?;
    let exact = rate([1000, millihertz])?;
    let distance = |candidate: &Rate| (candidate.fps() - exact.fps()).abs();
    let nearest = STANDARD_RATES.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    Some(if distance(&nearest) < exact.fps() * 5e-4 { nearest } else { exact })
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_sizes_becomes_the_standard_sizes_inside_it() {
        let range = |min, max, step| standard_sizes(Sizes::Range { min, max, step });
        assert_eq!(range([16, 16], [1280, 720], [2, 2]).last(), Some(&[1280, 720]));
        assert_eq!(
            range([48, 48], [1920, 1080], [16, 8]),
            [[640, 360], [640, 480], [720, 480], [720, 576], [1280, 720], [1280, 960], [1920, 1080]]
        );
        assert_eq!(range([1, 1], [100, 100], [0, 0]), [[0; 2]; 0]);
        assert_eq!(standard_sizes(Sizes::One { width: 1234, height: 5 }), [[1234, 5]]);
    }

    #[test]
    fn a_range_of_intervals_becomes_the_standard_rates_inside_it() {
        let rates = standard_rates(Intervals::Range { min: [1, 30], max: [1, 10] });
        let expected: Vec<_> = [10, 15, 24, 25].map(|fps| Rate::new(fps, 1)).into();
        assert_eq!(rates[..4], expected);
        assert_eq!(rates[4..], [Rate::new(30_000, 1001), Rate::new(30, 1)]);
        assert_eq!(standard_rates(Intervals::Range { min: [0, 0], max: [1, 1] }), []);
        assert_eq!(standard_rates(Intervals::One([333_333, 10_000_000])), [Rate::new(10_000_000, 333_333)]);
        assert_eq!(standard_rates(Intervals::One([2, 30])), [Rate::new(15, 1)]);
    }

    #[test]
    fn the_rate_of_a_signal_snaps_to_the_standard_it_means() {
        let cases = [
            (148_500_000, 2200 * 1125, Rate::new(60, 1)),
            (148_351_648, 2200 * 1125, Rate::new(60_000, 1001)),
            (74_250_000, 1980 * 750, Rate::new(50, 1)),
            (74_175_824, 2200 * 1125, Rate::new(30_000, 1001)),
            (65_000_000, 1344 * 806, Rate::new(60, 1)),
            (78_750_000, 1312 * 800, Rate::new(18_757, 250)),
        ];
        for (clock, pixels, expected) in cases {
            assert_eq!(signal_rate(clock, pixels), Some(expected), "{clock} / {pixels}");
        }
        assert_eq!(signal_rate(1, 0), None);
    }

    #[test]
    fn formats_that_the_box_cannot_take_are_left_out() {
        let known = [b"NV12", b"NM12", b"YUYV", b"UYVY", b"MJPG", b"JPEG", b"H264"];
        assert!(known.into_iter().all(|fourcc| pixel_format(*fourcc).is_some()));
        assert!([b"BGR3", b"HEVC", b"GREY"].into_iter().all(|fourcc| pixel_format(*fourcc).is_none()));
    }
}
