//! Panels on serial lines, as the box meets them: the firmware on a pseudo-terminal, and lines that no firmware sends.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox_panel::message::{FromPanel, Hello, Name};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use super::frames::assert_unbroken;
use super::harness::{CueBox, Folder, alone, five_cameras, live_slots, signal, timeline, until};

/// The simulated panel: its firmware, its own pseudo-terminal.
pub struct Panel {
    child: Child,
    keys: ChildStdin,
    lamps: Arc<Mutex<String>>,
}

impl Panel {
    pub fn start(link: &Path, name: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cuebox-panel-sim"))
            .args(["--name", name, "--link"])
            .arg(link)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lamps = Arc::new(Mutex::new(String::new()));
        let shown = lamps.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(words) = line.strip_prefix("lamps ") {
                    words.clone_into(&mut shown.lock().unwrap());
                }
            }
        });
        Self { child, keys, lamps }
    }

    fn press(&mut self, key: u8) {
        writeln!(self.keys, "down {key}").unwrap();
        // As long as a finger takes; the press is told before.
        let begun = Instant::now();
        until("a finger's press is over", 5, || begun.elapsed() > Duration::from_millis(60));
        writeln!(self.keys, "up {key}").unwrap();
    }

    fn lamps(&self) -> String {
        self.lamps.lock().unwrap().clone()
    }

    #[track_caller]
    fn shows(&self, what: &str, lamps: &str) {
        until(&format!("{what}: {lamps}, not {}", self.lamps()), 10, || self.lamps() == lamps);
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line whose panel's end the test holds.
struct RawLine {
    end: File,
    link: PathBuf,
}

impl RawLine {
    fn plug(link: &Path) -> Self {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&end).unwrap();
        unlockpt(&end).unwrap();
        let place = ptsname(&end, Vec::new()).unwrap();
        let _ = std::fs::remove_file(link);
        std::os::unix::fs::symlink(place.to_str().unwrap(), link).unwrap();
        Self { end: File::from(end), link: link.to_owned() }
    }

    /// Waits until the box asks who is there.
    fn asked(&mut self) {
        let mut seen: Vec<u8> = Vec::new();
        let mut chunk = [0; 256];
        let begun = Instant::now();
        while !seen.windows(6).any(|part| part == b"$W*57\n") {
            assert!(begun.elapsed() < Duration::from_secs(10), "the box asks nobody");
            let soon = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let mut watched = [PollFd::new(&self.end, PollFlags::IN)];
            if poll(&mut watched, Some(&soon)).unwrap() > 0 {
                // An error: nobody has the far end open.
                let count = self.end.read(&mut chunk).unwrap_or(0);
                seen.extend(&chunk[..count]);
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.end.write_all(bytes).unwrap();
    }

    fn hello(&mut self, name: &str) {
        let name = Name::new(name.as_bytes()).unwrap();
        self.say(FromPanel::Hello(Hello { protocol: 1, keys: 6, lamps: 6, name }).line().as_bytes());
    }
}

impl Drop for RawLine {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.link);
    }
}

fn start(folder: &Folder, panels: &[&str]) -> CueBox {
    let places: Vec<String> = panels.iter().map(|name| format!("{:?}", folder.path().join(name))).collect();
    let extra = format!("[panel]\nserial = [{}]\n[record]\nslots = false\n", places.join(", "));
    let cuebox = CueBox::start(folder, &five_cameras(&extra));
    cuebox.wait("every slot is live", 40, |status| live_slots(status) == 5 && status["program"]["on_air"] == 1);
    cuebox
}

fn panel(status: &Value, place: usize) -> &Value {
    &status["panel"][place]
}

