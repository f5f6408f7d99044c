//! Sending over WebRTC: what LiveKit and WHIP legs share. They differ in how offer, answer and candidates travel.
//!
//! ```text
//! stream encode → appsrc → rtph264pay ┐
//!                                     ├ webrtcbin (ICE, DTLS, SRTP, NACK/RTX, congestion estimate)
//! program sound → Opus → rtpopuspay ──┘
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`peer`] | the connection: offer, answer, candidates, state, data channel |
//! | [`listener`] | a connection that the server opens, and nothing comes on |
//! | [`ice`] | STUN and TURN servers |
//! | [`tracks`] | pictures and sound into the connection, muted, started and stopped |
//! | [`feedback`] | what the other side acknowledged, lost, and how far away it is |
//! | [`sdp`] | reads session descriptions and candidates of strangers, pure |
//!
//! A sender's way: [`Peer::new`] in a pipeline, tracks added, the pipeline plays, [`Peer::offer`]; the offer comes as
//! [`News::Offered`] and is carried to the server; its answer goes to [`Peer::answer`], its candidates to
//! [`Peer::candidate`]; at [`Connection::Connected`] the tracks are started. News comes on GStreamer's threads and must
//! be passed on, not acted on.

pub mod feedback;
pub mod ice;
pub mod listener;
pub mod peer;
pub mod sdp;
pub mod tracks;

pub use ice::IceServer;
pub use listener::{Listener, Reply};
pub use peer::{Connection, News, Peer};
pub use tracks::{SoundTrack, VideoTrack};
