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
//! | [`tracks`] | pictures and sound into the connection, muted, started and stopped |
//! | [`pacer`] | lets packets leave as the line takes them, and measures the line |
//! | [`feedback`] | what the other side acknowledged, lost, and how far away it is |
//! | [`sdp`] | reads session descriptions and candidates of strangers, pure |
//!
//! A sender's way: [`Peer::new`] in a pipeline, tracks added, the pipeline plays, [`Peer::offer`]; the offer comes as
//! [`News::Offered`] and is carried to the server; its answer goes to [`Peer::answer`], its candidates to
//! [`Peer::candidate`]; at [`Connection::Connected`] the tracks are started. News comes on GStreamer's threads and must
//! be passed on, not acted on.

pub mod feedback;
mod pacer;
pub mod peer;
pub mod sdp;
pub mod tracks;

pub use peer::{Connection, IceServer, News, Peer};
pub use tracks::{SoundTrack, VideoTrack};

use cuebox_core::director::EncodeJob;

use crate::media::Context;

/// The stream's rate when no encode runs yet that says how much it makes.
const STREAM_BPS: u64 = 2_000_000;
/// A slot's picture and sound at their best, with headers.
const SLOT_BPS: u64 = 500_000;

/// What an unknown line is believed to carry, bits per second: all that is to be sent. One that does not is found out
/// within half a second; a smaller belief would cost every viewer of a good line some seconds.
pub fn start_bps(context: &Context, slots: u64) -> u64 {
    let mut now = None;
    context.gauge(|gauges| now = gauges.encodes.get(&EncodeJob::Stream.to_string()).copied());
    now.unwrap_or(0).max(STREAM_BPS / 2) * 2 + slots * SLOT_BPS
}
