//! The process dies of a fault in one of its threads, again and again, as of a bad driver: the fault is real, a signal
//! to the very thread, and so is its end.

#![expect(unsafe_code, reason = "a signal to one thread of another process: no safe call sends it")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::harness::{CueBox, Folder, alone, decoded_frames, five_cameras, live_slots, program, segments, until};
use super::mqtt::broker::Broker;
use super::panel::Panel;
use super::servers::{Nginx, Server};

/// Who watches a pipeline, and who streams for it.
const STREAMS: usize = 2;

/// The threads of this name: the one that watches a pipeline, and those that stream for it.
fn threads(process: u32, name: &str) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let named =
        tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    named.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// A bad address, met by the newest thread of this name as soon as there are so many.
fn crash(cuebox: &mut CueBox, name: &str, least: usize) {
    let pid = cuebox.pid();
    until(&format!("{least} threads are called {name}"), 30, || {
        let found = threads(pid, name);
        found.len() >= least && found.into_iter().max().is_some_and(|newest| fault(pid, newest))
    });
    assert_eq!(cuebox.wait_exit(15), None, "a signal ended it");
}

/// Whether the thread was still there.
fn fault(process: u32, thread: i32) -> bool {
    // SAFETY: a system call with three numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGSEGV) == 0 }
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
        crash(&mut cuebox, "capture-3", STREAMS);
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
        crash(&mut cuebox, "enc-slot-5", STREAMS);
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
    crash(&mut cuebox, "capture-3", STREAMS);
    let cuebox = CueBox::start(&folder, &config);
    assert!(left_out(&recorded(&cuebox, 4))[0].starts_with("slot 3"));
    cuebox.stop();
}

/// What the box can do without.
struct Part {
    /// What its threads are called.
    threads: &'static str,
    named: &'static str,
    works: fn(&Value) -> bool,
    /// How the status and the box's answers show that it is left out.
    left: fn(&CueBox, &Value) -> bool,
}

const PARTS: [Part; 6] = [
    Part {
        threads: "hw-stream",
        named: "every hardware encoder",
        works: |status| stream_encoder(status) == BOARDS_OWN,
        left: |_, status| {
            let broken = status["probe"]["broken"].as_array().unwrap();
            let told = broken.iter().any(|one| one["element"] == BOARDS_OWN && says_crashed(&one["why"]));
            told && stream_encoder(status) == "x264enc"
        },
    },
    Part {
        threads: "leg-away",
        named: "leg away",
        works: |status| status["legs"][0]["state"] == "carrying",
        left: |_, status| status["legs"][0]["state"] == "off" && says_crashed(&status["legs"][0]["why"]),
    },
    Part {
        threads: "sound-2",
        named: "the sound card of slot 2",
        works: |status| loudest(&status["slots"][1]) > -40.0,
        left: |_, status| status["slots"][1]["state"] == "live" && loudest(&status["slots"][1]) < -40.0,
    },
    Part {
        threads: "preview",
        named: "every snapshot",
        works: |status| status["recording"]["state"] == "recording",
        left: |cuebox, _| cuebox.refused(&["snapshot", "1"]).contains("crashed in"),
    },
    Part {
        threads: "panel",
        named: "every panel",
        works: |status| status["panel"][0]["state"] == "connected",
        left: |_, status| status["panel"].as_array().unwrap().is_empty(),
    },
    Part {
        threads: "mqtt",
        named: "MQTT",
        works: |status| status["mqtt"]["state"] == "connected",
        left: |_, status| status["mqtt"]["state"] == "off" && says_crashed(&status["mqtt"]["why"]),
    },
];

/// The encoder that the box is told the board has in hardware.
const BOARDS_OWN: &str = "openh264enc";

fn says_crashed(why: &Value) -> bool {
    why.as_str().is_some_and(|why| why.contains("box crashed in"))
}

fn stream_encoder(status: &Value) -> &str {
    let encoders = status["encoders"].as_array().unwrap();
    encoders.iter().find(|one| one["job"] == "stream").and_then(|one| one["element"].as_str()).unwrap_or_default()
}

fn loudest(slot: &Value) -> f64 {
    slot["audio_dbfs"].as_array().unwrap().iter().filter_map(Value::as_f64).fold(-100.0, f64::max)
}

