//! Decodes a file or a network stream onto the shelf.
//!
//! A pipeline of its own without a clock to wait for: the shelf holds it back. Its messages end in an [`Outcome`].

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cuebox_core::config::Url;
use cuebox_core::director::ErrorClass;
use gst::prelude::*;

use super::left_open;
use super::shelf::Shelf;
use crate::media::bus;
use crate::media::capture::normalise::{self, running_time};
use crate::media::context::Context;
use crate::media::names::Name;
use crate::media::part::{Failure, Mailbox};
use crate::media::priority::Rank;

pub enum Outcome {
    Ended,
    Failed(Failure),
}

pub struct Reader {
    pipeline: gst::Pipeline,
    url: Url,
    told: Told,
}

/// What the reader came to, for the actor to fetch.
#[derive(Clone)]
struct Told {
    raw: Arc<Mutex<Option<Raw>>>,
    mailbox: Mailbox,
}

/// As it was told on a streaming thread; judged on the actor's, because that may ask the network.
enum Raw {
    Ended,
    Error(gst::glib::Error),
    Failed(Failure),
}

/// Which kinds of stream were found and linked.
#[derive(Default)]
struct Found {
    picture: bool,
    sound: bool,
}

impl Reader {
    pub fn build(context: &Context, url: &Url, shelf: &Arc<Shelf>, mailbox: &Mailbox) -> Result<Self, Failure> {
        let pipeline = gst::Pipeline::new();
        let decoder = gst::ElementFactory::make("uridecodebin").property("uri", url.reveal()).build()?;
        pipeline.add(&decoder)?;
        decoder.connect("source-setup", false, |values| {
            if let Some(source) = values.get(1).and_then(|value| value.get::<gst::Element>().ok()) {
                set_up(&source);
            }
            None
        });
        pipeline.connect_deep_element_added(|_, _, element| believe_the_stream(element));
        let told = Told { raw: Arc::default(), mailbox: mailbox.clone() };
        join(context, &pipeline, &decoder, shelf, &told);
        hear(&pipeline, &told)?;
        Ok(Self { pipeline, url: url.clone(), told })
    }

    pub fn play(&self) {
        // A failure tells its reason on the bus, which ends in an outcome.
        let _ = self.pipeline.set_state(gst::State::Playing);
    }

    /// From the start again, after the end.
    pub fn rewind(&self) -> Result<(), Failure> {
        self.pipeline.seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, gst::ClockTime::ZERO)?;
        Ok(())
    }

    /// What it came to since the last time that this was asked.
    pub fn outcome(&self) -> Option<Outcome> {
        let raw = self.told.raw.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(match raw {
            Raw::Ended => Outcome::Ended,
            Raw::Error(error) => Outcome::Failed(failure(&self.url, &error)),
            Raw::Failed(failure) => Outcome::Failed(failure),
        })
    }

    /// Tells nothing any more.
    pub fn stop(&self) {
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
        let _ = self.pipeline.set_state(gst::State::Null);
        if let Some(server) = host_and_port(&self.url).filter(|_| self.url.scheme().starts_with("rtmp")) {
            left_open::close(&server);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Told {
    fn tell(&self, raw: Raw) {
        // The first failure is the cause; an end that follows it is its effect.
        let mut told = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        told.get_or_insert(raw);
        drop(told);
        self.mailbox.nudge();
    }
}

/// Links the first picture and the first sound that appear.
fn join(context: &Context, pipeline: &gst::Pipeline, decoder: &gst::Element, shelf: &Arc<Shelf>, told: &Told) {
    let found = Arc::new(Mutex::new(Found::default()));
    let none_told = told.clone();
    let seen = found.clone();
    decoder.connect_no_more_pads(move |_| {
        if !seen.lock().unwrap_or_else(PoisonError::into_inner).picture {
            none_told.tell(Raw::Failed(Failure::new(ErrorClass::Format, "there is no picture in it")));
        }
    });
    let (context, shelf, weak, told) = (context.clone(), shelf.clone(), pipeline.downgrade(), told.clone());
    decoder.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade() else { return };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let kind = caps.structure(0).map(|structure| structure.name().to_string()).unwrap_or_default();
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let joined = if kind.starts_with("video/") && !std::mem::replace(&mut found.picture, true) {
            join_pictures(&context, &pipeline, pad, &shelf)
        } else if kind.starts_with("audio/") && !std::mem::replace(&mut found.sound, true) {
            join_sound(&context, &pipeline, pad, &shelf)
        } else {
            Ok(())
        };
        if let Err(failure) = joined {
            told.tell(Raw::Failed(failure));
        }
    });
}

