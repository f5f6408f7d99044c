//! Why a camera does not start: its stream is started once more without GStreamer, only to hear the kernel's reason.
//!
//! v4l2src tells every failed VIDIOC_STREAMON as "buffer pool activation failed"; a full USB bus (ENOSPC) and a camera
//! that another program holds (EBUSY) are answered differently, so their number is needed.

#![expect(unsafe_code, reason = "ioctl: request number and structure must fit together, which only a reader can check")]

use cuebox_core::director::ErrorClass;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Setter, Updater, ioctl, opcode};

const VIDEO: u8 = b'V';
const CAPTURE: u32 = 1;
const MMAP: u32 = 1;

/// `struct v4l2_requestbuffers`.
#[repr(C)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u8,
    reserved: [u8; 3],
}

/// Opens the camera, starts its stream in the format that it was left in, and lets it go again. `None` when it starts,
/// or when it refuses for a reason that has no class of its own.
pub fn ask(node: &str) -> Option<(ErrorClass, &'static str)> {
    start_and_stop(node).err().and_then(class)
}

fn start_and_stop(node: &str) -> Result<(), Errno> {
    let camera = rustix::fs::open(node, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let mut request =
        RequestBuffers { count: 2, kind: CAPTURE, memory: MMAP, capabilities: 0, flags: 0, reserved: [0; 3] };
    // SAFETY: VIDIOC_REQBUFS reads and fills a v4l2_requestbuffers.
    unsafe { ioctl(&camera, Updater::<{ opcode::read_write::<RequestBuffers>(VIDEO, 8) }, _>::new(&mut request)) }?;
    // SAFETY: VIDIOC_STREAMON reads an int, the buffer type. Closing the file ends the stream and frees the buffers.
    unsafe { ioctl(&camera, Setter::<{ opcode::write::<u32>(VIDEO, 18) }, u32>::new(CAPTURE)) }
}

fn class(errno: Errno) -> Option<(ErrorClass, &'static str)> {
    match errno {
        Errno::NOSPC => Some((ErrorClass::Bandwidth, "the USB bus has no bandwidth left for this camera")),
        Errno::BUSY => Some((ErrorClass::Busy, "another program uses this camera")),
        Errno::ACCESS | Errno::PERM => Some((ErrorClass::Unauthorised, "no permission to open this camera")),
        Errno::NODEV | Errno::NOENT | Errno::NXIO => Some((ErrorClass::Device, "the camera is gone")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_number() {
        let table = [
            (Errno::NOSPC, Some(ErrorClass::Bandwidth)),
            (Errno::BUSY, Some(ErrorClass::Busy)),
            (Errno::NODEV, Some(ErrorClass::Device)),
            (Errno::INVAL, None),
        ];
        for (errno, expected) in table {
            assert_eq!(class(errno).map(|(class, _)| class), expected, "{errno}");
        }
        assert_eq!(ask("/dev/video-none").map(|(class, _)| class), Some(ErrorClass::Device));
    }

    #[test]
    fn the_structure_has_the_kernels_size() {
        assert_eq!(size_of::<RequestBuffers>(), 20);
    }
}
