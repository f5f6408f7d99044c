//! What a viewer of the room gets: every frame, the sound with it, each cut once, and the camera's name.

use serde_json::Value;

use super::harness::{CueBox, alone, five_cameras};
use super::seen::{Arrival, Seen};
use super::stage::{IDENTITY, Stage, is, livekit_leg, livekit_url};
use super::viewer::{Viewer, now_ms};

const PROGRAM: &str = "program";
const WATCHED_MS: f64 = 30_000.0;
const CUTS: usize = 100;
/// Sound after its picture. It leaves the box before it; players hold it back by what is unsteady.
const TOGETHER_MS: std::ops::RangeInclusive<f64> = -20.0..=60.0;
/// The same, while the machine is busy.
const UNSTEADY_MS: std::ops::RangeInclusive<f64> = -60.0..=300.0;
/// From the mixer's fact to the viewer.
const TOLD_WITHIN_MS: f64 = 100.0;

#[test]
fn viewers_get_every_frame_with_its_sound_and_each_of_a_hundred_cuts_once_and_know_the_camera() {
    let _alone = alone();
    let stage = Stage::bare("program").with_livekit();
    let viewer = stage.viewer();
    viewer.wait("the viewer is in the room", 20, |seen| seen.events("joined").first().map(|_| ()));
    let config = five_cameras(&(livekit_leg(&livekit_url(), "") + "[record]\nslots = false\n"));
    let cuebox = stage.start(&config);
    cuebox.wait("the leg carries", 30, |status| is(status, "livekit", "carrying"));
    viewer.wait_frames(PROGRAM, 60, 20);

    let from = now_ms();
    viewer.watch_until(from + WATCHED_MS);
    assert_whole(&viewer.seen(), from, from + WATCHED_MS);
    assert_published_as_promised(&viewer.seen());

    let cuts_from = now_ms();
    let cuts = random_cuts(&cuebox, &viewer);
    assert_late_joiner_knows(&stage, &cuebox, *cuts.last().unwrap());
    // A server that misses something of a participant sends it away after a minute.
    viewer.watch_until(from + 75_000.0);
    let seen = viewer.leave();
    let gone = seen.events("went").into_iter().filter(|event| event["who"] == IDENTITY).count();
    assert_eq!(gone, 0, "the box left the room by itself");
    assert_cuts(&seen, cuts_from, &cuts);
    stage.end(cuebox);
}

fn assert_whole(seen: &Seen, from: f64, to: f64) {
    let arrival = Arrival::of(&seen.frames(PROGRAM, from, to));
    let offsets = seen.sound_after_picture(PROGRAM, from, to);
    let stall = seen.longest_stall(PROGRAM, from, to);
    println!("{arrival:?}, longest stall {stall:.0} ms, sound after picture {offsets:.0?} ms");
    assert!(arrival.expected >= 890, "{arrival:?}");
    assert!(arrival.share() >= 0.995 && arrival.backwards == 0, "{arrival:?}");
    let pitch = seen.pitch(PROGRAM, from, to).expect("there is sound");
    assert!((pitch - 400.0).abs() < 2.0, "the tone of slot 1 is at {pitch} Hz");
    assert!(seen.longest_silence(PROGRAM, from, to) < 250.0, "the sound broke");
    assert!(offsets.len() >= 25, "{} flashes were seen with their bursts", offsets.len());
    // A busy machine's unsteadiness only adds to it, for some seconds each time: the least of it is the box's.
    let mut sorted = offsets.clone();
    sorted.sort_by(f64::total_cmp);
    assert!(TOGETHER_MS.contains(&sorted[sorted.len() / 8]), "sound after picture: {offsets:.1?} ms");
    assert!(sorted.iter().all(|ms| UNSTEADY_MS.contains(ms)), "sound after picture: {offsets:.1?} ms");
}

fn assert_published_as_promised(seen: &Seen) {
    let mut promised: Vec<[&str; 4]> = Vec::new();
    for event in seen.events("published").into_iter().filter(|event| event["who"] == IDENTITY) {
        promised.push(["media", "track", "source", "codec"].map(|key| event[key].as_str().unwrap_or_default()));
    }
    promised.sort_unstable();
    assert_eq!(promised, [["audio", PROGRAM, "microphone", "audio/opus"], ["video", PROGRAM, "camera", "video/h264"]]);
}

