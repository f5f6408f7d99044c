//! The program on real GStreamer: marked pictures go in, and every frame that comes out is read back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox_core::command::Transition;
use cuebox_core::credentials::Configured;
use cuebox_core::director::{Audio, Event, Fact, Picture, Program, Slate, Switch};
use cuebox_core::grid::{FrameIndex, Grid};
use cuebox_core::ids::{Epoch, SlotId, SwitchId};
use gst::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::actor::Actor;
use super::super::links::{Link, Publication};
use super::super::plan::Wish;
use super::super::ticker::Ticker;
use super::super::timing::ShowFormat;
use super::super::{Context, Media};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;

fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

/// Program frames in order, with the luma in their middle.
type Seen = Arc<Mutex<Vec<(FrameIndex, u8)>>>;

/// A program with plain grey sources: a slot's picture has luma 30 × slot + 20, its low bits count frames.
struct Stage {
    context: Context,
    events: UnboundedReceiver<Event>,
    actor: Actor,
    wish: Program,
    sources: BTreeMap<SlotId, Source>,
    seen: Seen,
    tap: gst::Pipeline,
}

struct Source {
    _pipeline: gst::Pipeline,
    _publication: Publication,
    ticker: Option<Ticker>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.ticker = None;
        let _ = self._pipeline.set_state(gst::State::Null);
    }
}

impl Stage {
    fn open(slots: &[u8], lateness: impl Fn(u8) -> Duration) -> Self {
        gst::init().unwrap();
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let format = ShowFormat { width: WIDTH, height: HEIGHT, grid: Grid::new(30) };
        let context = Context::new(format, std::path::PathBuf::new(), Arc::new(Configured), sender);
        let sources = slots.iter().map(|n| (slot(*n), source(&context, *n, lateness(*n)))).collect();
        let wish = Program {
            epoch: Epoch(1),
            inputs: slots.iter().map(|n| slot(*n)).collect(),
            switch: Switch { id: SwitchId(0), picture: Picture::Slate, transition: None },
            slate: Slate::default(),
            audio: Audio::default(),
        };
        let (tap, seen) = tap(&context);
        let actor = Actor::start(&context, Wish::Program(wish.clone()), |_| ()).unwrap();
        Self { context, events, actor, wish, sources, seen, tap }
    }

    fn want(&mut self, change: impl FnOnce(&mut Program)) {
        change(&mut self.wish);
        self.actor.update(Wish::Program(self.wish.clone()));
    }

    fn cut(&mut self, id: u64, picture: Picture) {
        self.want(|wish| wish.switch = Switch { id: SwitchId(id), picture, transition: None });
    }

    /// The frame that a switch was told to be first seen in.
    fn shown(&mut self, id: u64) -> FrameIndex {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.events.try_recv() {
                Ok(Event::Media { fact: Fact::Shown { switch, frame }, .. }) if switch == SwitchId(id) => return frame,
                Ok(Event::Media { fact: Fact::Failed { detail, .. }, .. }) => panic!("{detail}"),
                Ok(_) => {}
                Err(_) => {
                    assert!(Instant::now() < deadline, "switch {id} was not shown");
                    std::thread::yield_now();
                }
            }
        }
    }

    fn wait_frames(&self, count: usize) {
        let from = self.seen.lock().unwrap().len();
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.seen.lock().unwrap().len() < from + count {
            assert!(Instant::now() < deadline, "the program stopped");
            std::thread::yield_now();
        }
    }

    fn frames(&self) -> Vec<(FrameIndex, u8)> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.actor.stop();
        let _ = self.tap.set_state(gst::State::Null);
    }
}

fn luma(number: u8) -> u8 {
    number * 30 + 20
}

