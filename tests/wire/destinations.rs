//! Destinations beside the uplink: SRT and WHIP, each killed and returned, while LiveKit's viewers notice nothing.

use std::path::Path;

use super::harness::{CueBox, alone, five_cameras, until};
use super::lab::WORLD;
use super::marks;
use super::seen::Arrival;
use super::servers::{self, LIVEKIT_PORT, SRT_PORT};
use super::stage::{ROOM, Stage, is, livekit_leg, livekit_url};
use super::viewer::{Viewer, now_ms};

const PASSPHRASE: &str = "a-passphrase-of-the-bench";
const WHIP: &str = "whip-box";

fn legs() -> String {
    livekit_leg(&livekit_url(), "")
        + &format!(
            "[[leg]]\nname = \"srt\"\nkind = \"srt\"\nurl = \"srt://{WORLD}:{SRT_PORT}\"\npassphrase_file = \"passphrase\"\n\
             [[leg]]\nname = \"whip\"\nkind = \"whip\"\nurl = \"http://{WORLD}:{LIVEKIT_PORT}/whip/v1\"\nroom = \"{ROOM}-whip\"\n\
             identity = \"{WHIP}\"\ntoken = {{ key = \"{}\", secret_file = \"api-secret\" }}\n[record]\nslots = false\n",
            servers::API_KEY
        )
}

#[test]
fn srt_and_whip_carry_beside_livekit_and_return_after_they_were_killed() {
    let _alone = alone();
    let stage = Stage::bare("destinations").with_livekit();
    std::fs::write(stage.path().join("passphrase"), PASSPHRASE).unwrap();
    let first = stage.path().join("first.ts");
    let listener = servers::srt_listener(&stage.lab, stage.path(), Some(PASSPHRASE), &first);
    let cuebox = stage.start(&five_cameras(&legs()));
    let viewer = stage.viewer();
    let whip = stage.viewer_of(&format!("{ROOM}-whip"), "whip-viewer");
    for leg in ["livekit", "srt", "whip"] {
        cuebox.wait(&format!("{leg} carries"), 40, |status| is(status, leg, "carrying"));
    }
    let name =
        whip.wait("the WHIP stream has pictures", 20, |seen| seen.frames.last().map(|frame| frame.track.clone()));
    viewer.wait_frames("program", 30, 20);

    let from = now_ms();
    viewer.watch_until(from + 30_000.0);
    whip.watch_until(from + 30_000.0);
    assert_arrived(&whip, &name, from, from + 30_000.0);

    kill_and_return_srt(&stage, &cuebox, listener, &first);
    stage.host(&["remove", &format!("{ROOM}-whip"), WHIP]);
    let removed = now_ms();
    cuebox.wait("the removed WHIP leg is seen", 10, |status| !is(status, "whip", "carrying"));
    cuebox.wait("WHIP carries again", 90, |status| is(status, "whip", "carrying"));
    let back = whip.wait("WHIP's viewers have pictures again", 30, |seen| {
        seen.frames.iter().find(|frame| frame.t > removed + 500.0).map(|frame| frame.t)
    });
    println!("WHIP back after {:.1} s", (back - removed) / 1e3);
    let to = now_ms();
    viewer.watch_until(to);
    assert_arrived(&viewer, "program", from, to);
    drop((viewer, whip));
    stage.end(cuebox);
}

#[track_caller]
fn assert_arrived(viewer: &Viewer, track: &str, from: f64, to: f64) {
    let seen = viewer.seen();
    let arrival = Arrival::of(&seen.frames(track, from, to));
    let stall = seen.longest_stall(track, from, to);
    println!("{track}: {arrival:?}, longest stall {stall:.0} ms");
    assert!(arrival.share() >= 0.995 && arrival.backwards == 0, "{track}: {arrival:?}");
    assert!(stall < 500.0, "{track} stood for {stall:.0} ms");
}

fn kill_and_return_srt(stage: &Stage, cuebox: &CueBox, mut listener: servers::Server, first: &Path) {
    listener.kill();
    let killed = now_ms();
    cuebox.wait("the killed listener is seen", 10, |status| !is(status, "srt", "carrying"));
    println!("SRT: seen after {:.1} s", (now_ms() - killed) / 1e3);
    let got = frames_of(first);
    assert!(got.0 >= 880 && got.1 >= 0.995, "SRT: {got:?} of 30 s arrived");
    let second = stage.path().join("second.ts");
    let _listener = servers::srt_listener(&stage.lab, stage.path(), Some(PASSPHRASE), &second);
    cuebox.wait("SRT carries again", 60, |status| is(status, "srt", "carrying"));
    until("SRT's file grows", 20, || std::fs::metadata(&second).is_ok_and(|meta| meta.len() > 200_000));
    println!("SRT: carries again after {:.1} s", (now_ms() - killed) / 1e3);
}

/// Readable frames of a file, and how many of those between its first and its last they are.
fn frames_of(file: &Path) -> (usize, f64) {
    let found: Vec<u32> = marks::read(file, 640, 360).into_iter().flatten().map(|mark| mark.frame).collect();
    let expected = found.first().zip(found.last()).map_or(1, |(first, last)| last - first + 1);
    (found.len(), found.len() as f64 / f64::from(expected))
}
