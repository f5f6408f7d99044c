//! SRT, as caller or listener.
//!
//! ```text
//! access units ─ appsrc → h264parse ┐
//!                                   ├ mpegtsmux → srtsink
//! AAC ────────── appsrc ────────────┘
//! ```
//!
//! | state | ends with |
//! |---|---|
//! | reaching (caller) | unknown host, refused, no answer: failed before anything is built |
//! | connecting | accepted or called (`Connected`) · refused: a wrong passphrase, or any other reason of the server's |
//! | publishing | closed: failed at once · gone: acknowledgements stop, the director judges |
//!
//! Progress are the bytes sent by the time of the newest acknowledgement, so that what is poured into a dead network
//! is none. A listener that nobody calls makes no progress; it keeps its port and waits.

mod reach;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use cuebox_core::config::{SrtMode, SrtTarget};
use cuebox_core::director::{self, ErrorClass};
use cuebox_core::ids::LegId;
use gst::prelude::*;

use super::outcome::Outcome;
use super::stream::{Stream, Taker, ask_for_key_frame};
use crate::media::context::{Context, Reporter};
use crate::media::encode::{access_units, make};
use crate::media::part::{Failure, Handled, Mailbox, Part};
use watch::Watch;

struct SrtPart {
    pipeline: gst::Pipeline,
    state: Arc<State>,
    mailbox: Mailbox,
    /// Dropping it ends the watcher.
    watcher: Option<(Sender<()>, std::thread::JoinHandle<()>)>,
    context: Context,
    leg: LegId,
    sink: gst::Element,
    stream: Stream,
}

/// What the watcher and the part tell each other.
#[derive(Default)]
struct State {
    outcome: Outcome,
    reached: AtomicBool,
    connected: AtomicBool,
}

pub fn build(
    context: &Context,
    wish: &director::Leg,
    target: &SrtTarget,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let (host, port) = place(target)?;
    let pipeline = gst::Pipeline::new();
    let muxer = make("mpegtsmux")?;
    // Seven packets of 188 bytes are what one of SRT's carries.
    muxer.set_property("alignment", 7_i32);
    let sink = sink(target, &host, port)?;
    pipeline.add_many([&muxer, &sink])?;
    muxer.link(&sink)?;
    let feeds = Arc::new(Feeds::build(&pipeline, &muxer)?);
    let stream = Stream::build(context, &pipeline, &access_units(), wish.audio_bitrate_bps, &feeds)?;
    greet_callers(&sink, &stream);
    let state = Arc::new(State::default());
    let watch = Watch {
        context: context.clone(),
        leg: wish.config.name.clone(),
        sink: sink.downgrade(),
        reporter: reporter.clone(),
        mailbox: mailbox.clone(),
        state: state.clone(),
    };
    let caller = (target.mode == SrtMode::Caller).then_some((host, port));
    let (stop, stopped) = channel();
    let thread = std::thread::Builder::new().name("srt-watch".to_owned());
    let thread = thread.spawn(move || watch.run(caller, &stopped)).map_err(Failure::internal)?;
    Ok(Box::new(SrtPart {
        pipeline,
        state,
        mailbox: mailbox.clone(),
        watcher: Some((stop, thread)),
        context: context.clone(),
        leg: wish.config.name.clone(),
        sink,
        stream,
    }))
}

/// Host (empty: every address of the box) and port.
fn place(target: &SrtTarget) -> Result<(String, u16), Failure> {
    let wrong = || Failure::new(ErrorClass::Format, format!("{} is not an SRT address", target.url));
    let (_, rest) = target.url.reveal().split_once("://").ok_or_else(wrong)?;
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_matches(['[', ']']).to_owned();
    if host.is_empty() && target.mode == SrtMode::Caller {
        return Err(wrong());
    }
    Ok((host, port.parse().map_err(|_| wrong())?))
}

