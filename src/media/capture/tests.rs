//! Captures on real GStreamer: what comes out of a slot's links is read back, frame by frame and sample by sample.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox_core::config::Url;
use cuebox_core::device::{Mode, PixelFormat, Rate};
use cuebox_core::director::{Capture, CaptureSource, ErrorClass, Event, Fact, Job, Sound};
use cuebox_core::grid::{FrameIndex, Grid};
use cuebox_core::ids::{Epoch, SlotId};
use cuebox_core::time::Mono;
use gst::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::camera::Camera;
use super::card::Card;
use super::test_source::marks::{self, Marks};
use crate::media::Context;
use crate::media::actor::{Actor, Mailbox, Part};
use crate::media::links::{Depth, Link, Links, Subscription};
use crate::media::plan::Wish;
use crate::media::timing::{ShowFormat, Timing};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;
const FPS: u64 = 30;
/// Other work shares the machine; nothing here is waited for that long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

/// One slot with somebody who takes down what it delivers.
pub struct Stage {
    pub context: Context,
    events: UnboundedReceiver<Event>,
    taken: Arc<Mutex<Taken>>,
    tap: gst::Pipeline,
    _subscriptions: Vec<Subscription>,
}

#[derive(Default)]
struct Taken {
    pictures: Vec<Picture>,
    /// Position of the first sample, and the left channel's samples.
    sound: Vec<(u64, Vec<f32>)>,
}

#[derive(Clone, Copy, Debug)]
struct Picture {
    index: FrameIndex,
    marks: Option<Marks>,
    /// Mean luma of the lower right rectangle.
    flash: u8,
    /// Mean luma of the picture's middle.
    middle: u8,
}

/// A running capture; dropping it stops it.
pub struct Running(Actor);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Stage {
    pub fn open() -> Self {
        gst::init().unwrap();
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let context = Context {
            timing: Timing::new(),
            format: ShowFormat { width: WIDTH, height: HEIGHT, grid: Grid::new(FPS as u32) },
            links: Links::default(),
            gauges: Arc::default(),
            credentials: Arc::new(cuebox_core::credentials::Configured),
            data_dir: Arc::default(),
            events: sender,
        };
        let taken = Arc::new(Mutex::new(Taken::default()));
        let tap = gst::Pipeline::new();
        let pictures = tap_of(&context, &tap, &context.format.picture_caps(), {
            let (context, taken) = (context.clone(), taken.clone());
            move |buffer| taken.lock().unwrap().pictures.push(picture(&context, buffer))
        });
        let sound = tap_of(&context, &tap, &context.format.sound_caps(), {
            let (context, taken) = (context.clone(), taken.clone());
            move |buffer| taken.lock().unwrap().sound.push(sound(&context, buffer))
        });
        let subscriptions = vec![
            context.links.subscribe(Link::SlotPicture(slot(2)), &pictures, Depth::Buffers(60)),
            context.links.subscribe(Link::SlotSound(slot(2)), &sound, Depth::Time(gst::ClockTime::from_seconds(2))),
        ];
        context.timing.apply(&tap);
        tap.set_state(gst::State::Playing).unwrap();
        Self { context, events, taken, tap, _subscriptions: subscriptions }
    }

    /// Starts slot 2 with this source.
    pub fn start(&self, epoch: u64, source: CaptureSource) -> Running {
        let wish = Capture { epoch: Epoch(epoch), name: "Altar".to_owned(), source };
        Running(Actor::start(&self.context, Wish::Capture(slot(2), wish), |_| ()).unwrap())
    }

