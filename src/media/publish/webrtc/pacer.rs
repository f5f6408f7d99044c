//! `cueboxpacer`: the last element before a connection's RTP session. It lets packets leave as the line takes them, and
//! measures the line by what the other side says of them ([`Estimator`]).
//!
//! | packet | leaves |
//! |---|---|
//! | sound | at once, before all others |
//! | picture, first sent or sent again | in order, as fast as the estimator allows |
//! | while the line is overfilled: what lies before a newer key frame of its track | never |
//!
//! All tracks of a connection pass here; nothing is known of them but their RTP headers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuebox_core::line::{BELOW_RTP, Bucket, Estimator, Report};
use cuebox_core::time::Mono;
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::tracks::{SOUND_TYPE, VIDEO_TYPE};

/// Whether anything is said of the packets is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Packets do not wait for the next look of the clock at less than this.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// What is sent again lies at most so far behind its track's newest picture, in units of RTP time.
const RECENT: u32 = 10 * 90_000;

type Tell = Box<dyn Fn(u64) + Send + Sync>;

glib::wrapper! {
    pub struct Pacer(ObjectSubclass<imp::Pacer>) @extends gst::Element, gst::Object;
}

impl Pacer {
    /// `start_bps`: what the line is believed to carry until it tells; `tell` hears every new estimate.
    pub fn new(start_bps: u64, tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let pacer: Self = glib::Object::new();
        pacer.imp().line.lock().estimator = Some(Estimator::new(start_bps));
        let _ = pacer.imp().tell.set(Box::new(tell));
        pacer
    }
}

/// A packet that is due.
struct Due {
    buffer: gst::Buffer,
    bytes: u32,
    header: Header,
}

#[derive(Clone, Copy)]
struct Header {
    kind: Kind,
    ssrc: u32,
    /// RTP time, in units of the track's clock.
    time: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sound,
    Picture { key: bool },
    Again,
}

/// RTP times of a picture track.
#[derive(Clone, Copy)]
struct Track {
    newest: u32,
    key: Option<u32>,
}

struct Line {
    due: VecDeque<Due>,
    sound: VecDeque<Due>,
    waiting_bits: u64,
    bucket: Bucket,
    estimator: Option<Estimator>,
    tracks: BTreeMap<u32, Track>,
    stopped: bool,
    flow: Result<gst::FlowSuccess, gst::FlowError>,
}

impl Header {
    /// `None`: not RTP.
    fn of(buffer: &gst::BufferRef) -> Option<Self> {
        let mut head = [0_u8; 12];
        buffer.copy_to_slice(0, &mut head).ok()?;
        let [_, kind, _, _, t0, t1, t2, t3, s0, s1, s2, s3] = head;
        let kind = match i32::from(kind & 0x7f) {
            SOUND_TYPE => Kind::Sound,
            VIDEO_TYPE => Kind::Picture { key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) },
            _ => Kind::Again,
        };
        Some(Self { kind, ssrc: u32::from_be_bytes([s0, s1, s2, s3]), time: u32::from_be_bytes([t0, t1, t2, t3]) })
    }
}

impl Line {
    fn push(&mut self, now: Mono, buffer: gst::Buffer) {
        let bytes = u32::try_from(buffer.size()).unwrap_or(u32::MAX).saturating_add(BELOW_RTP);
        let Some(header) = Header::of(&buffer) else { return };
        let due = Due { buffer, bytes, header };
        let congested = self.estimator.as_ref().is_some_and(|it| it.is_congested(now));
        match header.kind {
            Kind::Sound => return self.sound.push_back(due),
            Kind::Again if congested && self.is_stale(header.time) => return,
            Kind::Again => {}
            Kind::Picture { key } => {
                let track = self.tracks.entry(header.ssrc).or_insert(Track { newest: header.time, key: None });
                track.newest = header.time;
                if key && track.key != Some(header.time) {
                    track.key = Some(header.time);
                    if congested {
                        self.forget(header.ssrc);
                    }
                }
            }
        }
        self.waiting_bits += u64::from(bytes) * 8;
        self.due.push_back(due);
    }

    /// Of the track that had a picture at this time lately, a newer key frame has begun.
    fn is_stale(&self, time: u32) -> bool {
        let track = self.tracks.values().find(|track| track.newest.wrapping_sub(time) < RECENT);
        let key = track.and_then(|track| track.key.map(|key| (track.newest, key)));
        key.is_some_and(|(newest, key)| newest.wrapping_sub(time) > newest.wrapping_sub(key))
    }