fn join_pictures(
    context: &Context,
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    shelf: &Arc<Shelf>,
) -> Result<(), Failure> {
    let branch = gst::Bin::new();
    let (input, sink) = normalise::pictures(context, &branch)?;
    let shelf = shelf.clone();
    let take = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some((picture, at)) = normalise::picture(sample).map_err(|_| gst::FlowError::NotNegotiated)? else {
            return Ok(gst::FlowSuccess::Ok);
        };
        if shelf.put_picture(picture, at.nseconds()) { Ok(gst::FlowSuccess::Ok) } else { Err(gst::FlowError::Flushing) }
    };
    sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(take).build());
    attach(pipeline, &branch, &input, pad)
}

fn join_sound(context: &Context, pipeline: &gst::Pipeline, pad: &gst::Pad, shelf: &Arc<Shelf>) -> Result<(), Failure> {
    let branch = gst::Bin::new();
    let (input, sink) = normalise::sound(context, &branch)?;
    let shelf = shelf.clone();
    let take = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some(at) = running_time(&sample) else { return Ok(gst::FlowSuccess::Ok) };
        let samples = normalise::samples(&sample).ok_or(gst::FlowError::Error)?;
        if shelf.put_sound(&samples, at.nseconds()) { Ok(gst::FlowSuccess::Ok) } else { Err(gst::FlowError::Flushing) }
    };
    sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(take).build());
    attach(pipeline, &branch, &input, pad)
}

/// Puts a branch into the playing pipeline, behind a pad of the decoder.
fn attach(pipeline: &gst::Pipeline, branch: &gst::Bin, input: &gst::Element, pad: &gst::Pad) -> Result<(), Failure> {
    let target = input.static_pad("sink").ok_or_else(|| Failure::internal("an element without a sink pad"))?;
    let ghost = gst::GhostPad::with_target(&target)?;
    branch.add_pad(&ghost)?;
    pipeline.add(branch)?;
    branch.sync_state_with_parent()?;
    pad.link(&ghost).map_err(|error| Failure::new(ErrorClass::Format, format!("it cannot be shown: {error}")))?;
    Ok(())
}

/// Network sources: TCP, so that a lossy hop does not tear the picture, and give up when nothing comes.
fn set_up(source: &gst::Element) {
    let Some(factory) = source.factory() else { return };
    match factory.name().as_str() {
        "rtspsrc" => {
            source.set_property_from_str("protocols", "tcp");
            // Milliseconds; unevenness is the pace's business.
            source.set_property("latency", 50u32);
            // Microseconds.
            source.set_property("tcp-timeout", 5_000_000u64);
        }
        "rtmp2src" => {
            // Seconds.
            source.set_property("timeout", 5u32);
            source.set_property("idle-timeout", 10u32);
            left_open::watch();
        }
        "srtsrc" => source.set_property("auto-reconnect", false),
        _ => {}
    }
}

