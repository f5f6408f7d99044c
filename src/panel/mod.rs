//! Panels: keys that command the show, lamps that show what is on air.
//!
//! This shell carries presses in and lamps out. What a press means, when a panel counts as lost and what a lamp shows
//! is decided by `cuebox_core::{panel, tally}`; every panel is a task of its own, so that a wedged one holds up nobody.
//!
//! | file | is |
//! |---|---|
//! | `desk` | one panel's keys, lamps and report, whatever it is connected by |
//! | `serial`, `usb` | panels on serial lines, found by path or by USB identity |
//! | `gpio` | keys and LEDs on the machine's own pins |
//! | `hid`, `keypad`, `deck` | USB number pads and Stream Decks, taken as they are plugged in |
//! | `found` | what is plugged in, for whoever asks |
//! | `tsl` | tally for other people's lamps over the network |
//!
//! A panel may come and go at any time. A task that panics is started again, and the director is told.

mod deck;
mod desk;
mod found;
mod gpio;
mod hid;
mod keypad;
mod serial;
mod tsl;
mod usb;

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cuebox_core::command::Envelope;
use cuebox_core::director::PanelReport;
use cuebox_core::document::Snapshot;
use cuebox_core::panel::PanelConfig;
use cuebox_core::status::PanelGauges;
use cuebox_core::time::Mono;
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use desk::Desk;
pub use found::{Found, found};

/// Before a task that panicked is started again.
const MENDS: Duration = Duration::from_secs(1);

/// What the shell needs of the box.
#[derive(Clone)]
pub struct Deps {
    pub clock: fn() -> Mono,
    pub snapshots: watch::Receiver<Snapshot>,
    /// Takes a command; its answer is in the log and on the lamps.
    pub submit: Arc<dyn Fn(Envelope) + Send + Sync>,
    /// Takes how a panel is, when that changed.
    pub report: Arc<dyn Fn(PanelReport) + Send + Sync>,
    /// A task broke and is started again.
    pub broke: Arc<dyn Fn() + Send + Sync>,
}

/// What each panel's line carried, by the panel's id.
type Counters = Arc<Mutex<BTreeMap<String, PanelGauges>>>;

/// All panels of the box. Dropped, they are let go of.
pub struct Panels {
    _tasks: JoinSet<()>,
    counters: Counters,
}

impl Panels {
    /// Starts a task for every panel of the configuration. Must be called inside the runtime.
    pub fn start(config: &PanelConfig, deps: &Deps) -> Self {
        let counters = Counters::default();
        let config = Arc::new(config.clone());
        let mut tasks = JoinSet::new();
        let desk = || Desk::new(config.clone(), deps.clone(), counters.clone());
        for place in config.serial.clone() {
            let desk = desk();
            keep_up(&mut tasks, deps.broke.clone(), move || serial::serve(place.clone(), desk.clone()));
        }
        if let Some(gpio) = config.gpio.clone() {
            let desk = desk();
            keep_up(&mut tasks, deps.broke.clone(), move || gpio::serve(gpio.clone(), desk.clone()));
        }
        if config.hid {
            let desk = desk();
            keep_up(&mut tasks, deps.broke.clone(), move || hid::serve(desk.clone()));
        }
        for receiver in config.tsl.clone() {
            let (deps, hide_preview) = (deps.clone(), config.hide_preview);
            keep_up(&mut tasks, deps.broke.clone(), move || tsl::serve(receiver.clone(), hide_preview, deps.clone()));
        }
        Self { _tasks: tasks, counters }
    }

    /// What each panel's line carried so far.
    pub fn gauges(&self) -> BTreeMap<String, PanelGauges> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs a task that never ends, again after a panic.
fn keep_up<T: Future<Output = ()> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    broke: Arc<dyn Fn() + Send + Sync>,
    make: impl Fn() -> T + Send + 'static,
) {
    tasks.spawn(async move {
        while AssertUnwindSafe(make()).catch_unwind().await.is_err() {
            tracing::error!("a panel's task broke and is started again");
            broke();
            tokio::time::sleep(MENDS).await;
        }
    });
}
