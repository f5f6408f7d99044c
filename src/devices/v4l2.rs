//! The few V4L2 requests that tell what a node is and what it can deliver.
//!
//! Owns the kernel's structures: each request is a fixed-size structure that the
//! kernel fills in, checked against `linux/videodev2.h` by the sizes below. Never streams, never changes a setting,
//! so it may be used on a camera that is in use.

#![expect(unsafe_code, reason = "ioctl: request number and structure must fit together, which only a reader can check")]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl, opcode};

const VIDEO: u8 = b'V';
/// No device lists as many of anything; a bound for drivers that never say "no more".
const MOST: u32 = 256;

const CAP_VIDEO_CAPTURE: u32 = 0x0000_0001;
const CAP_VIDEO_CAPTURE_MPLANE: u32 = 0x0000_1000;
const CAP_VIDEO_M2M: u32 = 0x0000_c000;
const CAP_DEVICE_CAPS: u32 = 0x8000_0000;

const TYPE_DISCRETE: u32 = 1;

/// Four letters that name a pixel format.
pub type FourCc = [u8; 4];

/// How the node's buffers are laid out; it selects the `type` of most requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    SinglePlane = 1,
    MultiPlane = 9,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    pub card: String,
    /// `None`: the node does not capture pictures (metadata, codec, output).
    pub capture: Option<Layout>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    One { width: u32, height: u32 },
    Range { min: [u32; 2], max: [u32; 2], step: [u32; 2] },
}

/// Seconds between frames, as numerator and denominator.
pub type Interval = [u32; 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intervals {
    One(Interval),
    Range { min: Interval, max: Interval },
}

/// What arrives at an HDMI input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timings {
    pub width: u32,
    pub height: u32,
    /// Pixels per second, and pixels per frame with its blanking: their quotient is the frame rate.
    pub pixel_clock_hz: u64,
    pub pixels_per_frame: u64,
}

pub struct Node {
    fd: OwnedFd,
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Node {
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let fd = rustix::fs::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd })
    }

    pub fn capability(&self) -> Result<Capability, Errno> {
        let mut raw = RawCapability::default();
        // SAFETY: VIDIOC_QUERYCAP fills a v4l2_capability.
        unsafe { ioctl(&self.fd, Updater::<{ opcode::read::<RawCapability>(VIDEO, 0) }, _>::new(&mut raw)) }?;
        Ok(raw.checked())
    }

    /// Every format the node delivers, best first as the driver orders them.
    pub fn formats(&self, layout: Layout) -> Vec<FourCc> {
        let next = |index| {
            let mut raw = RawFormatDescription { index, kind: layout as u32, ..Default::default() };
            // SAFETY: VIDIOC_ENUM_FMT reads index and type of a v4l2_fmtdesc and fills the rest.
            unsafe {
                ioctl(&self.fd, Updater::<{ opcode::read_write::<RawFormatDescription>(VIDEO, 2) }, _>::new(&mut raw))
            }
            .ok()?;
            Some(raw.pixel_format.to_le_bytes())
        };
        (0..MOST).map_while(next).collect()
    }

    pub fn sizes(&self, format: FourCc) -> Vec<Sizes> {
        let next = |index| {
            let mut raw = RawSizes { index, pixel_format: u32::from_le_bytes(format), ..Default::default() };
            // SAFETY: VIDIOC_ENUM_FRAMESIZES reads index and pixel_format of a v4l2_frmsizeenum and fills the rest.
            unsafe { ioctl(&self.fd, Updater::<{ opcode::read_write::<RawSizes>(VIDEO, 74) }, _>::new(&mut raw)) }
                .ok()?;
            Some(raw.checked())
        };
        (0..MOST).map_while(next).collect()
    }

    pub fn intervals(&self, format: FourCc, width: u32, height: u32) -> Vec<Intervals> {
        let next = |index| {
            let pixel_format = u32::from_le_bytes(format);
            let mut raw = RawIntervals { index, pixel_format, width, height, ..Default::default() };
            // SAFETY: VIDIOC_ENUM_FRAMEINTERVALS reads the first four fields of a v4l2_frmivalenum and fills the rest.
            unsafe { ioctl(&self.fd, Updater::<{ opcode::read_write::<RawIntervals>(VIDEO, 75) }, _>::new(&mut raw)) }
                .ok()?;
            Some(raw.checked())
        };
        (0..MOST).map_while(next).collect()
    }

    /// Width and height that the node is set to at present.
    pub fn current_size(&self, layout: Layout) -> Option<[u32; 2]> {
        let mut raw = RawFormat { kind: layout as u32, ..Default::default() };
        // SAFETY: VIDIOC_G_FMT reads the type of a v4l2_format and fills the rest.
        unsafe { ioctl(&self.fd, Updater::<{ opcode::read_write::<RawFormat>(VIDEO, 4) }, _>::new(&mut raw)) }.ok()?;
        Some(raw.size())
    }

    /// Time between frames that the node is set to at present.
    pub fn current_interval(&self, layout: Layout) -> Option<Interval> {
        let mut raw = RawParameters { kind: layout as u32, ..Default::default() };
        // SAFETY: VIDIOC_G_PARM reads the type of a v4l2_streamparm and fills the rest.
        unsafe { ioctl(&self.fd, Updater::<{ opcode::read_write::<RawParameters>(VIDEO, 21) }, _>::new(&mut raw)) }
            .ok()?;
        Some(raw.interval)
    }

    /// What an HDMI input receives. Errors tell the states apart: `NOLINK` no cable or no signal, `NOLCK` a signal that
    /// does not settle, `RANGE` one that the hardware cannot take, `NOTTY` or `NODATA` not such an input.
    pub fn timings(&self) -> Result<Timings, Errno> {
        let mut raw = RawTimings::default();
        // SAFETY: VIDIOC_QUERY_DV_TIMINGS fills a v4l2_dv_timings.
        unsafe { ioctl(&self.fd, Updater::<{ opcode::read::<RawTimings>(VIDEO, 99) }, _>::new(&mut raw)) }?;
        Ok(raw.checked())
    }
}