/// Lets a parser tell the colours by the stream itself: GStreamer 1.22 reads an MP4's own word on them without the range,
/// and a parser puts the container's word above the stream's.
fn believe_the_stream(element: &gst::Element) {
    let parses = element.factory().is_some_and(|factory| ["h264parse", "h265parse"].contains(&factory.name().as_str()));
    let Some(pad) = element.static_pad("sink").filter(|_| parses) else { return };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(gst::EventView::Caps(event)) = info.event().map(|event| event.view()) {
            let mut caps = event.caps_owned();
            if let Some(caps) = caps.make_mut().structure_mut(0) {
                caps.remove_field("colorimetry");
            }
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}

fn hear(pipeline: &gst::Pipeline, told: &Told) -> Result<(), Failure> {
    let bus = pipeline.bus().ok_or_else(|| Failure::internal("a pipeline without a bus"))?;
    let (told, weak, name) = (told.clone(), pipeline.downgrade(), Name::of_this_thread(Rank::Stays));
    bus.set_sync_handler(move |_, message| {
        name.give(message);
        #[expect(clippy::wildcard_enum_match_arm, reason = "a bus carries dozens of kinds; the rest is of no concern")]
        match message.view() {
            gst::MessageView::Error(error) => told.tell(Raw::Error(error.error())),
            gst::MessageView::Eos(_) => told.tell(Raw::Ended),
            gst::MessageView::Latency(_) => {
                if let Some(pipeline) = weak.upgrade() {
                    pipeline.call_async(|pipeline| {
                        let _ = pipeline.recalculate_latency();
                    });
                }
            }
            _ => {}
        }
        gst::BusSyncReply::Drop
    });
    Ok(())
}

/// The element's own words may hold the address with its password: they are left out.
fn failure(url: &Url, error: &gst::glib::Error) -> Failure {
    let class = bus::class(error);
    let unreachable = matches!(class, ErrorClass::Device | ErrorClass::Internal) && url.scheme() != "file";
    let class = if unreachable { unreachable_class(url) } else { class };
    Failure::new(class, format!("{url}: {}", error.message()))
}

/// Why a server was not reached, asked of the network itself, because sources tell it in words only.
fn unreachable_class(url: &Url) -> ErrorClass {
    let Some((host, port)) = host_and_port(url) else { return ErrorClass::UnknownHost };
    let Ok(mut addresses) = (host.as_str(), port).to_socket_addrs() else { return ErrorClass::UnknownHost };
    let Some(address) = addresses.next() else { return ErrorClass::UnknownHost };
    if url.scheme() == "srt" {
        return ErrorClass::NetworkLost;
    }
    match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => ErrorClass::ConnectionRefused,
        Ok(_) | Err(_) => ErrorClass::NetworkLost,
    }
}

fn host_and_port(url: &Url) -> Option<(String, u16)> {
    let (_, rest) = url.reveal().split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let usual = match url.scheme().as_str() {
        "rtsp" => 554,
        "rtsps" => 322,
        "rtmps" => 443,
        _ => 1935,
    };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (host, port.parse().ok()?),
        _ => (place, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::testkit::free_port;

    #[test]
    fn host_and_port_are_found_in_every_form() {
        let table = [
            ("rtsp://user:pa:ss@10.0.0.9/cam", Some(("10.0.0.9", 554))),
            ("rtmp://example.org:1936/live/key", Some(("example.org", 1936))),
            ("rtmps://example.org/live", Some(("example.org", 443))),
            ("srt://[::1]:9000?mode=caller", Some(("::1", 9000))),
            ("rtmp:///live", None),
            ("nonsense", None),
        ];
        for (url, expected) in table {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(host_and_port(&Url::new(url)), expected, "{url}");
        }
    }

    #[test]
    fn an_unreachable_server_is_told_apart() {
        let free = format!("127.0.0.1:{}", free_port());
        let table = [
            (format!("rtmp://{free}/live"), ErrorClass::ConnectionRefused),
            ("rtsp://no-such-host.invalid/cam".to_owned(), ErrorClass::UnknownHost),
        ];
        for (url, class) in table {
            assert_eq!(unreachable_class(&Url::new(url.as_str())), class, "{url}");
        }
    }
}
