//! Starts and stops boxes, talks to them, reads what they wrote.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// One at a time: whoever holds this has the machine for its box.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder that goes when the test passes and stays, named, when it fails.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cuebox-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for inspection: {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Five marked test cameras at 640×360, 30 fps, and whatever `extra` adds.
pub fn five_cameras(extra: &str) -> String {
    let mut text =
        String::from("[program]\nsize = \"640x360\"\nfps = 30\nvideo_bitrate = \"2 Mbit/s\"\nstart_slot = 1\n");
    for number in 1..=5 {
        text += &format!(
            "[[slot]]\nnumber = {number}\nname = \"Camera {number}\"\n\
             source = {{ kind = \"test\", marks = true, tone_hz = {} }}\n",
            300 + 100 * number
        );
    }
    text + extra
}

pub struct CueBox {
    child: Child,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
}

impl CueBox {
    /// Starts a box whose data lies in the folder and waits until it answers.
    pub fn start(folder: &Folder, config: &str) -> Self {
        let cuebox = Self::spawn(folder, config, &[]);
        cuebox.wait("the box answers", 30, |_| true);
        cuebox
    }

    pub fn spawn(folder: &Folder, config: &str, environment: &[(&str, &str)]) -> Self {
        Self::spawn_as(Command::new(program()), folder, config, environment)
    }

    /// `command` is what becomes the program: the program itself, or whatever executes it elsewhere.
    pub fn spawn_as(mut command: Command, folder: &Folder, config: &str, environment: &[(&str, &str)]) -> Self {
        let file = folder.path().join("cuebox.toml");
        let data = folder.path().join("data");
        let head = format!(
            "[box]\nid = \"hall-1\"\ndata_dir = \"{}\"\n[http]\nsocket = \"{}\"\n",
            data.display(),
            folder.path().join("control.sock").display()
        );
        std::fs::write(&file, head + config).unwrap();
        let log = folder.path().join("log.txt");
        let sink = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = command
            .args(["run", "--config"])
            .arg(&file)
            .env("CUEBOX_LOG", "info")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(sink.try_clone().unwrap())
            .stderr(sink)
            .spawn()
            .unwrap();
        Self { child, config: file, data, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn config(&self) -> &Path {
        &self.config
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn ctl(&self, words: &[&str]) -> Output {
        Command::new(program()).args(["ctl", "--config"]).arg(&self.config).args(words).output().unwrap()
    }

    /// A command that must be done.
    #[track_caller]
    pub fn done(&self, words: &[&str]) {
        let output = self.ctl(words);
        assert!(output.status.success(), "ctl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A command that must be refused; gives the reason.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        assert_eq!(output.status.code(), Some(1), "ctl {words:?} was not refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub fn status(&self) -> Option<Value> {
        let output = self.ctl(&["status", "--json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// Waits for a status that holds; panics with the last one after `seconds`.
    #[track_caller]
    pub fn wait(&self, what: &str, seconds: u64, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut last = None;
        while Instant::now() < deadline {
            if let Some(status) = self.status() {
                if holds(&status) {
                    return status;
                }
                last = Some(status);
            }
            pause();
        }
        let last = last.map(|status| format!("{status:#}")).unwrap_or_else(|| "no answer".to_owned());
        panic!("not in {seconds} s: {what}\nlast status: {last}\nlog:\n{}", self.log());
    }

    #[track_caller]
    pub fn wait_live(&self, slots: usize) -> Value {
        self.wait("every slot is live and recorded", 40, |status| {
            let recording = &status["recording"];
            live_slots(status) == slots && recording["state"] == "recording" && recording["bytes"].as_u64() > Some(0)
        })
    }

    /// Ctrl-C; the box must end by itself, with 0, within the promised 5 s (and what a busy machine adds).
    #[track_caller]
    pub fn stop(mut self) {
        self.signal("INT");
        let status = self.wait_exit(15);
        assert_eq!(status, Some(0), "log:\n{}", self.log());
    }

    /// Like a power cut for the process: nothing of it runs on.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Exit code, or `None` when a signal ended it; panics when it does not end.
    #[track_caller]
    pub fn wait_exit(&mut self, seconds: u64) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the box does not end; log:\n{}", self.log());
            pause();
        }
    }

    /// The newest show's folder.
    #[track_caller]
    pub fn show(&self) -> PathBuf {
        newest_show(&self.data)
    }
}

impl Drop for CueBox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the box's log:\n{}", self.log());
        }
    }
}

pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_cuebox")
}

pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

pub fn live_slots(status: &Value) -> usize {
    status["slots"].as_array().map_or(0, |slots| slots.iter().filter(|slot| slot["state"] == "live").count())
}

/// Between two looks at a fact that is waited for with a bound.
#[expect(clippy::disallowed_methods, reason = "the pause of a bounded wait for a fact")]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Waits until a fact outside of a box holds.
#[track_caller]
pub fn until(what: &str, seconds: u64, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < deadline, "not in {seconds} s: {what}");
        pause();
    }
}

#[track_caller]
pub fn newest_show(data: &Path) -> PathBuf {
    let mut shows: Vec<PathBuf> =
        std::fs::read_dir(data.join("shows")).unwrap().flatten().map(|entry| entry.path()).collect();
    shows.sort_by_key(|show| std::fs::metadata(show).and_then(|meta| meta.created()).unwrap());
    shows.pop().expect("there is a show")
}

pub fn manifest(show: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(show.join("show.json")).unwrap()).unwrap()
}

pub fn timeline(show: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(show.join("timeline.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A track's sealed segments: file and manifest entry, in order.
pub fn segments(show: &Path, track: &str) -> Vec<(PathBuf, Value)> {
    let manifest = manifest(show);
    let entries = manifest["segments"].as_array().unwrap();
    let mut found: Vec<(PathBuf, Value)> = entries
        .iter()
        .filter(|entry| entry["file"].as_str().is_some_and(|file| file.starts_with(&format!("{track}/"))))
        .map(|entry| (show.join(entry["file"].as_str().unwrap()), entry.clone()))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Number of decodable video frames, by an independent player's decoder.
#[track_caller]
pub fn decoded_frames(file: &Path) -> u64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_frames", "-show_entries", "stream=nb_read_frames"])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().trim_end_matches(',').parse().unwrap_or(0)
}