    /// Waits for a fact of this epoch that `pick` accepts.
    pub fn wait_fact<T>(&mut self, epoch: u64, mut pick: impl FnMut(&Fact) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.try_recv() {
                Ok(Event::Media { epoch: of, fact, .. }) if of == Epoch(epoch) => {
                    if let Some(found) = pick(&fact) {
                        return found;
                    }
                    assert!(!matches!(fact, Fact::Failed { .. }), "{fact:?}");
                }
                Ok(_) => {}
                Err(_) => {
                    assert!(Instant::now() < deadline, "nothing of the kind was told");
                    std::thread::park_timeout(Duration::from_millis(5));
                }
            }
        }
    }

    fn wait(&self, what: &str, done: impl Fn(&Taken) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.taken.lock().unwrap()) {
            assert!(
                Instant::now() < deadline,
                "{what} did not happen: {} pictures",
                self.taken.lock().unwrap().pictures.len()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub fn wait_pictures(&self, count: usize) {
        let before = self.taken.lock().unwrap().pictures.len();
        self.wait("pictures", |taken| taken.pictures.len() >= before + count);
    }

    fn pictures(&self) -> Vec<Picture> {
        self.taken.lock().unwrap().pictures.clone()
    }

    fn sound(&self) -> Vec<(u64, Vec<f32>)> {
        self.taken.lock().unwrap().sound.clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.tap.set_state(gst::State::Null);
    }
}

fn tap_of(
    context: &Context,
    pipeline: &gst::Pipeline,
    caps: &gst::Caps,
    take: impl Fn(&gst::BufferRef) + Send + 'static,
) -> gst_app::AppSrc {
    let _ = context;
    let source = gst_app::AppSrc::builder().caps(caps).format(gst::Format::Time).is_live(true).build();
    let sink = gst_app::AppSink::builder().async_(false).sync(false).build();
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                take(sample.buffer().ok_or(gst::FlowError::Error)?);
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()]).unwrap();
    source.link(&sink).unwrap();
    source
}

fn picture(context: &Context, buffer: &gst::BufferRef) -> Picture {
    let (width, height) = (WIDTH as usize, HEIGHT as usize);
    let index = context.timing.frame_at(context.format.grid, buffer.pts().unwrap());
    assert_eq!(context.timing.running(context.format.grid.time_of(index)), buffer.pts().unwrap(), "on the grid");
    let data = buffer.map_readable().unwrap();
    let mean = |x: usize, y: usize, side: usize| {
        let pixels = (y..y + side).flat_map(|y| data[y * width + x..y * width + x + side].iter());
        (pixels.map(|pixel| u32::from(*pixel)).sum::<u32>() / (side * side) as u32) as u8
    };
    Picture {
        index,
        marks: marks::read(&data, width, width, height),
        flash: mean(width - 20, height - 20, 10),
        middle: mean(width / 2, height / 2, 16),
    }
}

fn sound(context: &Context, buffer: &gst::BufferRef) -> (u64, Vec<f32>) {
    let position = super::outlet::sample_at(context.timing.mono(buffer.pts().unwrap()));
    let data = buffer.map_readable().unwrap();
    let left = data.chunks_exact(8).map(|frame| f32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]));
    (position, left.collect())
}

fn first_buffer(fact: &Fact) -> Option<()> {
    matches!(fact, Fact::FirstBuffer).then_some(())
}

fn failed(fact: &Fact) -> Option<ErrorClass> {
    if let Fact::Failed { class, .. } = fact { Some(*class) } else { None }
}

fn marked() -> CaptureSource {
    CaptureSource::Test { marks: true, tone_hz: Some(440) }
}

/// Every frame once, none left out.
fn assert_contiguous(pictures: &[Picture]) {
    for pair in pictures.windows(2) {
        assert_eq!(pair[1].index.0, pair[0].index.0 + 1, "{pair:?}");
    }
}

#[test]
fn five_seconds_of_test_picture_have_every_frame_once_with_its_own_number() {
    let mut stage = Stage::open();
    let _running = stage.start(1, marked());
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(5 * FPS as usize);
    let pictures = stage.pictures();
    assert_contiguous(&pictures);
    for picture in &pictures {
        let marks = picture.marks.expect("readable marks");
        assert_eq!(marks.slot, 2);
        assert_eq!(u64::from(marks.frame), picture.index.0 % (1 << 24));
    }
}

