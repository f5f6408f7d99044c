//! The connection. Its methods may be called from any thread and never block; what becomes of them comes as [`News`].

use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst_webrtc::{
    WebRTCDataChannel, WebRTCDataChannelState, WebRTCICEGatheringState, WebRTCPeerConnectionState, WebRTCSDPType,
    WebRTCSessionDescription,
};

use super::feedback::Counters;
use super::handed;
use super::ice::{self, IceServer};
use super::pacer::Pacer;
use super::sdp::{self, SdpError};
use crate::media::encode::make;
use crate::media::part::Failure;

/// More than this waiting on the data channel: the next message is not sent.
const MAX_WAITING_BYTES: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Connecting,
    Connected,
    /// It may come back by itself.
    Interrupted,
    Failed,
}

/// What a connection tells.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The offer's text; to be carried to the server before any candidate.
    Offered(String),
    /// An offer, an answer or a track cannot be dealt with; why.
    Refused(String),
    Answered,
    Candidate {
        line: u32,
        text: String,
    },
    /// No more candidates will come.
    Gathered,
    Connection(Connection),
    /// Bits per second that the network carries.
    Estimated(u64),
    ChannelOpen,
}

pub type Tell = Arc<dyn Fn(News) + Send + Sync>;

/// A connection inside somebody's pipeline.
#[derive(Clone)]
pub struct Peer {
    bin: gst::Element,
    tell: Tell,
    counters: Arc<Counters>,
    offer: Arc<Mutex<String>>,
    channel: Arc<Mutex<Option<WebRTCDataChannel>>>,
}

impl Peer {
    /// `start_bps`: what the network is believed to carry until it tells.
    pub fn new(pipeline: &gst::Pipeline, start_bps: u64, tell: Tell) -> Result<Self, Failure> {
        let bin = make("webrtcbin")?;
        bin.set_property_from_str("bundle-policy", "max-bundle");
        // Of what is received; nothing is.
        bin.set_property("latency", 0_u32);
        let counters = Arc::new(Counters::default());
        if let Some(rtpbin) = bin.downcast_ref::<gst::Bin>().and_then(|bin| bin.by_name("rtpbin")) {
            // Sender reports pair RTP time with the time of capture: picture and sound take different times to encode.
            rtpbin.set_property("rtcp-sync-send-time", false);
        }
        connect(&bin, &tell);
        hear(&bin, &counters);
        estimate(&bin, start_bps, &tell, &counters);
        pipeline.add(&bin)?;
        Ok(Self { bin, tell, counters, offer: Arc::default(), channel: Arc::default() })
    }

    pub fn element(&self) -> &gst::Element {
        &self.bin
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// To be called before the first offer.
    pub fn use_servers(&self, servers: &[IceServer]) {
        ice::use_servers(&self.bin, servers);
    }

    /// Makes an offer of all tracks as they are now, and takes it as the local description.
    pub fn offer(&self) {
        let (bin, tell, kept) = (self.bin.downgrade(), self.tell.clone(), self.offer.clone());
        let promise = gst::Promise::with_change_func(move |reply| {
            let offer = match &reply {
                Ok(Some(reply)) => reply.get::<WebRTCSessionDescription>("offer").map_err(|_| complaint(Some(reply))),
                Ok(None) | Err(_) => Err(complaint(None)),
            };
            let text = offer.and_then(|offer| offer.sdp().as_text().map_err(|it| it.to_string()).map(|it| (offer, it)));
            match (text, bin.upgrade()) {
                (Ok((offer, text)), Some(bin)) => {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&text);
                    let complain = tell.clone();
                    let taken = gst::Promise::with_change_func(move |reply| {
                        if let Ok(Some(reply)) = reply
                            && reply.has_field("error")
                        {
                            complain(News::Refused(format!("our own offer is not taken: {}", complaint(Some(reply)))));
                        }
                    });
                    // In this order: an answer that comes at once finds the offer taken. What is set here begins after
                    // this call, so that no candidate overtakes the offer.
                    bin.emit_by_name::<()>("set-local-description", &[&offer, &taken]);
                    // In a bundle the section's port says nothing; yet LiveKit takes a zero for a refusal.
                    tell(News::Offered(text.replace("m=application 0 ", "m=application 9 ")));
                }
                (Err(why), _) => tell(News::Refused(format!("no offer can be made: {why}"))),
                (Ok(_), None) => {}
            }
        });
        self.bin.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, &promise]);
    }

    /// The server's answer to the newest offer.
    ///
    /// # Errors
    /// It cannot be an answer to it. What only the connection can judge comes as [`News::Refused`].
    pub fn answer(&self, text: &str) -> Result<(), SdpError> {
        let offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sdp::check_answer(&offer, text)?;
        let message =
            gst_sdp::SDPMessage::parse_buffer(text.as_bytes()).map_err(|_| SdpError::Missing("what belongs in it"))?;
        let answer = WebRTCSessionDescription::new(WebRTCSDPType::Answer, message);
        let tell = self.tell.clone();
        let promise = gst::Promise::with_change_func(move |reply| match reply {
            Ok(Some(reply)) if reply.has_field("error") => {
                tell(News::Refused(format!("the answer is not taken: {}", complaint(Some(reply)))));
            }
            Ok(_) => tell(News::Answered),
            Err(_) => tell(News::Refused("the answer is not taken".to_owned())),
        });
        self.bin.emit_by_name::<()>("set-remote-description", &[&answer, &promise]);
        Ok(())
    }

    /// A candidate of the server, after its answer. False: it makes no sense and was left out.
    pub fn candidate(&self, line: u32, text: &str) -> bool {
        let Some(text) = sdp::candidate(text) else { return false };
        self.bin.emit_by_name::<()>("add-ice-candidate", &[&line, &text]);
        true
    }

    /// Opens a reliable, ordered data channel; before the first offer, while the pipeline plays.
    pub fn open_channel(&self, label: &str) -> Result<(), Failure> {
        let options = gst::Structure::builder("options").field("ordered", true).build();
        let channel: Option<WebRTCDataChannel> = self.bin.emit_by_name("create-data-channel", &[&label, &options]);
        let channel = channel.ok_or_else(|| Failure::internal("no data channel can be made"))?;
        let tell = self.tell.clone();
        channel.connect_on_open(move |_| tell(News::ChannelOpen));
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel);
        Ok(())
    }

    /// False when the channel is not open, or full.
    pub fn send(&self, data: &[u8]) -> bool {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(channel) = channel.filter(|it| it.ready_state() == WebRTCDataChannelState::Open) else { return false };
        if channel.buffered_amount() > MAX_WAITING_BYTES {
            return false;
        }
        channel.send_data_full(Some(&glib::Bytes::from(data))).is_ok()
    }
}

