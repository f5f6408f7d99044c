//! RTMP and RTMPS.
//!
//! ```text
//! stream encode → appsrc → appsink ─ rebased ─ appsrc → h264parse ┐
//!                                                                 ├ flvmux → rtmp2sink
//! program sound → AAC ───────────── rebased ─ appsrc ─────────────┘
//! ```
//!
//! | state | ends with |
//! |---|---|
//! | reaching | unknown host, refused, no answer: failed before anything is built |
//! | connecting | accepted (`Connected`) · the server closes during connect or publish: it refuses application or key |
//! | publishing | reset or closed: failed at once · wedged: progress stops, the director judges |
//!
//! Nothing in here waits for the server: when it takes less than comes, pictures are dropped up to the next key frame.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cuebox_core::config::{LegConfig, Secret, Url};
use cuebox_core::director::{EncodeJob, ErrorClass, Fact};
use cuebox_core::ids::LegId;
use gst::prelude::*;

use super::reach::reach;
use super::socket::Socket;
use crate::media::actor::{Failure, Handled, Mailbox, Part};
use crate::media::encode::aac::{AacTrack, Packet};
use crate::media::encode::make;
use crate::media::links::{Depth, Link, Subscription};
use crate::media::timing::{sample_at, time_of_sample};
use crate::media::{Context, Reporter};

const SOUND_BPS: u32 = 128_000;
/// More than this waiting for the server is dropped.
const BACKLOG: gst::ClockTime = gst::ClockTime::from_mseconds(1_500);
/// From the TCP connection to the server's acceptance.
const ACCEPT_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The shown bitrate is taken over this many looks.
const WINDOW: usize = 8;
const DEFAULT_PORT: u16 = 1935;
const DEFAULT_TLS_PORT: u16 = 443;

struct RtmpPart {
    pipeline: gst::Pipeline,
    state: Arc<State>,
    mailbox: Mailbox,
    /// Dropping it ends the watcher.
    watcher: Option<(Sender<()>, std::thread::JoinHandle<()>)>,
    context: Context,
    leg: LegId,
    source: gst_app::AppSrc,
    /// From when the server was reached.
    pictures: Option<Subscription>,
    _sound: Arc<AacTrack>,
}

#[derive(Default)]
struct State {
    /// The first thing that went wrong.
    failure: Mutex<Option<Failure>>,
    reached: AtomicBool,
    connected: AtomicBool,
}

/// Where an address leads.
struct Target {
    host: String,
    port: u16,
    tls: bool,
    location: String,
}