    /// Of this track, what has not left yet: a key frame follows.
    fn forget(&mut self, ssrc: u32) {
        let before = std::mem::take(&mut self.due);
        let count = before.len();
        let keeps = |due: &Due| match due.header.kind {
            Kind::Again => !self.is_stale(due.header.time),
            Kind::Sound | Kind::Picture { .. } => due.header.ssrc != ssrc,
        };
        self.due = before.into_iter().filter(keeps).collect();
        tracing::trace!(left_out = count - self.due.len(), "a key frame on an overfilled line");
        self.waiting_bits = self.due.iter().map(|due| u64::from(due.bytes) * 8).sum();
    }

    fn estimate_bps(&self) -> Option<u64> {
        self.estimator.as_ref().map(Estimator::estimate_bps)
    }

    /// What may leave now, and how long until more may.
    fn leave(&mut self, now: Mono) -> (Vec<gst::Buffer>, Duration) {
        let Some(estimator) = self.estimator.as_mut() else { return (Vec::new(), LOOK_EVERY) };
        estimator.look(now);
        let rate = estimator.pace_bps(now);
        // Into a full queue nothing is pushed, however long it waits here.
        let presses = if estimator.is_congested(now) { 0 } else { self.waiting_bits };
        self.bucket.fill(now, rate, presses);
        let mut leaving = Vec::new();
        for sound in self.sound.drain(..) {
            self.bucket.take(sound.bytes);
            estimator.sent_unreported(now, sound.bytes);
            leaving.push(sound.buffer);
        }
        while self.bucket.lets_pass()
            && let Some(due) = self.due.pop_front()
        {
            self.bucket.take(due.bytes);
            self.waiting_bits = self.waiting_bits.saturating_sub(u64::from(due.bytes) * 8);
            estimator.sent(now);
            leaving.push(due.buffer);
        }
        let wait = if self.due.is_empty() { LOOK_EVERY } else { self.bucket.opens_in(rate).max(SHORTEST_WAIT) };
        (leaving, wait.min(LOOK_EVERY))
    }
}

/// What a transport-wide acknowledgement says of one packet.
fn report(packet: &gst::StructureRef) -> Option<Report> {
    let sent = packet.get::<gst::ClockTime>("local-ts").ok()?;
    let size = packet.get::<u32>("size").ok()?;
    let arrived = packet.get::<gst::ClockTime>("remote-ts").ok().filter(|_| !packet.get("lost").unwrap_or(false));
    let bytes = size.saturating_add(RTP_HEADER + BELOW_RTP);
    Some(Report { sent: Mono(sent.nseconds()), bytes, arrived_ns: arrived.map(gst::ClockTime::nseconds) })
}

/// The sizes that acknowledgements name are those of payloads; header with one extension.
const RTP_HEADER: u32 = 20;

/// The line under its lock, and the bell that says that something is due.
struct Guarded {
    line: Mutex<Line>,
    bell: Condvar,
}

impl Guarded {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

mod imp {
    use super::*;
    use std::sync::{LazyLock, OnceLock};

    pub struct Pacer {
        sink: gst::Pad,
        source: gst::Pad,
        clock: gst::Clock,
        pub(super) line: Arc<Guarded>,
        pub(super) tell: OnceLock<Tell>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Pacer {
        const NAME: &'static str = "CueboxPacer";
        type Type = super::Pacer;
        type ParentType = gst::Element;

        fn with_class(class: &Self::Class) -> Self {
            let flags = gst::PadFlags::PROXY_CAPS | gst::PadFlags::PROXY_ALLOCATION;
            let template = |name| class.pad_template(name);
            let sink = match template("sink") {
                Some(template) => gst::Pad::builder_from_template(&template),
                None => gst::Pad::builder(gst::PadDirection::Sink),
            };
            let failed = || Err(gst::FlowError::Error);
            let sink = sink
                .chain_function(move |_, parent, buffer| {
                    Self::catch_panic_pad_function(parent, failed, |own| own.take(std::iter::once(buffer)))
                })
                .chain_list_function(move |_, parent, list| {
                    Self::catch_panic_pad_function(parent, failed, |own| own.take(list.iter_owned()))
                })
                .flags(flags)
                .build();
            let source = match template("src") {
                Some(template) => gst::Pad::builder_from_template(&template),
                None => gst::Pad::builder(gst::PadDirection::Src),
            };
            let source = source
                .event_function(|pad, parent, event| {
                    Self::catch_panic_pad_function(
                        parent,
                        || false,
                        |own| {
                            own.hear(&event);
                            gst::Pad::event_default(pad, parent, event)
                        },
                    )
                })
                .activatemode_function(|_, parent, mode, active| {
                    Self::catch_panic_pad_function(
                        parent,
                        || Err(gst::loggable_error!(gst::CAT_RUST, "panic while a pad was activated")),
                        |own| own.activate(mode, active),
                    )
                })
                .flags(flags)
                .build();
            let line = Line {
                due: VecDeque::new(),
                sound: VecDeque::new(),
                waiting_bits: 0,
                bucket: Bucket::default(),
                estimator: None,
                tracks: BTreeMap::new(),
                stopped: true,
                flow: Err(gst::FlowError::Flushing),
            };
            let line = Arc::new(Guarded { line: Mutex::new(line), bell: Condvar::new() });
            Self { sink, source, clock: gst::SystemClock::obtain(), line, tell: OnceLock::new() }
        }
    }

