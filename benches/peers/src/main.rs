//! GStreamer's own sides of what the box does.
//!
//! | command | |
//! |---|---|
//! | `peers livekit CLIP URL ROOM TOKEN` | publishes an encoded clip by `livekitwebrtcsink`, in real time and once |
//! | `peers none CLIP` | reads the same clip at the same pace and throws it away: what the sink costs is the difference |
//! | `peers whip URL SECONDS` | a WHIP server, `whipserversrc`; tells what came in so many seconds from its first picture on |

mod whip;

use std::env::args;

use anyhow::{Context, Result, bail};
use gst::MessageView;
use gst::prelude::*;

/// As the box encodes its sound for WebRTC. Its test camera without a tone is as silent.
const SOUND: &str = "audiotestsrc is-live=true wave=silence ! audio/x-raw,rate=48000,channels=2 ! \
     opusenc bitrate=128000 inband-fec=true packet-loss-percentage=10 dtx=false";

fn main() -> Result<()> {
    gst::init()?;
    gstrswebrtc::plugin_register_static()?;
    gstrsrtp::plugin_register_static()?;
    let words: Vec<String> = args().skip(1).collect();
    let (clip, sink) = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["livekit", clip, url, room, token] => (
            (*clip).to_owned(),
            format!(
                "livekitwebrtcsink name=sink do-fec=false signaller::ws-url={url} signaller::room-name={room} \
                 signaller::auth-token={token} pictures. ! sink.video_0 sound. ! sink.audio_0"
            ),
        ),
        ["none", clip] => ((*clip).to_owned(), "pictures. ! fakesink sound. ! fakesink".to_owned()),
        ["whip", url, seconds] => return whip::serve(url, seconds.parse()?),
        _ => bail!("peers livekit CLIP URL ROOM TOKEN | peers none CLIP | peers whip URL SECONDS"),
    };
    let text = format!(
        "filesrc location={clip} ! flvdemux name=demux demux.video ! queue ! h264parse ! clocksync ! \
         queue name=pictures {SOUND} ! queue name=sound {sink}"
    );
    let pipeline = gst::parse::launch(&text)?.downcast::<gst::Pipeline>().ok().context("a pipeline")?;
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().context("a bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            MessageView::Eos(_) => break,
            MessageView::Error(error) => bail!("{}: {:?}", error.error(), error.debug()),
            _ => {}
        }
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}