#[test]
fn a_key_of_a_panel_puts_its_slot_on_air_and_the_lamp_turns_red() {
    let _alone = alone();
    let folder = Folder::new("panel");
    let cuebox = start(&folder, &["stage"]);
    let status = cuebox.wait("the panel is waited for", 10, |status| panel(status, 0)["state"] == "waiting");
    assert_eq!(status["alerts"], Value::Array(Vec::new()), "a panel that was never there is no alert");

    let plugged = Instant::now();
    let mut sim = Panel::start(&folder.path().join("stage"), "stage");
    let status = cuebox.wait("the panel is connected", 10, |status| panel(status, 0)["state"] == "connected");
    assert!(plugged.elapsed() < Duration::from_secs(5), "{:?}", plugged.elapsed());
    assert_eq!((&panel(&status, 0)["name"], &panel(&status, 0)["keys"]), (&Value::from("stage"), &Value::from(6)));
    sim.shows("slot 1 is on air", "red off off off off off");
    sim.press(3);
    cuebox.wait("slot 3 is on air", 10, |status| status["program"]["on_air"] == 3);
    sim.shows("slot 3 is on air", "off off red off off off");
    cuebox.done(&["preview", "2"]);
    sim.shows("slot 2 is in preview", "off green red off off off");
    sim.press(6);
    cuebox.wait("the slate is on air", 10, |status| status["program"]["slate"] == true);
    until("every live slot's lamp blinks", 10, || sim.lamps() == "red red red red red red");
    sim.press(6);
    sim.shows("slot 3 is back", "off green red off off off");

    // Silent: a panel that is stuck. Lost within 2 s, and back by itself.
    signal(sim.child.id(), "STOP");
    let stuck = Instant::now();
    let status = cuebox.wait("the panel is lost", 10, |status| panel(status, 0)["state"] == "lost");
    assert!(stuck.elapsed() < Duration::from_secs(4), "{:?}", stuck.elapsed());
    assert_eq!(status["alerts"][0]["kind"], "panel_lost");
    signal(sim.child.id(), "CONT");
    let status = cuebox.wait("the panel is back", 10, |status| panel(status, 0)["state"] == "connected");
    assert_eq!(status["alerts"], Value::Array(Vec::new()));

    // Unplugged, and plugged in again.
    drop(sim);
    cuebox.wait("the panel is lost", 10, |status| panel(status, 0)["state"] == "lost");
    let mut sim = Panel::start(&folder.path().join("stage"), "stage");
    cuebox.wait("the panel is back", 10, |status| panel(status, 0)["state"] == "connected");
    sim.shows("it shows the truth", "off green red off off off");
    sim.press(2);
    cuebox.wait("slot 2 is on air", 10, |status| status["program"]["on_air"] == 2);

    let by: Vec<(Value, Value)> = timeline(&cuebox.show())
        .into_iter()
        .filter(|line| line["kind"] == "on_air" && line["by"] == "panel")
        .map(|line| (line["slot"].clone(), line["by"].clone()))
        .collect();
    assert_eq!(by.first(), Some(&(Value::from(3), Value::from("panel"))));
    cuebox.stop();
    until(&format!("a panel without a box says so: {}", sim.lamps()), 5, || sim.lamps().ends_with("alone"));
}

#[test]
fn two_panels_of_one_name_show_the_same_truth_and_the_last_press_wins() {
    let _alone = alone();
    let folder = Folder::new("two-panels");
    let cuebox = start(&folder, &["a", "b"]);
    let mut first = Panel::start(&folder.path().join("a"), "stage");
    let mut second = Panel::start(&folder.path().join("b"), "stage");
    let both = |status: &Value| (0..2).all(|place| panel(status, place)["state"] == "connected");
    let status = cuebox.wait("both are connected", 10, both);
    assert_eq!((&panel(&status, 0)["name"], &panel(&status, 1)["name"]), (&"stage".into(), &"stage (2)".into()));
    // A panel tests its lamps first, and tells of no key meanwhile.
    for sim in [&first, &second] {
        sim.shows("slot 1 is on air", "red off off off off off");
    }
    first.press(2);
    second.press(4);
    cuebox.wait("slot 4 is on air", 10, |status| status["program"]["on_air"] == 4);
    for sim in [&first, &second] {
        sim.shows("slot 4 is on air", "off off off red off off");
    }
    cuebox.done(&["lock", "on"]);
    first.press(1);
    cuebox.wait("the press is counted", 10, |status| panel(status, 0)["presses"].as_u64() == Some(2));
    assert_eq!(cuebox.status().unwrap()["program"]["on_air"], 4, "locked keys do nothing");
    cuebox.done(&["lock", "off"]);
    cuebox.done(&["identify"]);
    first.shows("it is found", "white white white white white white");
    first.shows("and blinking ends", "off off off red off off");
    drop(second);
    until("the other one shows that a panel is lost", 10, || first.lamps() == "off off off red off blue");
    cuebox.stop();
}

