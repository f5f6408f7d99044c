//! A machine that does not keep up: the box gets a part of one processor that is too small for all of its encoders and
//! large enough for the program. What gives is what may; the program is whole from the first moment on, because the
//! threads of all that may give wait for its own; and all of it comes back.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, gettid, sched_setaffinity};
use serde_json::Value;

use super::harness::{CueBox, Folder, alone, decoded_frames, five_cameras, manifest, program, segments, until};
use super::marks;

const FPS: u64 = 30;
const SIZE: (usize, usize) = (1280, 720);
/// Of what the slots need; without every other picture they need more.
const KEPT: f64 = 0.4;
/// Of the program, while the machine is slow.
const LEAST: f64 = 0.8;

/// A processor of which somebody else takes a part before the box gets anything, as heat does.
struct SlowMachine {
    pid: u32,
    over: Arc<AtomicBool>,
    other: Option<JoinHandle<()>>,
}

impl SlowMachine {
    /// Shorter than the frames that a picture may be late.
    const PERIOD: Duration = Duration::from_millis(10);

    fn new(cuebox: &CueBox, share: f64) -> Self {
        let pid = cuebox.pid();
        let processor: usize = processors().split([',', '-']).next().unwrap().parse().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let other = std::thread::spawn(move || {
            let mut here = CpuSet::new();
            here.set(processor);
            sched_setaffinity(None, &here).unwrap();
            // Before everything else there, and only then is it as if the processor were slower.
            let first = ["-f", "-p", "1", &gettid().as_raw_pid().to_string()];
            assert!(Command::new("chrt").args(first).status().unwrap().success(), "needs root");
            let mut next = Instant::now();
            while !ends.load(Ordering::Relaxed) {
                let works = Self::PERIOD.mul_f64(1.0 - share);
                let begun = Instant::now();
                while begun.elapsed() < works {
                    std::hint::spin_loop();
                }
                next = begun.max(next + Self::PERIOD);
                rests(next.saturating_duration_since(Instant::now()));
            }
        });
        run_on(pid, &processor.to_string());
        Self { pid, over, other: Some(other) }
    }
}

impl Drop for SlowMachine {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.other.take().map(JoinHandle::join);
        run_on(self.pid, &processors());
    }
}

#[expect(clippy::disallowed_methods, reason = "the part of the time that is left to the box")]
fn rests(time: Duration) {
    std::thread::sleep(time);
}

/// Processors that this test may use, as the kernel writes them.
fn processors() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

/// Puts every thread of the box there.
fn run_on(pid: u32, processors: &str) {
    let _ = Command::new("taskset").args(["-a", "-p", "-c", processors, &pid.to_string()]).output();
}

/// Seconds of processor time that the box's threads have used so far: those that encode the slots, and all others.
fn used(pid: u32) -> [f64; 2] {
    let mut used = [0.0; 2];
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).ok();
        if let (Some(name), Some(times)) = (read("comm"), read("schedstat")) {
            let ns: f64 = times.split(' ').next().unwrap().parse().unwrap();
            used[usize::from(!name.starts_with("enc-slot-"))] += ns / 1e9;
        }
    }
    used
}

/// Name and niceness of each of the box's threads.
fn threads(pid: u32) -> Vec<(String, i64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    let thread = |stat: String| {
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
        Some((name.to_owned(), fields.split(' ').nth(16)?.parse().ok()?))
    };
    stats.filter_map(thread).collect()
}

/// What encodes the slots waits for all other threads.
fn assert_priorities(pid: u32) {
    let process = rustix::process::getpriority_process(rustix::process::Pid::from_raw(pid.try_into().unwrap()));
    let process = i64::from(process.unwrap());
    let threads = threads(pid);
    for slot in 1..=5 {
        let name = format!("enc-slot-{slot}");
        let (waits, watches): (Vec<i64>, Vec<i64>) =
            threads.iter().filter(|(it, _)| *it == name).map(|(_, nice)| *nice).partition(|nice| *nice != process);
        assert!(!waits.is_empty() && waits.iter().all(|nice| *nice == (process + 10).min(19)), "{name}: {waits:?}");
        // Who builds a pipeline and ends it holds locks that the program waits for.
        assert_eq!(watches.len(), 1, "{name}");
    }
    let others = threads.iter().filter(|(name, _)| !name.starts_with("enc-slot-") && name != "vault-hash");
    let lower: Vec<_> = others.filter(|(_, nice)| *nice != process).collect();
    assert!(lower.is_empty(), "{lower:?}");
}

fn level(status: &Value) -> u64 {
    status["overload"].as_u64().unwrap()
}

fn why(status: &Value, job: &str) -> String {
    let encoders = status["encoders"].as_array().unwrap();
    let entry = encoders.iter().find(|encoder| encoder["job"] == job);
    entry.and_then(|encoder| encoder["why"].as_str()).unwrap_or_default().to_owned()
}

/// The show's frame of this moment.
fn frame_now(show: &Path) -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let frame = now.tv_sec as u64 * FPS + now.tv_nsec as u64 * FPS / 1_000_000_000;
    frame - manifest(show)["origin"].as_u64().unwrap()
}

/// Leaves the box enough for the program and for a part of what may give.
fn overload(cuebox: &CueBox) -> SlowMachine {
    let (began, before) = (Instant::now(), used(cuebox.pid()));
    // What has just started is not judged.
    until("its encoders have settled", 30, || began.elapsed() > Duration::from_secs(12));
    assert_priorities(cuebox.pid());
    let (seconds, now) = (began.elapsed().as_secs_f64(), used(cuebox.pid()));
    let [gives, stays] = [0, 1].map(|part| (now[part] - before[part]) / seconds);
    let share = (stays + gives * KEPT).min(0.9);
    eprintln!("the program needs {stays:.2} of a processor, the slots {gives:.2}; left to the box: {share:.2}");
    SlowMachine::new(cuebox, share)
}