/// A sound card that ALSA reads from a pipe, and who plays into it.
fn sound_card(folder: &Folder) -> (std::fs::File, Server, String) {
    let (pipe, asound) = (folder.path().join("card"), folder.path().join("asound.conf"));
    let text = format!(
        "pcm.pipe {{ type file slave.pcm nothing file /dev/null infile {} format raw }}\npcm.nothing {{ type null }}\n\
         pcm.card {{ type plug slave {{ pcm pipe rate 48000 format S16_LE channels 2 }} }}\n",
        pipe.display()
    );
    std::fs::write(&asound, text).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Held open, so that who plays does not end with the box that listened.
    let held = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let mut player = Command::new("ffmpeg");
    player.args(["-v", "quiet", "-y", "-re", "-f", "lavfi", "-i", "sine=frequency=500:sample_rate=48000", "-ac", "2"]);
    player.args(["-f", "s16le"]).arg(&pipe);
    (held, Server::start(player), asound.to_str().unwrap().to_owned())
}

/// What the box has kept of its encoders, with one of them in hardware.
fn give_the_board_an_encoder(kept: &Path) {
    let mut probed: Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
    let working = probed["encoders"]["working"].as_array_mut().unwrap();
    working.iter_mut().find(|one| one["element"] == BOARDS_OWN).expect("openh264enc")["hardware"] = true.into();
    std::fs::write(kept, probed.to_string()).unwrap();
}

#[test]
fn whichever_part_crashes_again_and_again_it_alone_is_left_out_and_the_show_is_recorded() {
    let _alone = alone();
    let folder = Folder::new("crashing-parts");
    let (nginx, broker) = (Nginx::start(&folder), Broker::start(&folder, ""));
    let (_held, _player, asound) = sound_card(&folder);
    let panel = folder.path().join("panel");
    let _panel = Panel::start(&panel, "stage");
    let config = format!(
        "[program]\nsize = \"320x180\"\nfps = 15\nstart_slot = 1\n[[slot]]\nnumber = 1\nsource = {{ kind = \"test\" }}\n\
         [[slot]]\nnumber = 2\naudio = \"card\"\nsource = {{ kind = \"test\" }}\n\
         [[leg]]\nname = \"away\"\nkind = \"rtmp\"\nurl = \"{}\"\nstream_key = \"wedding\"\n\
         [panel]\nserial = [{panel:?}]\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        nginx.url(),
        broker.port
    );
    let start = || CueBox::spawn(&folder, &config, &[("ALSA_CONFIG_PATH", &asound)]);
    let cuebox = start();
    cuebox.wait("the encoders are known", 40, |status| status["probe"]["working"].to_string().contains(BOARDS_OWN));
    cuebox.stop();
    give_the_board_an_encoder(&folder.path().join("data/encoders.json"));

    let mut cuebox = start();
    for (count, part) in PARTS.iter().enumerate() {
        for _ in 0..3 {
            cuebox.wait(&format!("{} works", part.named), 40, part.works);
            crash(&mut cuebox, part.threads, 1);
            cuebox = start();
        }
        let status = recorded(&cuebox, 2);
        let told = left_out(&status);
        let named = told.iter().any(|text| text.starts_with(&format!("{} is left out", part.named)));
        assert!(named && told.len() == count + 1, "{}: {told:?}", part.named);
        cuebox.wait(&format!("{} is left out", part.named), 10, |status| (part.left)(&cuebox, status));
    }
    let found = doctor(&cuebox);
    for part in &PARTS {
        assert!(found.iter().any(|text| text.contains("wrong") && text.contains(part.named)), "{found:?}");
    }
    cuebox.done(&["cut", "2"]);
    cuebox.wait("slot 2 is on air", 10, |status| status["program"]["on_air"] == 2);
    let show = cuebox.show();
    for track in ["program", "slot-1", "slot-2"] {
        let before = newest_bytes(&show.join(track));
        until(&format!("{track} is recorded on"), 20, || newest_bytes(&show.join(track)) > before + 10_000);
    }

    // Enabled anew, the leg is tried while the others stay out.
    cuebox.done(&["leg", "enable", "away"]);
    let status = cuebox.wait("the leg carries", 40, PARTS[1].works);
    assert_eq!(left_out(&status).len(), PARTS.len() - 1);
    // Started anew, everything is.
    cuebox.done(&["restart"]);
    for part in &PARTS {
        cuebox.wait(&format!("{} works again", part.named), 40, |status| {
            left_out(status).is_empty() && (part.works)(status)
        });
    }
    cuebox.stop();
    for (file, entry) in segments(&show, "program").iter().rev().take(2) {
        assert_eq!(decoded_frames(file), entry["frames"].as_u64().unwrap());
    }
}