pub fn build(
    context: &Context,
    config: &LegConfig,
    url: &Url,
    stream_key: Option<&Secret>,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let target = target(url, stream_key)?;
    if target.tls
        && let Some(file) = &config.ca_file
    {
        super::trust::trust(std::path::Path::new(file))?;
    }
    let pipeline = gst::Pipeline::new();
    let muxer = make("flvmux")?;
    muxer.set_property("streamable", true);
    let sink = make("rtmp2sink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    // With the first picture, which comes when the server was found to be there.
    sink.set_property("async-connect", false);
    sink.set_property("location", &target.location);
    pipeline.add_many([&muxer, &sink])?;
    muxer.link(&sink)?;

    // Live from the beginning: it is subscribed while it runs, and would not become live then.
    let source = gst_app::AppSrc::builder().format(gst::Format::Time).is_live(true).build();
    let origin = Origin::default();
    let sound = Arc::new(sound(&pipeline, context, &muxer, &origin)?);
    pictures(&pipeline, &source, &muxer, &sound, &origin)?;
    let state = Arc::new(State::default());
    let watch = Watch {
        context: context.clone(),
        leg: config.name.clone(),
        sink: sink.downgrade(),
        reporter: reporter.clone(),
        mailbox: mailbox.clone(),
        state: state.clone(),
        remotes: Vec::new(),
        socket: None,
        history: Vec::new(),
    };
    let (stop, stopped) = channel();
    let thread = std::thread::Builder::new().name("rtmp-watch".to_owned());
    let thread = thread.spawn(move || watch.run(&target, &stopped)).map_err(Failure::internal)?;
    Ok(Box::new(RtmpPart {
        pipeline,
        state,
        mailbox: mailbox.clone(),
        watcher: Some((stop, thread)),
        context: context.clone(),
        leg: config.name.clone(),
        source,
        pictures: None,
        _sound: sound,
    }))
}

/// Takes an address apart; the key becomes its last part.
fn target(url: &Url, stream_key: Option<&Secret>) -> Result<Target, Failure> {
    let wrong = || Failure::new(ErrorClass::Format, format!("{url} is not an RTMP address"));
    let text = url.reveal();
    let tls = url.scheme() == "rtmps";
    let (_, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (authority, _) = rest.split_once('/').ok_or_else(wrong)?;
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let default = if tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (host_port, default),
    };
    let location = match stream_key {
        Some(key) => format!("{}/{}", text.trim_end_matches('/'), key.reveal()),
        None => text.to_owned(),
    };
    Ok(Target { host: host.trim_matches(['[', ']']).to_owned(), port, tls, location })
}

/// Running time of the leg's first picture in nanoseconds, which becomes zero; `u64::MAX` before it.
#[derive(Clone)]
struct Origin(Arc<AtomicU64>);

impl Default for Origin {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Origin {
    fn set_once(&self, running: gst::ClockTime) -> gst::ClockTime {
        let new = running.nseconds();
        let set = self.0.compare_exchange(u64::MAX, new, Ordering::AcqRel, Ordering::Acquire);
        gst::ClockTime::from_nseconds(set.err().unwrap_or(new))
    }

    fn get(&self) -> Option<gst::ClockTime> {
        Some(self.0.load(Ordering::Acquire)).filter(|ns| *ns != u64::MAX).map(gst::ClockTime::from_nseconds)
    }
}

fn feeder(pipeline: &gst::Pipeline) -> Result<gst_app::AppSrc, Failure> {
    let source = gst_app::AppSrc::builder().format(gst::Format::Time).max_bytes(0).build();
    pipeline.add(&source)?;
    Ok(source)
}

fn sound(
    pipeline: &gst::Pipeline,
    context: &Context,
    muxer: &gst::Element,
    origin: &Origin,
) -> Result<AacTrack, Failure> {
    let feed = feeder(pipeline)?;
    feed.link_pads(Some("src"), muxer, Some("audio"))?;
    let origin = origin.clone();
    AacTrack::build(pipeline, context, Link::ProgramSound, SOUND_BPS, move |packet: Packet| {
        let first = origin.get().map(sample_at);
        let Some(at) = first.and_then(|first| packet.start.checked_sub(first)) else { return };
        if feed.current_level_time() > BACKLOG {
            return;
        }
        let mut buffer = packet.buffer;
        let shaped = buffer.make_mut();
        shaped.set_pts(time_of_sample(at));
        shaped.set_dts(time_of_sample(at));
        feed.set_caps(Some(&packet.caps));
        // Refused only while the pipeline is being taken down.
        let _ = feed.push_buffer(buffer);
    })
}

fn pictures(
    pipeline: &gst::Pipeline,
    source: &gst_app::AppSrc,
    muxer: &gst::Element,
    sound: &Arc<AacTrack>,
    origin: &Origin,
) -> Result<(), Failure> {
    let heard = gst_app::AppSink::builder().sync(false).async_(false).build();
    let parser = make("h264parse")?;
    pipeline.add_many([source.upcast_ref::<gst::Element>(), heard.upcast_ref(), &parser])?;
    source.link(&heard)?;
    let feed = feeder(pipeline)?;
    feed.link(&parser)?;
    parser.link_pads(Some("src"), muxer, Some("video"))?;
    let key_frames = source.static_pad("src").ok_or_else(|| Failure::internal("an appsrc without a pad"))?;
    let (sound, origin) = (sound.clone(), origin.clone());
    let mut broken = true;
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let (Some(caps), Some(mut buffer)) = (sample.caps_owned(), sample.buffer_owned()) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let Some(running) = buffer.pts() else { return Ok(gst::FlowSuccess::Ok) };
        sound.follow(running);
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if feed.current_level_time() > BACKLOG {
            broken = true;
        } else if broken && key {
            broken = false;
        } else if broken && feed.current_level_time() < BACKLOG / 4 {
            key_frames.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
        }
        if broken {
            return Ok(gst::FlowSuccess::Ok);
        }
        let at = running.saturating_sub(origin.set_once(running));
        let shaped = buffer.make_mut();
        shaped.set_pts(at);
        shaped.set_dts(at);
        feed.set_caps(Some(&caps));
        let _ = feed.push_buffer(buffer);
        Ok(gst::FlowSuccess::Ok)
    });
    heard.set_callbacks(callbacks.build());
    Ok(())
}

/// Reaches the server, then looks at the connection every [`LOOK_EVERY`], until the part goes.
struct Watch {
    context: Context,
    leg: LegId,
    sink: gst::glib::WeakRef<gst::Element>,
    reporter: Reporter,
    mailbox: Mailbox,
    state: Arc<State>,
    remotes: Vec<std::net::SocketAddr>,
    socket: Option<Socket>,
    /// When how much had arrived, newest last.
    history: Vec<(Instant, u64)>,
}

/// Bytes that were written to the socket; zero until the server has accepted the publication.
fn sent(sink: &gst::Element) -> Option<u64> {
    let stats = sink.property::<Option<gst::Structure>>("stats")?;
    stats.get::<u64>("out-bytes-total").or_else(|_| stats.get::<u32>("out-bytes-total").map(u64::from)).ok()
}

