//! A WHIP server that counts what it decodes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gst::prelude::*;

/// Whoever publishes is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves at `url` and prints one line: `pictures N, longest pause M ms, blocks of sound S`.
pub fn serve(url: &str, seconds: u64) -> Result<()> {
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("whipserversrc").build()?;
    source.set_property("stun-server", None::<&str>);
    let signaller: gst::glib::Object = source.property("signaller");
    signaller.set_property("host-addr", url);
    pipeline.add(&source)?;
    let ([pictures, sound], [seen, heard]) = pairs();
    source.connect_pad_added(move |source, pad| {
        let (convert, tell) =
            if pad.name().starts_with("video") { ("videoconvert", &pictures) } else { ("audioconvert", &sound) };
        if let Err(error) = take(source, pad, convert, tell.clone()) {
            eprintln!("{}: {error:#}", pad.name());
        }
    });
    pipeline.set_state(gst::State::Playing)?;
    let first = seen.recv_timeout(PATIENCE).context("nobody published")?;
    let end = first + Duration::from_secs(seconds);
    let (mut count, mut longest, mut last) = (1, Duration::ZERO, first);
    while let Ok(at) = seen.recv_timeout(end.saturating_duration_since(Instant::now())) {
        count += 1;
        longest = longest.max(at - last);
        last = at;
    }
    longest = longest.max(end.saturating_duration_since(last));
    println!(
        "pictures {count}, longest pause {} ms, blocks of sound {}",
        longest.as_millis(),
        heard.try_iter().count()
    );
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}

/// Of pictures and of sound.
fn pairs() -> ([Sender<Instant>; 2], [Receiver<Instant>; 2]) {
    let ((pictures, seen), (sound, heard)) = (channel(), channel());
    ([pictures, sound], [seen, heard])
}

/// Tells when each buffer of `pad` was decoded.
fn take(source: &gst::Element, pad: &gst::Pad, convert: &str, tell: Sender<Instant>) -> Result<()> {
    let pipeline = source.parent().and_downcast::<gst::Pipeline>().context("it left its pipeline")?;
    let convert = gst::ElementFactory::make(convert).build()?;
    let sink =
        gst::ElementFactory::make("fakesink").property("sync", false).property("signal-handoffs", true).build()?;
    sink.connect("handoff", false, move |_| {
        // Nobody listens any more once the time is over.
        let _ = tell.send(Instant::now());
        None
    });
    pipeline.add_many([&convert, &sink])?;
    convert.link(&sink)?;
    pad.link(&convert.static_pad("sink").context("a converter takes something")?)?;
    sink.sync_state_with_parent()?;
    convert.sync_state_with_parent()?;
    Ok(())
}