fn source(context: &Context, number: u8, late: Duration) -> Source {
    let pipeline = gst::Pipeline::new();
    let caps = context.format.picture_caps();
    let input = super::live_source("in", &caps);
    let output = gst_app::AppSink::builder().caps(&caps).build();
    pipeline.add_many([input.upcast_ref::<gst::Element>(), output.upcast_ref()]).unwrap();
    input.link(&output).unwrap();
    let publication = context.links.publish(Link::SlotPicture(slot(number)), &output);
    context.timing.apply(&pipeline);
    pipeline.set_state(gst::State::Playing).unwrap();
    let (timing, format) = (context.timing.clone(), context.format);
    let ticker = Ticker::start("source", context.timing.clone(), format.grid, move |frame, running| {
        let held = timing
            .clock()
            .new_single_shot_id(gst::ClockTime::from_nseconds(format.grid.time_of(frame).0 + late.as_nanos() as u64));
        let _ = held.wait();
        let size = (WIDTH * HEIGHT) as usize;
        let mut nv12 = vec![luma(number) + (frame.0 % 16) as u8; size];
        nv12.resize(size * 3 / 2, 128);
        let mut buffer = gst::Buffer::from_slice(nv12);
        let fields = buffer.get_mut().unwrap();
        fields.set_pts(running);
        fields.set_duration(format.frame());
        input.push_buffer(buffer).is_ok()
    });
    Source { _pipeline: pipeline, _publication: publication, ticker: Some(ticker.unwrap()) }
}

/// Reads the luma of every program frame.
fn tap(context: &Context) -> (gst::Pipeline, Seen) {
    let pipeline = gst::Pipeline::new();
    let input = super::live_source("tap", &context.format.picture_caps());
    let seen = Seen::default();
    let (sink_seen, timing, grid) = (seen.clone(), context.timing.clone(), context.format.grid);
    let output = gst_app::AppSink::builder()
        .sync(false)
        .callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    let buffer = sample.buffer().unwrap();
                    let map = buffer.map_readable().unwrap();
                    let middle = (WIDTH * HEIGHT / 2 + WIDTH / 2) as usize;
                    sink_seen.lock().unwrap().push((timing.frame_at(grid, buffer.pts().unwrap()), map[middle]));
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        )
        .build();
    pipeline.add_many([input.upcast_ref::<gst::Element>(), output.upcast_ref()]).unwrap();
    input.link(&output).unwrap();
    let subscription = context.links.subscribe(Link::ProgramPicture, &input, super::super::links::Depth::Buffers(30));
    std::mem::forget(subscription);
    context.timing.apply(&pipeline);
    pipeline.set_state(gst::State::Playing).unwrap();
    (pipeline, seen)
}

/// Which slot's luma this is, and the low bits of its frame number.
fn decode(value: u8) -> (u8, u8) {
    ((value - 20) / 30, (value - 20) % 30)
}

fn assert_unbroken(frames: &[(FrameIndex, u8)]) {
    for pair in frames.windows(2) {
        assert_eq!(pair[1].0.0, pair[0].0.0 + 1, "a program frame is missing or doubled");
    }
}

/// Frames of slots whose picture is not the one that was made for that very frame.
fn displaced(frames: &[(FrameIndex, u8)]) -> Vec<(FrameIndex, u8)> {
    let wrong = |(frame, value): &&(FrameIndex, u8)| *value > 45 && u64::from(decode(*value).1) != frame.0 % 16;
    frames.iter().filter(wrong).copied().collect()
}

#[test]
fn every_cut_is_told_with_the_first_frame_that_shows_it_and_no_frame_is_lost() {
    let mut stage = Stage::open(&[1, 2, 3], |_| Duration::ZERO);
    stage.wait_frames(1);
    let mut told = Vec::new();
    for id in 1..=40u64 {
        let number = (id % 3 + 1) as u8;
        stage.cut(id, Picture::Slot(slot(number)));
        told.push((stage.shown(id), number));
    }
    stage.wait_frames(3);
    let frames = stage.frames();
    assert_unbroken(&frames);
    assert_eq!(displaced(&frames), [], "frames that are not of their time");
    let at = |index: FrameIndex| frames.iter().find(|(frame, _)| *frame == index).unwrap().1;
    assert!(told[0].0.0 > frames[0].0.0, "the slate came first");
    for (n, (first, number)) in told.iter().enumerate() {
        assert_eq!(decode(at(*first)).0, *number, "switch {} is not in the frame it was told with", n + 1);
        let before = at(FrameIndex(first.0 - 1));
        assert!(before <= 45 || decode(before).0 != *number, "switch {} was seen before it was told", n + 1);
    }
}

