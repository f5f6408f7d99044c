//! A show from the operator's side: slate, failover, hold, markers, sound, journal.

use std::process::Command;

use serde_json::Value;

use super::harness::{CueBox, Folder, alone, decoded_frames, five_cameras, program, segments, timeline};

fn on_air(status: &Value) -> Option<u64> {
    status["program"]["on_air"].as_u64()
}

#[test]
fn a_first_show_in_ten_lines() {
    let _alone = alone();
    let folder = Folder::new("first");
    let cuebox = CueBox::start(&folder, &five_cameras("[show]\nautostart = false\n"));
    cuebox.wait("the start slot is on air", 30, |status| on_air(status) == Some(1));
    assert_eq!(cuebox.status().unwrap()["recording"]["state"], "idle");
    cuebox.done(&["show", "start", "Wedding"]);
    let status = cuebox.wait_live(5);
    assert_eq!(status["show"]["name"], "Wedding");
    assert!(cuebox.refused(&["take"]).contains("preview"));
    cuebox.done(&["preview", "2"]);
    cuebox.done(&["take"]);
    let status = cuebox.wait("2 is on air", 10, |status| on_air(status) == Some(2));
    assert_eq!(status["program"]["preview"], 1);
    cuebox.done(&["marker", "the rings"]);
    cuebox.done(&["slate", "on"]);
    cuebox.wait("the slate is on air", 10, |status| status["program"]["slate"] == true && on_air(status).is_none());
    cuebox.done(&["cut", "3"]);
    cuebox.done(&["slate", "off"]);
    cuebox.wait("3 returns", 10, |status| on_air(status) == Some(3));
    cuebox.done(&["auto", "fade", "300"]);
    cuebox.wait("1 fades in", 10, |status| on_air(status) == Some(1));
    cuebox.done(&["audio", "mode", "mix"]);
    cuebox.done(&["audio", "gain", "2", "-6"]);
    cuebox.done(&["rename", "4", "Organ"]);
    cuebox.wait("the new name", 5, |status| status["slots"][3]["name"] == "Organ");
    cuebox.done(&["show", "stop"]);
    cuebox.wait("recording has ended", 15, |status| status["recording"]["state"] == "idle");

    let show = cuebox.show();
    let kinds: Vec<String> =
        timeline(&show).iter().map(|line| line["kind"].as_str().unwrap_or_default().to_owned()).collect();
    for kind in ["show_started", "on_air", "marker", "slate", "show_stopped"] {
        assert!(kinds.iter().any(|it| it == kind), "{kind} is not in {kinds:?}");
    }
    for track in ["program", "slot-1", "slot-5"] {
        let (file, entry) = segments(&show, track).remove(0);
        assert_eq!(entry["clean"], true);
        assert_eq!(decoded_frames(&file), entry["frames"].as_u64().unwrap());
    }
    cuebox.stop();
}

#[test]
fn a_journal_of_a_real_run_replays_to_the_same_status() {
    let _alone = alone();
    let folder = Folder::new("replay");
    let cuebox = CueBox::start(&folder, &five_cameras(""));
    cuebox.wait_live(5);
    for slot in ["2", "3", "2", "5"] {
        cuebox.done(&["cut", slot]);
    }
    cuebox.done(&["hold", "on"]);
    cuebox.stop();
    let journal = std::fs::read_dir(folder.path().join("data/journal")).unwrap().flatten().next().unwrap().path();
    let verify = Command::new(program()).arg("replay").arg(&journal).arg("--verify").output().unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
    let replay = Command::new(program()).arg("replay").arg(&journal).output().unwrap();
    let text = String::from_utf8(replay.stdout).unwrap();
    assert!(text.contains("\"on_air\":5") && text.contains("\"held\":true"), "the replay does not show the run");
}
