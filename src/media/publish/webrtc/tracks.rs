//! Pictures and sound into a connection. A track is offered when it is added, and sends from when it is started: what
//! comes before the connection stands would only wait and be late.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gst_rtp::prelude::*;
use gst_webrtc::{WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection};

use super::peer::Peer;
use crate::media::context::Context;
use crate::media::encode::make;
use crate::media::encode::opus::OpusTrack;
use crate::media::links::{Depth, Link, Subscription};
use crate::media::part::Failure;

pub(super) const VIDEO_TYPE: i32 = 96;
pub(super) const SOUND_TYPE: i32 = 97;
/// Payload of one packet and its headers; leaves room for SRTP, TURN and a tunnel in 1,280 bytes.
const PACKET_BYTES: u32 = 1_200;
/// Pictures that wait longer for the network than this are dropped up to the next key frame.
const WAITING: Depth = Depth::Time(gst::ClockTime::from_mseconds(300));
const TRANSPORT_WIDE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// Any free number of a one-byte extension, the same for all tracks of a bundle.
const TRANSPORT_WIDE_ID: u8 = 3;
/// Pictures leave no earlier than this after their time. Their sound needs so much longer: a block of the mixer's and a
/// packet of 20 ms have to be whole before they leave, and players hold packets back until none comes late.
const PICTURES_HELD: gst::ClockTime = gst::ClockTime::from_mseconds(33);
/// Constrained baseline, level 3.1: what every browser decodes. Larger pictures are sent all the same, as all do.
const PROFILE: &str = "42e01f";

/// A media section of the connection.
pub struct Section {
    transceiver: WebRTCRTPTransceiver,
    elements: Vec<gst::Element>,
    id: String,
}

impl Section {
    fn build(
        peer: &Peer,
        pipeline: &gst::Pipeline,
        payloader: gst::Element,
        caps: &gst::Caps,
        stream: &str,
        held: gst::ClockTime,
    ) -> Result<Self, Failure> {
        pipeline.add(&payloader)?;
        say_always(&payloader, caps)?;
        hold(&payloader, held)?;
        let bin = peer.element();
        let template = bin.pad_template("sink_%u").ok_or_else(|| Failure::internal("webrtcbin takes no tracks"))?;
        let pad = bin
            .request_pad(&template, None, Some(caps))
            .ok_or_else(|| Failure::internal("webrtcbin takes no further track"))?;
        pad.set_property("msid", stream);
        let transceiver: WebRTCRTPTransceiver = pad.property("transceiver");
        transceiver.set_property("direction", WebRTCRTPTransceiverDirection::Sendonly);
        // Else an offer made before the first picture has no payload type.
        transceiver.set_property("codec-preferences", caps);
        let output = payloader.static_pad("src").ok_or_else(|| Failure::internal("a payloader without an output"))?;
        output.link(&pad).map_err(Failure::internal)?;
        let id = transceiver.name().to_string();
        Ok(Self { transceiver, elements: vec![payloader], id })
    }

    /// The track's name in offers (`msid`), unique in the process.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// With the next offer nothing is sent here any more.
    pub fn withdraw(&self) {
        self.transceiver.set_property("direction", WebRTCRTPTransceiverDirection::Inactive);
    }
}

/// H.264 pictures of an encode.
pub struct VideoTrack {
    pub section: Section,
    source: gst_app::AppSrc,
    muted: Arc<AtomicBool>,
    follower: Arc<Mutex<Option<Arc<OpusTrack>>>>,
    subscription: Option<Subscription>,
}