#[test]
fn flash_and_burst_begin_at_the_same_whole_second() {
    let mut stage = Stage::open();
    let _running = stage.start(1, marked());
    stage.wait_fact(1, first_buffer);
    stage.wait("three flashes", |taken| taken.pictures.iter().filter(|picture| picture.flash > 200).count() >= 3);
    stage.wait_pictures(3);
    let (pictures, sound) = (stage.pictures(), stage.sound());
    for picture in &pictures {
        assert_eq!(picture.flash > 200, picture.index.0.is_multiple_of(FPS), "{picture:?}");
    }
    let loud = |position: u64, samples: &[f32]| {
        let inside = samples.iter().enumerate().filter(|(_, sample)| sample.abs() > 0.2);
        inside.map(move |(at, _)| position + at as u64).collect::<Vec<_>>()
    };
    let loud: Vec<u64> = sound.iter().flat_map(|(position, samples)| loud(*position, samples)).collect();
    assert!(loud.iter().all(|position| position % 48_000 < 960), "the burst stays in its 20 ms");
    let flashes = pictures.iter().filter(|picture| picture.flash > 200).map(|picture| picture.index.0 / FPS);
    for second in flashes {
        assert!(loud.iter().any(|position| position / 48_000 == second), "second {second}");
    }
}

#[test]
fn the_sound_has_no_gap_and_its_level_is_told() {
    let mut stage = Stage::open();
    let _running = stage.start(1, CaptureSource::Test { marks: false, tone_hz: Some(1_000) });
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(2 * FPS as usize);
    for pair in stage.sound().windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + pair[0].1.len() as u64);
    }
    let gauges = stage.context.gauges.lock().unwrap().slots[&slot(2)].clone();
    assert_eq!(gauges.audio_dbfs, vec![-20.0, -20.0]);
    assert!((gauges.fps - 30.0).abs() < 1.5, "{}", gauges.fps);
}

#[test]
fn a_test_source_that_restarts_in_the_middle_goes_on_where_it_would_have_been() {
    let mut stage = Stage::open();
    let first = stage.start(1, marked());
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(20);
    drop(first);
    let _second = stage.start(2, marked());
    stage.wait_fact(2, first_buffer);
    stage.wait_pictures(20);
    let mut last = None;
    for picture in stage.pictures() {
        assert_eq!(u64::from(picture.marks.expect("readable marks").frame), picture.index.0 % (1 << 24));
        // While one goes and the other comes both may show the same frame.
        assert!(last.is_none_or(|last| picture.index >= last), "time never runs back");
        last = Some(picture.index);
    }
}

/// Plays a camera whose pictures are given by `push`, which is called with each number and its time.
fn play_camera(
    stage: &Stage,
    mode: Mode,
    count: u64,
    picture: impl Fn(u64) -> Option<(Vec<u8>, Mono)>,
) -> (Camera, gst_app::AppSrc) {
    let source = gst_app::AppSrc::builder().format(gst::Format::Time).is_live(true).build();
    let reporter = stage.context.reporter(Job::Capture(slot(2)), Epoch(1));
    let parts = (&reporter, &Mailbox::unread());
    let camera = Camera::around(&stage.context, slot(2), source.upcast_ref(), &mode, parts).unwrap();
    let raw = gst::Caps::builder("video/x-raw").field("format", "YUY2").field("colorimetry", "bt709");
    let rate = gst::Fraction::new(mode.rate.numerator as i32, mode.rate.denominator as i32);
    let raw = raw.field("width", mode.width as i32).field("height", mode.height as i32).field("framerate", rate);
    source.set_caps(Some(&raw.field("pixel-aspect-ratio", gst::Fraction::new(1, 1)).build()));
    stage.context.timing.apply(camera.pipeline());
    camera.pipeline().set_state(gst::State::Playing).unwrap();
    for (data, at) in (0..count).filter_map(picture) {
        let mut buffer = gst::Buffer::from_mut_slice(data);
        buffer.get_mut().unwrap().set_pts(stage.context.timing.running(at));
        let _ = stage.context.timing.clock().new_single_shot_id(gst::ClockTime::from_nseconds(at.0)).wait();
        source.push_buffer(buffer).unwrap();
    }
    (camera, source)
}

