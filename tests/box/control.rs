//! The surface as whoever stands before the box meets it: `cuebox ctl` with its exit codes, the live view in a
//! terminal, events, a restart in place.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::harness::{CueBox, Folder, alone, five_cameras, program, signal, until};

fn run(words: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(program())
        .args(words)
        .env_remove("CUEBOX_SOCKET")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn ctl_says_what_came_of_it_by_its_exit_code_and_in_words() {
    let _alone = alone();
    let folder = Folder::new("ctl");
    let cuebox = CueBox::start(&folder, &five_cameras("[record]\nprogram = false\nslots = false\n"));
    cuebox.wait("slot 3 is live", 40, |status| status["slots"][2]["state"] == "live");
    let table: &[(&[&str], i32, &str, &str)] = &[
        (&["cut", "3"], 0, "done\n", ""),
        (&["cut", "3", "--id", "k-1"], 0, "done\n", ""),
        (&["cut", "3", "--id", "k-1"], 0, "done before, with this id\n", ""),
        (&["cut", "2", "--id", "k-1"], 1, "", "conflict: "),
        (&["take"], 1, "", "refused: "),
        (&["cut", "9"], 1, "", "refused: slot 9 does not exist"),
        (&["audio", "gain", "1", "-6.5"], 0, "done\n", ""),
        (&["audio", "gain", "1", "loud"], 2, "", "usage: cuebox ctl audio gain SLOT DB"),
        (&["rename", "2", "Main", "aisle"], 0, "done\n", ""),
        (&["fly"], 2, "", "'fly'"),
        (&["status", "twice"], 2, "", "one word too many"),
    ];
    for (words, code, stdout, stderr) in table {
        let (got, out, err) = said(&cuebox.ctl(words));
        assert_eq!((got, out.as_str()), (Some(*code), *stdout), "{words:?}: {err}");
        assert!(err.contains(stderr), "{words:?}: {err}");
    }
    let (code, out, err) = said(&cuebox.ctl(&["take", "--json"]));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["result"], err.as_str()), (Some(1), &Value::from("refused"), ""));
    let (_, table, _) = said(&cuebox.ctl(&["status"]));
    assert!(table.contains("on air      3 Camera 3") && table.contains("2 Main aisle"), "{table}");
    assert!(!table.contains('\x1b'), "no colours outside of a terminal");
    cuebox.stop();
}

#[test]
fn ctl_finds_its_box_by_socket_then_config_then_environment() {
    let _alone = alone();
    let folder = Folder::new("find");
    let cuebox = CueBox::start(&folder, &five_cameras("[record]\nprogram = false\nslots = false\n"));
    let socket = folder.path().join("control.sock");
    let (socket, config) = (socket.to_str().unwrap(), cuebox.config().to_str().unwrap());
    let nowhere = folder.path().join("nowhere.sock");
    let nowhere = nowhere.to_str().unwrap();
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, "[program]\nfps = 31\n").unwrap();
    let bad = bad.to_str().unwrap();
    let found: &[(&[&str], &str, i32)] = &[
        (&["ctl", "--socket", socket, "status"], nowhere, 0),
        (&["ctl", "--socket", socket, "--config", bad, "status"], nowhere, 0),
        (&["ctl", "--config", config, "status"], nowhere, 0),
        (&["ctl", "status"], socket, 0),
        (&["ctl", "--socket", nowhere, "status"], socket, 1),
        (&["ctl", "status"], nowhere, 1),
        (&["ctl", "--config", bad, "status"], socket, 1),
    ];
    for (words, environment, code) in found {
        let (got, _, err) = said(&run(words, &[("CUEBOX_SOCKET", environment)]));
        assert_eq!(got, Some(*code), "{words:?} with {environment}: {err}");
    }
    let (_, _, err) = said(&run(&["ctl", "status"], &[("CUEBOX_SOCKET", nowhere)]));
    assert!(err.contains("no box is listening") && err.contains("cuebox run"), "{err}");
    cuebox.stop();
}

#[test]
fn a_restart_goes_on_in_the_same_process_with_the_same_show() {
    let _alone = alone();
    let folder = Folder::new("restart");
    let cuebox = CueBox::start(&folder, &five_cameras(""));
    let before = cuebox.wait_live(5);
    cuebox.done(&["restart"]);
    let after = cuebox.wait("another life answers", 30, |status| status["boot"] != before["boot"]);
    assert_eq!(after["box"], before["box"]);
    let after = cuebox.wait_live(5);
    assert_eq!(after["show"]["id"], before["show"]["id"], "the show goes on");
    // It is the child that was started: it still hears the signal, and ends in order.
    cuebox.stop();
}

