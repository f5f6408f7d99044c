//! Two of the box's three notions of time: [`Mono`] for deadlines and frames, [`Wall`] for names and manifests.
//! (The third, GStreamer's clock time, lives inside the media shell; its clock is the same monotonic clock.)

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds of `CLOCK_MONOTONIC`, that is since the machine booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub u64);

impl Mono {
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`, zero when that is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// How far a wall-clock time can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Nobody has set the clock since the box got power.
    #[default]
    Unset,
    /// Read from a battery-backed clock.
    Rtc,
    /// Synchronised over the network.
    Ntp,
}

/// A wall-clock time, for people and names; never for a deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: i64,
    pub trust: Trust,
}

impl Wall {
    /// RFC 3339 in UTC, to the second: `2026-11-21T18:30:05Z`.
    pub fn rfc3339(self) -> String {
        let seconds = self.unix_ns.div_euclid(1_000_000_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

/// Gregorian year, month and day of a count of days since 1970-01-01. The year is taken to begin in March, so that the
/// leap day is its last: day `d` of such a year lies in month `(5 d + 2) / 153` after March.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_TO_YEAR_ZERO: i64 = 719_468;
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let days = days + DAYS_TO_YEAR_ZERO;
    let era = days.div_euclid(DAYS_IN_400_YEARS);
    let in_era = days.rem_euclid(DAYS_IN_400_YEARS);
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_times_print_as_rfc_3339() {
        for (unix_s, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_285_805, "2026-11-21T18:30:05Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Wall { unix_ns: unix_s * 1_000_000_000, trust: Trust::Ntp }.rfc3339(), text);
        }
    }
}
