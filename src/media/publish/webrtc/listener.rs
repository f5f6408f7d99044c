//! A connection that the other side opens, and on which nothing but its data channels is: what it wants to send is
//! declined, and what it sends nevertheless is dropped. Some servers judge by such a connection whether a participant is
//! there at all.
//!
//! An offer may begin the search for a path anew, which GStreamer 1.22 takes no notice of. What it has answers all the
//! same, once the other side knows where it is: so the candidates are said again with each answer.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gst_webrtc::{WebRTCSDPType, WebRTCSessionDescription};

use super::ice::{self, IceServer};
use super::peer::complaint;
use super::sdp;
use crate::media::encode::make;
use crate::media::part::Failure;

/// What it has to say to the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To the offer of this number.
    Answer {
        number: u32,
        sdp: String,
    },
    Candidate {
        line: u32,
        text: String,
    },
    /// An offer cannot be dealt with; why.
    Refused(String),
}

pub type Say = Arc<dyn Fn(Reply) + Send + Sync>;

pub struct Listener {
    bin: gst::Element,
    say: Say,
    candidates: Candidates,
}

/// All that were found, by their media section's number.
type Candidates = Arc<Mutex<Vec<(u32, String)>>>;

impl Listener {
    /// In a pipeline that plays.
    pub fn add(pipeline: &gst::Pipeline, servers: &[IceServer], say: Say) -> Result<Self, Failure> {
        let bin = make("webrtcbin")?;
        bin.set_property_from_str("bundle-policy", "max-bundle");
        bin.set_property("latency", 0_u32);
        drop_media(&bin);
        let candidates = Candidates::default();
        let (own, found) = (say.clone(), candidates.clone());
        bin.connect("on-ice-candidate", false, move |values| {
            let line = values.get(1).and_then(|it| it.get::<u32>().ok());
            let text = values.get(2).and_then(|it| it.get::<String>().ok());
            if let (Some(line), Some(text)) = (line, text) {
                found.lock().unwrap_or_else(PoisonError::into_inner).push((line, text.clone()));
                own(Reply::Candidate { line, text });
            }
            None
        });
        ice::use_servers(&bin, servers);
        pipeline.add(&bin)?;
        bin.sync_state_with_parent()?;
        Ok(Self { bin, say, candidates })
    }

    /// Whether this is of the connection.
    pub fn owns(&self, message: &gst::Message) -> bool {
        message.src().is_some_and(|source| source == &self.bin || source.has_as_ancestor(&self.bin))
    }

    /// An offer of the other side; what becomes of it is said.
    pub fn offered(&self, number: u32, text: &str) {
        let offer = sdp::check(text).map_err(|error| error.to_string()).and_then(|()| {
            gst_sdp::SDPMessage::parse_buffer(text.as_bytes()).map_err(|_| "it cannot be read".to_owned())
        });
        let offer = match offer {
            Ok(offer) => WebRTCSessionDescription::new(WebRTCSDPType::Offer, offer),
            Err(why) => return (self.say)(Reply::Refused(why)),
        };
        let (bin, say, candidates) = (self.bin.downgrade(), self.say.clone(), self.candidates.clone());
        let taken = gst::Promise::with_change_func(move |reply| match (reply, bin.upgrade()) {
            (Ok(Some(reply)), _) if reply.has_field("error") => say(Reply::Refused(complaint(Some(reply)))),
            (Ok(_), Some(bin)) => answer(&bin, number, &say, &candidates),
            (Ok(_), None) | (Err(_), _) => {}
        });
        self.bin.emit_by_name::<()>("set-remote-description", &[&offer, &taken]);
    }

    /// A candidate of the other side, after its offer. False: it makes no sense and was left out.
    pub fn candidate(&self, line: u32, text: &str) -> bool {
        let Some(text) = sdp::candidate(text) else { return false };
        self.bin.emit_by_name::<()>("add-ice-candidate", &[&line, &text]);
        true
    }
}

/// Nothing behind the decryption wants media, and an element that it reached would call that an error.
fn drop_media(bin: &gst::Element) {
    bin.connect("deep-element-added", false, |values| {
        let element = values.get(2)?.get::<gst::Element>().ok()?;
        if element.factory().is_some_and(|factory| factory.name() == "dtlssrtpdec") {
            let media = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
            element.static_pad("rtp_src")?.add_probe(media, |_, _| gst::PadProbeReturn::Drop);
        }
        None
    });
}

fn answer(bin: &gst::Element, number: u32, say: &Say, candidates: &Candidates) {
    let (weak, say, candidates) = (bin.downgrade(), say.clone(), candidates.clone());
    let made = gst::Promise::with_change_func(move |reply| {
        let answer = match &reply {
            Ok(Some(reply)) => reply.get::<WebRTCSessionDescription>("answer").map_err(|_| complaint(Some(reply))),
            Ok(None) | Err(_) => Err(complaint(None)),
        };
        let declined = answer.and_then(|it| it.sdp().as_text().map_err(|it| it.to_string())).and_then(|text| {
            let text = text.replace("a=recvonly", "a=inactive");
            let parsed = gst_sdp::SDPMessage::parse_buffer(text.as_bytes()).map_err(|it| it.to_string())?;
            Ok((WebRTCSessionDescription::new(WebRTCSDPType::Answer, parsed), text))
        });
        match (declined, weak.upgrade()) {
            (Ok((answer, sdp)), Some(bin)) => {
                let known = candidates.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // In this order: what is set begins after this call, so that no candidate overtakes the answer.
                bin.emit_by_name::<()>("set-local-description", &[&answer, &None::<gst::Promise>]);
                // In a bundle the section's port says nothing; yet LiveKit takes a zero for a refusal.
                say(Reply::Answer { number, sdp: sdp.replace("m=application 0 ", "m=application 9 ") });
                known.into_iter().for_each(|(line, text)| say(Reply::Candidate { line, text }));
            }
            (Err(why), _) => say(Reply::Refused(why)),
            (Ok(_), None) => {}
        }
    });
    bin.emit_by_name::<()>("create-answer", &[&None::<gst::Structure>, &made]);
}
