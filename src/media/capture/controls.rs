//! Sets a camera's controls, before it streams.

#![expect(unsafe_code, reason = "ioctl: request number and structure must fit together, which only a reader can check")]

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl, opcode};

/// `struct v4l2_control`.
#[repr(C)]
struct Control {
    id: u32,
    value: i32,
}

/// Sets each, in order. One that the camera refuses is logged and the others are set all the same: a camera that is a
/// little too bright is better than none.
pub fn set(node: &str, controls: &[(u32, i64)]) {
    if controls.is_empty() {
        return;
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // A camera that cannot be opened says so when it is to stream.
    let Ok(camera) = rustix::fs::open(node, flags, Mode::empty()) else { return };
    for (id, value) in controls {
        let mut control = Control { id: *id, value: i32::try_from(*value).unwrap_or_default() };
        // SAFETY: VIDIOC_S_CTRL reads a v4l2_control, and puts the value there that was set.
        let set: Result<(), Errno> =
            unsafe { ioctl(&camera, Updater::<{ opcode::read_write::<Control>(b'V', 28) }, _>::new(&mut control)) };
        if let Err(error) = set {
            tracing::warn!("{node}: control {id:#x} cannot be set to {value}: {error}");
        }
    }
}