    impl ObjectImpl for Pacer {
        fn constructed(&self) {
            self.parent_constructed();
            let own = self.obj();
            for pad in [&self.sink, &self.source] {
                // Fails only for a pad of that name, and there is none yet.
                let _ = own.add_pad(pad);
            }
        }
    }

    impl GstObjectImpl for Pacer {}

    impl ElementImpl for Pacer {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Cuebox pacer",
                    "Network/WebRTC/RTP/Filter",
                    "Sends as the line takes it, and measures the line",
                    "Cuebox",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let caps = gst::Caps::builder("application/x-rtp").build();
                let sides = [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)];
                let template = |(name, side)| gst::PadTemplate::new(name, side, gst::PadPresence::Always, &caps).ok();
                sides.into_iter().filter_map(template).collect()
            });
            &TEMPLATES
        }
    }

    impl Pacer {
        fn now(&self) -> Mono {
            Mono(self.clock.time().nseconds())
        }

        fn take(&self, buffers: impl Iterator<Item = gst::Buffer>) -> Result<gst::FlowSuccess, gst::FlowError> {
            let now = self.now();
            let mut line = self.line.lock();
            buffers.for_each(|buffer| line.push(now, buffer));
            self.line.bell.notify_one();
            line.flow
        }

        /// Acknowledgements come as events of the RTP session.
        fn hear(&self, event: &gst::Event) {
            let Some(structure) = event.structure().filter(|it| it.name() == "RTPTWCCPackets") else { return };
            let Ok(packets) = structure.get::<glib::ValueArray>("packets") else { return };
            let packets = packets.iter().filter_map(|it| it.get::<gst::Structure>().ok());
            let reports: Vec<Report> = packets.filter_map(|packet| report(&packet)).collect();
            let now = self.now();
            let (before, after) = {
                let mut line = self.line.lock();
                let before = line.estimate_bps();
                if let Some(estimator) = line.estimator.as_mut() {
                    estimator.reported(now, &reports);
                    tracing::trace!(at_ms = now.as_nanos() / 1_000_000, seen = ?estimator.seen(now));
                }
                (before, line.estimate_bps())
            };
            if let (Some(tell), Some(bps)) = (self.tell.get(), after.filter(|_| before != after)) {
                tell(bps);
            }
        }

        fn activate(&self, mode: gst::PadMode, active: bool) -> Result<(), gst::LoggableError> {
            if mode != gst::PadMode::Push {
                return Err(gst::loggable_error!(gst::CAT_RUST, "packets are pushed"));
            }
            let mut line = self.line.lock();
            line.stopped = !active;
            line.flow = if active { Ok(gst::FlowSuccess::Ok) } else { Err(gst::FlowError::Flushing) };
            if !active {
                (line.waiting_bits, line.due, line.sound) = (0, VecDeque::new(), VecDeque::new());
            }
            drop(line);
            if active {
                let own = self.downgrade();
                return Ok(self.source.start_task(move || {
                    if let Some(own) = own.upgrade() {
                        own.send();
                    }
                })?);
            }
            self.line.bell.notify_all();
            Ok(self.source.stop_task()?)
        }

        /// One turn of the sending thread.
        fn send(&self) {
            let mut line = self.line.lock();
            let before = line.estimate_bps();
            let (leaving, wait) = line.leave(self.now());
            let after = line.estimate_bps();
            if leaving.is_empty() && before == after {
                if !line.stopped {
                    // Whether it was rung or not, the next turn looks.
                    let _ = self.line.bell.wait_timeout(line, wait);
                }
                return;
            }
            drop(line);
            if let (Some(tell), Some(bps)) = (self.tell.get(), after.filter(|_| before != after)) {
                tell(bps);
            }
            for buffer in leaving {
                let flow = self.source.push(buffer);
                if flow.is_err() {
                    self.line.lock().flow = flow;
                    return;
                }
            }
        }
    }
}