impl VideoTrack {
    /// `stream` groups picture and sound of one origin.
    pub fn add(peer: &Peer, pipeline: &gst::Pipeline, stream: &str) -> Result<Self, Failure> {
        let source = gst_app::AppSrc::builder().format(gst::Format::Time).is_live(true).build();
        pipeline.add(&source)?;
        let payloader = make("rtph264pay")?;
        let ssrc = new_ssrc();
        payloader.set_property("ssrc", ssrc);
        payloader.set_property("pt", u32::try_from(VIDEO_TYPE).unwrap_or_default());
        payloader.set_property("mtu", PACKET_BYTES);
        payloader.set_property_from_str("aggregate-mode", "zero-latency");
        let extension = gst_rtp::RTPHeaderExtension::create_from_uri(TRANSPORT_WIDE)
            .ok_or_else(|| Failure::internal("GStreamer does not know the transport-wide header extension"))?;
        extension.set_id(u32::from(TRANSPORT_WIDE_ID));
        payloader.emit_by_name::<()>("add-extension", &[&extension]);
        let caps = gst::Caps::builder("application/x-rtp")
            .field("media", "video")
            .field("encoding-name", "H264")
            .field("payload", VIDEO_TYPE)
            .field("clock-rate", 90_000)
            .field("packetization-mode", "1")
            .field("profile-level-id", PROFILE)
            .field("level-asymmetry-allowed", "1")
            .field("ssrc", ssrc)
            .field("rtcp-fb-nack-pli", true)
            .field("rtcp-fb-ccm-fir", true)
            .field("rtcp-fb-transport-cc", true)
            .field(format!("extmap-{TRANSPORT_WIDE_ID}").as_str(), TRANSPORT_WIDE)
            .build();
        let mut section = Section::build(peer, pipeline, payloader.clone(), &caps, stream, PICTURES_HELD)?;
        source.link(&payloader)?;
        section.transceiver.set_property("do-nack", true);
        section.elements.push(source.clone().upcast());
        let muted = Arc::new(AtomicBool::new(false));
        let follower = Arc::new(Mutex::new(None));
        watch(&source, &muted, &follower)?;
        Ok(Self { section, source, muted, follower, subscription: None })
    }

    /// Sends what `link` gives from its next key frame on, and leads `sound`.
    pub fn start(&mut self, context: &Context, link: Link, sound: &SoundTrack) {
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(sound.opus.clone());
        self.subscription = Some(context.links.subscribe(link, &self.source, WAITING));
    }

    pub fn stop(&mut self) {
        self.subscription = None;
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Nothing is sent while it is on; afterwards from a key frame on.
    pub fn mute(&self, on: bool) {
        self.muted.store(on, Ordering::Relaxed);
    }

    /// For a pipeline that plays already.
    pub fn play(&self) {
        play(&self.section.elements);
    }
}

/// Opus sound of a link.
pub struct SoundTrack {
    pub section: Section,
    opus: Arc<OpusTrack>,
}

impl SoundTrack {
    pub fn add(peer: &Peer, pipeline: &gst::Pipeline, bitrate_bps: u64, stream: &str) -> Result<Self, Failure> {
        let opus = Arc::new(OpusTrack::build(pipeline, bitrate_bps)?);
        let payloader = make("rtpopuspay")?;
        let ssrc = new_ssrc();
        payloader.set_property("ssrc", ssrc);
        payloader.set_property("pt", u32::try_from(SOUND_TYPE).unwrap_or_default());
        // No transport-wide extension here: LiveKit does not acknowledge it for sound, which would look like loss.
        let caps = gst::Caps::builder("application/x-rtp")
            .field("media", "audio")
            .field("encoding-name", "OPUS")
            .field("payload", SOUND_TYPE)
            .field("clock-rate", 48_000)
            .field("encoding-params", "2")
            .field("minptime", "10")
            .field("stereo", "1")
            .field("useinbandfec", "1")
            .field("ssrc", ssrc)
            .build();
        let section = Section::build(peer, pipeline, payloader.clone(), &caps, stream, gst::ClockTime::ZERO)?;
        opus.output().link(&payloader)?;
        Ok(Self { section, opus })
    }

    /// Sends what `link` gives; it flows when the pictures do that lead it.
    pub fn start(&self, context: &Context, link: Link) {
        self.opus.listen(context, link);
    }

    pub fn stop(&self) {
        self.opus.stop();
    }

    /// Silence is sent while it is on.
    pub fn mute(&self, on: bool) {
        self.opus.mute(on);
    }

    pub fn set_bitrate(&self, bitrate_bps: u64) {
        self.opus.set_bitrate(bitrate_bps);
    }

