//! What HDMI inputs take and tell beside their pictures: the EDID that they show the camera, and events of their signal.
//!
//! Beside [`super::v4l2`] the only part of this shell with requests to the kernel. Setting an EDID is the one thing that
//! this shell ever sets: without one a receiver keeps its hot-plug line low, and no camera sends anything.

#![expect(unsafe_code, reason = "ioctl: request number and structure must fit together, which only a reader can check")]

use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd};

use cuebox_core::device::Signal;
use cuebox_core::edid::EDID_BYTES;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};

use super::v4l2::Node;

const VIDEO: u8 = b'V';
const SOURCE_CHANGE: u32 = 5;
const BLOCKS: u32 = 2;
/// More than a driver queues.
const MOST_EVENTS: u32 = 64;

/// What came of offering an EDID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It was set.
    Set,
    /// It was there already.
    Kept,
    /// The input takes none: a USB stick has its own.
    NotTaken,
}

/// Sets the EDID of the node's current input, unless it is that one already.
pub fn offer(node: &Node, edid: &[u8; EDID_BYTES]) -> Offered {
    let Some(pad) = current_input(node) else { return Offered::NotTaken };
    let mut present = [0; EDID_BYTES];
    let request = RawEdid { pad, blocks: BLOCKS, bytes: present.as_mut_ptr().cast(), ..RawEdid::EMPTY };
    match exchange::<{ opcode::read_write::<RawEdid>(VIDEO, 40) }>(node, request) {
        Ok(blocks) if blocks == BLOCKS && present == *edid => return Offered::Kept,
        // It has another one, or none yet.
        Ok(_) | Err(Errno::NODATA) => {}
        Err(_) => return Offered::NotTaken,
    }
    let mut wanted = *edid;
    let request = RawEdid { pad, blocks: BLOCKS, bytes: wanted.as_mut_ptr().cast(), ..RawEdid::EMPTY };
    match exchange::<{ opcode::read_write::<RawEdid>(VIDEO, 41) }>(node, request) {
        Ok(_) => Offered::Set,
        Err(_) => Offered::NotTaken,
    }
}

fn exchange<const REQUEST: Opcode>(node: &Node, mut edid: RawEdid) -> Result<u32, Errno> {
    // SAFETY: VIDIOC_G_EDID and VIDIOC_S_EDID take a v4l2_edid whose pointer leads to so many blocks of 128 bytes.
    unsafe { ioctl(node, Updater::<{ REQUEST }, _>::new(&mut edid)) }?;
    Ok(edid.blocks)
}

fn current_input(node: &Node) -> Option<u32> {
    let mut input = 0_u32;
    // SAFETY: VIDIOC_G_INPUT fills an int.
    unsafe { ioctl(node, Updater::<{ opcode::read::<u32>(VIDEO, 38) }, _>::new(&mut input)) }.ok()?;
    Some(input)
}

/// What arrives at the node's input.
pub fn signal(node: &Node) -> Signal {
    match node.timings() {
        Ok(_) => Signal::Good,
        Err(Errno::NOLINK) => Signal::None,
        Err(Errno::NOLCK) => Signal::Unlocked,
        Err(Errno::RANGE) => Signal::OutOfRange,
        Err(_) => Signal::Untold,
    }
}

/// An input whose changes are told: readable as exceptional when something happened to its signal.
pub struct Listener {
    node: Node,
}

impl Listener {
    /// `None`: the driver tells no changes of its source; it has to be asked.
    pub fn new(node: Node) -> Option<Self> {
        let wanted = RawSubscription { kind: SOURCE_CHANGE, rest: [0; 7] };
        // SAFETY: VIDIOC_SUBSCRIBE_EVENT reads a v4l2_event_subscription.
        unsafe {
            ioctl(&node, Setter::<{ opcode::write::<RawSubscription>(VIDEO, 90) }, RawSubscription>::new(wanted))
        }
        .ok()?;
        Some(Self { node })
    }

    /// Takes the events that wait. True when there were any.
    pub fn drain(&self) -> bool {
        let take = || {
            let mut event = RawEvent::default();
            // SAFETY: VIDIOC_DQEVENT fills a v4l2_event.
            unsafe { ioctl(&self.node, Updater::<{ opcode::read::<RawEvent>(VIDEO, 89) }, _>::new(&mut event)) }
        };
        (0..MOST_EVENTS).take_while(|_| take().is_ok()).count() > 0
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}

/// `struct v4l2_edid`.
#[repr(C)]
struct RawEdid {
    pad: u32,
    start_block: u32,
    blocks: u32,
    reserved: [u32; 5],
    bytes: *mut c_void,
}

impl RawEdid {
    const EMPTY: Self = Self { pad: 0, start_block: 0, blocks: 0, reserved: [0; 5], bytes: std::ptr::null_mut() };
}

/// `struct v4l2_event_subscription`: type, id, flags, reserved.
#[repr(C)]
struct RawSubscription {
    kind: u32,
    rest: [u32; 7],
}

/// `struct v4l2_event`: type, a union of 64 bytes, pending, sequence, a time stamp, id, reserved.
#[repr(C)]
#[derive(Default)]
struct RawEvent {
    kind: u32,
    union: [u64; 8],
    counts: [u32; 2],
    stamp: [i64; 2],
    rest: [u32; 9],
}

const _: () = {
    assert!(size_of::<RawEdid>() == if size_of::<usize>() == 8 { 40 } else { 36 });
    assert!(size_of::<RawSubscription>() == 32);
    assert!(size_of::<usize>() != 8 || size_of::<RawEvent>() == 136);
};
