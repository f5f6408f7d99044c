//! Other people's WebRTC elements in a process of their own, so that what they cost can be measured.
//!
//! | words | what runs |
//! |---|---|
//! | `livekit URL TOKEN FILE` | the file's stream and a silent track by `livekitwebrtcsink` |
//! | `nowhere FILE` | the same two without a sink: what reading and pacing them costs |
//! | `whip ADDRESS` | `whipserversrc`; prints a line for each second: how many pictures it has decoded |
//!
//! Each runs until it is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gst::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gst::init()?;
    gstrswebrtc::plugin_register_static()?;
    gstrsrtp::plugin_register_static()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let pipeline = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["livekit", url, token, file] => {
            let sink = format!("livekitwebrtcsink name=s signaller::ws-url={url} signaller::auth-token={token}");
            launch(&format!("{} ! s. {SOUND} ! s. {sink}", pictures(file)))?
        }
        ["nowhere", file] => launch(&format!("{} ! fakesink {SOUND} ! fakesink", pictures(file)))?,
        ["whip", address] => whip_server(address)?,
        _ => return Err("words: livekit URL TOKEN FILE · nowhere FILE · whip ADDRESS".into()),
    };
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Error(error) => return Err(error.error().into()),
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Latency(_) => pipeline.recalculate_latency()?,
            _ => {}
        }
    }
    Ok(())
}

const SOUND: &str = "audiotestsrc is-live=true wave=silence samplesperbuffer=960 ! \
                     audio/x-raw,format=S16LE,rate=48000,channels=2";

/// An FLV file's access units, each at its time.
fn pictures(file: &str) -> String {
    format!(
        "filesrc location={file} ! flvdemux ! h264parse config-interval=-1 ! \
         video/x-h264,stream-format=byte-stream,alignment=au ! clocksync sync-to-first=true"
    )
}

fn launch(text: &str) -> Result<gst::Pipeline, Box<dyn std::error::Error>> {
    gst::parse::launch(text)?.downcast().map_err(|_| "no pipeline".into())
}

fn whip_server(address: &str) -> Result<gst::Pipeline, Box<dyn std::error::Error>> {
    let pipeline = launch(&format!("whipserversrc name=s signaller::host-addr={address} stun-server=\"\""))?;
    let server = pipeline.by_name("s").ok_or("no server")?;
    let decoded = Arc::new(AtomicU64::new(0));
    let (inside, count) = (pipeline.downgrade(), decoded.clone());
    server.connect_pad_added(move |_, pad| {
        let (Some(inside), Ok(sink)) = (inside.upgrade(), gst::ElementFactory::make("fakesink").build()) else {
            return;
        };
        sink.set_property("sync", false);
        if inside.add(&sink).is_err() || sink.sync_state_with_parent().is_err() {
            return;
        }
        let Some(end) = sink.static_pad("sink") else { return };
        if pad.name().starts_with("video") {
            let count = count.clone();
            end.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                count.fetch_add(1, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            });
        }
        let _ = pad.link(&end);
    });
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            println!("{}", decoded.load(Ordering::Relaxed));
        }
    });
    Ok(pipeline)
}
