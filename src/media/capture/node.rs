//! Makes a camera's node ready, before it streams.

#![expect(unsafe_code, reason = "ioctl: request number and structure must fit together, which only a reader can check")]

use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Updater, ioctl, opcode};

/// `struct v4l2_control`.
#[repr(C)]
struct Control {
    id: u32,
    value: i32,
}

/// `struct v4l2_dv_timings`, which is packed: a type, and a union of 128 bytes.
type Timings = [u32; 33];

const VIDEO: u8 = b'V';
const SET_CONTROL: Opcode = opcode::read_write::<Control>(VIDEO, 28);
const SET_TIMINGS: Opcode = opcode::read_write::<Timings>(VIDEO, 87);
const QUERY_TIMINGS: Opcode = opcode::read::<Timings>(VIDEO, 99);

/// Has the node follow its signal, and sets the controls in their order. What it refuses is logged, and the rest done
/// all the same: a camera that is a little too bright is better than none.
pub fn prepare(node: &str, controls: &[(u32, i64)]) {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // A camera that cannot be opened says so when it is to stream.
    let Ok(camera) = rustix::fs::open(node, flags, Mode::empty()) else { return };
    if let Err(error) = follow_signal(&camera) {
        tracing::warn!("{node}: cannot follow its signal: {error}");
    }
    for (id, value) in controls {
        if let Err(error) = set_control(&camera, *id, *value) {
            tracing::warn!("{node}: control {id:#x} cannot be set to {value}: {error}");
        }
    }
}

/// A driver goes on with the timings that it was last told, whatever the signal has become. A node that has no such
/// timings, or no signal, is left as it is.
fn follow_signal(camera: impl AsFd + Copy) -> Result<(), Errno> {
    // SAFETY: VIDIOC_QUERY_DV_TIMINGS fills a v4l2_dv_timings.
    let received: Result<Timings, Errno> = unsafe { ioctl(camera, Getter::<{ QUERY_TIMINGS }, Timings>::new()) };
    let Ok(mut timings) = received else { return Ok(()) };
    // SAFETY: VIDIOC_S_DV_TIMINGS reads a v4l2_dv_timings, and puts those there that were set.
    unsafe { ioctl(camera, Updater::<{ SET_TIMINGS }, Timings>::new(&mut timings)) }
}

fn set_control(camera: impl AsFd, id: u32, value: i64) -> Result<(), Errno> {
    let mut control = Control { id, value: i32::try_from(value).unwrap_or_default() };
    // SAFETY: VIDIOC_S_CTRL reads a v4l2_control, and puts the value there that was set.
    unsafe { ioctl(camera, Updater::<{ SET_CONTROL }, _>::new(&mut control)) }
}
