//! A source ends with an error, or falls silent without one: how long the program shows nothing new. A marked clip is
//! pulled from a real RTMP server that is killed, or stopped; the program's recording is read back frame by frame.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::meter::{median, wait};
use super::service::{Process, config, cuebox, service};
use super::{marks, row, scratch};

const ROUNDS: usize = 3;
const FRAME_MS: f64 = 1000.0 / 30.0;

pub fn gap() {
    let clip = marked_clip(&scratch().join("clip"));
    for (signal, figure, reach) in [
        ("KILL", "source error → other source", "≤ 2 frames"),
        ("STOP", "source silent → other source", "≤ 250 ms, or 4 of its frames"),
    ] {
        let gaps: Vec<f64> =
            (0..ROUNDS).filter_map(|round| one(&clip, &scratch().join(format!("{signal}-{round}")), signal)).collect();
        let worst = gaps.iter().copied().fold(0.0, f64::max);
        let measured = format!(
            "{:.0} frames p50 ({:.0} ms), {worst:.0} at most, {} of {ROUNDS} rounds",
            median(&gaps),
            median(&gaps) * FRAME_MS,
            gaps.len()
        );
        row(figure, reach, &measured, "frame marks in the program's recording");
    }
}

/// Eight seconds of a marked test camera, as the box itself records it.
fn marked_clip(folder: &Path) -> PathBuf {
    let file = config(folder, 1, "640x360", "");
    let process = service(&file);
    wait(Duration::from_secs(10));
    stop(process);
    newest(&folder.join("data/shows")).join("slot-1/0001.mp4")
}

/// Frames of the program between the last new picture of slot 1 and the first of slot 2.
fn one(clip: &Path, folder: &Path, signal: &str) -> Option<f64> {
    let nginx = Nginx::start(folder);
    let url = format!("rtmp://127.0.0.1:{}/live/camera", nginx.port);
    let mut pusher = Command::new("ffmpeg");
    pusher.args(["-v", "error", "-re", "-stream_loop", "-1", "-i"]).arg(clip).args(["-c", "copy", "-f", "flv", &url]);
    let _pusher = Process(pusher.stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok()?);
    let file = config(folder, 0, "640x360", "start_slot = 1\n");
    let slots = format!(
        "[[slot]]\nnumber = 1\nsource = {{ kind = \"network\", url = \"{url}\" }}\n\
         [[slot]]\nnumber = 2\nsource = {{ kind = \"test\", marks = true }}\n"
    );
    let text = std::fs::read_to_string(&file).ok()? + &slots;
    std::fs::write(&file, text).ok()?;
    let process = service(&file);
    until_on_air(&file, 1)?;
    wait(Duration::from_secs(3));
    let _ = Command::new("kill").args([&format!("-{signal}"), &nginx.process.0.id().to_string()]).status();
    until_on_air(&file, 2)?;
    wait(Duration::from_secs(1));
    stop(process);
    let program = newest(&folder.join("data/shows")).join("program/0001.mp4");
    let seen = marks::read(&program, 640, 360);
    let second = seen.iter().rposition(|mark| mark.is_none_or(|mark| mark.slot != 2))? + 1;
    let last_new = (1..second).rev().find(|n| seen[*n].is_some() && seen[*n] != seen[n - 1])?;
    Some((second - last_new - 1) as f64)
}

fn until_on_air(file: &Path, slot: u64) -> Option<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let output =
            Command::new(cuebox()).args(["ctl", "--json", "--config"]).arg(file).arg("status").output().ok()?;
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if status["program"]["on_air"] == slot {
            return Some(());
        }
        wait(Duration::from_millis(50));
    }
    eprintln!("slot {slot} did not come on air");
    None
}

/// Ctrl-C, so that the recordings are sealed.
fn stop(mut process: Process) {
    let _ = Command::new("kill").args(["-INT", &process.0.id().to_string()]).status();
    let _ = process.0.wait();
}

fn newest(folder: &Path) -> PathBuf {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).max().unwrap_or_default()
}

struct Nginx {
    process: Process,
    port: u16,
}

impl Nginx {
    fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("the scratch folder can be made");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let root = folder.display();
        let text = format!(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
             daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/nginx.log;\n\
             events {{ worker_connections 64; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}\n"
        );
        let conf = folder.join("nginx.conf");
        std::fs::write(&conf, text).expect("the scratch folder can be written");
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&conf).arg("-p").arg(folder).stderr(Stdio::null());
        let process = Process(command.spawn().expect("nginx starts"));
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            wait(Duration::from_millis(20));
        }
        Self { process, port }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-CONT", &self.process.0.id().to_string()]).status();
    }
}