#[test]
fn a_camera_of_another_rate_shape_and_colour_space_fills_every_frame() {
    let stage = Stage::open();
    let start = stage.context.timing.now().0;
    let mode = Mode { format: PixelFormat::Yuyv, width: 320, height: 240, rate: Rate::new(25, 1) };
    // Full red in BT.709, limited range; the show is below 720 lines, and so in BT.601.
    let red: Vec<u8> = [63u8, 102, 63, 240].repeat(320 * 240 / 2);
    let (camera, _source) =
        play_camera(&stage, mode, 50, |n| Some((red.clone(), Mono(start + n * 40_000_000 + 7_000_000))));
    stage.wait("two seconds", |taken| taken.pictures.len() >= 58);
    let pictures = stage.pictures();
    assert_contiguous(&pictures);
    for picture in &pictures {
        assert!((78..=84).contains(&picture.middle), "red has Y = 81 in BT.601: {}", picture.middle);
        assert!(picture.flash <= 17, "a border keeps 4:3 in shape: {}", picture.flash);
    }
    let (first, last) = (pictures[0].index, FrameIndex(pictures[pictures.len() - 1].index.0 + 1));
    assert_eq!(stage.context.links.repeated_between(slot(2), first, last), 0, "a conversion is no loss");
    camera.pipeline().set_state(gst::State::Null).unwrap();
}

#[test]
fn a_picture_that_a_camera_lost_is_repeated_and_noted_and_a_longer_absence_is_a_gap() {
    let stage = Stage::open();
    let start = stage.context.timing.now().0;
    let mode = Mode { format: PixelFormat::Yuyv, width: 320, height: 180, rate: Rate::new(30, 1) };
    let grey = [128u8; 4].repeat(320 * 180 / 2);
    let (camera, _source) = play_camera(&stage, mode, 90, |n| {
        let away = n == 20 || (50..70).contains(&n);
        (!away).then(|| (grey.clone(), Mono(start + n * 1_000_000_000 / FPS)))
    });
    stage.wait("all pictures", |taken| taken.pictures.len() >= 70);
    let pictures = stage.pictures();
    let first = pictures[0].index.0;
    let indexes: Vec<u64> = pictures.iter().map(|picture| picture.index.0 - first).collect();
    assert_eq!(indexes, (0..50).chain(70..90).collect::<Vec<u64>>());
    let noted =
        |from, to| stage.context.links.repeated_between(slot(2), FrameIndex(first + from), FrameIndex(first + to));
    assert_eq!((noted(0, 20), noted(20, 21), noted(21, 90)), (0, 1, 0));
    camera.pipeline().set_state(gst::State::Null).unwrap();
}

#[test]
fn a_camera_that_is_not_there_fails_as_a_device() {
    let mut stage = Stage::open();
    let mode = Mode { format: PixelFormat::Mjpeg, width: 640, height: 360, rate: Rate::new(30, 1) };
    let _running = stage.start(1, CaptureSource::V4l2 { node: "/dev/video-none".to_owned(), mode });
    assert_eq!(stage.wait_fact(1, failed), ErrorClass::Device);
}