#[repr(C)]
#[derive(Default)]
struct RawCapability {
    driver: [u8; 16],
    card: [u8; 32],
    bus_info: [u8; 32],
    version: u32,
    capabilities: u32,
    device_caps: u32,
    reserved: [u32; 3],
}

impl RawCapability {
    fn checked(&self) -> Capability {
        // What this node can do; older drivers tell only what all nodes of the device can do together.
        let caps = if self.capabilities & CAP_DEVICE_CAPS != 0 { self.device_caps } else { self.capabilities };
        let capture = if caps & CAP_VIDEO_M2M != 0 {
            None
        } else if caps & CAP_VIDEO_CAPTURE != 0 {
            Some(Layout::SinglePlane)
        } else if caps & CAP_VIDEO_CAPTURE_MPLANE != 0 {
            Some(Layout::MultiPlane)
        } else {
            None
        };
        let name = self.card.split(|byte| *byte == 0).next().unwrap_or_default();
        Capability { card: String::from_utf8_lossy(name).into_owned(), capture }
    }
}

#[repr(C)]
#[derive(Default)]
struct RawFormatDescription {
    index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    pixel_format: u32,
    mbus_code: u32,
    reserved: [u32; 3],
}

#[repr(C)]
#[derive(Default)]
struct RawSizes {
    index: u32,
    pixel_format: u32,
    kind: u32,
    /// Discrete: width, height. Else: smallest, largest and step of the width, then of the height.
    values: [u32; 6],
    reserved: [u32; 2],
}

impl RawSizes {
    fn checked(&self) -> Sizes {
        let [a, b, c, d, e, f] = self.values;
        if self.kind == TYPE_DISCRETE {
            Sizes::One { width: a, height: b }
        } else {
            Sizes::Range { min: [a, d], max: [b, e], step: [c, f] }
        }
    }
}

#[repr(C)]
#[derive(Default)]
struct RawIntervals {
    index: u32,
    pixel_format: u32,
    width: u32,
    height: u32,
    kind: u32,
    /// Discrete: one fraction. Else: shortest, longest and step.
    values: [u32; 6],
    reserved: [u32; 2],
}

impl RawIntervals {
    fn checked(&self) -> Intervals {
        let [a, b, c, d, ..] = self.values;
        if self.kind == TYPE_DISCRETE { Intervals::One([a, b]) } else { Intervals::Range { min: [a, b], max: [c, d] } }
    }
}

const UNION_BYTES: usize = 200;

/// The union holds pointers for some types, so it is aligned as they are.
#[repr(C)]
struct RawFormat {
    kind: u32,
    union: [usize; UNION_BYTES / size_of::<usize>()],
}

impl Default for RawFormat {
    fn default() -> Self {
        Self { kind: 0, union: [0; UNION_BYTES / size_of::<usize>()] }
    }
}

