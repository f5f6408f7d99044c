//! What waits to be sent: pictures and sound as RTMP's messages, from streaming threads to the connection's.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use super::flv;
use crate::media::part::Failure;
use crate::media::publish::stream::Taker;

pub struct Outlet {
    queue: Mutex<Queue>,
    /// Written to when there is something new.
    wake: OwnedFd,
    sound_bps: u64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Body>,
    picture_header: Vec<u8>,
    sound_header: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Picture,
    Sound,
    Metadata,
}

/// One message without its frame.
pub struct Body {
    pub kind: Kind,
    pub at: gst::ClockTime,
    pub bytes: Vec<u8>,
}

impl Outlet {
    pub fn new(sound_bps: u64) -> Result<Self, Failure> {
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(Failure::internal)?;
        Ok(Self { queue: Mutex::default(), wake, sound_bps })
    }

    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Makes whoever waits on [`Outlet::wake_fd`] look.
    pub fn wake(&self) {
        // Full only when it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Takes the wake-up back.
    pub fn awake(&self) {
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
    }

    pub fn next(&self) -> Option<Body> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front()
    }

    fn push(&self, change: impl FnOnce(&mut Queue)) {
        change(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake();
    }
}

impl Taker for Outlet {
    fn waiting(&self) -> gst::ClockTime {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(first), Some(last)) = (queue.waiting.front(), queue.waiting.back()) else {
            return gst::ClockTime::ZERO;
        };
        last.at.saturating_sub(first.at)
    }

    /// A new size comes with a new header, which every player of RTMP knows how to follow.
    fn picture(&self, caps: &gst::Caps, unit: gst::Buffer, at: gst::ClockTime) {
        let (Ok(data), Some(header)) = (unit.map_readable(), codec_data(caps)) else { return };
        let key = !unit.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let bytes = flv::picture(&data, key);
        self.push(|queue| {
            if header != queue.picture_header {
                let metadata = metadata(caps, self.sound_bps);
                queue.waiting.push_back(Body { kind: Kind::Metadata, at, bytes: metadata });
                queue.waiting.push_back(Body { kind: Kind::Picture, at, bytes: flv::picture_header(&header) });
                queue.picture_header = header;
            }
            queue.waiting.push_back(Body { kind: Kind::Picture, at, bytes });
        });
    }

    fn sound(&self, caps: &gst::Caps, packet: gst::Buffer, at: gst::ClockTime) {
        let (Ok(data), Some(header)) = (packet.map_readable(), codec_data(caps)) else { return };
        let bytes = flv::sound(&data);
        self.push(|queue| {
            if header != queue.sound_header {
                queue.waiting.push_back(Body { kind: Kind::Sound, at, bytes: flv::sound_header(&header) });
                queue.sound_header = header;
            }
            queue.waiting.push_back(Body { kind: Kind::Sound, at, bytes });
        });
    }
}

fn codec_data(caps: &gst::Caps) -> Option<Vec<u8>> {
    let buffer = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    Some(buffer.map_readable().ok()?.to_vec())
}

fn metadata(caps: &gst::Caps, sound_bps: u64) -> Vec<u8> {
    let structure = caps.structure(0);
    let number = |name: &str| structure.and_then(|it| it.get::<i32>(name).ok()).and_then(|it| u32::try_from(it).ok());
    let rate = structure.and_then(|it| it.get::<gst::Fraction>("framerate").ok());
    let fps = rate.and_then(|rate| u32::try_from(rate.numer() / rate.denom().max(1)).ok());
    flv::metadata(number("width").unwrap_or(0), number("height").unwrap_or(0), fps.unwrap_or(0), sound_bps)
}