#[test]
fn a_sound_card_of_another_format_becomes_the_slots_contiguous_sound() {
    let mut stage = Stage::open();
    let source = gst_app::AppSrc::builder().format(gst::Format::Time).is_live(true).build();
    let caps = gst::Caps::builder("audio/x-raw").field("format", "S16LE").field("layout", "interleaved");
    source.set_caps(Some(&caps.field("rate", 44_100i32).field("channels", 1i32).build()));
    let reporter = stage.context.reporter(Job::Sound(slot(2)), Epoch(1));
    let card = Card::around(&stage.context, slot(2), source.upcast_ref(), &reporter).unwrap();
    stage.context.timing.apply(card.pipeline());
    card.pipeline().set_state(gst::State::Playing).unwrap();
    let start = stage.context.timing.now().0;
    for block in 0..100u64 {
        let sine = |n: u64| (f64::sin(n as f64 / 44_100.0 * 440.0 * std::f64::consts::TAU) * 3_276.7) as i16;
        let data: Vec<u8> = (block * 441..(block + 1) * 441).flat_map(|n| sine(n).to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(data);
        // Stamped when heard, with some milliseconds of unevenness.
        let at = Mono(start + block * 10_000_000 + block * 7_919 % 5 * 1_000_000);
        buffer.get_mut().unwrap().set_pts(stage.context.timing.running(at));
        let _ = stage.context.timing.clock().new_single_shot_id(gst::ClockTime::from_nseconds(at.0)).wait();
        source.push_buffer(buffer).unwrap();
    }
    stage.wait_fact(1, first_buffer);
    stage
        .wait("most of a second", |taken| taken.sound.iter().map(|(_, samples)| samples.len()).sum::<usize>() > 45_000);
    for pair in stage.sound().windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + pair[0].1.len() as u64);
    }
    let gauges = stage.context.gauges.lock().unwrap().slots[&slot(2)].clone();
    assert!(
        gauges.audio_dbfs.len() == 2 && gauges.audio_dbfs.iter().all(|level| (level + 20.0).abs() < 0.3),
        "{gauges:?}"
    );
    card.pipeline().set_state(gst::State::Null).unwrap();
}

#[test]
fn a_sound_card_that_is_not_there_fails_as_a_device() {
    let mut stage = Stage::open();
    let wish = Sound { epoch: Epoch(1), device: "hw:CARD=None,DEV=0".to_owned() };
    let _running = Running(Actor::start(&stage.context, Wish::Sound(slot(2), wish), |_| ()).unwrap());
    assert_eq!(stage.wait_fact(1, failed), ErrorClass::Device);
}

/// A two-second file of 25 fps whose pictures brighten from 20 to 216 over its length, with a tone.
fn film(name: &str) -> String {
    let path = std::env::temp_dir().join(format!("cuebox-{}-{name}.mkv", std::process::id()));
    let line = format!(
        "appsrc name=in format=time caps=video/x-raw,format=GRAY8,width=320,height=180,framerate=25/1 ! videoconvert ! \
         x264enc speed-preset=ultrafast ! matroskamux name=m ! filesink location={} \
         audiotestsrc num-buffers=100 samplesperbuffer=960 volume=0.1 ! audio/x-raw,rate=48000 ! opusenc ! m.",
        path.display()
    );
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    let source = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for n in 0..50u64 {
        let mut buffer = gst::Buffer::from_mut_slice(vec![(n * 4 + 20) as u8; 320 * 180]);
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(n * 40));
        buffer.get_mut().unwrap().set_duration(gst::ClockTime::from_mseconds(40));
        source.push_buffer(buffer).unwrap();
    }
    source.end_of_stream().unwrap();
    let bus = pipeline.bus().unwrap();
    let end =
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &[gst::MessageType::Eos, gst::MessageType::Error]);
    assert!(matches!(end.unwrap().view(), gst::MessageView::Eos(_)));
    pipeline.set_state(gst::State::Null).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn a_repeated_file_fills_every_frame_over_its_joints() {
    let mut stage = Stage::open();
    let path = film("repeated");
    let _running = stage.start(1, CaptureSource::File { path: path.clone(), repeat: true });
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(6 * FPS as usize);
    let pictures = stage.pictures();
    std::fs::remove_file(path).unwrap();
    assert_contiguous(&pictures);
    let joints: Vec<usize> =
        (1..pictures.len()).filter(|n| pictures[n - 1].middle > 100 + pictures[*n].middle.min(150)).collect();
    assert!(joints.len() >= 2, "it came round: {joints:?}");
    for pair in joints.windows(2) {
        assert!((59..=61).contains(&(pair[1] - pair[0])), "a round is two seconds: {joints:?}");
    }
    for pair in stage.sound().windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + pair[0].1.len() as u64, "sound without a gap");
    }
    let loud = stage.sound().iter().filter(|(_, samples)| samples.iter().any(|sample| sample.abs() > 0.05)).count();
    assert!(loud > 4 * FPS as usize, "{loud} frames with sound");
}

