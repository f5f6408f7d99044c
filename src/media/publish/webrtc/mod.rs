//! Sending over WebRTC: what LiveKit and WHIP legs share. They differ in how offer, answer and candidates travel.
//!
//! ```text
//! stream encode → appsrc → rtph264pay ┐
//!                                     ├ webrtcbin (ICE, DTLS, SRTP, NACK/RTX; pacer and estimator)
//! program sound → Opus → rtpopuspay ──┘
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`peer`] | the connection: offer, answer, candidates, state, data channel |
//! | [`listener`] | a connection that the server opens, and nothing comes on |
//! | [`ice`] | STUN and TURN servers |
//! | [`tunnel`] | TURN in TLS |
//! | [`tracks`] | pictures and sound into the connection, muted, started and stopped |
//! | [`pacer`] | lets packets leave as the line takes them, and measures the line |
//! | [`feedback`] | what the other side acknowledged, lost, and how far away it is |
//! | [`gauge`] | what is told of it |
//! | [`handed`] | elements that webrtcbin asks for |
//! | [`sdp`] | reads session descriptions and candidates of strangers, pure |
//!
//! A sender's way: [`Peer::new`] in a pipeline, tracks added, the pipeline plays, [`Peer::offer`]; the offer comes as
//! [`News::Offered`] and is carried to the server; its answer goes to [`Peer::answer`], its candidates to
//! [`Peer::candidate`]; at [`Connection::Connected`] the tracks are started. News comes on GStreamer's threads and must
//! be passed on, not acted on.

pub mod feedback;
pub mod gauge;
mod handed;
pub mod ice;
pub mod listener;
mod pacer;
pub mod peer;
pub mod sdp;
pub mod tracks;
pub mod tunnel;

pub use gauge::Gauge;
pub use ice::IceServer;
pub use listener::{Listener, Reply};
pub use peer::{Connection, News, Peer};
pub use tracks::{SoundTrack, VideoTrack};

use std::sync::mpsc::Receiver;
use std::time::Duration;

use cuebox_core::director::{EncodeJob, ErrorClass};

use crate::media::context::Context;
use crate::media::part::Failure;

/// The stream's rate when no encode runs yet that says how much it makes.
const STREAM_BPS: u64 = 2_000_000;
/// A slot's picture and sound at their best, with headers.
const SLOT_BPS: u64 = 500_000;
/// A goodbye that takes longer is left unsaid.
const FAREWELL_LIMIT: Duration = Duration::from_millis(700);

/// What an unknown line is believed to carry, bits per second: all that is to be sent, with so many slots. One that does
/// not is found out within half a second; a smaller belief would cost every viewer of a good line some seconds.
pub fn start_bps(context: &Context, slots: u64) -> u64 {
    let mut now = None;
    context.gauge(|gauges| now = gauges.encodes.get(&EncodeJob::Stream.to_string()).copied());
    now.unwrap_or(0).max(STREAM_BPS / 2) * 2 + slots * SLOT_BPS
}

/// What an error of the pipeline means.
pub fn failure(message: &gst::Message) -> Option<Failure> {
    let gst::MessageView::Error(error) = message.view() else { return None };
    let class = match error.error().kind::<gst::ResourceError>() {
        Some(_) => ErrorClass::NetworkLost,
        None => crate::media::bus::class(&error.error()),
    };
    Some(Failure::new(class, error.error().message()))
}

/// Waits until the session has said goodbye.
pub fn hear_farewell(said: &Receiver<()>) {
    let _ = said.recv_timeout(FAREWELL_LIMIT);
}

#[cfg(test)]
mod tests;