/// Cuts at random, each when the viewer has seen the one before; gives the slots in their order.
fn random_cuts(cuebox: &CueBox, viewer: &Viewer) -> Vec<u64> {
    let mut state = 20_261_121u64;
    let mut slots = vec![1];
    for _ in 0..CUTS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let slot = (slots[slots.len() - 1] + (state >> 33) % 4) % 5 + 1;
        cuebox.done(&["cut", &slot.to_string()]);
        viewer.wait("the cut arrives", 5, |seen| {
            seen.frames.last().and_then(|frame| frame.mark).filter(|mark| mark.slot == slot).map(|_| ())
        });
        slots.push(slot);
    }
    slots
}

fn assert_cuts(seen: &Seen, from: f64, cuts: &[u64]) {
    let marks: Vec<_> =
        seen.frames(PROGRAM, from - 200.0, f64::MAX).into_iter().filter_map(|frame| frame.mark).collect();
    let mut switches = vec![marks[0]];
    for mark in &marks {
        if mark.slot != switches[switches.len() - 1].slot {
            switches.push(*mark);
        }
    }
    let shown: Vec<u64> = switches.iter().map(|mark| mark.slot).collect();
    assert_eq!(shown, cuts, "each cut is one clean switch");
    let told: Vec<(f64, Value)> = seen.messages("cuebox.program").into_iter().filter(|(t, _)| *t >= from).collect();
    let mut late = Vec::new();
    // Both counts are of the show's rate; the message's begins with the show.
    let mut origins = Vec::new();
    for switch in &switches[1..] {
        let pushed = switch.pushed_ms as f64;
        let of_it = told.iter().filter(|(_, message)| message["on_air"] == switch.slot);
        let near = of_it.min_by(|(a, _), (b, _)| (a - pushed).abs().total_cmp(&(b - pushed).abs()));
        let (t, message) = near.unwrap_or_else(|| panic!("no message tells of {switch:?}: {told:?}"));
        assert_eq!(message["name"], format!("Camera {}", switch.slot));
        let frame = message["frame"].as_u64().expect("the message tells the frame");
        origins.push((switch.number + (1 << 24) - (frame & 0xff_ffff)) & 0xff_ffff);
        late.push(t - switch.pushed_ms as f64);
    }
    late.sort_by(f64::total_cmp);
    println!(
        "message after the new camera's first picture was made: {:.0} ms p50, {:.0} at most",
        late[late.len() / 2],
        late[late.len() - 1]
    );
    origins.dedup();
    assert_eq!(origins.len(), 1, "every message names the first frame that shows the camera: {origins:?}");
    // The mixer's fact comes within its budget of two frames.
    assert!(late[late.len() - 1] <= TOLD_WITHIN_MS + 2.0 * 1000.0 / 30.0, "{late:.0?}");
}

/// Someone who comes later has a picture within a second, and is told the camera.
fn assert_late_joiner_knows(stage: &Stage, cuebox: &CueBox, slot: u64) {
    for round in 0..3 {
        let late = stage.viewer_of(super::stage::ROOM, &format!("late-{round}"));
        let joined = late.wait("a late viewer is in the room", 20, |seen| {
            seen.events("joined").first().map(|it| it["t"].as_f64().unwrap())
        });
        let first = late.wait("a late viewer has a picture", 10, |seen| seen.frames.first().map(|frame| frame.t));
        println!("late viewer: first picture after {:.0} ms", first - joined);
        assert!(first - joined <= 1_000.0, "the picture came {:.0} ms after the join", first - joined);
        late.wait("a late viewer knows the camera", 3, |seen| {
            let told = seen.messages("cuebox.program").into_iter().map(|(_, message)| message);
            let attributes = seen
                .events("attributes")
                .into_iter()
                .filter_map(|event| serde_json::from_str(event["attributes"]["cuebox.program"].as_str()?).ok());
            told.chain(attributes).last().filter(|known: &Value| known["on_air"] == slot).map(|_| ())
        });
        cuebox.wait("both viewers are counted", 10, |status| status["viewers"]["now"] == 2);
        let seen = late.leave();
        assert_eq!(seen.frames.iter().find_map(|frame| frame.mark).map(|mark| mark.slot), Some(slot));
    }
    cuebox.wait("one viewer is left", 10, |status| status["viewers"]["now"] == 1 && status["viewers"]["peak"] == 2);
}
