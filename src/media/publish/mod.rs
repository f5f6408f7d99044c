//! Legs: the stream encode and the program's sound, to the outside. Each leg is a pipeline of its own and fails alone.
//!
//! | module | what it does |
//! |---|---|
//! | [`rtmp`] | RTMP and RTMPS |
//! | [`srt`] | SRT |
//! | [`livekit`] | a LiveKit room |
//! | [`whip`] | any WebRTC server that takes WHIP |
//! | [`webrtc`] | what all WebRTC legs share |
//! | [`stream`] | the encoded stream, as legs that pack it themselves are fed |
//! | [`outcome`] | what ends a leg |
//! | [`rate`] | the bitrate that is shown |
//! | [`reach`] | names and connections, with bounds |
//! | [`words`] | what a server says, as it may be shown |
//! | [`tls`] | TLS of sockets that are ours |
//!
//! A leg knows neither rank nor retry: it connects once, tells what happened, and ends. Progress counts the bytes that
//! the other side is known to have read, because a wedged server looks alive to everything else.

mod livekit;
mod outcome;
mod rate;
mod reach;
mod rtmp;
mod srt;
mod stream;
mod tls;
mod webrtc;
mod whip;
mod words;

use cuebox_core::config::LegTarget;
use cuebox_core::director;

use super::context::{Context, Reporter};
use super::part::{Failure, Mailbox, Part};

pub fn build(
    context: &Context,
    wish: &director::Leg,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    match &wish.config.target {
        LegTarget::Rtmp(_) => rtmp::build(context, wish, reporter, mailbox),
        LegTarget::Livekit(target) => livekit::build(context, wish, target, reporter, mailbox),
        LegTarget::Srt(target) => srt::build(context, wish, target, reporter, mailbox),
        LegTarget::Whip(target) => whip::build(context, wish, target, reporter, mailbox),
    }
}

#[cfg(test)]
mod tests;
