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

/// 2026-01-01T00:00:00Z: this program is younger than that, so a clock that shows less was never set.
const YOUNGEST_NS: i64 = 1_767_225_600_000_000_000;

impl Trust {
    /// Of a clock that shows `unix_ns`: whether the network has set it, and whether the machine keeps time by a battery.
    /// A battery that is empty leaves the clock where it was made: in the past.
    pub const fn of(unix_ns: i64, synchronised: bool, battery: bool) -> Self {
        if unix_ns < YOUNGEST_NS {
            Self::Unset
        } else if synchronised {
            Self::Ntp
        } else if battery {
            Self::Rtc
        } else {
            Self::Unset
        }
    }
}

/// A wall-clock time, for people and names; never for a deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: i64,
    pub trust: Trust,
}

/// What was learnt of the clock after a time had been taken by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// To be added to that time.
    pub offset_ns: i64,
    /// How far the clock that says so can be believed.
    pub trust: Trust,
}

impl Wall {
    /// The same time by the clock as it was set later.
    pub fn corrected(self, correction: Option<Correction>) -> Self {
        correction
            .map_or(self, |known| Self { unix_ns: self.unix_ns.saturating_add(known.offset_ns), trust: known.trust })
    }

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

/// Nanoseconds since 1970 of an RFC 3339 time: `2026-11-21T18:30:05.25Z`, `2026-11-21T19:30:05+01:00`. `None`: it is
/// not one, or not one of the years 1700 to 2262.
pub fn rfc3339_unix_ns(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let (fraction_ns, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, zone) = rest.split_at_checked(end)?;
            (format!("{digits:0<9}").get(..9)?.parse::<i64>().ok().filter(|_| !digits.is_empty())?, zone)
        }
    };
    let offset_s = match zone {
        "Z" | "z" => 0,
        _ => {
            let (sign, rest) = zone.split_at_checked(1)?;
            let [hours, minutes] = numbers(rest, ':')?;
            let sign = if sign == "+" {
                1
            } else if sign == "-" {
                -1
            } else {
                return None;
            };
            (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))?
        }
    };
    let seconds = in_range.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns)
}

/// Plain numbers between separators.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for number in &mut found {
        let part = parts.next().filter(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Days since 1970-01-01 of a Gregorian date: the way back from [`civil`].
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let in_era_years = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let in_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + in_era_years * 365 + in_era_years / 4 - in_era_years / 100 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_times_are_read_back() {
        for seconds in (-2_000_000_000..4_200_000_000_i64).step_by(7_654_321) {
            let wall = Wall { unix_ns: seconds * 1_000_000_000, trust: Trust::Ntp };
            assert_eq!(rfc3339_unix_ns(&wall.rfc3339()), Some(wall.unix_ns), "{}", wall.rfc3339());
        }
        let base = rfc3339_unix_ns("2026-11-21T18:30:05Z").unwrap();
        for (text, more_ns) in [
            ("2026-11-21T18:30:05.25Z", 250_000_000),
            ("2026-11-21t18:30:05.0000000019z", 1),
            ("2026-11-21 19:30:05+01:00", 0),
            ("2026-11-21T13:00:05-05:30", 0),
        ] {
            assert_eq!(rfc3339_unix_ns(text), Some(base + more_ns), "{text}");
        }
        for no in [
            "",
            "2026-11-21",
            "2026-11-21T18:30:05",
            "2026-13-21T18:30:05Z",
            "2026-11-21T25:30:05Z",
            "2026-11-21T18:30Z",
            "2026-11-21T18:30:05.Z",
            "2026-11-21T18:30:05+1",
            "+026-11-21T18:30:05Z",
            "9999-11-21T18:30:05Z",
            "üüüüüüüüüü",
        ] {
            assert_eq!(rfc3339_unix_ns(no), None, "{no}");
        }
    }

    #[test]
    fn a_clock_that_shows_a_time_before_this_program_was_made_is_not_believed() {
        let now = 1_795_285_805_000_000_000;
        for (unix_ns, synchronised, battery, trust) in [
            (now, true, true, Trust::Ntp),
            (now, false, true, Trust::Rtc),
            (now, false, false, Trust::Unset),
            (0, true, true, Trust::Unset),
            (946_684_800_000_000_000, false, true, Trust::Unset),
        ] {
            assert_eq!(Trust::of(unix_ns, synchronised, battery), trust, "{unix_ns}");
        }
    }

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
