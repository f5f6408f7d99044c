//! The thread that puts pictures and sound into segments: it asks the [`Cutter`] and does what it says.
//!
//! Everything comes over one channel ([`super::outbox`]), in the order it was made, so that nothing here is locked and no streaming
//! thread ever waits for a disk. A segment that has ended waits for the rest of its sound, then a thread of its own
//! seals it while the next is written.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cuebox_core::director::{Fact, Recording};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{SegmentId, Track};

use super::cutter::{Cutter, Step};
use super::gauge::RateGauge;
use super::outbox::Outbox;
use super::segment::{Beginning, Segment, disk_failure};
use crate::media::context::{Context, Reporter};
use crate::media::encode::aac::{AacTrack, Packet};
use crate::media::links::Link;
use crate::media::part::Failure;
use crate::media::timing::sample_at;

/// Packets kept for the next segment's beginning: the sound may be this far ahead of the encoded picture (2.7 s).
const RECENT: usize = 128;
/// At the end, real sound is waited for this long before silence takes its place.
const LAST_SOUND: Duration = Duration::from_millis(200);
/// Numbers tried for a new file before something else must be wrong.
const MOST_NUMBERS: u32 = 10_000;

/// An encoded picture.
pub struct Unit {
    pub frame: FrameIndex,
    pub key: bool,
    pub buffer: gst::Buffer,
    pub caps: gst::Caps,
}

pub enum Item {
    Picture(Unit),
    Sound(Packet),
    CutAt(FrameIndex),
    Finish,
}

/// Counts seals that are under way.
#[derive(Clone, Default)]
struct Seals(Arc<(Mutex<u32>, Condvar)>);

pub struct Segmenter {
    pub context: Context,
    pub reporter: Reporter,
    pub track: Track,
    pub wish: Recording,
    pub sound: Arc<AacTrack>,
    outbox: Outbox,
    state: State,
}

struct State {
    cutter: Option<Cutter>,
    segment_from: FrameIndex,
    next_number: u32,
    caps: Option<gst::Caps>,
    fps: u64,
    open: Option<Segment>,
    /// Ended, but their sound is not complete.
    ending: Vec<Segment>,
    recent: VecDeque<Packet>,
    seals: Seals,
    gauge: RateGauge,
}

impl Segmenter {
    pub fn new(
        context: &Context,
        reporter: &Reporter,
        track: Track,
        wish: &Recording,
        sound: Arc<AacTrack>,
        outbox: Outbox,
    ) -> Self {
        let state = State {
            cutter: None,
            segment_from: wish.segment_from,
            next_number: wish.first_number,
            caps: None,
            fps: u64::from(context.format.grid.fps()),
            open: None,
            ending: Vec::new(),
            recent: VecDeque::new(),
            seals: Seals::default(),
            gauge: RateGauge::new(context, reporter),
        };
        Self { context: context.clone(), reporter: reporter.clone(), track, wish: wish.clone(), sound, outbox, state }
    }

    /// Runs until told to finish; every segment is sealed, or given up, when this returns.
    pub fn run(mut self, inbox: &Receiver<Vec<Item>>) -> Result<(), Failure> {
        let result = self.record(inbox);
        if let Some(step) = self.state.cutter.as_mut().and_then(Cutter::end) {
            let _ = self.step(step, None);
        }
        self.last_sound(inbox);
        for segment in std::mem::take(&mut self.state.ending) {
            self.seal(segment);
        }
        self.state.seals.wait(Segment::seal_limit() + Duration::from_millis(300));
        self.state.gauge.count();
        result
    }

    fn record(&mut self, inbox: &Receiver<Vec<Item>>) -> Result<(), Failure> {
        while let Ok(items) = inbox.recv() {
            for item in items {
                match item {
                    Item::Picture(unit) => self.picture(unit)?,
                    Item::Sound(packet) => self.packet(packet),
                    Item::CutAt(frame) => self.cut_at(frame)?,
                    Item::Finish => return Ok(()),
                }
            }
            self.outbox.set_calm(self.state.cutter.as_ref().is_some_and(Cutter::is_calm));
            self.state.gauge.count();
        }
        Ok(())
    }

