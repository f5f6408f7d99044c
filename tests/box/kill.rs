//! The process is killed at random moments; nothing that was on disk may be lost.

use std::time::{Duration, Instant};

use super::harness::{CueBox, Folder, alone, decoded_frames, five_cameras, manifest, pause, segments, timeline};

const FPS: u64 = 30;
/// Frames between the last look at the clock and the kill, on a busy machine.
const SLACK: u64 = 6;

#[test]
fn killed_at_twenty_random_moments_every_file_plays_up_to_a_second_before() {
    let _alone = alone();
    let folder = Folder::new("kill");
    let config = five_cameras("[record]\nsegment_minutes = 0.1\n");
    let mut state = 42u64;
    let mut kills = Vec::new();
    for round in 0..20 {
        let cuebox = CueBox::start(&folder, &config);
        cuebox.wait("recording goes on", 40, |status| {
            status["recording"]["state"] == "recording" && status["recording"]["files"].as_u64() > Some(0)
        });
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let until = Instant::now() + Duration::from_millis((state >> 33) % 4_000);
        while Instant::now() < until {
            pause();
        }
        let origin = manifest(&cuebox.show())["origin"].as_u64().unwrap();
        cuebox.kill();
        kills.push(frame_now() - origin);
        assert_eq!(shows(&folder), 1, "round {round}: the show goes on in a new segment, not as a new show");
    }
    let cuebox = CueBox::start(&folder, &config);
    cuebox.wait_live(5);
    let show = cuebox.show();
    cuebox.stop();

    let on_disk = media_files(&show);
    let manifest = manifest(&show);
    let listed = manifest["segments"].as_array().unwrap();
    assert_eq!(on_disk, listed.len(), "every file is in the manifest and every entry has its file");
    let mut unclean = 0;
    for track in ["program", "slot-1", "slot-2", "slot-3", "slot-4", "slot-5"] {
        let mut end = 0;
        for (file, entry) in segments(&show, track) {
            assert_eq!(decoded_frames(&file), entry["frames"].as_u64().unwrap(), "{}", file.display());
            assert!(entry["first_frame"].as_u64().unwrap() >= end, "{} overlaps the one before", file.display());
            end = end_of(&entry);
            unclean += usize::from(entry["clean"] == false);
        }
    }
    assert!(unclean >= 20, "only {unclean} segments are marked as not sealed in order");
    let ends: Vec<u64> = segments(&show, "program").iter().map(|(_, entry)| end_of(entry)).collect();
    let begun: Vec<u64> = timeline(&show)
        .iter()
        .filter(|line| line["kind"] == "show_started" || line["kind"] == "resumed")
        .map(|line| line["frame"].as_u64().unwrap())
        .collect();
    for kill in kills {
        // What was recorded for less than a second when it was killed may be lost whole.
        let before = ends.iter().chain(&begun).copied().filter(|frame| *frame <= kill + 2);
        let reached = before.max().unwrap_or(0);
        assert!(reached + FPS + SLACK >= kill, "killed at frame {kill}, the files reach {reached}");
    }
}

#[test]
fn what_was_set_before_a_kill_is_found_again() {
    let _alone = alone();
    let folder = Folder::new("settings");
    let config = five_cameras("");
    let cuebox = CueBox::start(&folder, &config);
    cuebox.wait_live(5);
    cuebox.done(&["rename", "2", "Altar, left"]);
    cuebox.done(&["audio", "gain", "2", "-6"]);
    cuebox.done(&["audio", "mute", "4", "on"]);
    cuebox.done(&["cut", "3"]);
    // Killed as soon as it was said to be done.
    cuebox.kill();

    let cuebox = CueBox::start(&folder, &config);
    let status = cuebox.wait("slot 3 is on air again", 30, |status| status["program"]["on_air"] == 3);
    assert_eq!(status["slots"][1]["name"], "Altar, left");
    let audio = &status["audio"]["slots"];
    assert_eq!((&audio["2"]["gain_db"], &audio["4"]["mute"]), (&(-6.0).into(), &true.into()), "{audio}");
    cuebox.stop();

    // The show was ended in order: the next one begins as configured, under the names that were given.
    let cuebox = CueBox::start(&folder, &config);
    let status = cuebox.wait("slot 1 is on air", 30, |status| status["program"]["on_air"] == 1);
    let audio = &status["audio"]["slots"];
    assert_eq!((&status["slots"][1]["name"], &audio["4"]["mute"]), (&"Altar, left".into(), &false.into()), "{audio}");
    cuebox.stop();
}

fn end_of(entry: &serde_json::Value) -> u64 {
    entry["first_frame"].as_u64().unwrap() + entry["frames"].as_u64().unwrap()
}

/// The frame of the machine's grid at this moment.
fn frame_now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64) * FPS + (now.tv_nsec as u64) * FPS / 1_000_000_000
}

fn shows(folder: &Folder) -> usize {
    std::fs::read_dir(folder.path().join("data/shows")).unwrap().count()
}

fn media_files(show: &std::path::Path) -> usize {
    let tracks = std::fs::read_dir(show).unwrap().flatten().filter(|entry| entry.path().is_dir());
    tracks.map(|track| std::fs::read_dir(track.path()).unwrap().count()).sum()
}
