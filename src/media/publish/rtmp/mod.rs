//! RTMP and RTMPS, over a transport of our own.
//!
//! ```text
//! access units ─┐
//!               ├ FLV bodies ─ queue ─ session ─ TLS ─ TCP      (a thread)
//! AAC ──────────┘
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`target`] | addresses |
//! | [`connection`] | the thread: from the server's name to the end of the publication |
//! | [`session`], [`chunks`], [`amf`] | the protocol, pure |
//! | [`flv`] | how pictures and sound are packed, pure |
//! | [`liveness`] | how much the server has taken, pure |
//! | [`outlet`] | what waits to be sent |
//! | [`wire`] | the socket |
//!
//! | state | ends with |
//! |---|---|
//! | reaching | unknown host, refused, no answer, certificate |
//! | connecting | accepted (`Connected`) · refused in the server's words · closed: it refuses application or key |
//! | publishing | reset or closed: failed at once · wedged: progress stops, the director judges |
//!
//! Nothing in here waits for the server: when it takes less than comes, pictures are dropped up to the next key frame.

mod amf;
mod chunks;
mod connection;
mod flv;
mod liveness;
mod outlet;
mod session;
mod target;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cuebox_core::director;

use super::stream::Stream;
use crate::media::context::{Context, Reporter};
use crate::media::part::{Failure, Mailbox, Part};
use connection::{Connection, State};
use outlet::Outlet;

struct RtmpPart {
    pipeline: gst::Pipeline,
    state: Arc<State>,
    outlet: Arc<Outlet>,
    thread: Option<std::thread::JoinHandle<()>>,
    context: Context,
    leg: cuebox_core::ids::LegId,
    stream: Stream,
}

pub fn build(
    context: &Context,
    wish: &director::Leg,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let pipeline = gst::Pipeline::new();
    let outlet = Arc::new(Outlet::new(wish.audio_bitrate_bps)?);
    let stream = Stream::build(context, &pipeline, &access_units(), wish.audio_bitrate_bps, &outlet)?;
    let state = Arc::new(State::default());
    let connection = Connection {
        context: context.clone(),
        config: wish.config.clone(),
        reporter: reporter.clone(),
        mailbox: mailbox.clone(),
        state: state.clone(),
        outlet: outlet.clone(),
    };
    let thread = std::thread::Builder::new().name("rtmp".to_owned());
    let thread = thread.spawn(move || connection.run()).map_err(Failure::internal)?;
    Ok(Box::new(RtmpPart {
        pipeline,
        state,
        outlet,
        thread: Some(thread),
        context: context.clone(),
        leg: wish.config.name.clone(),
        stream,
    }))
}

/// As FLV wants them: lengths before their parts, parameter sets beside.
fn access_units() -> gst::Caps {
    gst::Caps::builder("video/x-h264").field("stream-format", "avc").field("alignment", "au").build()
}

impl Part for RtmpPart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        if self.state.published.load(Ordering::Acquire) {
            self.stream.start();
        }
        self.state.outcome.result()
    }
}

impl Drop for RtmpPart {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Release);
        self.outlet.wake();
        if let Some(thread) = self.thread.take()
            && self.state.published.load(Ordering::Acquire)
        {
            // It never waits for long once it is connected; before, it may wait for names and is left to itself. A panic
            // of it was reported when it happened.
            let _ = thread.join();
        }
        self.context.gauge(|gauges| {
            gauges.legs.remove(&self.leg);
        });
    }
}