fn sink(target: &SrtTarget, host: &str, port: u16) -> Result<gst::Element, Failure> {
    let sink = make("srtsink")?;
    // The address is set first: it resets what its query could say.
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    sink.set_property("uri", format!("srt://{host}:{port}"));
    let mode = if target.mode == SrtMode::Listener { "listener" } else { "caller" };
    sink.set_property_from_str("mode", mode);
    sink.set_property("latency", i32::try_from(target.latency.as_millis()).unwrap_or(i32::MAX));
    if let Some(passphrase) = &target.passphrase {
        sink.set_property("passphrase", passphrase.reveal());
    }
    if let Some(stream_id) = &target.stream_id {
        sink.set_property("streamid", stream_id);
    }
    sink.set_property("sync", false);
    sink.set_property("async", false);
    // The director tries again, and wants to know why it has to.
    sink.set_property("auto-reconnect", false);
    // A listener without a caller lets everything pass.
    sink.set_property("wait-for-connection", false);
    // It connects as soon as it starts, and one caller is all that some listeners take.
    sink.set_locked_state(true);
    let pad = sink.static_pad("sink").ok_or_else(|| Failure::internal("a sink without a pad"))?;
    // Where there are stream headers, the sink sends them before it looks at the connection, and a refusal then reads
    // "connection does not exist". They are repeated ten times a second within the stream anyway.
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(event) = info.event_mut()
            && let gst::EventView::Caps(caps) = event.view()
        {
            let mut caps = caps.caps_owned();
            if let Some(structure) = caps.make_mut().structure_mut(0) {
                structure.remove_field("streamheader");
            }
            *event = gst::event::Caps::builder(&caps).seqnum(event.seqnum()).build();
        }
        gst::PadProbeReturn::Ok
    });
    Ok(sink)
}

/// Whoever calls a listener sees a picture at once.
fn greet_callers(sink: &gst::Element, stream: &Stream) {
    let Some(pad) = stream.key_frames() else { return };
    sink.connect("caller-added", false, move |_| {
        ask_for_key_frame(&pad);
        None
    });
}

/// The muxer's two inputs.
struct Feeds {
    pictures: gst_app::AppSrc,
    sound: gst_app::AppSrc,
}

impl Feeds {
    fn build(pipeline: &gst::Pipeline, muxer: &gst::Element) -> Result<Self, Failure> {
        let feeder = || gst_app::AppSrc::builder().format(gst::Format::Time).max_bytes(0).build();
        let (pictures, sound) = (feeder(), feeder());
        let parsers = (make("h264parse")?, make("aacparse")?);
        for (feed, parser) in [(&pictures, &parsers.0), (&sound, &parsers.1)] {
            pipeline.add_many([feed.upcast_ref(), parser])?;
            gst::Element::link_many([feed.upcast_ref(), parser, muxer])?;
        }
        Ok(Self { pictures, sound })
    }
}

impl Taker for Feeds {
    fn waiting(&self) -> gst::ClockTime {
        self.pictures.current_level_time()
    }

    fn picture(&self, caps: &gst::Caps, unit: gst::Buffer, at: gst::ClockTime) {
        push(&self.pictures, caps, unit, at);
    }

    fn sound(&self, caps: &gst::Caps, packet: gst::Buffer, at: gst::ClockTime) {
        push(&self.sound, caps, packet, at);
    }
}

fn push(feed: &gst_app::AppSrc, caps: &gst::Caps, mut buffer: gst::Buffer, at: gst::ClockTime) {
    let shaped = buffer.make_mut();
    shaped.set_pts(at);
    shaped.set_dts(at);
    feed.set_caps(Some(caps));
    // Refused only while the pipeline is being taken down.
    let _ = feed.push_buffer(buffer);
}

impl Part for SrtPart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn message(&mut self, message: &gst::Message) -> Handled {
        let gst::MessageView::Error(error) = message.view() else { return Handled::No };
        let text = error.error().message().to_owned();
        let class = class(&text, error.error().kind(), self.state.connected.load(Ordering::Acquire));
        self.state.outcome.fail(Failure::new(class, text), &self.mailbox);
        Handled::Yes
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        if self.state.reached.load(Ordering::Acquire) && self.sink.is_locked_state() {
            self.sink.set_locked_state(false);
            // An error of this is on the bus.
            let _ = self.sink.sync_state_with_parent();
            self.stream.start();
        }
        self.state.outcome.result()
    }
}

impl Drop for SrtPart {
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

/// What an error of the sink means. It gives every reason one code, and tells them apart only in text of its own, which
/// is not translated; behind it stands the library's reason for a refusal.
fn class(text: &str, kind: Option<gst::ResourceError>, connected: bool) -> ErrorClass {
    if kind == Some(gst::ResourceError::NotAuthorized) || text.contains("Failed to authenticate") {
        ErrorClass::Unauthorised
    } else if connected {
        ErrorClass::NetworkLost
    } else if text.contains("Connection timeout") {
        ErrorClass::Timeout
    } else {
        ErrorClass::ConnectionRefused
    }
}