impl Watch {
    fn run(mut self, target: &Target, stopped: &Receiver<()>) {
        match reach(&target.host, target.port) {
            Ok(remotes) => self.remotes = remotes,
            Err(failure) => return self.state.fail(failure, &self.mailbox),
        }
        self.state.reached.store(true, Ordering::Release);
        self.mailbox.nudge();
        let began = Instant::now();
        while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let Some(sink) = self.sink.upgrade() else { return };
            match sent(&sink).filter(|sent| *sent > 0) {
                Some(sent) => self.look(sent),
                None if began.elapsed() > ACCEPT_LIMIT => {
                    let why = "the server does not accept the publication";
                    return self.state.fail(Failure::new(ErrorClass::Timeout, why), &self.mailbox);
                }
                None => {}
            }
        }
    }

    fn look(&mut self, sent: u64) {
        if !self.state.connected.swap(true, Ordering::AcqRel) {
            self.reporter.fact(Fact::Connected);
        }
        let arrived = self.arrived(sent);
        self.reporter.progress(arrived.saturating_sub(self.reporter.total()));
        let rate = self.rate(arrived);
        let leg = self.leg.clone();
        self.context.gauge(|gauges| gauges.legs.entry(leg).or_default().bitrate_bps = rate);
    }

    /// Of `sent` bytes, those that the other side has acknowledged.
    fn arrived(&mut self, sent: u64) -> u64 {
        if self.socket.is_none() {
            self.socket = Socket::find(&self.remotes);
        }
        sent.saturating_sub(self.socket.as_ref().and_then(Socket::unacknowledged).unwrap_or(0))
    }

    /// Bits per second.
    fn rate(&mut self, arrived: u64) -> u64 {
        let now = Instant::now();
        self.history.push((now, arrived));
        if self.history.len() > WINDOW {
            self.history.remove(0);
        }
        let Some((then, before)) = self.history.first() else { return 0 };
        let ms = u64::try_from(now.duration_since(*then).as_millis()).unwrap_or(u64::MAX);
        (arrived.saturating_sub(*before) * 8_000).checked_div(ms).unwrap_or(0)
    }
}

impl State {
    fn fail(&self, failure: Failure, mailbox: &Mailbox) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        mailbox.nudge();
    }
}

impl Part for RtmpPart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn message(&mut self, message: &gst::Message) -> Handled {
        let gst::MessageView::Error(error) = message.view() else { return Handled::No };
        let debug = error.debug().map(|debug| debug.to_string()).unwrap_or_default();
        let connected = self.state.connected.load(Ordering::Acquire);
        let class = class(&error.error(), &debug, connected);
        let detail = if class == ErrorClass::Unauthorised {
            "the server refuses the application or the stream key".to_owned()
        } else {
            error.error().message().to_owned()
        };
        self.state.fail(Failure::new(class, detail), &self.mailbox);
        Handled::Yes
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        if self.pictures.is_none() && self.state.reached.load(Ordering::Acquire) {
            let link = Link::Encoded(EncodeJob::Stream);
            self.pictures = Some(self.context.links.subscribe(link, &self.source, Depth::Time(BACKLOG)));
        }
        match self.state.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

impl Drop for RtmpPart {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.watcher.take() {
            drop(stop);
            if self.state.reached.load(Ordering::Acquire) {
                // It is at most at one look. A panic of it was reported when it happened.
                let _ = thread.join();
            }
        }
        self.context.gauge(|gauges| {
            gauges.legs.remove(&self.leg);
        });
    }
}

/// What an error of the sink means. The sink gives the GIO error behind its own as `domain …, code …`.
fn class(error: &gst::glib::Error, debug: &str, connected: bool) -> ErrorClass {
    match error.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotAuthorized) => return ErrorClass::Unauthorised,
        Some(gst::ResourceError::OpenRead) => return ErrorClass::ConnectionRefused,
        Some(_) => {}
        None => return crate::media::bus::class(error),
    }
    match gio_error(debug) {
        Some(("g-tls-error-quark", _)) => ErrorClass::Tls,
        Some(("g-resolver-error-quark", _)) => ErrorClass::UnknownHost,
        Some(("g-io-error-quark", GIO_FAILED)) if !connected => ErrorClass::Unauthorised,
        Some(("g-io-error-quark", GIO_TIMED_OUT)) => ErrorClass::Timeout,
        Some(("g-io-error-quark", GIO_CONNECTION_REFUSED)) => ErrorClass::ConnectionRefused,
        _ => ErrorClass::NetworkLost,
    }
}

/// `G_IO_ERROR_FAILED`: the sink's own complaints, which while it connects are the server's refusal of a command.
const GIO_FAILED: i32 = 0;
const GIO_TIMED_OUT: i32 = 24;
const GIO_CONNECTION_REFUSED: i32 = 39;

fn gio_error(debug: &str) -> Option<(&str, i32)> {
    let (_, rest) = debug.rsplit_once("domain ")?;
    let (domain, code) = rest.split_once(", code ")?;
    Some((domain, code.trim().parse().ok()?))
}