/// A program whose output is collected while it runs.
struct Watched {
    child: Child,
    seen: Arc<Mutex<String>>,
    reader: std::thread::JoinHandle<()>,
}

impl Watched {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let reader = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = stdout.read(&mut chunk) {
                    seen.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..count]));
                }
            }
        });
        Self { child, seen, reader }
    }

    #[track_caller]
    fn shows(&self, what: &str) {
        until(&format!("the view shows {what}"), 20, || self.seen.lock().unwrap().contains(what));
    }

    /// Its exit code and all that it printed.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        let seen = self.seen.lock().unwrap().clone();
        (status.code(), seen)
    }
}

#[test]
fn the_live_view_follows_the_box_in_a_terminal_and_leaves_it_clean() {
    let _alone = alone();
    let folder = Folder::new("watch");
    let cuebox = CueBox::start(&folder, &five_cameras("[record]\nprogram = false\nslots = false\n"));
    cuebox.wait("slot 4 is live", 40, |status| status["slots"][3]["state"] == "live");
    // `script` gives it a terminal. Its shell must not stay in between: the same Ctrl-C would end it with a code of its own.
    let watch = format!("exec {} ctl --config {} watch", program(), cuebox.config().display());
    let mut view = Watched::start(Command::new("script").args(["-qfec", &watch, "/dev/null"]).env("NO_COLOR", "1"));
    view.shows("\x1b[?1049h");
    cuebox.done(&["cut", "4"]);
    view.shows("on air      4 Camera 4");
    cuebox.kill();
    view.shows(" STALE for ");
    view.child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let (code, seen) = view.end();
    assert_eq!(code, Some(0));
    assert!(seen.trim_end().ends_with("\x1b[?25h\x1b[?1049l"), "the cursor and the screen are given back");
}

#[test]
fn without_a_terminal_the_live_view_is_a_line_for_each_event() {
    let _alone = alone();
    let folder = Folder::new("events");
    let cuebox = CueBox::start(&folder, &five_cameras("[record]\nprogram = false\nslots = false\n"));
    cuebox.wait("slot 2 is live", 40, |status| status["slots"][1]["state"] == "live");
    let view = Watched::start(Command::new(program()).args(["ctl", "watch", "--config"]).arg(cuebox.config()));
    view.shows("\"kind\":\"snapshot\"");
    cuebox.done(&["cut", "2"]);
    view.shows("\"kind\":\"on_air\"");
    view.shows("\"kind\":\"heartbeat\"");
    signal(view.child.id(), "TERM");
    let (code, seen) = view.end();
    assert_eq!(code, Some(0));
    let events: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "numbered without gaps: {numbers:?}");
    let shown = events.iter().find(|event| event["program"]["on_air"] == 2);
    assert!(shown.is_some(), "the cut is told: {seen}");
    cuebox.stop();
}

#[test]
fn calls_that_need_no_box_work_without_one() {
    for (words, code, part) in [
        (&["--version"][..], 0, "cuebox"),
        (&["completions", "bash"], 0, "_cuebox"),
        (&["ctl", "--help"], 0, "auto fade|dip MS"),
        (&["devices"], 0, ""),
        (&["replay", "/dev/null"], 1, "is it a journal?"),
        (&["replay", "/nonexistent"], 1, "cannot be read"),
        (&["check", "--config", "/nonexistent"], 1, "no such file"),
        (&["run", "--config", "/nonexistent"], 1, "no such file"),
        (&["doctor", "--config", "/nonexistent"], 1, "WRONG  /nonexistent: there is no such file\n        → correct"),
        (&["ctl"], 2, "VERB"),
        (&[], 2, "Usage"),
    ] {
        let (got, out, err) = said(&run(words, &[]));
        assert_eq!(got, Some(code), "{words:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(part), "{words:?}: {out}{err}");
    }
    let (_, out, _) = said(&run(&["devices", "--json"], &[]));
    assert!(serde_json::from_str::<Value>(&out).unwrap()["cameras"].is_array());
}
