//! What the service manager (systemd) is told: that the program runs, that the loop is alive, that the box ends.
//!
//! The loop itself feeds the watchdog, at most four times in the watchdog's period. A timer thread would go on feeding it
//! while the loop stands still, which is the one thing that the watchdog is there for. Without a service manager nothing
//! is told to anybody.

use std::time::Duration;

use cuebox_core::time::Mono;
use sd_notify::NotifyState;

pub struct ServiceManager {
    /// How often the watchdog is fed; `None`: nobody watches.
    feed_every: Option<Duration>,
    fed: Option<Mono>,
    /// The newest status line that was told.
    told: String,
}

impl ServiceManager {
    /// As the environment says (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    pub fn from_environment() -> Self {
        Self { feed_every: sd_notify::watchdog_enabled().map(|period| period / 4), fed: None, told: String::new() }
    }

    /// The program's first frame was made.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The loop has come round.
    pub fn alive(&mut self, now: Mono) {
        let Some(every) = self.feed_every else { return };
        if self.fed.is_none_or(|fed| now.since(fed) >= every) {
            self.fed = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// What `systemctl status` shows beside the service; told when it has changed.
    pub fn status(&mut self, line: String) {
        if line != self.told {
            tell(&[NotifyState::Status(&line)]);
            self.told = line;
        }
    }

    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

/// A service manager that does not listen changes nothing for the show.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("the service manager cannot be told {state:?}: {error}");
    }
}
