//! The thread that keeps looking: on every hot-plug message, when a node is due to be asked, and in any case every
//! [`PAUSE`], so that a machine without messages (a container) is only slower. HDMI inputs are asked for their signal
//! whenever they tell that it changed, and every [`HEARS`] because some retrain without telling.

use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cuebox_core::director::Event;
use cuebox_core::edid::{self, EDID_BYTES, Preferred};
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::mpsc::UnboundedSender;

use super::DeviceError;
use super::hdmi::Listener;
use super::probe;
use super::sysfs::Machine;
use super::tracker::{SETTLE, Tracker};
use super::uevent::Uevents;

const PAUSE: Duration = Duration::from_secs(2);
const HEARS: Duration = Duration::from_millis(250);

/// Watches for as long as it lives; dropping it ends the thread without waiting for it, because a device that hangs when
/// it is opened would hold it.
#[derive(Debug)]
pub struct DeviceWatch {
    /// Its closing is what ends the thread.
    _stop: PipeWriter,
}

/// Tells of every camera that is there, then of every change. What is there now follows within milliseconds; the call
/// itself does not wait for any device. HDMI inputs that take an EDID ask cameras for `mode`.
pub fn watch(events: UnboundedSender<Event>, mode: Preferred) -> Result<DeviceWatch, DeviceError> {
    let (stopped, stop) = std::io::pipe().map_err(DeviceError::Pipe)?;
    // Before the first look: what is plugged in between would be missed otherwise.
    let uevents = Uevents::subscribe()
        .inspect_err(|error| tracing::warn!("no hot-plug messages ({error}): looking every {PAUSE:?} instead"))
        .ok();
    std::thread::Builder::new()
        .name("devices".into())
        .spawn(move || run(&events, &edid::edid(mode), uevents.as_ref(), &stopped))
        .map_err(DeviceError::Thread)?;
    Ok(DeviceWatch { _stop: stop })
}

fn run(events: &UnboundedSender<Event>, edid: &[u8; EDID_BYTES], uevents: Option<&Uevents>, stopped: &PipeReader) {
    let machine = Machine::this();
    let mut tracker = Tracker::default();
    let mut settle = Duration::ZERO;
    let mut listeners = Listeners::default();
    let mut ask = |node: &str| {
        probe::offer(node, edid);
        probe::probe(node)
    };
    loop {
        tracker.hear(&mut probe::hear);
        let changes = tracker.look(Instant::now(), settle, machine.video_nodes(), &machine.sound_nodes(), &mut ask);
        let inputs = tracker.inputs();
        listeners.follow(&inputs);
        // Only what appears from now on needs time to settle.
        settle = SETTLE;
        for event in changes {
            if events.send(event).is_err() {
                return;
            }
        }
        let pause = if inputs.is_empty() { PAUSE } else { HEARS };
        let until = tracker.next_due().map_or(pause, |due| due.saturating_duration_since(Instant::now()).min(pause));
        if !wait(uevents, &listeners, stopped, until) {
            return;
        }
    }
}

/// Open inputs whose changes are told, by instance.
#[derive(Default)]
struct Listeners(BTreeMap<u64, Option<Listener>>);

impl Listeners {
    fn follow(&mut self, inputs: &BTreeMap<u64, String>) {
        self.0.retain(|instance, _| inputs.contains_key(instance));
        for (instance, node) in inputs {
            self.0.entry(*instance).or_insert_with(|| probe::listen(node));
        }
    }

    fn open(&self) -> impl Iterator<Item = &Listener> {
        self.0.values().flatten()
    }
}

/// `false` when the watch was dropped; `true` when it is time to look.
fn wait(uevents: Option<&Uevents>, listeners: &Listeners, stopped: &PipeReader, span: Duration) -> bool {
    let end = Instant::now() + span;
    loop {
        let mut fds = vec![PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN)];
        fds.extend(uevents.map(|uevents| PollFd::from_borrowed_fd(uevents.as_fd(), PollFlags::IN)));
        fds.extend(listeners.open().map(|listener| PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::PRI)));
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let ready = rustix::event::poll(&mut fds, Some(&timeout));
        if fds.first().is_some_and(|stop| !stop.revents().is_empty()) {
            return false;
        }
        // All of them: an event that is left would wake the next wait.
        let changed = listeners.open().filter(|listener| listener.drain()).count();
        match ready {
            Ok(0) => return true,
            Ok(_) if changed > 0 => return true,
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
        drop(watch(sender, Preferred::P30).unwrap());
        while receiver.blocking_recv().is_some() {}
    }

    #[test]
    fn waiting_ends_at_its_time_and_at_once_when_stopped() {
        let (stopped, stop) = std::io::pipe().unwrap();
        let none = Listeners::default();
        assert!(wait(None, &none, &stopped, Duration::from_millis(5)));
        drop(stop);
        assert!(!wait(None, &none, &stopped, Duration::from_secs(600)));
    }
}
