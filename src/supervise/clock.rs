//! The wall clock: what it shows, how far it can be believed, and when somebody sets it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cuebox_core::time::{Mono, Trust, Wall};

/// systemd-timesyncd makes this file when the clock is synchronised; chrony's unit for it does the same.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// A battery-backed clock that the kernel knows.
const RTC: &str = "/sys/class/rtc/rtc0";
/// How often it is looked at.
const LOOKS: Duration = Duration::from_secs(1);
/// A smaller difference is what lies between reading one clock and the other.
const MOVED_NS: u64 = 500_000_000;

/// The wall clock of this moment.
pub fn read() -> Wall {
    let unix_ns = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or_default();
    // Every x86 machine has a battery-backed clock, also where a container does not show it.
    let battery = Path::new(RTC).exists() || cfg!(target_arch = "x86_64");
    Wall { unix_ns, trust: Trust::of(unix_ns, Path::new(SYNCHRONISED).exists(), battery) }
}

/// Tells the clock when it has moved against the monotonic one or is trusted otherwise, from the state `before` on,
/// until nobody listens.
pub async fn watch(before: Wall, now: fn() -> Mono, tell: impl Fn(Wall) -> bool) {
    let mut told = Reading { offset_ns: offset(before, now()), trust: before.trust };
    let mut looks = tokio::time::interval(LOOKS);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let wall = read();
        let found = Reading { offset_ns: offset(wall, now()), trust: wall.trust };
        if found.differs(told) {
            told = found;
            if !tell(wall) {
                return;
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Reading {
    /// Wall time minus monotonic time.
    offset_ns: i64,
    trust: Trust,
}

impl Reading {
    fn differs(self, told: Self) -> bool {
        self.offset_ns.abs_diff(told.offset_ns) >= MOVED_NS || self.trust != told.trust
    }
}

fn offset(wall: Wall, now: Mono) -> i64 {
    wall.unix_ns.saturating_sub(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}
