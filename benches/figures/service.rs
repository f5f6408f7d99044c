//! The real service as a process: CPU and memory beside bare pipelines, cost per input, time to the first frame.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::{CueBox, Folder, five_cameras, live_slots};
use super::meter::{cpu_seconds, idle, median, rss_mb, wait};
use super::{row, scratch};

const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(5);
const SPAN: Duration = Duration::from_secs(15);

/// A box or a bare process, killed when dropped.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn config(folder: &Path, slots: usize, size: &str, extra: &str) -> PathBuf {
    std::fs::create_dir_all(folder).expect("the scratch folder can be made");
    let mut text = format!(
        "[box]\nid = \"bench\"\ndata_dir = \"data\"\n[http]\nsocket = \"control.sock\"\n\
         [program]\nsize = \"{size}\"\nfps = 30\nvideo_bitrate = \"4 Mbit/s\"\n{extra}"
    );
    for number in 1..=slots {
        text += &format!(
            "[[slot]]\nnumber = {number}\nsource = {{ kind = \"test\", marks = true, tone_hz = {} }}\n",
            200 + 100 * number
        );
    }
    let file = folder.join("cuebox.toml");
    std::fs::write(&file, text).expect("the scratch folder can be written");
    file
}

pub fn cuebox() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_cuebox"))
}

pub fn service(file: &Path) -> Process {
    let log = std::fs::File::create(file.with_extension("log")).expect("the scratch folder can be written");
    let mut command = Command::new(cuebox());
    command.args(["run", "--config"]).arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Process(command.spawn().expect("cuebox starts"))
}

/// Sources and recordings as bare pipelines.
pub fn bare(slots: usize, recordings: usize, folder: &Path) -> Process {
    std::fs::create_dir_all(folder).expect("the scratch folder can be made");
    let mut command = Command::new(std::env::current_exe().expect("a program knows its path"));
    let seconds = (WARM_UP + SPAN).as_secs() + 5;
    command
        .args(["bare", &slots.to_string(), &recordings.to_string(), &seconds.to_string()])
        .arg(folder)
        .stdin(Stdio::null());
    Process(command.spawn().expect("the bare pipelines start"))
}

/// Cores and megabytes of a process after its warm-up: those of a moment in the middle, because pictures come and go.
pub fn measured(process: &Process) -> (f64, f64) {
    wait(WARM_UP);
    let (pid, began) = (process.0.id(), Instant::now());
    let before = cpu_seconds(pid);
    let readings: Vec<f64> = (0..SPAN.as_secs()).map(|_| (wait(Duration::from_secs(1)), rss_mb(pid)).1).collect();
    ((cpu_seconds(pid) - before) / began.elapsed().as_secs_f64(), median(&readings))
}

pub fn cpu() {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut memory, mut bare_memory) = (Vec::new(), Vec::new());
    let mut idles = Vec::new();
    for round in 0..ROUNDS {
        let folder = scratch().join(format!("cpu-{round}"));
        let file = config(&folder, 5, "1920x1080", "");
        let mut reading = (0.0, 0.0);
        idles.push(idle(|| reading = measured(&service(&file))));
        let reference = measured(&bare(5, 6, &folder.join("bare")));
        ours.push(reading.0);
        theirs.push(reference.0);
        ratios.push(reading.0 / reference.0);
        memory.push(reading.1);
        bare_memory.push(reference.1);
        let _ = std::fs::remove_dir_all(&folder);
    }
    row(
        "CPU, 5 × 1080p30 in, program + 5 slot recordings, with sound",
        "≤ 1.05 × bare",
        &format!("{:.2} × ({:.2} cores; machine {:.0} % idle)", median(&ratios), median(&ours), median(&idles) * 100.0),
        &format!("bare pipelines {:.2} cores", median(&theirs)),
    );
    row(
        "memory, the same",
        "≤ 350 MB",
        &format!("{:.0} MB", median(&memory)),
        &format!("bare {:.0} MB", median(&bare_memory)),
    );
}

pub fn inputs() {
    let mut costs = Vec::new();
    for slots in 1..=5 {
        let folder = scratch().join(format!("inputs-{slots}"));
        let file = config(&folder, slots, "1280x720", "");
        costs.push(measured(&service(&file)).0);
        let _ = std::fs::remove_dir_all(&folder);
    }
    let steps: Vec<f64> = costs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    row(
        "cost per input, 720p30, 1 to 5 inputs, each recorded",
        "linear",
        &format!("{} cores", costs.iter().map(|cost| format!("{cost:.2}")).collect::<Vec<_>>().join(" · ")),
        &format!("steps {}", steps.iter().map(|step| format!("{step:+.2}")).collect::<Vec<_>>().join(" ")),
    );
}

/// From the start of the process to the program's first frame, with GStreamer's registry warm.
pub fn start() {
    let mut times = Vec::new();
    for round in 0..=5 {
        let folder = scratch().join(format!("start-{round}"));
        let file = config(&folder, 5, "1920x1080", "");
        let began = Instant::now();
        let mut command = Command::new(cuebox());
        command.args(["run", "--config"]).arg(&file).env("CUEBOX_LOG", "info").stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("cuebox starts");
        let log = child.stderr.take().expect("the log is a pipe");
        let process = Process(child);
        let first = BufReader::new(log).lines().map_while(Result::ok).any(|line| line.contains("first frame"));
        let took = began.elapsed().as_secs_f64();
        drop(process);
        if first && round > 0 {
            times.push(took);
        }
        let _ = std::fs::remove_dir_all(&folder);
    }
    row(
        "service start → first program frame, warm",
        "≤ 1.5 s",
        &format!("{:.2} s (max {:.2})", median(&times), times.iter().copied().fold(0.0, f64::max)),
        "process start",
    );
}

/// Killed in the middle of a show: from the next start until the chosen slot is on air and all is recorded again, which
/// begins six files more.
pub fn resume() {
    let folder = Folder::new("bench-resume");
    let text = five_cameras("");
    let mut cuebox = CueBox::start(&folder, &text);
    let show = cuebox.wait_live(5)["show"]["id"].clone();
    cuebox.done(&["cut", "3"]);
    let mut times = Vec::new();
    for kill in 1..=10 {
        // What is killed has something of each track on the disk.
        wait(Duration::from_secs(2));
        cuebox.kill();
        let began = Instant::now();
        cuebox = CueBox::spawn(&folder, &text, &[]);
        let status = cuebox.wait("the show goes on", 30, |status| {
            status["program"]["on_air"] == 3
                && live_slots(status) == 5
                && status["recording"]["state"] == "recording"
                && status["recording"]["files"] == 6 * (kill + 1)
        });
        times.push(began.elapsed().as_secs_f64());
        assert_eq!(status["show"]["id"], show, "it is the same show");
    }
    cuebox.stop();
    row(
        "start after a kill → the chosen slot on air, five slots live, six recordings running",
        "≤ 3 s",
        &format!("{:.2} s p50, {:.2} at most", median(&times), times.iter().copied().fold(0.0, f64::max)),
        &format!("process start; {} kills", times.len()),
    );
}
