//! The reference: the same sources, encoders and muxers as bare pipelines, without director, mixer or vault.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cuebox::media::actor::Actor;
use cuebox::media::links::{Depth, Link};
use cuebox::media::plan::Wish;
use cuebox::media::timing::ShowFormat;
use cuebox::media::{Context, requirements};
use cuebox_core::credentials::Configured;
use cuebox_core::director::{Capture, CaptureSource};
use cuebox_core::grid::Grid;
use cuebox_core::ids::{Epoch, SlotId};
use gst::prelude::*;

/// Plays five sources into six recordings (slot 1 twice, once as the program) until the time is over.
pub fn run(slots: &str, seconds: &str, folder: &str) {
    requirements::check().expect("all elements are there");
    let slots: u8 = slots.parse().expect("a number of slots");
    let seconds = seconds.parse().expect("a number of seconds");
    let context = context(1920, 1080);
    let actors: Vec<Actor> = (1..=slots).filter_map(SlotId::new).map(|slot| source(&context, slot)).collect();
    let recordings: Vec<_> = (0..=slots).map(|n| recording(&context, n.max(1), n, Path::new(folder))).collect();
    super::meter::wait(Duration::from_secs(seconds));
    for (pipeline, _) in &recordings {
        let _ = pipeline.set_state(gst::State::Null);
    }
    actors.iter().for_each(Actor::stop);
}

pub fn context(width: u32, height: u32) -> Context {
    let (events, mut inbox) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || while inbox.blocking_recv().is_some() {});
    let format = ShowFormat { width, height, grid: Grid::new(30) };
    Context::new(format, std::path::PathBuf::new(), Arc::new(Configured), events)
}

fn source(context: &Context, slot: SlotId) -> Actor {
    let source = CaptureSource::Test { marks: true, tone_hz: Some(200 + 100 * u32::from(slot.number())) };
    let wish = Capture { epoch: Epoch(1), name: format!("Camera {slot}"), source };
    Actor::start(context, Wish::Capture(slot, wish), |_| ()).expect("a thread")
}

fn recording(
    context: &Context,
    slot: u8,
    number: u8,
    folder: &Path,
) -> (gst::Pipeline, Vec<cuebox::media::links::Subscription>) {
    let text = format!(
        "appsrc name=v is-live=true format=time ! \
         x264enc tune=zerolatency speed-preset=ultrafast pass=qual quantizer=23 vbv-buf-capacity=2000 bitrate=6000 \
         key-int-max=60 threads=1 ! video/x-h264,profile=constrained-baseline ! h264parse ! \
         mp4mux name=m fragment-duration=500 fragment-mode=first-moov-then-finalise ! filesink location={}/{number}.mp4 \
         appsrc name=a is-live=true format=time ! audioconvert ! voaacenc bitrate=128000 ! m.",
        folder.display()
    );
    let pipeline = gst::parse::launch(&text).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
    let slot = SlotId::new(slot).expect("a slot");
    let feed = |name: &str, link: Link, caps: gst::Caps, depth: Depth| {
        let source = pipeline.by_name(name).and_then(|it| it.downcast::<gst_app::AppSrc>().ok()).expect("an appsrc");
        source.set_caps(Some(&caps));
        context.links.subscribe(link, &source, depth)
    };
    let subscriptions = vec![
        feed("v", Link::SlotPicture(slot), context.format.picture_caps(), Depth::Buffers(4)),
        feed("a", Link::SlotSound(slot), context.format.sound_caps(), Depth::Time(gst::ClockTime::from_seconds(1))),
    ];
    context.timing.apply(&pipeline);
    pipeline.set_state(gst::State::Playing).expect("the bare pipeline plays");
    (pipeline, subscriptions)
}
