//! The process dies of a fault in one of its threads, again and again, as of a bad driver: the fault is real, a signal
//! to the very thread, and so is its end.

#![expect(unsafe_code, reason = "a signal to one thread of another process: no safe call sends it")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::harness::{CueBox, Folder, alone, decoded_frames, five_cameras, live_slots, program, segments, until};

/// The threads of this name: the one that watches a pipeline, and those that stream for it.
fn threads(process: u32, name: &str) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let named =
        tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    named.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// A bad address, met by a thread of this name that streams.
fn crash(cuebox: &mut CueBox, name: &str) {
    until(&format!("something streams for {name}"), 30, || threads(cuebox.pid(), name).len() >= 2);
    let newest = threads(cuebox.pid(), name).into_iter().max().unwrap();
    let process = i32::try_from(cuebox.pid()).unwrap();
    // SAFETY: a system call with three numbers.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, newest, libc::SIGSEGV) };
    assert_eq!(sent, 0);
    assert_eq!(cuebox.wait_exit(15), None, "a signal ended it");
}

fn recorded(cuebox: &CueBox, slots: usize) -> Value {
    cuebox.wait("the others are live and recorded", 40, |status| {
        live_slots(status) == slots && status["recording"]["state"] == "recording"
    })
}

/// Length of a track's newest file.
fn newest_bytes(track: &Path) -> u64 {
    let files = std::fs::read_dir(track).unwrap().flatten();
    files.max_by_key(std::fs::DirEntry::file_name).map_or(0, |file| file.metadata().unwrap().len())
}

fn left_out(status: &Value) -> Vec<String> {
    let alerts = status["alerts"].as_array().unwrap().iter();
    alerts.filter(|alert| alert["kind"] == "left_out").map(|alert| alert["text"].as_str().unwrap().to_owned()).collect()
}

fn doctor(cuebox: &CueBox) -> Vec<String> {
    let told = Command::new(program()).args(["doctor", "--json", "--config"]).arg(cuebox.config()).output().unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let findings = told["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == "crashes");
    findings.map(|finding| format!("{}: {}", finding["level"], finding["text"])).collect()
}

#[test]
fn a_box_that_crashes_three_times_in_one_slot_starts_without_it_and_says_so_until_it_is_started_anew() {
    let _alone = alone();
    let folder = Folder::new("crashes");
    let config = five_cameras("");
    for _ in 0..3 {
        let mut cuebox = CueBox::start(&folder, &config);
        assert_eq!(left_out(&recorded(&cuebox, 5)), [] as [&str; 0]);
        crash(&mut cuebox, "capture-3");
    }
    let cuebox = CueBox::start(&folder, &config);
    let status = recorded(&cuebox, 4);
    let told = left_out(&status);
    assert!(told.len() == 1 && told[0].starts_with("slot 3 is left out"), "{told:?}");
    let slot = &status["slots"][2];
    assert_eq!(slot["state"], "empty");
    assert!(slot["why"].as_str().unwrap().contains("crashed in it"), "{slot}");
    assert!(cuebox.log().contains("slot 3 is left out"), "{}", cuebox.log());
    let found = doctor(&cuebox);
    assert!(found.len() == 1 && found[0].contains("wrong") && found[0].contains("slot 3"), "{found:?}");
    cuebox.done(&["cut", "2"]);
    cuebox.wait("slot 2 is on air", 10, |status| status["program"]["on_air"] == 2);
    // What crashes next is another part: it takes three crashes again.
    let mut cuebox = cuebox;
    for _ in 0..3 {
        crash(&mut cuebox, "enc-slot-5");
        cuebox = CueBox::start(&folder, &config);
        recorded(&cuebox, 4);
    }
    let told = left_out(&recorded(&cuebox, 4));
    assert_eq!(told.len(), 2);
    assert!(told.iter().any(|text| text.starts_with("the recording of slot 5 is left out")), "{told:?}");
    let show = cuebox.show();
    until("the program has been recorded for a while", 20, || newest_bytes(&show.join("program")) > 10_000);
    let without: Vec<usize> = [3, 5].map(|slot| segments(&show, &format!("slot-{slot}")).len()).into();
    cuebox.stop();
    let now: Vec<usize> = [3, 5].map(|slot| segments(&show, &format!("slot-{slot}")).len()).into();
    assert_eq!(without, now, "neither is recorded any more");
    let (last, entry) = segments(&show, "program").pop().unwrap();
    assert_eq!(decoded_frames(&last), entry["frames"].as_u64().unwrap());

    // Ended in order and started anew: everything is tried, and nothing is held against it.
    let mut cuebox = CueBox::start(&folder, &config);
    assert_eq!(left_out(&recorded(&cuebox, 5)), [] as [&str; 0]);
    assert_eq!(doctor(&cuebox), [] as [&str; 0]);
    // Once more is enough for what is on trial.
    crash(&mut cuebox, "capture-3");
    let cuebox = CueBox::start(&folder, &config);
    assert!(left_out(&recorded(&cuebox, 4))[0].starts_with("slot 3"));
    cuebox.stop();
}
