//! A machine that does not keep up: the box gets a part of one processor that is too small for all of its encoders and
//! large enough for the program. What gives is what may, the program is whole again by it, and all of it comes back.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, gettid, sched_setaffinity};
use serde_json::Value;

use super::harness::{CueBox, Folder, alone, decoded_frames, five_cameras, manifest, program, segments, until};
use super::marks;

const FPS: u64 = 30;
const SIZE: (usize, usize) = (1280, 720);
/// Linux counts so everywhere, whatever its timer does.
const TICKS_PER_S: f64 = 100.0;

/// A processor of which somebody else takes a part before the box gets anything, as heat does.
struct SlowMachine {
    pid: u32,
    /// Thousandths that are left to the box.
    share: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    other: Option<JoinHandle<()>>,
}

impl SlowMachine {
    /// Shorter than the frames that a picture may be late.
    const PERIOD: Duration = Duration::from_millis(10);

    fn new(cuebox: &CueBox, share: f64) -> Self {
        let pid = cuebox.pid();
        let processor: usize = processors().split([',', '-']).next().unwrap().parse().unwrap();
        let (share, over) = (Arc::new(AtomicU64::new((share * 1_000.0) as u64)), Arc::new(AtomicBool::new(false)));
        let (left, ends) = (share.clone(), over.clone());
        let other = std::thread::spawn(move || {
            let mut here = CpuSet::new();
            here.set(processor);
            sched_setaffinity(None, &here).unwrap();
            // Before everything else there, and only then is it as if the processor were slower.
            let first = ["-f", "-p", "1", &gettid().as_raw_pid().to_string()];
            assert!(Command::new("chrt").args(first).status().unwrap().success(), "needs root");
            let mut next = Instant::now();
            while !ends.load(Ordering::Relaxed) {
                let works = Self::PERIOD * (1_000 - left.load(Ordering::Relaxed).min(1_000)) as u32 / 1_000;
                let begun = Instant::now();
                while begun.elapsed() < works {
                    std::hint::spin_loop();
                }
                next = begun.max(next + Self::PERIOD);
                rests(next.saturating_duration_since(Instant::now()));
            }
        });
        run_on(pid, &processor.to_string());
        Self { pid, share, over, other: Some(other) }
    }

    fn share(&self) -> u64 {
        self.share.load(Ordering::Relaxed)
    }

    fn slow_down(&self) {
        self.share.store(self.share() * 9 / 10, Ordering::Relaxed);
    }

