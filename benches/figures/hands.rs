//! From a key or a message to the picture, and from the picture back to lamp and broker: a serial panel and a real
//! broker's client command a box whose five 720p30 inputs run and are recorded.
//!
//! A press is noted on the monotonic clock, on whose grid all frames lie; the timeline names the first frame that shows
//! the new slot, and that this frame is the one that changes is what the tests judge by the pictures themselves. When
//! that frame left the stream encoder, the box's log tells.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use cuebox_panel::light::{Colour, Light, Pattern};
use cuebox_panel::line::Reader;
use cuebox_panel::message::{FromPanel, Hello, Name, ToPanel};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use super::harness::{CueBox, Folder, live_slots, manifest, timeline, until};
use super::meter::{percentile, wait};
use super::row;

/// What the box is told, so that its log has the time of each frame.
const TELLS: &[(&str, &str)] = &[("CUEBOX_LOG", "warn,cuebox::encoded=trace")];
/// Nobody is there: what the encoder makes is not sent, but made.
const LEG: &str = "[[leg]]\nname = \"air\"\nkind = \"rtmp\"\nurl = \"rtmp://127.0.0.1:9/live\"\n";

const PRESSES: u64 = 500;
const FPS: f64 = 30.0;
/// After what was asked for is seen, until the next press; and a random part of it.
const PAUSE_MS: (u64, u64) = (20, 90);

/// Seconds of the clock that frames are counted on.
fn now() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A press and what came of it.
struct Press {
    at: f64,
    told: f64,
}

pub fn serial() {
    let folder = Folder::new("bench-serial");
    let link = folder.path().join("panel");
    let panel = Panel::plug(&link);
    let cuebox = start(&folder, &format!("[panel]\nserial = \"{}\"\nhid = false\n", link.display()));
    cuebox.wait("the panel is connected", 20, |status| status["panel"][0]["state"] == "connected");
    let presses = press(&panel.lamps, |slot| panel.press(slot));
    let Seen { frames, encoded, told: mut lamps } = seen(cuebox, "panel", &presses);
    tell("serial key", frames, encoded);
    row(
        "lamp shows *on air* after that frame",
        "≤ 50 ms",
        &format!("{:.0} ms p50, {:.0} p99", percentile(&mut lamps, 0.5) * 1e3, percentile(&mut lamps, 0.99) * 1e3),
        "the frame's own time",
    );
}

pub fn mqtt() {
    let folder = Folder::new("bench-mqtt");
    let broker = Broker::start(&folder);
    let cuebox = start(&folder, &format!("[panel]\nhid = false\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n", broker.port));
    cuebox.wait("the broker is connected", 20, |status| status["mqtt"]["state"] == "connected");
    let (mut client, told) = broker.client();
    let mut number = 0;
    let presses = press(&told, |slot| {
        number += 1;
        writeln!(client.input, "{{\"id\":\"b-{number}\",\"slot\":{slot}}}").expect("the client runs");
    });
    let Seen { frames, encoded, told: mut states } = seen(cuebox, "mqtt", &presses);
    tell("MQTT publish", frames, encoded);
    row(
        "`program` on MQTT after that frame",
        "≤ 100 ms",
        &format!("{:.0} ms p50, {:.0} p99", percentile(&mut states, 0.5) * 1e3, percentile(&mut states, 0.99) * 1e3),
        "the frame's own time",
    );
}

fn tell(what: &str, mut frames: Vec<f64>, mut encoded: Vec<f64>) {
    row(
        &format!("{what} → first new frame out of the encoder (frames of 33 ms), five 720p30 inputs recorded"),
        "≤ 3 p99",
        &format!("{:.2} p50, {:.2} p99", percentile(&mut encoded, 0.5), percentile(&mut encoded, 0.99)),
        &format!(
            "{} presses; that frame's own time {:.2} p50, {:.2} p99",
            frames.len(),
            percentile(&mut frames, 0.5),
            percentile(&mut frames, 0.99)
        ),
    );
}

pub fn start(folder: &Folder, extra: &str) -> CueBox {
    let mut config = String::from("[program]\nsize = \"1280x720\"\nfps = 30\nstart_slot = 1\n");
    config += LEG;
    for number in 1..=5 {
        config += &format!("[[slot]]\nnumber = {number}\nsource = {{ kind = \"test\", marks = true }}\n");
    }
    let cuebox = CueBox::spawn(folder, &(config + extra), TELLS);
    cuebox.wait("five slots are live and recorded", 40, |status| {
        live_slots(status) == 5 && status["recording"]["state"] == "recording"
    });
    wait(Duration::from_secs(3));
    // Slot 2 is what is pressed first, and a press for what is on air changes nothing.
    cuebox.done(&["cut", "1"]);
    cuebox.wait("slot 1 is on air", 10, |status| status["program"]["on_air"] == 1);
    cuebox
}

/// Presses one slot after the other; `told` brings when each was said to be on air.
fn press(told: &Receiver<(u64, f64)>, mut key: impl FnMut(u64)) -> Vec<Press> {
    let mut random = 7_u64;
    let mut presses = Vec::new();
    for number in 1..=PRESSES {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        wait(Duration::from_millis(PAUSE_MS.0 + (random >> 40) % PAUSE_MS.1));
        let (slot, at) = (1 + number % 5, now());
        key(slot);
        loop {
            let (shown, told) = told.recv_timeout(Duration::from_secs(5)).expect("the press is shown");
            if shown == slot && told > at {
                presses.push(Press { at, told });
                break;
            }
        }
    }
    presses
}

