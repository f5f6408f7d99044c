//! One segment: its muxing pipeline, from the first picture to the sealed file.
//!
//! ```text
//! appsrc (access units) → h264parse ┐
//!                                   ├ mp4mux → cueboxfilesink
//! appsrc (AAC packets) ─────────────┘
//! ```
//!
//! Both tracks begin at zero; the sound's first packets lie before the first picture, and the file's edit list says
//! how much of them is not heard. Nothing in here waits: pushing queues, and sealing has a thread and a deadline.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cuebox_core::director::{ErrorClass, Fact, Sealed};
use cuebox_core::grid::FrameIndex;
use gst::prelude::*;

use super::file::{Ledger, SegmentFile};
use super::forgotten;
use super::sink::FileSink;
use crate::media::context::Reporter;
use crate::media::encode::aac::{PACKET, Packet};
use crate::media::encode::make;
use crate::media::names;
use crate::media::part::Failure;
use crate::media::priority::Rank;
use crate::media::timing::time_of_sample;

/// A file that is not finished by then is sealed unclean, with what is on disk. It plays; and what its disk is still at may
/// add a fragment to it, which nobody is told of.
const SEAL_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// More than this in memory means that the disk does not follow.
const BACKLOG: gst::ClockTime = gst::ClockTime::from_seconds(15);

/// What may wait in front of the muxer, of each track.
const ROOM: gst::ClockTime = gst::ClockTime::SECOND;

pub struct Segment {
    pub number: u32,
    pub first: FrameIndex,
    pipeline: gst::Pipeline,
    pictures: gst_app::AppSrc,
    sound: gst_app::AppSrc,
    pub ledger: Arc<Ledger>,
    /// Nominal rate of the pictures.
    fps: u64,
    /// Pictures so far, and of those the ones that stand for a lost one.
    frames: u64,
    pub repeated: u64,
    /// First sample that is to be heard.
    sound_from: u64,
    /// First sample of the next segment, once this one has ended.
    sound_to: Option<u64>,
    /// First sample of the sound's track, and of the packet that comes next.
    sound_track: Option<(u64, u64)>,
    /// The pipeline is broken: there is nothing to wait for.
    broken: bool,
}

/// What distinguishes one segment from the next.
pub struct Beginning<'a> {
    pub number: u32,
    pub first: FrameIndex,
    /// The sample that is due with the first picture.
    pub first_sample: u64,
    pub caps: &'a gst::Caps,
    pub fps: u64,
}

impl Segment {
    /// Opens the file and starts the pipeline. [`io::ErrorKind::AlreadyExists`]: the name is taken.
    pub fn open(path: &Path, beginning: &Beginning<'_>) -> io::Result<Self> {
        let ledger = Arc::new(Ledger::default());
        let file = SegmentFile::create(path, ledger.clone())?;
        Self::with_file(file, ledger, beginning).map_err(|failure| io::Error::other(failure.detail))
    }

    pub fn with_file(file: SegmentFile, ledger: Arc<Ledger>, beginning: &Beginning<'_>) -> Result<Self, Failure> {
        let pipeline = gst::Pipeline::new();
        names::pass_on(&pipeline, Rank::Stays);
        let source = || gst_app::AppSrc::builder().format(gst::Format::Time).max_bytes(0).build();
        let (pictures, sound) = (source(), source());
        pictures.set_caps(Some(beginning.caps));
        let parser = make("h264parse")?;
        let muxer = make("mp4mux")?;
        muxer.set_property("fragment-duration", 500_u32);
        muxer.set_property_from_str("fragment-mode", "first-moov-then-finalise");
        forgotten::give_back(&muxer);
        // Without room for more than one buffer a track, the muxer and its two feeders would wake each other for each.
        muxer.set_property("latency", ROOM.nseconds());
        let sink = FileSink::new(file, ledger.clone());
        pipeline.add_many([pictures.upcast_ref::<gst::Element>(), sound.upcast_ref()])?;
        pipeline.add_many([&parser, &muxer, sink.upcast_ref()])?;
        gst::Element::link_many([pictures.upcast_ref(), &parser, &muxer, sink.upcast_ref()])?;
        sound.link_pads(Some("src"), &muxer, Some("audio_%u"))?;
        pipeline.set_state(gst::State::Playing).map_err(Failure::internal)?;
        Ok(Self {
            number: beginning.number,
            first: beginning.first,
            pipeline,
            pictures,
            sound,
            ledger,
            fps: beginning.fps.max(1),
            frames: 0,
            repeated: 0,
            sound_from: beginning.first_sample,
            sound_to: None,
            sound_track: None,
            broken: false,
        })
    }

