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

/// As the box records a picture, settings of the encoder to the letter.
pub const ENCODED: &str = "x264enc tune=zerolatency speed-preset=ultrafast pass=qual quantizer=23 \
     vbv-buf-capacity=2000 bitrate=6000 key-int-max=60 threads=1 ! video/x-h264,profile=constrained-baseline ! h264parse";
/// As the box records sound.
pub const SOUND: &str = "audioconvert ! voaacenc bitrate=128000";
/// What both lie in.
pub const FILE: &str = "mp4mux name=m fragment-duration=500 fragment-mode=first-moov-then-finalise";

/// Plays so many sources into so many recordings until the time is over. Recordings beyond the sources are slot 1's,
/// once more, as the program.
pub fn run(slots: &str, recordings: &str, seconds: &str, folder: &str) {
    requirements::check().expect("all elements are there");
    let number = |word: &str| word.parse::<u8>().expect("a number");
    let (slots, recordings) = (number(slots), number(recordings));
    let context = context(1920, 1080);
    let actors = sources(&context, slots);
    let of = |n: u8| if n > slots { 1 } else { n };
    let recordings: Vec<_> = (1..=recordings).map(|n| recording(&context, of(n), n, Path::new(folder))).collect();
    super::meter::wait(Duration::from_secs(number(seconds).into()));
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

/// Marked test cameras with sound, as a box has them.
pub fn sources(context: &Context, slots: u8) -> Vec<Actor> {
    (1..=slots).filter_map(SlotId::new).map(|slot| source(context, slot)).collect()
}

fn source(context: &Context, slot: SlotId) -> Actor {
    let source = CaptureSource::Test { marks: true, tone_hz: Some(200 + 100 * u32::from(slot.number())) };
    let wish = Capture { epoch: Epoch(1), name: format!("Camera {slot}"), source, own_sound: true };
    Actor::start(context, Wish::Capture(slot, wish), |_| ()).expect("a thread")
}

/// What plays, and what it is fed by.
pub type Played = (gst::Pipeline, Vec<cuebox::media::links::Subscription>);

fn recording(context: &Context, slot: u8, number: u8, folder: &Path) -> Played {
    let text = format!(
        "appsrc name=v ! {ENCODED} ! {FILE} ! filesink location={}/{number}.mp4 appsrc name=a ! {SOUND} ! m.",
        folder.display()
    );
    play(context, slot, &text)
}

/// Plays a pipeline whose `appsrc` named `v` has the slot's picture, and whose `a` has its sound.
pub fn play(context: &Context, slot: u8, text: &str) -> Played {
    let pipeline = gst::parse::launch(text).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
    let slot = SlotId::new(slot).expect("a slot");
    let feed = |name: &str, link: Link, caps: gst::Caps, depth: Depth| {
        let source = pipeline.by_name(name).and_then(|it| it.downcast::<gst_app::AppSrc>().ok()).expect("an appsrc");
        source.set_caps(Some(&caps));
        source.set_is_live(true);
        source.set_format(gst::Format::Time);
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
