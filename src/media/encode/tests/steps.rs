//! An adaptive encode steps down and up while somebody watches.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox_core::director::{Encode, EncodeJob, Fact, PictureSize};
use cuebox_core::encode_plan::RateControl;
use cuebox_core::grid::FrameIndex;
use gst::prelude::*;
use gst_video::prelude::VideoFrameExt;

use super::{LONG, wish};
use crate::media::actor::Actor;
use crate::media::links::{Depth, Link, Subscription};
use crate::media::plan::Wish;
use crate::media::testkit::{Stage, eventually, noise, pictures};

/// Whoever watches an encode: what came out of it, and what its pictures show.
struct Viewer {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    units: Arc<Mutex<Vec<Unit>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    _subscription: Subscription,
}

#[derive(Clone, Copy, Debug)]
struct Unit {
    pts: gst::ClockTime,
    key: bool,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    frame: u64,
    mark: u8,
    size: (u32, u32),
    fps: i32,
}

impl Viewer {
    fn new(stage: &Stage, link: Link) -> Self {
        let pipeline = gst::Pipeline::new();
        let source = gst_app::AppSrc::builder().format(gst::Format::Time).is_live(true).build();
        let decoder = gst::ElementFactory::make("avdec_h264").property("max-threads", 1_i32).build().unwrap();
        let caps = gst::Caps::builder("video/x-raw").field("format", "I420").build();
        let sink = gst_app::AppSink::builder().sync(false).caps(&caps).build();
        pipeline.add_many([source.upcast_ref(), &decoder, sink.upcast_ref()]).unwrap();
        gst::Element::link_many([source.upcast_ref(), &decoder, sink.upcast_ref()]).unwrap();
        let (units, seen) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let subscription = stage.context.links.subscribe(link, &source, Depth::Time(gst::ClockTime::from_seconds(5)));
        let own = units.clone();
        source.static_pad("src").unwrap().add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let buffer = info.buffer().unwrap();
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            own.lock().unwrap().push(Unit { pts: buffer.pts().unwrap(), key, bytes: buffer.size() });
            gst::PadProbeReturn::Ok
        });
        let (own, timing, grid) = (seen.clone(), stage.context.timing.clone(), stage.context.format.grid);
        let look = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
            let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer().unwrap(), &info).unwrap();
            assert_eq!(info.par(), gst::Fraction::new(1, 1));
            let pts = sample.buffer().unwrap().pts().unwrap();
            own.lock().unwrap().push(Seen {
                frame: timing.frame_at(grid, pts).0,
                mark: mark(&frame),
                size: (info.width(), info.height()),
                fps: info.fps().numer(),
            });
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(look).build());
        stage.context.timing.apply(&pipeline);
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline, source, units, seen, _subscription: subscription }
    }

    fn newest(&self) -> Option<Seen> {
        self.seen.lock().unwrap().last().copied()
    }

    fn ask_for_a_key_frame(&self) {
        let request = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
        self.source.static_pad("src").unwrap().send_event(request);
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The frame number's low byte, as the test picture spells it, at whatever size it is.
fn mark(frame: &gst_video::VideoFrameRef<&gst::BufferRef>) -> u8 {
    let (cell, stride) = (frame.width() as usize / 8, frame.plane_stride()[0] as usize);
    let luma = frame.plane_data(0).unwrap();
    let row = frame.height() as usize / 8;
    (0..8).fold(0, |byte, bit| byte << 1 | u8::from(luma[row * stride + bit * cell + cell / 2] > 128))
}

fn step(wish: &Encode, width: u32, height: u32, fps: u32, bitrate_bps: u64) -> Wish {
    let picture = PictureSize { width, height, fps };
    Wish::Encode(EncodeJob::Stream, Encode { picture, bitrate_bps, ..wish.clone() })
}

#[test]
fn the_picture_steps_down_and_up_without_a_lost_or_doubled_frame() {
    for element in ["x264enc", "openh264enc"] {
        let mut stage = Stage::new(640, 360, 30, std::path::Path::new("/nonexistent"));
        let _feed = pictures(&stage.context, Link::ProgramPicture, |_| false);
        let wish = wish(element, 640, 360, RateControl::Stream { min_bps: 150_000, max_bps: 2_000_000 });
        let actor = Actor::start(&stage.context, Wish::Encode(EncodeJob::Stream, wish.clone()), |_| {}).unwrap();
        stage.wait("the first access unit", LONG, |_, fact| (*fact == Fact::FirstBuffer).then_some(()));
        let viewer = Viewer::new(&stage, Link::Encoded(EncodeJob::Stream));
        // The last one asks for more than was granted.
        let steps =
            [(480, 270, 30, 600_000), (320, 180, 15, 200_000), (480, 270, 30, 600_000), (1280, 720, 60, 1_000_000)];
        assert!(eventually(LONG, || viewer.newest().is_some()));
        for (width, height, fps, bitrate_bps) in steps {
            let (width_seen, fps_seen) = (width.min(640), fps.min(30) as i32);
            let (began, from) = (Instant::now(), viewer.newest().unwrap().frame);
            actor.update(step(&wish, width, height, fps, bitrate_bps));
            let arrived = || viewer.newest().is_some_and(|it| it.size.0 == width_seen && it.fps == fps_seen);
            assert!(eventually(LONG, arrived), "{element} {width}: {:?}", viewer.newest());
            assert!(began.elapsed() < Duration::from_millis(500), "{element} {width}: {:?}", began.elapsed());
            let enough = || viewer.newest().is_some_and(|it| it.frame > from + 45);
            assert!(eventually(LONG, enough), "{element} {width}: {:?}", viewer.newest());
        }
        actor.stop();

        let seen = viewer.seen.lock().unwrap().clone();
        for one in &seen {
            assert_eq!(one.mark, one.frame as u8, "{element}: {one:?}");
        }
        for pair in seen.windows(2) {
            let apart = pair[1].frame - pair[0].frame;
            let allowed = if pair[0].fps == 15 && pair[1].fps == 15 { 2..=2 } else { 1..=2 };
            let allowed = if pair.iter().all(|it| it.fps == 30) { 1..=1 } else { allowed };
            assert!(allowed.contains(&apart), "{element}: {pair:?}");
        }
        let units = viewer.units.lock().unwrap().clone();
        let changes = seen.windows(2).filter(|pair| pair[0].size != pair[1].size).map(|pair| pair[1].frame);
        let changes: Vec<u64> = changes.collect();
        assert_eq!(changes.len(), 4, "{element}");
        for frame in changes {
            let of = |unit: &Unit| stage.context.timing.frame_at(stage.context.format.grid, unit.pts).0 == frame;
            assert!(units.iter().find(|unit| of(unit)).unwrap().key, "{element}: frame {frame} is a key frame");
        }
        assert!(stage.facts.iter().all(|(_, fact)| !matches!(fact, Fact::Failed { .. })), "{:?}", stage.facts);
    }
}

#[test]
fn a_halved_recording_keeps_every_frame_and_repeats_every_other_picture() {
    let slot = cuebox_core::ids::SlotId::new(3).unwrap();
    let job = EncodeJob::Slot(slot);
    let mut stage = Stage::new(320, 180, 30, std::path::Path::new("/nonexistent"));
    let _feed = pictures(&stage.context, Link::SlotPicture(slot), |_| false);
    let wish = wish("x264enc", 320, 180, RateControl::Steady { average_bps: 1_000_000 });
    let actor = Actor::start(&stage.context, Wish::Encode(job, wish.clone()), |_| {}).unwrap();
    stage.wait("the first access unit", LONG, |_, fact| (*fact == Fact::FirstBuffer).then_some(()));
    let viewer = Viewer::new(&stage, Link::Encoded(job));
    let goes_on = |frames: u64| {
        assert!(eventually(LONG, || viewer.newest().is_some()));
        let from = viewer.newest().unwrap().frame;
        assert!(eventually(LONG, || viewer.newest().is_some_and(|it| it.frame > from + frames)));
    };
    goes_on(20);
    actor.update(Wish::Encode(job, Encode { halved: true, ..wish.clone() }));
    let is_repeated = |it: Seen| it.mark != it.frame as u8;
    assert!(eventually(LONG, || viewer.newest().is_some_and(is_repeated)));
    goes_on(40);
    actor.update(Wish::Encode(job, wish));
    let whole = || viewer.seen.lock().unwrap().iter().rev().take(10).all(|it| !is_repeated(*it));
    assert!(eventually(LONG, whole));
    actor.stop();

    let seen = viewer.seen.lock().unwrap().clone();
    assert!(seen.windows(2).all(|pair| pair[1].frame == pair[0].frame + 1), "no frame is missing");
    let repeated: Vec<Seen> = seen.iter().copied().filter(|it| is_repeated(*it)).collect();
    assert!(repeated.len() >= 20, "{}", repeated.len());
    for pair in repeated.windows(2) {
        assert_eq!(pair[1].frame, pair[0].frame + 2, "every other one from the first to the last");
    }
    for one in &repeated {
        assert_eq!(one.mark, (one.frame - 1) as u8, "the picture before: {one:?}");
        assert!(!one.frame.is_multiple_of(2), "all encodes repeat the same ones: {one:?}");
    }
    let (first, last) = (repeated[0].frame, repeated[repeated.len() - 1].frame);
    let counted = |from, to| stage.context.links.repeats().between(slot, FrameIndex(from), FrameIndex(to));
    assert_eq!(counted(first, last + 1), repeated.len() as u64);
    assert_eq!(counted(0, u64::MAX), repeated.len() as u64);
}

#[test]
fn key_frames_that_many_ask_for_are_at_least_half_a_second_apart() {
    let mut stage = Stage::new(320, 180, 30, std::path::Path::new("/nonexistent"));
    let _feed = pictures(&stage.context, Link::ProgramPicture, |_| false);
    let wish = wish("x264enc", 320, 180, RateControl::Stream { min_bps: 150_000, max_bps: 2_000_000 });
    let actor = Actor::start(&stage.context, Wish::Encode(EncodeJob::Stream, wish), |_| {}).unwrap();
    stage.wait("the first access unit", LONG, |_, fact| (*fact == Fact::FirstBuffer).then_some(()));
    let viewer = Viewer::new(&stage, Link::Encoded(EncodeJob::Stream));
    let keys = || -> Vec<gst::ClockTime> {
        viewer.units.lock().unwrap().iter().filter(|unit| unit.key).map(|unit| unit.pts).collect()
    };
    assert!(eventually(LONG, || {
        viewer.ask_for_a_key_frame();
        keys().len() >= 6
    }));
    actor.stop();
    let apart: Vec<u64> = keys().windows(2).map(|pair| (pair[1] - pair[0]).mseconds()).collect();
    assert!(apart.iter().all(|ms| (500..1_000).contains(ms)), "{apart:?}");
}

#[test]
fn no_frame_takes_longer_to_send_than_a_viewer_can_wait() {
    let mut stage = Stage::new(640, 360, 30, std::path::Path::new("/nonexistent"));
    let _feed = noise(&stage.context, Link::ProgramPicture);
    let wish = wish("x264enc", 640, 360, RateControl::Stream { min_bps: 150_000, max_bps: 4_000_000 });
    let first = Encode { bitrate_bps: 2_500_000, ..wish.clone() };
    let actor = Actor::start(&stage.context, Wish::Encode(EncodeJob::Stream, first), |_| {}).unwrap();
    stage.wait("the first access unit", LONG, |_, fact| (*fact == Fact::FirstBuffer).then_some(()));
    let viewer = Viewer::new(&stage, Link::Encoded(EncodeJob::Stream));
    let count = || viewer.units.lock().unwrap().len();
    assert!(eventually(LONG, || count() > 60));
    let from = count();
    actor.update(step(&wish, 320, 180, 15, 400_000));
    assert!(eventually(LONG, || count() > from + 60));
    actor.stop();

    let units = viewer.units.lock().unwrap().clone();
    let stepped = (from..units.len()).find(|at| units[*at].key).unwrap();
    let worst = delay(&units[stepped..], 400_000);
    assert!(worst < Duration::from_millis(500), "{worst:?}");
}

/// The longest that a frame waits for those before it and for itself on a line of so many bits per second.
fn delay(units: &[Unit], bits_per_second: u64) -> Duration {
    let (mut free_at, mut worst) = (0, 0);
    for unit in units {
        let at = unit.pts.nseconds();
        free_at = at.max(free_at) + unit.bytes as u64 * 8 * 1_000_000_000 / bits_per_second;
        worst = worst.max(free_at - at);
    }
    Duration::from_nanos(worst)
}