    /// Appends the next picture.
    pub fn push_picture(&mut self, mut picture: gst::Buffer) -> Result<(), Failure> {
        if self.pictures.current_level_time() > BACKLOG {
            return Err(Failure::new(ErrorClass::Disk, "the disk is too slow for this recording"));
        }
        let (begin, end) = (self.time_of(self.frames), self.time_of(self.frames + 1));
        let buffer = picture.make_mut();
        buffer.set_pts(begin);
        buffer.set_dts(begin);
        buffer.set_duration(end.saturating_sub(begin));
        buffer.unset_flags(gst::BufferFlags::DISCONT);
        self.frames += 1;
        let _ = self.pictures.push_buffer(picture);
        Ok(())
    }

    fn time_of(&self, picture: u64) -> gst::ClockTime {
        let ns = u128::from(picture) * 1_000_000_000 / u128::from(self.fps);
        gst::ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// Takes a packet when it belongs here: from the one before the first sample (a decoder needs it to begin) to the
    /// one that holds the last.
    pub fn push_sound(&mut self, packet: &Packet) {
        let before = packet.start + 2 * PACKET <= self.sound_from;
        if before || self.sound_to.is_some_and(|end| packet.start >= end) {
            return;
        }
        let (track, next) = *self.sound_track.get_or_insert_with(|| {
            let skip = u32::try_from(self.sound_from.saturating_sub(packet.start)).unwrap_or(0);
            self.ledger.sound_skip.store(skip, Ordering::Release);
            self.sound.set_caps(Some(&packet.caps));
            (packet.start, packet.start)
        });
        if packet.start < next {
            return;
        }
        self.sound_track = Some((track, packet.start + PACKET));
        let mut buffer = packet.buffer.clone();
        let shaped = buffer.make_mut();
        let (begin, end) = (packet.start - track, packet.start - track + PACKET);
        shaped.set_pts(time_of_sample(begin));
        shaped.set_dts(time_of_sample(begin));
        shaped.set_duration(time_of_sample(end).saturating_sub(time_of_sample(begin)));
        shaped.unset_flags(gst::BufferFlags::DISCONT);
        let _ = self.sound.push_buffer(buffer);
    }

    /// No more pictures; sound comes up to sample `sound_to`.
    pub fn end_pictures(&mut self, sound_to: u64) {
        self.sound_to = Some(sound_to);
        let _ = self.pictures.end_of_stream();
    }

    /// The pictures have ended and the sound has come as far as they.
    pub fn is_complete(&self) -> bool {
        let heard = self.sound_track.map_or(self.sound_from, |(_, next)| next);
        self.sound_to.is_some_and(|end| heard >= end)
    }

    /// The sample up to which a segment that has ended still waits for sound.
    pub const fn sound_to(&self) -> Option<u64> {
        self.sound_to
    }

    /// What broke the pipeline, if anything did.
    pub fn failure(&mut self) -> Option<Failure> {
        let message = self.pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        self.broken = true;
        Some(self.explain(&message))
    }

    fn explain(&self, message: &gst::Message) -> Failure {
        if let Some(error) = self.ledger.take_fault() {
            return disk_failure(&error);
        }
        if let gst::MessageView::Error(error) = message.view() {
            Failure::new(ErrorClass::Format, error.error().to_string())
        } else {
            Failure::internal("the muxer failed")
        }
    }

    /// Finishes the file, within [`SEAL_LIMIT`], and tells it. Blocks.
    pub fn seal(self, reporter: &Reporter) {
        let _ = self.pictures.end_of_stream();
        let _ = self.sound.end_of_stream();
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let limit = if self.broken { gst::ClockTime::ZERO } else { SEAL_LIMIT };
        let message = self.pipeline.bus().and_then(|bus| bus.timed_pop_filtered(limit, &kinds));
        let on_disk = self.ledger.pictures.load(Ordering::Acquire);
        let ended = message.as_ref().is_some_and(|message| message.type_() == gst::MessageType::Eos);
        if let Some(message) = message.filter(|_| !ended) {
            tracing::warn!(number = self.number, why = self.explain(&message).detail, "a segment was not finished");
        }
        reporter.fact(Fact::SegmentSealed(Sealed {
            number: self.number,
            first_frame: self.first,
            frames: on_disk,
            repeated: self.repeated,
            bytes: self.ledger.bytes.load(Ordering::Acquire),
            clean: ended && on_disk == self.frames,
        }));
        // May block for as long as the disk does; the fact is out.
        let _ = self.pipeline.set_state(gst::State::Null);
    }

    /// Stops the sink where it is, as a disk that does not answer would.
    #[cfg(test)]
    pub fn hang(&self) {
        let _ = self.pipeline.set_state(gst::State::Paused);
    }

    /// For a wait that has no other bound.
    pub const fn seal_limit() -> Duration {
        Duration::from_nanos(SEAL_LIMIT.nseconds())
    }
}

/// The class of a file error.
pub fn disk_failure(error: &io::Error) -> Failure {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    Failure::new(if full { ErrorClass::DiskFull } else { ErrorClass::Disk }, error.to_string())
}