/// Of each press: frames to the time of the first picture that shows it, and until that left the encoder; seconds from
/// that picture until it was told.
struct Seen {
    frames: Vec<f64>,
    encoded: Vec<f64>,
    told: Vec<f64>,
}

fn seen(cuebox: CueBox, by: &str, presses: &[Press]) -> Seen {
    let show = cuebox.show();
    cuebox.done(&["show", "stop"]);
    cuebox.wait("the show is sealed", 30, |status| status["recording"]["state"] == "idle");
    let left = left_the_encoder(&cuebox.log());
    cuebox.stop();
    let origin = manifest(&show)["origin"].as_u64().expect("an origin");
    let by_us = |entry: &&Value| entry["kind"] == "on_air" && entry["by"] == by;
    let entries = timeline(&show);
    let switches: Vec<u64> =
        entries.iter().filter(by_us).filter_map(|entry| Some(origin + entry["frame"].as_u64()?)).collect();
    assert_eq!(switches.len(), presses.len(), "each press is one switch");
    let own = |frame: &u64| *frame as f64 / FPS;
    let out = |frame: &u64| *left.get(frame).unwrap_or_else(|| panic!("frame {frame} did not leave the encoder"));
    let both = || switches.iter().zip(presses);
    Seen {
        frames: both().map(|(shown, press)| (own(shown) - press.at) * FPS).collect(),
        encoded: both().map(|(shown, press)| (out(shown) - press.at) * FPS).collect(),
        told: both().map(|(shown, press)| press.told - own(shown)).collect(),
    }
}

/// Seconds of the clock at which each frame left the stream encoder.
fn left_the_encoder(log: &str) -> BTreeMap<u64, f64> {
    let value = |line: &str, key: &str| line.split_once(key)?.1.split_whitespace().next()?.parse::<u64>().ok();
    let lines = log.lines().filter(|line| line.contains("job=stream "));
    lines.filter_map(|line| Some((value(line, "frame=")?, value(line, "at_ns=")? as f64 / 1e9))).collect()
}

/// A panel's end of a pseudo-terminal.
struct Panel {
    end: File,
    /// A slot whose lamp is red and steady, and when.
    lamps: Receiver<(u64, f64)>,
}

impl Panel {
    fn plug(link: &Path) -> Self {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&end).and_then(|()| unlockpt(&end)).expect("it may be used");
        let place = ptsname(&end, Vec::new()).expect("it has a name");
        std::os::unix::fs::symlink(place.to_str().expect("text"), link).expect("a link");
        // Held open, so that the line lasts when the box lets go of it.
        let far = File::options().read(true).write(true).open(place.to_str().expect("text")).expect("its far end");
        let end = File::from(end);
        let (mut heard, mut says) = (end.try_clone().expect("a handle"), end.try_clone().expect("a handle"));
        let (sender, lamps) = channel();
        std::thread::spawn(move || {
            let (mut reader, mut byte, _far) = (Reader::new(), [0], far);
            let on_air = Light::new(Colour::Red, Pattern::Steady);
            while heard.read_exact(&mut byte).is_ok() {
                let answer = match reader.push(byte[0], ToPanel::decode) {
                    Some(ToPanel::Who) => FromPanel::Hello(hello()),
                    Some(ToPanel::Ping { number }) => FromPanel::Pong { number },
                    Some(ToPanel::Lamp { lamp, light }) => {
                        if light == on_air && sender.send((u64::from(lamp), now())).is_err() {
                            return;
                        }
                        continue;
                    }
                    None => continue,
                };
                if says.write_all(answer.line().as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { end, lamps }
    }

    fn press(&self, slot: u64) {
        let key = u8::try_from(slot).expect("a key");
        let mut end = &self.end;
        for down in [true, false] {
            end.write_all(FromPanel::Key { key, down }.line().as_bytes()).expect("the line is there");
        }
    }
}

fn hello() -> Hello {
    Hello { protocol: 1, keys: 6, lamps: 6, name: Name::new(b"bench").expect("a name") }
}

/// A mosquitto, killed at its end.
struct Broker {
    process: Child,
    port: u16,
}

impl Broker {
    fn start(folder: &Folder) -> Self {
        let port = super::ports::free_port();
        let file = folder.path().join("mosquitto.conf");
        let config = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n");
        std::fs::write(&file, config).expect("a file");
        let mut command = Command::new("/usr/sbin/mosquitto");
        let process = command.arg("-c").arg(file).stderr(Stdio::null()).spawn().expect("mosquitto is installed");
        until("mosquitto listens", 10, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { process, port }
    }

    /// Something that publishes cuts, and what is heard of the program: the slot, and when.
    fn client(&self) -> (Client, Receiver<(u64, f64)>) {
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(["-V", "mqttv5", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1"]).args(arguments);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client is installed")
        };
        let mut watcher = run("mosquitto_sub", &["-t", "cuebox/hall-1/program"]);
        let lines = BufReader::new(watcher.stdout.take().expect("its output")).lines();
        let (sender, told) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let at = now();
                let program: Value = serde_json::from_str(&line).unwrap_or_default();
                if sender.send((program["on_air"].as_u64().unwrap_or_default(), at)).is_err() {
                    return;
                }
            }
        });
        told.recv_timeout(Duration::from_secs(10)).expect("the program is retained");
        let mut publisher = run("mosquitto_pub", &["-l", "-t", "cuebox/hall-1/command/cut"]);
        let input = publisher.stdin.take().expect("its input");
        (Client { input, processes: [watcher, publisher] }, told)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    input: ChildStdin,
    processes: [Child; 2],
}

impl Drop for Client {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