#[test]
fn sources_that_are_late_within_the_budget_beside_a_silent_one_lose_and_double_nothing() {
    let mut stage =
        Stage::open(&[1, 2, 3, 4, 5], |n| Duration::from_millis([25, 33, 45, 58][usize::from(n.min(4)) - 1]));
    stage.cut(1, Picture::Slot(slot(2)));
    stage.shown(1);
    stage.sources.get_mut(&slot(5)).unwrap().ticker = None;
    let from = stage.frames().len();
    for id in 2..=20u64 {
        stage.cut(id, Picture::Slot(slot((id % 4 + 1) as u8)));
        stage.shown(id);
        stage.wait_frames(3);
    }
    let frames = stage.frames();
    assert_unbroken(&frames);
    assert_eq!(displaced(&frames[from..]), [], "frames that are not of their time");
}

#[test]
fn an_input_is_taken_out_and_comes_back_without_a_trace_in_the_output() {
    let mut stage = Stage::open(&[1, 2], |_| Duration::ZERO);
    stage.cut(1, Picture::Slot(slot(1)));
    stage.shown(1);
    for id in 2..=9u64 {
        let (to, gone) = if id % 2 == 0 { (2, 1) } else { (1, 2) };
        stage.want(|wish| {
            wish.inputs.insert(slot(to));
        });
        stage.want(|wish| {
            wish.inputs = BTreeSet::from([slot(to)]);
            wish.switch = Switch { id: SwitchId(id), picture: Picture::Slot(slot(to)), transition: None };
        });
        stage.shown(id);
        assert!(!stage.wish.inputs.contains(&slot(gone)));
        stage.wait_frames(4);
    }
    let frames = stage.frames();
    assert_unbroken(&frames);
    let first = frames.iter().position(|(_, value)| *value > 45).unwrap();
    assert!(frames[first..].iter().all(|(_, value)| *value > 45), "the slate or black was seen between two slots");
}

#[test]
fn a_fade_moves_evenly_from_one_picture_to_the_other() {
    let mut stage = Stage::open(&[1, 5], |_| Duration::ZERO);
    stage.cut(1, Picture::Slot(slot(1)));
    stage.shown(1);
    stage.want(|wish| {
        let transition = Some((Transition::Fade, Duration::from_millis(333)));
        wish.switch = Switch { id: SwitchId(2), picture: Picture::Slot(slot(5)), transition };
    });
    let first = stage.shown(2);
    stage.wait_frames(14);
    let frames = stage.frames();
    assert_unbroken(&frames);
    let start = frames.iter().position(|(frame, _)| *frame == first).unwrap();
    for (n, (frame, value)) in frames[start..start + 10].iter().enumerate() {
        let low = (frame.0 % 16) as f64;
        let expected = low + 50.0 + 120.0 * (n + 1) as f64 / 9.99;
        assert!((f64::from(*value) - expected.min(low + 170.0)).abs() < 4.0, "frame {n} is {value}, not {expected}");
    }
}

#[test]
fn the_slate_is_there_before_any_source() {
    let stage = Stage::open(&[], |_| Duration::ZERO);
    stage.wait_frames(10);
    assert_unbroken(&stage.frames());
    assert!(stage.context.links.is_produced(Link::ProgramSound));
}

#[test]
fn the_graph_starts_and_ends_what_is_wanted() {
    gst::init().unwrap();
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let format = ShowFormat { width: WIDTH, height: HEIGHT, grid: Grid::new(30) };
    let media = Media::start(format, std::path::PathBuf::new(), Arc::new(Configured), sender).unwrap();
    let wanted = cuebox_core::director::Wanted {
        epoch: Epoch(1),
        captures: BTreeMap::new(),
        sounds: BTreeMap::new(),
        program: Program {
            epoch: Epoch(1),
            inputs: BTreeSet::new(),
            switch: Switch { id: SwitchId(1), picture: Picture::Slate, transition: None },
            slate: Slate::default(),
            audio: Audio::default(),
        },
        encodes: BTreeMap::new(),
        recordings: BTreeMap::new(),
        legs: BTreeMap::new(),
        no_snapshots: false,
    };
    media.want(Arc::new(wanted));
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut progressed = false;
    while !progressed {
        assert!(Instant::now() < deadline, "the program does not start");
        progressed = matches!(events.try_recv(), Ok(Event::Progressed(_)));
        std::thread::yield_now();
    }
    media.shut_down();
}