impl RawFormat {
    /// Both layouts begin with width and height, 32 bits each.
    fn size(&self) -> [u32; 2] {
        let mut bytes = self.union.iter().flat_map(|word| word.to_ne_bytes());
        let mut next = || u32::from_ne_bytes(std::array::from_fn(|_| bytes.next().unwrap_or_default()));
        [next(), next()]
    }
}

#[repr(C)]
struct RawParameters {
    kind: u32,
    capability: u32,
    capture_mode: u32,
    interval: Interval,
    rest: [u32; UNION_BYTES / 4 - 4],
}

impl Default for RawParameters {
    fn default() -> Self {
        Self { kind: 0, capability: 0, capture_mode: 0, interval: [0; 2], rest: [0; UNION_BYTES / 4 - 4] }
    }
}

/// `v4l2_dv_timings` is packed, so its 64-bit pixel clock is held as two halves.
#[repr(C)]
#[derive(Default)]
struct RawTimings {
    kind: u32,
    width: u32,
    height: u32,
    interlaced: u32,
    polarities: u32,
    pixel_clock: [u32; 2],
    /// Front porch, sync and back porch: horizontal, vertical, vertical of the second field.
    blanking: [u32; 9],
    standards: u32,
    flags: u32,
    rest: [u32; 15],
}

impl RawTimings {
    fn checked(&self) -> Timings {
        let sum = |values: &[u32]| values.iter().map(|value| u64::from(*value)).sum::<u64>();
        let [a, b] = self.pixel_clock.map(u32::to_ne_bytes);
        let clock = u64::from_ne_bytes([a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]);
        let columns = u64::from(self.width) + sum(&self.blanking[..3]);
        let lines = u64::from(self.height) + sum(&self.blanking[3..]);
        Timings {
            width: self.width,
            height: self.height,
            pixel_clock_hz: clock,
            pixels_per_frame: columns.saturating_mul(lines),
        }
    }
}

const _: () = {
    assert!(size_of::<RawCapability>() == 104);
    assert!(size_of::<RawFormatDescription>() == 64);
    assert!(size_of::<RawSizes>() == 44);
    assert!(size_of::<RawIntervals>() == 52);
    assert!(size_of::<RawFormat>() == if size_of::<usize>() == 8 { 208 } else { 204 });
    assert!(size_of::<RawParameters>() == 204);
    assert!(size_of::<RawTimings>() == 132);
};

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(capabilities: u32, device_caps: u32) -> Option<Layout> {
        RawCapability { capabilities, device_caps, ..Default::default() }.checked().capture
    }

    #[test]
    fn only_nodes_that_capture_pictures_are_cameras() {
        const META_CAPTURE: u32 = 0x0080_0000;
        let all = CAP_DEVICE_CAPS | CAP_VIDEO_CAPTURE | META_CAPTURE;
        assert_eq!(caps(all, CAP_VIDEO_CAPTURE), Some(Layout::SinglePlane));
        assert_eq!(caps(all, META_CAPTURE), None, "the metadata node of a webcam");
        assert_eq!(caps(CAP_DEVICE_CAPS, CAP_VIDEO_CAPTURE_MPLANE), Some(Layout::MultiPlane));
        assert_eq!(caps(CAP_DEVICE_CAPS, 0x0000_4000), None, "a codec");
        assert_eq!(caps(CAP_DEVICE_CAPS, 0x0000_8000 | CAP_VIDEO_CAPTURE), None, "an old codec");
        assert_eq!(caps(CAP_VIDEO_CAPTURE, 0), Some(Layout::SinglePlane), "a driver without device_caps");
    }

    #[test]
    fn a_card_name_cut_in_the_middle_of_a_letter_is_shown_as_far_as_it_goes() {
        let mut card = [0; 32];
        card[..8].copy_from_slice("Kam\u{e9}ra ".as_bytes());
        card[8] = 0xe6;
        assert_eq!(RawCapability { card, ..Default::default() }.checked().card, "Kam\u{e9}ra \u{fffd}");
    }

    #[test]
    fn the_frame_rate_of_a_signal_follows_from_its_pixel_clock() {
        let [low, high] = [148_500_000, 0];
        let raw = RawTimings {
            width: 1920,
            height: 1080,
            pixel_clock: if cfg!(target_endian = "little") { [low, high] } else { [high, low] },
            blanking: [88, 44, 148, 4, 5, 36, 0, 0, 0],
            ..Default::default()
        };
        let timings = raw.checked();
        assert_eq!((timings.width, timings.height), (1920, 1080));
        assert_eq!(timings.pixel_clock_hz / timings.pixels_per_frame, 60);
    }
}
