//! A thread that calls back on each frame of the show's grid, at the frame's time.
//!
//! For sources that make their own pictures (test picture, slate, silence): they may start or restart in the middle
//! of a show and still put every frame exactly where it belongs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::grid::{FrameIndex, Grid};
use cuebox_core::time::Mono;
use gst::prelude::*;

use super::timing::Timing;

/// Runs until dropped, or until the callback returns `false`.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    waiting: Mutex<Option<gst::ClockId>>,
}

impl Ticker {
    /// Calls `on_frame(frame, its running time)` for every frame from the next one on. When the machine could not
    /// keep up, frames that lie more than a quarter of a second back are left out.
    pub fn start(
        name: &str,
        timing: Timing,
        grid: Grid,
        mut on_frame: impl FnMut(FrameIndex, gst::ClockTime) -> bool + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let inner = shared.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut next = FrameIndex(grid.at_or_after(timing.now()).0 + 1);
            while !inner.stop.load(Ordering::Acquire) {
                let oldest = Mono(timing.now().0.saturating_sub(250_000_000));
                next = next.max(grid.at_or_after(oldest));
                let at = grid.time_of(next);
                inner.wait_until(&timing, at);
                if inner.stop.load(Ordering::Acquire) || !on_frame(next, timing.running(at)) {
                    break;
                }
                next = FrameIndex(next.0 + 1);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Shared {
    fn wait_until(&self, timing: &Timing, at: Mono) {
        let id = timing.clock().new_single_shot_id(gst::ClockTime::from_nseconds(at.0));
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.clone().into());
        if !self.stop.load(Ordering::Acquire) {
            let _ = id.wait();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(id) = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            id.unschedule();
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the callback was reported when it happened.
            let _ = thread.join();
        }
    }
}
