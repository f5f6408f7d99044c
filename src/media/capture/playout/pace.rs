//! When a picture of a file or of a network stream is to be shown.
//!
//! A file has all the time in the world: its zero is laid a little ahead of now. A network stream has a clock of its
//! own and arrives unevenly: the earliest arrivals are followed slowly, and the show is held so far behind them that
//! later ones are still in time.

use std::time::Duration;

use cuebox_core::time::Mono;

/// How far ahead of now a file's first picture is shown: time to fill the shelf.
const LEAD: Duration = Duration::from_millis(150);
/// How long a network picture is held after the earliest that it could have come; unevenness up to this is not seen.
const HOLD: Duration = Duration::from_millis(200);
/// Share of a difference that the earliest arrival rises by with each buffer: 300 ppm of drift at 20 ms of unevenness.
const RISE: f64 = 1.0 / 2_000.0;
/// Beyond this the stream's time has jumped.
const JUMP_NS: f64 = 1e9;

pub enum Pace {
    /// Monotonic time of the file's zero, of the round it is in.
    File { zero: Option<u64> },
    /// Arrival less stream time of the earliest pictures, in ns; negative when the stream counts from long ago.
    Live { earliest: Option<f64> },
}

impl Pace {
    pub fn file() -> Self {
        Self::File { zero: None }
    }

    pub fn live() -> Self {
        Self::Live { earliest: None }
    }

    /// When stream time `stream_ns`, which arrives `now`, is shown.
    pub fn at(&mut self, stream_ns: u64, now: Mono) -> Mono {
        match self {
            Self::File { zero } => Mono(*zero.get_or_insert_with(|| (now + LEAD).0) + stream_ns),
            Self::Live { earliest } => {
                let offset = now.0 as f64 - stream_ns as f64;
                let known = *earliest.get_or_insert(offset);
                let follows =
                    if offset < known || offset - known > JUMP_NS { offset } else { known + (offset - known) * RISE };
                *earliest = Some(follows);
                Mono((stream_ns as f64 + follows) as u64) + HOLD
            }
        }
    }

    /// The file begins again after `length_ns`.
    pub fn begin_again(&mut self, length_ns: u64) {
        if let Self::File { zero: Some(zero) } = self {
            *zero += length_ns;
        }
    }

    /// Everything comes too late: start over from what comes next.
    pub fn reset(&mut self, late: Duration) {
        match self {
            Self::File { zero } => *zero = zero.map(|zero| (Mono(zero) + late + LEAD).0),
            Self::Live { earliest } => *earliest = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 33_333_333;

    #[test]
    fn a_file_runs_from_its_lead_and_joins_its_rounds() {
        let mut pace = Pace::file();
        let first = pace.at(0, Mono(1_000_000_000));
        assert_eq!(first, Mono(1_150_000_000));
        assert_eq!(pace.at(10 * FRAME, Mono(1_001_000_000)), first + Duration::from_nanos(10 * FRAME));
        pace.begin_again(20 * FRAME);
        assert_eq!(pace.at(0, Mono(1_500_000_000)), first + Duration::from_nanos(20 * FRAME));
    }

    #[test]
    fn an_uneven_drifting_stream_is_shown_evenly() {
        let mut pace = Pace::live();
        let (mut last, mut uneven) = (None, 0.0f64);
        for n in 0..18_000u64 {
            let late_ns = (n * 7_919 % 60) * 1_000_000;
            let now = Mono(5_000_000_000 + (n as f64 * FRAME as f64 * 1.0001) as u64 + late_ns);
            let at = pace.at(n * FRAME, now);
            assert!(n < 600 || at > now, "in time");
            if let Some(last) = last.filter(|_| n > 600) {
                uneven = uneven.max((at.since(last).as_secs_f64() - FRAME as f64 / 1e9).abs());
            }
            last = Some(at);
        }
        assert!(uneven < 0.002, "{uneven} s from one picture to the next");
    }
}