    /// Takes packets until every segment that has ended has its sound; makes silence when it does not come.
    fn last_sound(&mut self, inbox: &Receiver<Vec<Item>>) {
        self.outbox.set_calm(false);
        let Some(end) = self.state.ending.iter().filter_map(Segment::sound_to).max() else { return };
        let began = Instant::now();
        let mut drained = false;
        while !self.state.ending.is_empty() && began.elapsed() < 3 * LAST_SOUND {
            if !drained && (began.elapsed() >= LAST_SOUND || self.sound.heard_to().is_some_and(|it| it >= end)) {
                self.sound.drain(end);
                drained = true;
            }
            match inbox.recv_timeout(LAST_SOUND / 10) {
                Ok(items) => items.into_iter().for_each(|item| {
                    if let Item::Sound(packet) = item {
                        self.packet(packet);
                    }
                }),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn picture(&mut self, unit: Unit) -> Result<(), Failure> {
        self.follow_format(&unit.caps)?;
        let step = u64::from(self.context.format.grid.fps()) / self.state.fps.max(1);
        let (begin, from) = (self.wish.segment_from, self.state.segment_from);
        let cutter = self.state.cutter.get_or_insert_with(|| {
            let mut cutter = Cutter::new(begin, step.max(1));
            let _ = cutter.cut_at(from);
            cutter
        });
        for step in cutter.picture(unit.frame, unit.key) {
            self.step(step, Some(&unit))?;
        }
        match self.state.open.as_mut().and_then(Segment::failure) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Another size or rate cannot follow in the same file.
    fn follow_format(&mut self, caps: &gst::Caps) -> Result<(), Failure> {
        if self.state.caps.as_ref() == Some(caps) {
            return Ok(());
        }
        if let Some(step) = self.state.cutter.take().as_mut().and_then(Cutter::end) {
            self.step(step, None)?;
        }
        let rate = caps.structure(0).and_then(|fields| fields.get::<gst::Fraction>("framerate").ok());
        if let Some(rate) = rate.filter(|rate| rate.numer() > 0 && rate.denom() > 0) {
            self.state.fps = u64::from(rate.numer().unsigned_abs() / rate.denom().unsigned_abs()).max(1);
        }
        self.state.caps = Some(caps.clone());
        Ok(())
    }

    fn step(&mut self, step: Step, unit: Option<&Unit>) -> Result<(), Failure> {
        match step {
            Step::AskKey { from } => self.ask_key(from),
            Step::Close { end } => self.close(end),
            Step::Open { first } => self.open(first)?,
            Step::Write => {
                if let (Some(segment), Some(unit)) = (self.state.open.as_mut(), unit) {
                    segment.push_picture(unit.buffer.clone())?;
                }
            }
        }
        Ok(())
    }

    /// Asks the encoder for a key frame at this frame or the first after it. Half a frame earlier is named, so that
    /// rounding cannot make it the next one.
    fn ask_key(&self, frame: FrameIndex) {
        let format = self.context.format;
        let time = self.context.timing.running(format.grid.time_of(frame)).saturating_sub(format.frame() / 2);
        let request = gst_video::UpstreamForceKeyUnitEvent::builder().running_time(time).all_headers(true).build();
        self.context.links.send_up(Link::Encoded(self.wish.from), request);
    }

    fn cut_at(&mut self, frame: FrameIndex) -> Result<(), Failure> {
        self.state.segment_from = self.state.segment_from.max(frame);
        match self.state.cutter.as_mut().and_then(|cutter| cutter.cut_at(frame)) {
            Some(step) => self.step(step, None),
            None => Ok(()),
        }
    }

    fn open(&mut self, first: FrameIndex) -> Result<(), Failure> {
        let Some(caps) = self.state.caps.clone() else { return Ok(()) };
        let first_sample = self.sample_of(first);
        for _ in 0..MOST_NUMBERS {
            let number = self.state.next_number;
            self.state.next_number += 1;
            let name = SegmentId { show: self.wish.show.clone(), track: self.track, number };
            let beginning = Beginning { number, first, first_sample, caps: &caps, fps: self.state.fps };
            let folder = self.wish.folder.as_ref().map_or(self.context.data_dir.as_path(), Path::new);
            match Segment::open(&folder.join(name.path()), &beginning) {
                Ok(mut segment) => {
                    self.reporter.fact(Fact::SegmentOpened { number, first_frame: first });
                    self.state.recent.iter().for_each(|packet| segment.push_sound(packet));
                    self.state.gauge.watch(&segment.ledger);
                    self.state.open = Some(segment);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(disk_failure(&error)),
            }
        }
        Err(Failure::internal("no free number for a segment"))
    }

    fn close(&mut self, end: FrameIndex) {
        let Some(mut segment) = self.state.open.take() else { return };
        if let Track::Slot(slot) = self.track {
            segment.repeated = self.context.links.repeats().between(slot, segment.first, end);
        }
        segment.end_pictures(self.sample_of(end));
        self.state.ending.push(segment);
        self.seal_complete();
    }

    fn packet(&mut self, packet: Packet) {
        for segment in self.state.ending.iter_mut().chain(self.state.open.as_mut()) {
            segment.push_sound(&packet);
        }
        self.state.recent.push_back(packet);
        if self.state.recent.len() > RECENT {
            self.state.recent.pop_front();
        }
        self.seal_complete();
    }

    fn seal_complete(&mut self) {
        while let Some(at) = self.state.ending.iter().position(Segment::is_complete) {
            let segment = self.state.ending.remove(at);
            self.seal(segment);
        }
    }

    fn seal(&self, segment: Segment) {
        let (reporter, seals) = (self.reporter.clone(), self.state.seals.clone());
        seals.begin();
        let sealing = std::thread::Builder::new().spawn(move || {
            segment.seal(&reporter);
            seals.end();
        });
        if let Err(error) = sealing {
            tracing::error!(%error, "no thread to seal a segment");
            self.state.seals.end();
        }
    }

    /// The sample that is due when a frame begins.
    fn sample_of(&self, frame: FrameIndex) -> u64 {
        sample_at(self.context.timing.running(self.context.format.grid.time_of(frame)))
    }
}

impl Seals {
    fn begin(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn end(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.1.notify_all();
    }

    fn wait(&self, limit: Duration) {
        let count = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_timeout_while(count, limit, |count| *count > 0));
    }
}