/// The slots that are given up; the last of them go first.
fn given_up(status: &Value) -> Vec<u64> {
    let shed: Vec<u64> = (1..=5).filter(|slot| why(status, &format!("slot-{slot}")).starts_with("given up")).collect();
    assert!(shed.iter().rev().copied().eq((1..=5).rev().take(shed.len())), "{shed:?} are given up");
    shed
}

/// The frames of a segment on the show's axis.
fn frames(entry: &Value) -> Range<u64> {
    let first = entry["first_frame"].as_u64().unwrap();
    first..first + entry["frames"].as_u64().unwrap()
}

/// Nearly all of the program while the machine was slow is on record: pictures in their places, with their sound. Where
/// its threads are not before those of the slots, the recording is torn after every few frames.
fn assert_goes_on(show: &Path, slow: Range<u64>) {
    let origin = manifest(show)["origin"].as_u64().unwrap();
    let (mut right, mut heard) = (0, 0.0);
    for (file, entry) in segments(show, "program") {
        let frames = frames(&entry);
        let marks = marks::read(&file, SIZE.0, SIZE.1);
        assert_eq!(marks.len() as u64, frames.end - frames.start, "{}", file.display());
        let shown = frames.clone().zip(marks).filter(|(frame, _)| slow.contains(frame));
        right += shown.filter(|(frame, mark)| mark.is_some_and(|mark| is_frame(mark, origin + frame))).count() as u64;
        let within = frames.start.max(slow.start)..frames.end.min(slow.end);
        if within.start < within.end {
            let at = |frame: u64| (frame - frames.start) as f64 / FPS as f64;
            let seconds = at(within.start)..at(within.end);
            heard += seconds.end - seconds.start - marks::silences(&file, seconds).iter().sum::<f64>();
        }
    }
    let all = (slow.end - slow.start) as f64;
    eprintln!("{right} pictures of {all} and {heard:.2} s of their sound are right in {slow:?}");
    assert!(right as f64 > all * LEAST && heard > all * LEAST / FPS as f64, "the program did not go on");
}

fn is_frame(mark: marks::Mark, number: u64) -> bool {
    u64::from(mark.frame) == number & 0xff_ffff
}

#[test]
fn what_gives_when_the_machine_does_not_keep_up_is_never_the_program_and_all_of_it_comes_back() {
    let _alone = alone();
    let folder = Folder::new("overload");
    let config = five_cameras("").replace("640x360", &format!("{}x{}", SIZE.0, SIZE.1));
    // As its service runs it, in a session of its own and with priorities whatever starts the test has: so what else
    // runs beside the test hardly matters.
    let mut service = Command::new("setsid");
    service.args(["chrt", "--other", "0", "nice", "-n", "-15", program()]);
    let cuebox = CueBox::spawn_as(service, &folder, &config, &[]);
    cuebox.wait_live(5);
    // Where the kernel groups processes by their sessions, niceness counts only within one.
    let _ = std::fs::write(format!("/proc/{}/autogroup", cuebox.pid()), "-20");
    let show = cuebox.show();
    let machine = overload(&cuebox);
    let slow_from = frame_now(&show);
    let status = cuebox.wait("the recording of a slot is given up", 60, |status| !given_up(status).is_empty());
    let short = Instant::now();
    assert!(cuebox.refused(&["snapshot", "2"]).contains("the machine does not keep up"));
    let alert = status["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == "overloaded").unwrap();
    assert_eq!(alert["severity"], "error");
    assert!(alert["text"].as_str().unwrap().contains("no previews, half the pictures of each slot, no rec"), "{alert}");
    let first = given_up(&status);
    let slots: Vec<String> = (1..=5).map(|slot| format!("slot-{slot}")).collect();
    let files = |slot: &String| segments(&show, slot).len();
    let before: Vec<usize> = slots.iter().map(files).collect();
    cuebox.wait("its files are sealed", 15, |status| {
        assert_eq!(why(status, "program-record"), "");
        slots[4..].iter().flat_map(|slot| segments(&show, slot)).all(|(_, entry)| entry["sealed"] == true)
    });
    // So many slots go as it takes; then the box tries whether it could take one back.
    until("it runs on like this", 40, || short.elapsed() > Duration::from_secs(25));
    eprintln!("the recordings of {:?} are given up", given_up(&cuebox.wait("it answers", 30, |_| true)));
    let relieved = frame_now(&show);
    drop(machine);

    cuebox.wait("nothing is given up any more", 400, |status| {
        let whole = slots.iter().all(|slot| why(status, slot).is_empty());
        level(status) == 0 && whole && !status["alerts"].to_string().contains("overloaded")
    });
    let again = || slots.iter().map(files).zip(&before).skip(5 - first.len()).all(|(now, before)| now > *before);
    until("it is recorded in another file", 20, again);
    cuebox.done(&["snapshot", "2"]);
    cuebox.stop();

    assert_goes_on(&show, slow_from..relieved);
    let mut repeated = 0;
    for slot in &slots {
        let segments = segments(&show, slot);
        repeated += segments.iter().filter_map(|(_, entry)| entry["repeated"].as_u64()).sum::<u64>();
        assert!(segments.iter().all(|(_, entry)| entry["clean"] == true), "{slot}: a file was not sealed in order");
        for (file, entry) in [&segments[0], &segments[segments.len() - 1]] {
            assert_eq!(decoded_frames(file), entry["frames"].as_u64().unwrap(), "{}", file.display());
        }
    }
    assert!(repeated > 0, "no picture was left out before files were");
}
