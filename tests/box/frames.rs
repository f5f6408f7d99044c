//! Frame-exactness, read from the marks in the recorded files.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::{CueBox, Folder, alone, five_cameras, manifest, segments, timeline, until};
use super::marks::{self, Mark};

const FPS: f64 = 30.0;
const CUTS: usize = 200;

/// A track's frames on the show's axis, mark − origin, each with its mark: none is missing, doubled or out of its place.
pub fn assert_unbroken(show: &Path, track: &str) -> Vec<(u64, Option<Mark>)> {
    let origin = manifest(show)["origin"].as_u64().unwrap();
    let mut frames: Vec<(u64, Option<Mark>)> = Vec::new();
    for (file, entry) in segments(show, track) {
        let first = entry["first_frame"].as_u64().unwrap();
        let marks = marks::read(&file, 640, 360);
        assert_eq!(marks.len() as u64, entry["frames"].as_u64().unwrap(), "{}", file.display());
        for (k, mark) in marks.into_iter().enumerate() {
            let frame = first + k as u64;
            if let Some(mark) = mark {
                let expected = ((origin + frame) & 0xff_ffff) as u32;
                assert_eq!(mark.frame, expected, "{} picture {k} is not show frame {frame}", file.display());
            }
            frames.push((frame, mark));
        }
    }
    assert!(frames.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1), "{track} misses or doubles a frame");
    frames
}

/// What the timeline says is on air in each frame: (first frame, slot).
fn on_air(lines: &[Value]) -> Vec<(u64, u8)> {
    let cuts = lines.iter().filter(|line| line["kind"] == "on_air");
    cuts.map(|line| (line["frame"].as_u64().unwrap(), line["slot"].as_u64().unwrap() as u8)).collect()
}

#[test]
fn two_hundred_random_cuts_lose_and_double_nothing_and_the_timeline_tells_each_frame() {
    let _alone = alone();
    let folder = Folder::new("frames");
    let cuebox = CueBox::start(&folder, &five_cameras("[record]\nsegment_minutes = 0.1\n"));
    cuebox.wait_live(5);
    let mut state = 20_261_121u64;
    let mut slot = 1;
    for _ in 0..CUTS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        slot = (slot + (state >> 33) % 4) % 5 + 1;
        cuebox.done(&["cut", &slot.to_string()]);
        cuebox.wait("the cut is on air", 10, |status| status["program"]["on_air"] == slot);
    }
    let show = cuebox.show();
    cuebox.stop();

    let frames = assert_unbroken(&show, "program");
    let cuts = on_air(&timeline(&show));
    assert!(cuts.len() >= CUTS, "only {} cuts are in the timeline", cuts.len());
    let mut judged = 0;
    for (frame, mark) in &frames {
        let Some((_, slot)) = cuts.iter().rev().find(|(first, _)| first <= frame) else { continue };
        assert_eq!(mark.map(|mark| mark.slot), Some(*slot), "program frame {frame}");
        judged += 1;
    }
    assert!(judged >= CUTS, "only {judged} frames were judged");
    assert!(segments(&show, "program").len() >= 2, "no segment was rotated");
    for number in 1..=5 {
        let track = format!("slot-{number}");
        let frames = assert_unbroken(&show, &track);
        assert!(frames.iter().all(|(_, mark)| mark.is_some_and(|mark| mark.slot == number)), "{track}");
    }
}

/// Length of the long file: 65 s, or as many minutes (up to 230) as `CUEBOX_AV_MINUTES` says.
fn long_file() -> Duration {
    let minutes = std::env::var("CUEBOX_AV_MINUTES").ok();
    let seconds = minutes.map_or(65.0, |text| 60.0 * text.parse::<f64>().expect("CUEBOX_AV_MINUTES is a number"));
    Duration::from_secs_f64(seconds)
}

/// Sound after picture in ms, for each flash of a file.
#[track_caller]
fn offsets_ms(file: &Path) -> Vec<f64> {
    let bursts = marks::bursts(file);
    let nearest = |flash: f64| {
        let offsets = bursts.iter().map(|burst| burst - flash);
        offsets.min_by(|a, b| a.abs().total_cmp(&b.abs())).expect("a burst")
    };
    marks::flashes(file, 640, 360, FPS).into_iter().map(|flash| 1_000.0 * nearest(flash)).collect()
}

#[test]
fn sound_and_picture_stay_together_from_the_start_to_the_end_of_a_long_file() {
    let _alone = alone();
    let folder = Folder::new("av");
    let length = long_file();
    // One file, however long it is.
    let cuebox = CueBox::start(&folder, &five_cameras("[record]\nsegment_minutes = 240\n"));
    cuebox.wait_live(5);
    let began = Instant::now();
    until("the file is long enough", length.as_secs() + 60, || began.elapsed() > length);
    let show = cuebox.show();
    cuebox.stop();
    for track in ["program", "slot-2"] {
        let (file, _) = segments(&show, track).into_iter().next().unwrap();
        let offsets = offsets_ms(&file);
        assert!(offsets.len() as f64 >= length.as_secs_f64() * 0.75, "{track}: {} flashes", offsets.len());
        let early = &offsets[1..6];
        let late = &offsets[offsets.len() - 6..offsets.len() - 1];
        let worst = offsets.iter().map(|ms| ms.abs()).fold(0.0, f64::max);
        println!("{track}, {} s: A/V offset {early:.1?} … {late:.1?} ms, at most {worst:.1}", offsets.len());
        assert!(early.iter().chain(late).all(|ms| ms.abs() <= 20.0), "{track}: {early:.1?} … {late:.1?}");
    }
}
