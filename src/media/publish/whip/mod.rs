//! WHIP (RFC 9725): the program to any WebRTC server by one HTTP exchange.
//!
//! | module | what it does |
//! |---|---|
//! | this one | the pipeline; on the actor's thread |
//! | [`session`] | from the token to the farewell, on a thread of its own |
//! | [`http`] | the few HTTP calls, with bounds |
//!
//! Pictures, sound and the connection are those of every WebRTC leg ([`super::webrtc`]).

mod http;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cuebox_core::config::WhipTarget;
use cuebox_core::director::{self, EncodeJob};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::outcome::Outcome;
use super::webrtc::{self, Peer, SoundTrack, VideoTrack};
use crate::media::context::{Context, Reporter};
use crate::media::links::Link;
use crate::media::part::{Failure, Handled, Mailbox, Part};
use crate::media::plan::Wish;
use session::{Order, Setup};

/// Picture and sound of one origin.
const STREAM: &str = "program";

struct WhipPart {
    pipeline: gst::Pipeline,
    context: Context,
    shared: Arc<Shared>,
    mailbox: Mailbox,
    orders: UnboundedSender<Order>,
    /// Until it plays.
    setup: Option<Setup>,
    video: VideoTrack,
    sound: SoundTrack,
    sending: bool,
    audio_bitrate_bps: u64,
}

/// What the session tells its part.
#[derive(Default)]
struct Shared {
    outcome: Outcome,
    connected: AtomicBool,
}

pub fn build(
    context: &Context,
    wish: &director::Leg,
    target: &WhipTarget,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let pipeline = gst::Pipeline::new();
    let (orders, inbox) = unbounded_channel();
    let news = orders.clone();
    let tell = Arc::new(move |it| {
        // Refused only when the session has ended.
        let _ = news.send(Order::News(it));
    });
    let peer = Peer::new(&pipeline, webrtc::start_bps(context, 0), tell)?;
    let video = VideoTrack::add(&peer, &pipeline, STREAM)?;
    let sound = SoundTrack::add(&peer, &pipeline, wish.audio_bitrate_bps, STREAM)?;
    let shared = Arc::new(Shared::default());
    let setup = Setup {
        context: context.clone(),
        leg: wish.config.clone(),
        target: target.clone(),
        reporter: reporter.clone(),
        mailbox: mailbox.clone(),
        shared: shared.clone(),
        peer,
        orders: inbox,
    };
    Ok(Box::new(WhipPart {
        pipeline,
        context: context.clone(),
        shared,
        mailbox: mailbox.clone(),
        orders,
        setup: Some(setup),
        video,
        sound,
        sending: false,
        audio_bitrate_bps: wish.audio_bitrate_bps,
    }))
}

impl Part for WhipPart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn playing(&mut self) -> Result<(), Failure> {
        self.setup.take().map_or(Ok(()), session::start)
    }

    fn update(&mut self, wish: &Wish) {
        let Wish::Leg(_, wish) = wish else { return };
        if wish.audio_bitrate_bps != self.audio_bitrate_bps {
            self.audio_bitrate_bps = wish.audio_bitrate_bps;
            self.sound.set_bitrate(wish.audio_bitrate_bps);
        }
    }

    fn message(&mut self, message: &gst::Message) -> Handled {
        let Some(failure) = webrtc::failure(message) else { return Handled::No };
        self.shared.outcome.fail(failure, &self.mailbox);
        Handled::Yes
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        self.shared.outcome.result()?;
        if self.shared.connected.load(Ordering::Acquire) && !self.sending {
            self.sending = true;
            self.sound.start(&self.context, Link::ProgramSound);
            self.video.start(&self.context, Link::Encoded(EncodeJob::Stream), &self.sound);
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.video.stop();
        self.sound.stop();
        let (done, said) = std::sync::mpsc::channel();
        if self.orders.send(Order::Leave(done)).is_ok() {
            webrtc::hear_farewell(&said);
        }
    }
}
