//! Cameras and sound cards, played by hand, and ones that are not there.

use cuebox_core::device::{Mode, PixelFormat, Rate};
use cuebox_core::director::{CaptureSource, ErrorClass, Job, Sound};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::Epoch;
use cuebox_core::time::Mono;
use gst::prelude::*;

use super::stage::{FPS, Running, Stage, assert_contiguous, failed, first_buffer, slot};
use crate::media::actor::Actor;
use crate::media::capture::camera::Camera;
use crate::media::capture::card::Card;
use crate::media::part::{Mailbox, Part};
use crate::media::plan::Wish;

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
    assert_eq!(stage.context.links.repeats().between(slot(2), first, last), 0, "a conversion is no loss");
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
        |from, to| stage.context.links.repeats().between(slot(2), FrameIndex(first + from), FrameIndex(first + to));
    assert_eq!((noted(0, 20), noted(20, 21), noted(21, 90)), (0, 1, 0));
    camera.pipeline().set_state(gst::State::Null).unwrap();
}

#[test]
fn a_camera_that_is_not_there_fails_as_a_device() {
    let mut stage = Stage::open();
    let mode = Mode { format: PixelFormat::Mjpeg, width: 640, height: 360, rate: Rate::new(30, 1) };
    let _running =
        stage.start(1, CaptureSource::V4l2 { node: "/dev/video-none".to_owned(), mode, controls: Vec::new() });
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
