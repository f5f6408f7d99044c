//! Legs: the stream encode and the program's sound, to the outside. Each leg is a pipeline of its own and fails alone.
//!
//! | module | what it does |
//! |---|---|
//! | [`rtmp`] | RTMP and RTMPS |
//! | [`livekit`] | a LiveKit room |
//! | [`webrtc`] | what all WebRTC legs share |
//! | [`srt`] | SRT |
//! | [`stream`] | the encoded stream, as legs that pack it themselves are fed |
//! | [`rate`] | the bitrate that is shown |
//! | [`reach`] | finds out whether a server can be reached at all, before a pipeline is built |
//! | [`socket`] | how much the kernel still holds of what was sent |
//! | [`tls`] | TLS of sockets that are ours |
//! | [`trust`] | certificate authorities beside the system's |
//!
//! A leg knows neither rank nor retry: it connects once, tells what happened, and ends. Progress counts the bytes that
//! the other side's kernel has acknowledged, because a wedged server looks alive to everything above.

mod livekit;
mod rate;
mod reach;
mod rtmp;
mod socket;
mod srt;
mod stream;
mod tls;
mod trust;
mod webrtc;

use cuebox_core::config::{LegTarget, RtmpTarget};
use cuebox_core::director;

use super::actor::{Failure, Mailbox, Part};
use super::{Context, Reporter};

pub fn build(
    context: &Context,
    wish: &director::Leg,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    match &wish.config.target {
        LegTarget::Rtmp(RtmpTarget::Fixed { url, stream_key }) => {
            rtmp::build(context, &wish.config, url, stream_key.as_ref(), reporter, mailbox)
        }
        LegTarget::Srt(target) => srt::build(context, wish, target, reporter, mailbox),
        LegTarget::Livekit(target) => livekit::build(context, wish, target, reporter, mailbox),
        LegTarget::Rtmp(RtmpTarget::Ingress(_)) | LegTarget::Whip(_) => {
            Err(Failure::internal(format!("a {} leg cannot be published", wish.config.target.kind())))
        }
    }
}

#[cfg(test)]
mod tests;