    /// For a pipeline that plays already.
    pub fn play(&self) {
        play(&self.section.elements);
        play(self.opus.elements());
    }
}

/// From the output to the source, so that nothing flows into what stands still.
fn play(elements: &[gst::Element]) {
    for element in elements.iter().rev() {
        // A failure shows on the bus.
        let _ = element.sync_state_with_parent();
    }
}

fn new_ssrc() -> u32 {
    let (_, low) = uuid::Uuid::now_v7().as_u64_pair();
    (low >> 8) as u32 | 1
}

/// Announces `caps` whatever the payloader finds in the stream: a picture that changes its size, and its parameter sets
/// with it, is no reason to negotiate anew. And asks nothing of the stream: the promised profile and level would
/// otherwise refuse larger pictures.
fn say_always(payloader: &gst::Element, caps: &gst::Caps) -> Result<(), Failure> {
    let pad = payloader.static_pad("src").ok_or_else(|| Failure::internal("a payloader without an output"))?;
    let said = caps.clone();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(event) = info.event_mut()
            && event.type_() == gst::EventType::Caps
        {
            *event = gst::event::Caps::builder(&said).seqnum(event.seqnum()).build();
        }
        gst::PadProbeReturn::Ok
    });
    let mut asked = gst::Structure::new_empty("application/x-rtp");
    let needed = ["media", "encoding-name", "payload", "clock-rate", "ssrc"];
    for (name, value) in caps.structure(0).into_iter().flatten().filter(|(name, _)| needed.contains(&name.as_str())) {
        asked.set_value(name, value.clone());
    }
    let asked = gst::Caps::from(asked);
    let said = caps.clone();
    pad.add_probe(gst::PadProbeType::QUERY_UPSTREAM, move |_, info| {
        let Some(gst::QueryViewMut::Caps(query)) = info.query_mut().map(|it| it.view_mut()) else {
            return gst::PadProbeReturn::Ok;
        };
        let narrow = query.filter().map_or_else(|| said.clone(), |filter| filter.intersect(&said));
        query.set_result(&narrow);
        gst::PadProbeReturn::Handled
    });
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, move |_, info| match info.query_mut().map(|it| it.view_mut()) {
        Some(gst::QueryViewMut::Caps(query)) => {
            let wide = query.filter().map_or_else(|| asked.clone(), |filter| filter.intersect(&asked));
            query.set_result(&wide);
            gst::PadProbeReturn::Handled
        }
        Some(gst::QueryViewMut::AcceptCaps(query)) => {
            query.set_result(true);
            gst::PadProbeReturn::Handled
        }
        _ => gst::PadProbeReturn::Ok,
    });
    Ok(())
}

/// webrtcbin lets no packet leave before its time plus the latency that is claimed upstream. The sum of the worst cases of
/// mixers and encoders would be claimed, 100 ms at 30 frames a second that every picture waits for; `held` is instead.
fn hold(payloader: &gst::Element, held: gst::ClockTime) -> Result<(), Failure> {
    let pad = payloader.static_pad("src").ok_or_else(|| Failure::internal("a payloader without an output"))?;
    pad.add_probe(gst::PadProbeType::QUERY_UPSTREAM, move |_, info| match info.query_mut().map(|it| it.view_mut()) {
        Some(gst::QueryViewMut::Latency(query)) => {
            query.set(true, held, gst::ClockTime::NONE);
            gst::PadProbeReturn::Handled
        }
        _ => gst::PadProbeReturn::Ok,
    });
    Ok(())
}

/// Pictures lead the sound, and are held back while muted.
fn watch(
    source: &gst_app::AppSrc,
    muted: &Arc<AtomicBool>,
    follower: &Arc<Mutex<Option<Arc<OpusTrack>>>>,
) -> Result<(), Failure> {
    let pad = source.static_pad("src").ok_or_else(|| Failure::internal("an appsrc without a pad"))?;
    let (muted, follower) = (muted.clone(), follower.clone());
    // A key frame is missing since it was muted.
    let broken = AtomicBool::new(false);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(buffer) = info.buffer() else { return gst::PadProbeReturn::Ok };
        if let (Some(sound), Some(at)) =
            (follower.lock().unwrap_or_else(PoisonError::into_inner).as_ref(), buffer.pts())
        {
            sound.follow(at);
        }
        if muted.load(Ordering::Relaxed) {
            broken.store(true, Ordering::Relaxed);
            return gst::PadProbeReturn::Drop;
        }
        if !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            broken.store(false, Ordering::Relaxed);
        }
        if broken.load(Ordering::Relaxed) {
            pad.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
            return gst::PadProbeReturn::Drop;
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}