    /// A third more, which is still too little for all: the step that made it too little was a small one.
    fn ease(&self) {
        self.share.store(self.share() * 4 / 3, Ordering::Relaxed);
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

/// Seconds of processor time that the box has used.
fn used(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|field| fields[*field].parse::<u64>().unwrap()).sum();
    ticks as f64 / TICKS_PER_S
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

/// Weighs the box down until it has given up all that it may, step by step: no two machines are equally fast.
fn overload(cuebox: &CueBox) -> SlowMachine {
    let (began, before) = (Instant::now(), used(cuebox.pid()));
    // What has just started is not judged.
    until("its encoders have settled", 30, || began.elapsed() > Duration::from_secs(12));
    let needs = (used(cuebox.pid()) - before) / began.elapsed().as_secs_f64();
    let machine = SlowMachine::new(cuebox, (needs * 0.7).min(0.9));
    let (mut at, mut reached) = (Instant::now(), 0);
    loop {
        let now = level(&cuebox.wait("it answers", 30, |_| true));
        if now == 3 {
            eprintln!("{needs:.2} processors are needed for all; given up at {} thousandths of one", machine.share());
            // What else runs on that processor is not to take what the program alone needs.
            machine.ease();
            return machine;
        }
        if now > reached {
            (at, reached) = (Instant::now(), now);
        } else if at.elapsed() > Duration::from_secs(7) {
            assert!(machine.share() > 20, "nothing is given up\nlog:\n{}", cuebox.log());
            machine.slow_down();
            (at, reached) = (Instant::now(), now);
        }
    }
}

/// The frames of a segment on the show's axis.
fn frames(entry: &Value) -> Range<u64> {
    let first = entry["first_frame"].as_u64().unwrap();
    first..first + entry["frames"].as_u64().unwrap()
}

/// Most of the program while the machine was slow is on record: pictures in their places, with their sound. Other programs on
/// that processor cost some; where nothing is given up the recording is torn after every few frames.
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
    let all = slow.end - slow.start;
    eprintln!("{right} pictures of {all} and {heard:.2} s of their sound are right in {slow:?}");
    assert!(right * 2 > all && heard * 2.0 > all as f64 / FPS as f64, "the program did not go on");
}

fn is_frame(mark: marks::Mark, number: u64) -> bool {
    u64::from(mark.frame) == number & 0xff_ffff
}

#[test]
fn what_gives_when_the_machine_does_not_keep_up_is_never_the_program_and_all_of_it_comes_back() {
    let _alone = alone();
    let folder = Folder::new("overload");
    let config = five_cameras("").replace("640x360", &format!("{}x{}", SIZE.0, SIZE.1));
    // As its service runs it, so that what else runs beside the test hardly matters.
    let mut nice = Command::new("nice");
    nice.args(["-n", "-10", program()]);
    let cuebox = CueBox::spawn_as(nice, &folder, &config, &[]);
    cuebox.wait_live(5);
    let machine = overload(&cuebox);
    let show = cuebox.show();
    let given_up = Instant::now();
    // What waited before that is worked off first.
    let slow_from = frame_now(&show) + 2 * FPS;
    let slots: Vec<String> = (1..=5).map(|slot| format!("slot-{slot}")).collect();
    let status = cuebox.wait("the slots' files are sealed", 6, |_| {
        slots.iter().flat_map(|slot| segments(&show, slot)).all(|(_, entry)| entry["sealed"] == true)
    });
    assert!(cuebox.refused(&["snapshot", "2"]).contains("the machine does not keep up"));
    let alert = status["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == "overloaded").unwrap();
    assert_eq!(alert["severity"], "error");
    assert!(alert["text"].as_str().unwrap().ends_with("no previews, no recordings of slots"), "{alert}");
    assert!(slots.iter().all(|slot| why(&status, slot).contains("does not keep up")), "{}", status["encoders"]);
    assert_eq!(why(&status, "program-record"), "");
    let files = |slot: &String| segments(&show, slot).len();
    let before: Vec<usize> = slots.iter().map(files).collect();
    // Some seconds before the box tries whether it could take something back.
    until("it runs on like this", 10, || given_up.elapsed() > Duration::from_millis(8_500));
    let relieved = frame_now(&show);
    drop(machine);

    cuebox.wait("nothing is given up any more", 120, |status| {
        let whole = slots.iter().all(|slot| why(status, slot).is_empty());
        level(status) == 0 && whole && !status["alerts"].to_string().contains("overloaded")
    });
    until("every slot is recorded in another file", 20, || slots.iter().map(files).zip(&before).all(|(a, b)| a > *b));
    cuebox.done(&["snapshot", "2"]);
    cuebox.stop();

    assert_goes_on(&show, slow_from..relieved);
    let mut repeated = 0;
    for (slot, before) in slots.iter().zip(before) {
        let segments = segments(&show, slot);
        repeated += segments.iter().filter_map(|(_, entry)| entry["repeated"].as_u64()).sum::<u64>();
        assert!(segments.iter().all(|(_, entry)| entry["clean"] == true), "{slot}: a file was not sealed in order");
        let kept: Vec<Range<u64>> = segments.iter().map(|(_, entry)| frames(entry)).collect();
        let given_up = |kept: &Range<u64>| kept.start >= relieved || kept.end < relieved - 5 * FPS;
        assert!(kept.iter().all(given_up), "{slot}: {kept:?}");
        for (file, entry) in [&segments[before - 1], &segments[segments.len() - 1]] {
            assert_eq!(decoded_frames(file), entry["frames"].as_u64().unwrap(), "{}", file.display());
        }
    }
    assert!(repeated > 0, "no picture was left out before files were");
}