#[test]
fn what_no_panel_says_is_counted_and_never_acted_on() {
    let _alone = alone();
    let folder = Folder::new("panel-noise");
    let cuebox = start(&folder, &["raw"]);
    let link = folder.path().join("raw");
    let mut line = RawLine::plug(&link);
    line.asked();
    line.say(b"$K,2,1*48\n");
    line.hello("raw");
    cuebox.wait("it is connected", 10, |status| panel(status, 0)["state"] == "connected");
    let before = cuebox.status().unwrap()["program"].clone();
    assert_eq!(before["on_air"], 1, "a key before the hello does nothing");

    // Wrong checksums, half lines, a key that it does not have; then a line of a megabyte, and as many random bytes as
    // a line of 115200 baud brings in a minute.
    for noise in [&b"$K,2,1*00\n"[..], b"$K,2,1", b"$K,2\n", b"K,2,1*48\n", b"$K,9,1*43\n", b"$Q,1*4c\n"] {
        line.say(noise);
    }
    let (mut state, mut random) = (0x5eed_u64, Vec::new());
    while random.len() < 60 * 11_520 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Not a line of ours by chance: without the letter of a key.
        random.extend(state.to_le_bytes().into_iter().filter(|byte| *byte != b'K'));
    }
    let rss = memory_kb(cuebox.pid());
    let mut end = line.end.try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        end.write_all(b"$").unwrap();
        end.write_all(&vec![b'x'; 1 << 20]).unwrap();
        end.write_all(b"\n").unwrap();
        end.write_all(&random).unwrap();
    });
    cuebox.wait("a flood is no sign of life", 20, |status| panel(status, 0)["state"] == "lost");
    cuebox.done(&["cut", "5"]);
    let status = cuebox.wait("slot 5 is on air", 10, |status| status["program"]["on_air"] == 5);
    let counts = panel(&status, 0);
    assert!(counts["checksum"].as_u64() >= Some(1) && counts["broken"].as_u64() >= Some(2), "{counts}");
    assert!(memory_kb(cuebox.pid()) < rss + 30_000, "memory is bounded");

    // Unplugged in the middle of a line, and another one plugged in that ends it.
    flood.join().unwrap();
    drop(line);
    let mut line = RawLine::plug(&link);
    line.asked();
    line.hello("raw");
    cuebox.wait("it is connected again", 15, |status| panel(status, 0)["state"] == "connected");
    line.say(b"$K,2,1*4");
    drop(line);
    cuebox.wait("it is lost", 10, |status| panel(status, 0)["state"] == "lost");
    let mut line = RawLine::plug(&link);
    line.asked();
    line.say(b"8\n");
    line.hello("raw");
    cuebox.wait("it is connected again", 10, |status| panel(status, 0)["state"] == "connected");
    assert_eq!(cuebox.status().unwrap()["program"]["on_air"], 5, "half a press is none");
    line.say(b"$K,2,1*48\n$K,2,0*49\n");
    cuebox.wait("and a whole one is", 10, |status| status["program"]["on_air"] == 2);
    let show = cuebox.show();
    cuebox.stop();
    let mut slots: Vec<u8> =
        assert_unbroken(&show, "program").into_iter().filter_map(|(_, mark)| Some(mark?.slot)).collect();
    slots.dedup();
    assert!(slots.ends_with(&[1, 5, 2]), "{slots:?} were on air");
}

/// Resident memory of a process, kB.
fn memory_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