pub(super) fn complaint(reply: Option<&gst::StructureRef>) -> String {
    let error = reply.and_then(|reply| reply.get::<glib::Error>("error").ok());
    error.map_or_else(|| "the connection does not say why".to_owned(), |error| error.message().to_owned())
}

fn connect(bin: &gst::Element, tell: &Tell) {
    let own = tell.clone();
    bin.connect("on-ice-candidate", false, move |values| {
        let line = values.get(1).and_then(|it| it.get::<u32>().ok());
        let text = values.get(2).and_then(|it| it.get::<String>().ok());
        if let (Some(line), Some(text)) = (line, text) {
            own(News::Candidate { line, text });
        }
        None
    });
    let own = tell.clone();
    bin.connect_notify(Some("connection-state"), move |bin, _| {
        let state = match bin.property::<WebRTCPeerConnectionState>("connection-state") {
            WebRTCPeerConnectionState::Connecting => Connection::Connecting,
            WebRTCPeerConnectionState::Connected => Connection::Connected,
            WebRTCPeerConnectionState::Disconnected => Connection::Interrupted,
            WebRTCPeerConnectionState::Failed => Connection::Failed,
            WebRTCPeerConnectionState::New | WebRTCPeerConnectionState::Closed | _ => return,
        };
        own(News::Connection(state));
    });
    let own = tell.clone();
    bin.connect_notify(Some("ice-gathering-state"), move |bin, _| {
        let state = bin.property::<WebRTCICEGatheringState>("ice-gathering-state");
        if state == WebRTCICEGatheringState::Complete {
            own(News::Gathered);
        }
    });
}

/// Whatever the other side sends comes through this element.
fn hear(bin: &gst::Element, counters: &Arc<Counters>) {
    let counters = counters.clone();
    bin.connect("deep-element-added", false, move |values| {
        let element = values.get(2).and_then(|it| it.get::<gst::Element>().ok())?;
        if element.factory().is_some_and(|factory| factory.name() == "nicesrc")
            && let Some(pad) = element.static_pad("src")
        {
            counters.receive(&pad);
        }
        None
    });
}

/// One pacer and estimator for the transport that all tracks share.
fn estimate(bin: &gst::Element, start_bps: u64, tell: &Tell, counters: &Arc<Counters>) {
    let (tell, counters) = (tell.clone(), counters.clone());
    bin.connect("request-aux-sender", false, move |_| {
        let tell = tell.clone();
        let pacer = Pacer::new(start_bps, move |bps| tell(News::Estimated(bps)));
        if let Some(pad) = pacer.static_pad("src") {
            counters.watch(&pad);
        }
        Some(handed::over(pacer.upcast()))
    });
}
