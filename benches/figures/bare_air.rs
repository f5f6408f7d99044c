//! The reference of what a viewer waits for: one camera, one encoder and `webrtcbin` in a row, without mixer, legs or
//! director, to the same LiveKit server by its WHIP endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::time::Duration;

use cuebox::media::actor::Actor;
use cuebox::media::links::{Depth, Link};
use cuebox::media::plan::Wish;
use cuebox::media::requirements;
use cuebox_core::director::{Capture, CaptureSource};
use cuebox_core::ids::{Epoch, SlotId};
use gst::prelude::*;
use gst_webrtc::{WebRTCICEGatheringState, WebRTCSDPType, WebRTCSessionDescription};

/// Publishes until it is killed, or the time is over.
pub fn run(host: &str, token: &str, seconds: &str) {
    requirements::check().expect("all elements are there");
    let seconds = seconds.parse().expect("a number of seconds");
    let context = super::bare::context(1280, 720);
    let slot = SlotId::new(1).expect("a slot");
    let source = CaptureSource::Test { marks: true, tone_hz: None };
    let wish = Capture { epoch: Epoch(1), name: "Camera 1".to_owned(), source, own_sound: true };
    let actor = Actor::start(&context, Wish::Capture(slot, wish), |_| ()).expect("a thread");
    let text = "appsrc name=v is-live=true format=time ! \
         x264enc tune=zerolatency speed-preset=ultrafast bitrate=2500 key-int-max=60 ! \
         video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1 ! \
         rtph264pay aggregate-mode=zero-latency config-interval=-1 pt=96 mtu=1200 ! \
         application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000 ! \
         webrtcbin name=rtc bundle-policy=max-bundle latency=0";
    let pipeline = gst::parse::launch(text).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
    let camera = pipeline.by_name("v").and_then(|it| it.downcast::<gst_app::AppSrc>().ok()).expect("an appsrc");
    camera.set_caps(Some(&context.format.picture_caps()));
    let _subscription = context.links.subscribe(Link::SlotPicture(slot), &camera, Depth::Buffers(4));
    context.timing.apply(&pipeline);
    let rtc = pipeline.by_name("rtc").expect("webrtcbin");
    connect(&pipeline, &rtc, host, token);
    super::meter::wait(Duration::from_secs(seconds));
    let _ = pipeline.set_state(gst::State::Null);
    actor.stop();
}

/// Offers with all candidates, takes the answer with all of the server's.
fn connect(pipeline: &gst::Pipeline, rtc: &gst::Element, host: &str, token: &str) {
    let (wanted, wants) = channel();
    rtc.connect("on-negotiation-needed", false, move |_| {
        let _ = wanted.send(());
        None
    });
    let (gathered, gathers) = channel();
    rtc.connect_notify(Some("ice-gathering-state"), move |rtc, _| {
        if rtc.property::<WebRTCICEGatheringState>("ice-gathering-state") == WebRTCICEGatheringState::Complete {
            let _ = gathered.send(());
        }
    });
    pipeline.set_state(gst::State::Playing).expect("the bare pipeline plays");
    let limit = Duration::from_secs(10);
    wants.recv_timeout(limit).expect("a camera is there to be offered");
    let (told, offer) = channel();
    let promise = gst::Promise::with_change_func(move |reply| {
        let reply = reply.expect("an offer").expect("an offer");
        let _ = told.send(reply.get::<WebRTCSessionDescription>("offer").expect("an offer"));
    });
    rtc.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, &promise]);
    let offer = offer.recv_timeout(limit).expect("an offer");
    rtc.emit_by_name::<()>("set-local-description", &[&offer, &None::<gst::Promise>]);
    gathers.recv_timeout(limit).expect("candidates");
    let local = rtc.property::<WebRTCSessionDescription>("local-description");
    let answer = post(host, token, &local.sdp().as_text().expect("an offer's text"));
    let message = gst_sdp::SDPMessage::parse_buffer(answer.as_bytes()).expect("an answer");
    let answer = WebRTCSessionDescription::new(WebRTCSDPType::Answer, message);
    rtc.emit_by_name::<()>("set-remote-description", &[&answer, &None::<gst::Promise>]);
}

/// The answer to an offer, by RFC 9725.
fn post(host: &str, token: &str, offer: &str) -> String {
    let mut socket = TcpStream::connect(host).expect("the server accepts");
    let head = format!(
        "POST /whip/v1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        offer.len()
    );
    socket.write_all(head.as_bytes()).expect("the server reads");
    socket.write_all(offer.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("the server answers");
    let (status, body) = answer.split_once("\r\n\r\n").expect("an answer with a head");
    assert!(status.starts_with("HTTP/1.1 201"), "{status}");
    body.to_owned()
}
