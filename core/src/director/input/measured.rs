//! What is counted of a slot's picture: its frame rate, and how often it was lost in a row.
//!
//! A picture that is lost again and again is kept off the air: automatic changes take another slot, and come back to this
//! one only when it has been live for [`Flaps::hold`]. A cut does not wait.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Mono;

/// Counters are sampled each 50 ms, so silence is noticed within 250 ms of the last picture.
const STALLS_AFTER: Duration = Duration::from_millis(200);
/// Cameras slow down in the dark: a source is given four of its own frame intervals, but no more than this.
const STALLS_AT_MOST: Duration = Duration::from_secs(2);
const STALL_INTERVALS: u32 = 4;
/// Live for this long, a source's failures are forgotten.
pub(super) const FORGIVES: Duration = Duration::from_secs(60);
/// Lost so often in a row, with less than [`FORGIVES`] beyond its hold between: it is no accident.
const OFTEN: u32 = 3;
const SHORTEST_HOLD: Duration = Duration::from_secs(5);
const LONGEST_HOLD: Duration = Duration::from_secs(5 * 60);

/// The source's own frame rate, counted between two measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub from: Option<(Mono, u64)>,
    pub mfps: Option<u64>,
    /// Of the mode that was chosen, or the show's.
    pub nominal_mfps: u64,
}

impl Measured {
    /// How long this source may be silent.
    pub fn stall_limit(&self) -> Duration {
        let slowest = [self.mfps.unwrap_or(u64::MAX), self.nominal_mfps].into_iter().filter(|mfps| *mfps > 0).min();
        let interval = Duration::from_micros(1_000_000_000 / slowest.unwrap_or(30_000).max(1));
        (interval * STALL_INTERVALS).clamp(STALLS_AFTER, STALLS_AT_MOST)
    }
}

/// How often the picture was lost in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Flaps {
    losses: u32,
}

impl Flaps {
    pub fn lost(&mut self, live_for: Duration) {
        self.losses = if live_for < self.forgives() { self.losses.saturating_add(1) } else { 1 };
    }

    /// Live for this long, all losses are forgotten.
    pub fn forgives(self) -> Duration {
        self.hold() + FORGIVES
    }

    pub const fn forget(&mut self) {
        self.losses = 0;
    }

    pub const fn losses(self) -> u32 {
        self.losses
    }

    /// How long it must be live before anything but a cut puts it on air: nothing for the first two losses, then from
    /// 5 s to 5 min, doubled with each.
    pub fn hold(self) -> Duration {
        let Some(more) = self.losses.checked_sub(OFTEN) else { return Duration::ZERO };
        SHORTEST_HOLD.saturating_mul(1 << more.min(16)).min(LONGEST_HOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hold_grows_with_each_loss_up_to_its_longest_and_is_forgotten() {
        let mut flaps = Flaps::default();
        let holds: Vec<u64> = (0..12)
            .map(|_| {
                flaps.lost(Duration::from_secs(1));
                flaps.hold().as_secs()
            })
            .collect();
        assert_eq!(holds, [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
        flaps.lost(Duration::from_secs(361));
        assert_eq!((flaps.losses(), flaps.hold()), (1, Duration::ZERO));
    }
}