#[test]
fn a_file_that_is_played_once_is_shown_to_its_end_and_then_told_ended() {
    let mut stage = Stage::open();
    let path = film("once");
    let _running = stage.start(1, CaptureSource::File { path: path.clone(), repeat: false });
    stage.wait_fact(1, |fact| matches!(fact, Fact::Ended).then_some(()));
    let pictures = stage.pictures();
    std::fs::remove_file(path).unwrap();
    assert_contiguous(&pictures);
    assert!((58..=61).contains(&pictures.len()), "two seconds: {}", pictures.len());
    assert!(pictures.last().unwrap().middle > 180, "the last picture was shown");
}

/// Streams a moving picture and a tone by SRT until dropped.
struct SrtServer(gst::Pipeline);

impl SrtServer {
    fn start(port: u16) -> Self {
        let line = format!(
            "videotestsrc is-live=true pattern=smpte ! video/x-raw,width=320,height=180,framerate=25/1 ! \
             x264enc tune=zerolatency key-int-max=10 speed-preset=ultrafast ! h264parse config-interval=-1 ! mpegtsmux name=m alignment=7 ! \
             srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false \
             audiotestsrc is-live=true volume=0.1 ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! m."
        );
        let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self(pipeline)
    }
}

impl Drop for SrtServer {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

#[test]
fn a_network_stream_is_shown_on_every_frame_with_its_sound() {
    let mut stage = Stage::open();
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = SrtServer::start(free);
    let url = Url::new(format!("srt://127.0.0.1:{free}?mode=caller&latency=50"));
    let _running = stage.start(1, CaptureSource::Network { url });
    stage.wait_fact(1, first_buffer);
    // The first second finds out how evenly the stream comes.
    stage.wait_pictures(FPS as usize);
    let settled = stage.pictures().len();
    stage.wait_pictures(3 * FPS as usize);
    let pictures = stage.pictures();
    drop(server);
    assert_contiguous(&pictures[settled..]);
    assert!(pictures.iter().all(|picture| picture.middle > 60), "the bars' green is in the middle");
    let loud = stage.sound().iter().filter(|(_, samples)| samples.iter().any(|sample| sample.abs() > 0.05)).count();
    assert!(loud > 2 * FPS as usize, "{loud} frames with sound");
    for pair in stage.sound().windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + pair[0].1.len() as u64, "sound without a gap");
    }
}

#[test]
fn what_cannot_be_played_is_told_with_its_class() {
    let broken = std::env::temp_dir().join(format!("cuebox-{}-broken.mp4", std::process::id()));
    std::fs::write(&broken, b"this is no film").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = |path: &str| CaptureSource::File { path: path.to_owned(), repeat: true };
    let table = [
        (file("/nowhere/film.mp4"), ErrorClass::Device),
        (file(&broken.to_string_lossy()), ErrorClass::Format),
        (CaptureSource::Network { url: Url::new(format!("rtmp://{free}/live/a")) }, ErrorClass::ConnectionRefused),
        (CaptureSource::Network { url: Url::new(format!("rtsp://{free}/a")) }, ErrorClass::ConnectionRefused),
    ];
    let mut stage = Stage::open();
    for (epoch, (source, class)) in (1..).zip(table) {
        let _running = stage.start(epoch, source.clone());
        assert_eq!(stage.wait_fact(epoch, failed), class, "{source:?}");
    }
    std::fs::remove_file(broken).unwrap();
}

#[test]
fn without_marks_there_is_neither_flash_nor_burst() {
    let mut stage = Stage::open();
    let _running = stage.start(1, CaptureSource::Test { marks: false, tone_hz: None });
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(FPS as usize + 5);
    assert!(
        stage.pictures().iter().all(|picture| picture.marks.is_none() && picture.flash < 200 && picture.middle > 16)
    );
    assert!(stage.sound().iter().all(|(_, samples)| samples.iter().all(|sample| *sample == 0.0)));
}
