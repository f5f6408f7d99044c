//! Makes an HDMI input receive what arrives at it, before it streams: a driver goes on with the timings that it was last
//! told, whatever the signal has become.

#![expect(unsafe_code, reason = "ioctl: request number and structure must fit together, which only a reader can check")]

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Updater, ioctl, opcode};

/// `struct v4l2_dv_timings`, which is packed: a type, and a union of 128 bytes.
type Timings = [u32; 33];

const VIDEO: u8 = b'V';
const QUERY: Opcode = opcode::read::<Timings>(VIDEO, 99);
const SET: Opcode = opcode::read_write::<Timings>(VIDEO, 87);

/// A node that has no such timings, or no signal, is left as it is.
pub fn follow_signal(node: &str) {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // An input that cannot be opened says so when it is to stream.
    let Ok(input) = rustix::fs::open(node, flags, Mode::empty()) else { return };
    // SAFETY: VIDIOC_QUERY_DV_TIMINGS fills a v4l2_dv_timings.
    let received: Result<Timings, Errno> = unsafe { ioctl(&input, Getter::<{ QUERY }, Timings>::new()) };
    let Ok(mut timings) = received else { return };
    // SAFETY: VIDIOC_S_DV_TIMINGS reads a v4l2_dv_timings, and puts those there that were set.
    let set: Result<(), Errno> = unsafe { ioctl(&input, Updater::<{ SET }, Timings>::new(&mut timings)) };
    if let Err(error) = set {
        tracing::warn!("{node}: cannot follow its signal: {error}");
    }
}
