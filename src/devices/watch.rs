//! The thread that keeps looking: on every hot-plug message, when a node is due to be asked, and in any case every
//! [`PAUSE`], so that a machine without messages (a container) is only slower.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cuebox_core::director::Event;
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::mpsc::UnboundedSender;

use super::DeviceError;
use super::probe::probe;
use super::sysfs::Machine;
use super::tracker::{SETTLE, Tracker};
use super::uevent::Uevents;

const PAUSE: Duration = Duration::from_secs(2);

/// Watches for as long as it lives; dropping it ends the thread without waiting for it, because a device that hangs when
/// it is opened would hold it.
#[derive(Debug)]
pub struct DeviceWatch {
    /// Its closing is what ends the thread.
    _stop: PipeWriter,
}

/// Tells of every camera that is there, then of every change. What is there now follows within milliseconds; the call
/// itself does not wait for any device.
pub fn watch(events: UnboundedSender<Event>) -> Result<DeviceWatch, DeviceError> {
    let (stopped, stop) = std::io::pipe().map_err(DeviceError::Pipe)?;
    // Before the first look: what is plugged in between would be missed otherwise.
    let uevents = Uevents::subscribe()
        .inspect_err(|error| tracing::warn!("no hot-plug messages ({error}): looking every {PAUSE:?} instead"))
        .ok();
    std::thread::Builder::new()
        .name("devices".into())
        .spawn(move || run(&events, uevents.as_ref(), &stopped))
        .map_err(DeviceError::Thread)?;
    Ok(DeviceWatch { _stop: stop })
}

fn run(events: &UnboundedSender<Event>, uevents: Option<&Uevents>, stopped: &PipeReader) {
    let machine = Machine::this();
    let mut tracker = Tracker::default();
    let mut settle = Duration::ZERO;
    loop {
        let changes = tracker.look(Instant::now(), settle, machine.video_nodes(), &machine.sound_nodes(), &mut probe);
        // Only what appears from now on needs time to settle.
        settle = SETTLE;
        for event in changes {
            if events.send(event).is_err() {
                return;
            }
        }
        let until = tracker.next_due().map_or(PAUSE, |due| due.saturating_duration_since(Instant::now()).min(PAUSE));
        if !wait(uevents, stopped, until) {
            return;
        }
    }
}

/// `false` when the watch was dropped; `true` when it is time to look.
fn wait(uevents: Option<&Uevents>, stopped: &PipeReader, span: Duration) -> bool {
    let end = Instant::now() + span;
    loop {
        let mut fds = vec![PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN)];
        fds.extend(uevents.map(|uevents| PollFd::from_borrowed_fd(uevents.as_fd(), PollFlags::IN)));
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let ready = rustix::event::poll(&mut fds, Some(&timeout));
        if fds.first().is_some_and(|stop| !stop.revents().is_empty()) {
            return false;
        }
        match ready {
            Ok(0) => return true,
            // Other subsystems talk much; only what concerns cameras and sound is worth a look.
            Ok(_) if uevents.is_some_and(Uevents::drain) => return true,
            Ok(_) | Err(_) => {}
        }
        if left.is_zero() {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_watch_ends_its_thread_and_with_it_its_sender() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        drop(watch(sender).unwrap());
        while receiver.blocking_recv().is_some() {}
    }

    #[test]
    fn waiting_ends_at_its_time_and_at_once_when_stopped() {
        let (stopped, stop) = std::io::pipe().unwrap();
        assert!(wait(None, &stopped, Duration::from_millis(5)));
        drop(stop);
        assert!(!wait(None, &stopped, Duration::from_secs(600)));
    }
}
