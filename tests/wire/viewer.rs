//! An independent subscriber of a LiveKit room, by LiveKit's own client library, in the world.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::bench;
use super::harness::{pause, signal};
use super::lab::{Lab, Side, WORLD, tool};
use super::seen::Seen;
use super::servers::{API_KEY, API_SECRET, LIVEKIT_PORT};

pub struct Viewer {
    child: Child,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
}

impl Viewer {
    /// `record`: the file that keeps what it writes down.
    pub fn join(lab: &Lab, room: &str, identity: &str, record: &Path) -> Self {
        let url = format!("ws://{WORLD}:{LIVEKIT_PORT}");
        let mut child = lab
            .command(Side::World, &bench::python())
            .args([&tool("subscriber.py"), &url, API_KEY, API_SECRET, room, identity])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut record = BufWriter::new(File::create(record).unwrap());
        let reader = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                for line in lines.map_while(Result::ok) {
                    let _ = writeln!(record, "{line}");
                    let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the viewer wrote {line}"));
                    seen.lock().unwrap_or_else(PoisonError::into_inner).take(line);
                }
            }
        });
        Self { child, seen, reader: Some(reader) }
    }

    /// What it saw so far. It sees nothing while this is held.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what it saw holds.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, seconds: u64, holds: impl Fn(&Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(found) = holds(&self.seen()) {
                return found;
            }
            if Instant::now() >= deadline {
                let seen = self.seen();
                let (frames, sounds) = (seen.frames.len(), seen.sounds.len());
                panic!(
                    "not in {seconds} s: {what}\n{frames} frames, {sounds} sounds, last {:?}\n{:#?}",
                    seen.frames.last(),
                    seen.events
                );
            }
            pause();
        }
    }

    /// Waits until its record reaches that time: what it was to see until then it has seen.
    #[track_caller]
    pub fn watch_until(&self, t: f64) {
        let seconds = ((t - now_ms()).max(0.0) / 1000.0) as u64 + 15;
        self.wait("the viewer's record goes on", seconds, |seen| (seen.until >= t).then_some(()));
    }

    /// Waits for so many frames of a track from now on; gives the time of the first of them.
    #[track_caller]
    pub fn wait_frames(&self, track: &str, count: usize, seconds: u64) -> f64 {
        let from = now_ms();
        self.wait(&format!("{count} frames of {track}"), seconds, |seen| {
            let frames = seen.frames(track, from, f64::MAX);
            (frames.len() >= count).then(|| frames[0].t)
        })
    }

    /// Leaves the room; gives all that it saw.
    pub fn leave(mut self) -> Seen {
        signal(self.child.id(), "TERM");
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            pause();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.reader.take().unwrap().join().expect("what the viewer wrote could be read");
        std::mem::take(&mut *self.seen())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CLOCK_MONOTONIC in milliseconds, the clock of frame marks and of the viewer.
pub fn now_ms() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}
