//! From a changed goal to the first frame that shows it, at the mixer and behind the encoder, at 1080p30 with five
//! slot encodes beside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox::media::Media;
use cuebox::media::links::{Depth, Link};
use cuebox::media::timing::ShowFormat;
use cuebox_core::config::Config;
use cuebox_core::credentials::Configured;
use cuebox_core::device::Encoders;
use cuebox_core::director::{
    Audio, Capture, CaptureSource, Encode, EncodeJob, Event, Fact, Picture, Program, Slate, Switch, Wanted,
};
use cuebox_core::encode_plan::{self, Grant, Wishes};
use cuebox_core::grid::{FrameIndex, Grid};
use cuebox_core::ids::{Epoch, SlotId, SwitchId};
use gst::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::meter::percentile;
use super::row;

const CUTS: u64 = 200;

pub fn latency() {
    cuebox::media::requirements::check().expect("all elements are there");
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let grid = Grid::new(30);
    let format = ShowFormat { width: 1920, height: 1080, grid };
    let media = Media::start(format, super::scratch(), Arc::new(Configured), sender).expect("the graph starts");
    let mut wanted = goal();
    media.want(Arc::new(wanted.clone()));
    let encoded = Encoded::tap(&media, grid);
    await_live(&mut events);
    let (mut mixer, mut encoder) = (Vec::new(), Vec::new());
    let mut state = 7u64;
    for id in 1..=CUTS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        super::meter::wait(Duration::from_millis(60 + (state >> 40) % 140));
        let slot = SlotId::new((id % 5 + 1) as u8).expect("a slot");
        wanted.epoch = Epoch(id + 1);
        wanted.program.switch = Switch { id: SwitchId(id), picture: Picture::Slot(slot), transition: None };
        let began = Instant::now();
        media.want(Arc::new(wanted.clone()));
        let frame = shown(&mut events, id);
        mixer.push(began.elapsed().as_secs_f64() * 1000.0);
        encoder.push(encoded.arrival(frame).duration_since(began).as_secs_f64() * 1000.0);
    }
    let missing = encoded.missing();
    media.shut_down();
    let frame = 1000.0 / 30.0;
    row(
        "cut → first new frame at the mixer (frames of 33 ms)",
        "≤ 1 p50, 1.5 p99",
        &format!("{:.2} p50, {:.2} p99", percentile(&mut mixer, 0.5) / frame, percentile(&mut mixer, 0.99) / frame),
        &format!("frame clock; {CUTS} cuts, {missing} frames missing or doubled"),
    );
    row(
        "cut → first new frame out of the encoder",
        "≤ 2 p99",
        &format!("{:.2} p50, {:.2} p99", percentile(&mut encoder, 0.5) / frame, percentile(&mut encoder, 0.99) / frame),
        "frame clock",
    );
}

fn goal() -> Wanted {
    let config = Config::default();
    let slots = SlotId::all().collect();
    let wishes = Wishes {
        slot_streams: std::collections::BTreeSet::new(),
        width: 1920,
        height: 1080,
        fps: 30,
        video_bitrate_bps: config.program.video_bitrate_bps,
        min_video_bitrate_bps: config.program.min_video_bitrate_bps,
        stream: true,
        program_record: false,
        slots,
    };
    let board = cuebox_core::board::Board::built_in("generic-x86").expect("a built-in board");
    let candidates = board.encoder_candidates().iter().filter(|candidate| candidate.element == "x264enc");
    let working = candidates.cloned().collect();
    let encoders = Encoders { board: board.id.clone(), working, broken: Vec::new() };
    let plan = encode_plan::plan(&encoders, &wishes);
    let bitrate_bps = config.program.video_bitrate_bps;
    let encode = |(job, grant): (EncodeJob, Grant)| {
        let picture = grant.picture();
        (job, Encode { epoch: Epoch(1), grant, bitrate_bps, picture, halved: false })
    };
    let capture = |slot: SlotId| {
        let source = CaptureSource::Test { marks: true, tone_hz: Some(440) };
        (slot, Capture { epoch: Epoch(1), name: format!("Camera {slot}"), source, own_sound: true })
    };
    Wanted {
        epoch: Epoch(1),
        captures: SlotId::all().map(capture).collect(),
        sounds: BTreeMap::new(),
        program: Program {
            epoch: Epoch(1),
            inputs: SlotId::all().collect(),
            switch: Switch { id: SwitchId(0), picture: Picture::Slate, transition: None },
            slate: Slate::default(),
            audio: Audio::default(),
        },
        encodes: plan.grants.into_iter().map(encode).collect(),
        recordings: BTreeMap::new(),
        legs: BTreeMap::new(),
        no_snapshots: false,
    }
}

fn next(events: &mut UnboundedReceiver<Event>) -> Event {
    events.blocking_recv().expect("the graph runs")
}

/// All slots deliver and the stream encode runs.
fn await_live(events: &mut UnboundedReceiver<Event>) {
    let mut waiting = 7;
    while waiting > 0 {
        if let Event::Media { fact, job, .. } = next(events) {
            assert!(!matches!(fact, Fact::Failed { .. }), "{job:?}: {fact:?}");
            waiting -= i32::from(fact == Fact::FirstBuffer);
        }
    }
}

fn shown(events: &mut UnboundedReceiver<Event>, id: u64) -> FrameIndex {
    loop {
        if let Event::Media { fact: Fact::Shown { switch, frame }, .. } = next(events)
            && switch == SwitchId(id)
        {
            return frame;
        }
    }
}

/// When each frame left the stream encoder.
struct Encoded {
    arrivals: Arc<Mutex<BTreeMap<FrameIndex, Instant>>>,
    _pipeline: gst::Pipeline,
    _subscription: cuebox::media::links::Subscription,
}

impl Encoded {
    fn tap(media: &Media, grid: Grid) -> Self {
        let arrivals: Arc<Mutex<BTreeMap<FrameIndex, Instant>>> = Arc::default();
        let pipeline = gst::Pipeline::new();
        let source = gst_app::AppSrc::builder().is_live(true).format(gst::Format::Time).build();
        let (noted, timing) = (arrivals.clone(), media.timing().clone());
        let arrived = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(pts) = sample.buffer().and_then(|buffer| buffer.pts()) {
                noted.lock().expect("no panic").insert(timing.frame_at(grid, pts), Instant::now());
            }
            Ok(gst::FlowSuccess::Ok)
        };
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(arrived).build();
        let sink = gst_app::AppSink::builder().sync(false).callbacks(callbacks).build();
        pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()]).expect("two elements");
        source.link(&sink).expect("appsrc to appsink");
        let subscription = media.links().subscribe(Link::Encoded(EncodeJob::Stream), &source, Depth::Buffers(30));
        media.timing().apply(&pipeline);
        pipeline.set_state(gst::State::Playing).expect("the tap plays");
        Self { arrivals, _pipeline: pipeline, _subscription: subscription }
    }

    fn arrival(&self, frame: FrameIndex) -> Instant {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(at) = self.arrivals.lock().expect("no panic").get(&frame) {
                return *at;
            }
            assert!(Instant::now() < deadline, "frame {frame:?} did not leave the encoder");
            super::meter::wait(Duration::from_micros(500));
        }
    }

    fn missing(&self) -> u64 {
        let arrivals = self.arrivals.lock().expect("no panic");
        let (Some(first), Some(last)) = (arrivals.keys().next(), arrivals.keys().next_back()) else { return 0 };
        last.0 - first.0 + 1 - arrivals.len() as u64
    }
}
