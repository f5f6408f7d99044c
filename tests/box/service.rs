//! The box as a service: what it tells the service manager, and the unit that is shipped.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::{CueBox, Folder, alone, five_cameras, program};

/// The service manager's end: the socket that a service tells of itself on, as systemd has it.
struct Watchman {
    socket: UnixDatagram,
    path: PathBuf,
    heard: Vec<String>,
}

impl Watchman {
    fn new(folder: &Folder) -> Self {
        let path = folder.path().join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self { socket, path, heard: Vec::new() }
    }

    /// Starts a box under watch, with a watchdog of `period`.
    fn start(&self, folder: &Folder, period: Duration) -> CueBox {
        let (path, period) = (self.path.display().to_string(), period.as_micros().to_string());
        let environment = [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", &period), ("CUEBOX_FAULTS", "1")];
        CueBox::spawn(folder, &five_cameras(""), &environment)
    }

    /// Hears the next message that begins so; none within `limit`: false.
    fn hears(&mut self, beginning: &str, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            let mut message = [0; 1024];
            let Ok(length) = self.socket.recv(&mut message) else { continue };
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            let found = text.lines().any(|line| line.starts_with(beginning));
            self.heard.push(text);
            if found {
                return true;
            }
        }
        false
    }
}

#[test]
fn a_loop_that_stands_still_feeds_the_watchdog_no_more_and_the_next_start_goes_on_with_the_show() {
    const LONG: Duration = Duration::from_secs(30);
    let _alone = alone();
    let folder = Folder::new("watchdog");
    let mut watchman = Watchman::new(&folder);
    let cuebox = watchman.start(&folder, Duration::from_secs(4));
    assert!(watchman.hears("READY=1", LONG), "{:?}", watchman.heard);
    assert!(watchman.hears("STATUS=1 (Camera 1) on air, 5 of 5 slots live, recording", LONG), "{:?}", watchman.heard);
    for _ in 0..4 {
        assert!(watchman.hears("WATCHDOG=1", Duration::from_secs(4)), "the watchdog was not fed in its period");
    }
    let before = cuebox.wait_live(5);
    let mut marker = Command::new(program());
    marker.args(["ctl", "--config"]).arg(cuebox.config()).args(["marker", "fault: loop"]).stderr(Stdio::null());
    let mut marker = marker.spawn().unwrap();
    // What was fed before the loop stopped is heard, and then nothing.
    while watchman.hears("WATCHDOG=1", Duration::from_secs(4)) {
        assert!(watchman.heard.len() < 1_000, "the loop goes on");
    }
    cuebox.kill();
    let _ = marker.wait();
    let killed = Instant::now();
    let cuebox = watchman.start(&folder, Duration::from_secs(4));
    assert!(watchman.hears("READY=1", LONG), "{:?}", watchman.heard);
    let after = cuebox.wait("it records again", 30, |status| status["recording"]["state"] == "recording");
    println!("ready and recording {:.1} s after the watchdog killed it", killed.elapsed().as_secs_f64());
    assert_eq!(after["show"]["id"], before["show"]["id"], "the show goes on");
    cuebox.stop();
    assert!(watchman.hears("STOPPING=1", LONG), "{:?}", watchman.heard);
}

#[test]
fn the_unit_that_is_shipped_is_one_that_systemd_takes() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/cuebox.service");
    let text = std::fs::read_to_string(&unit).unwrap().replace("/usr/local/bin/cuebox", program());
    let folder = Folder::new("unit");
    let here = folder.path().join("cuebox.service");
    std::fs::write(&here, text).unwrap();
    let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&here).output().unwrap();
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    let about_it = said.lines().filter(|line| line.contains("cuebox.service")).collect::<Vec<_>>();
    assert!(verify.status.success() && about_it.is_empty(), "{said}");
}
