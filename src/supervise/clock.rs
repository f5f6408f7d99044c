//! How far the wall clock can be believed.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use cuebox_core::time::{Trust, Wall};

/// systemd-timesyncd makes this file when the clock is synchronised; chrony's unit for it does the same.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// A battery-backed clock that the kernel knows.
const RTC: &str = "/sys/class/rtc/rtc0";

/// The wall clock of this moment.
pub fn read() -> Wall {
    let unix_ns = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or_default();
    Wall { unix_ns, trust: trust() }
}

fn trust() -> Trust {
    if Path::new(SYNCHRONISED).exists() {
        Trust::Ntp
    } else if Path::new(RTC).exists() || cfg!(target_arch = "x86_64") {
        // Every x86 machine has a battery-backed clock, also where a container does not show it.
        Trust::Rtc
    } else {
        Trust::Unset
    }
}
