//! How long to wait before trying again: growing, jittered, bounded, never given up.
//!
//! Owns the only randomness of the director, seeded, so that a replay waits the very same times.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A splitmix64 generator: 64 bits of state, every seed is good. Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The shortest and the longest wait of one kind of thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub first: Duration,
    pub most: Duration,
}

impl Pace {
    pub const fn ms(first: u64, most: u64) -> Self {
        Self { first: Duration::from_millis(first), most: Duration::from_millis(most) }
    }
}

/// Counts failures in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure and says how long to wait: `first`, doubled with each failure, at most `most`, spread over
    /// ± 25 % so that five things that failed together do not try together.
    pub fn next(&mut self, pace: Pace, dice: &mut Dice) -> Duration {
        let doubled = pace.first.saturating_mul(1 << self.failures.min(16)).min(pace.most);
        self.failures = self.failures.saturating_add(1);
        part(doubled, 750 + dice.roll() % 501)
    }

    /// The same with full jitter: any time up to that wait, but at least [`LEAST`], which bounds the rate.
    pub fn next_anywhere(&mut self, pace: Pace, dice: &mut Dice) -> Duration {
        let doubled = pace.first.saturating_mul(1 << self.failures.min(16)).min(pace.most);
        self.failures = self.failures.saturating_add(1);
        LEAST + part(doubled.saturating_sub(LEAST), dice.roll() % 1001)
    }
}

/// Between two tries with full jitter at least.
const LEAST: Duration = Duration::from_millis(250);

fn part(of: Duration, per_mille: u64) -> Duration {
    of.saturating_mul(u32::try_from(per_mille).unwrap_or(1000)) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace::ms(500, 30_000);

    #[test]
    fn waits_grow_to_the_longest_and_stay_within_a_quarter_of_it() {
        let (mut backoff, mut dice) = (Backoff::default(), Dice::new(7));
        for expected_ms in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].iter().chain([30_000; 100].iter())
        {
            let wait = backoff.next(PACE, &mut dice);
            assert!(wait >= Duration::from_millis(expected_ms * 3 / 4), "{wait:?} for {expected_ms} ms");
            assert!(wait <= Duration::from_millis(expected_ms * 5 / 4), "{wait:?} for {expected_ms} ms");
        }
        backoff.reset();
        assert!(backoff.next(PACE, &mut dice) < Duration::from_secs(1), "a reset begins anew");
    }

    #[test]
    fn full_jitter_spreads_over_the_whole_wait_and_its_rate_is_bounded() {
        let (mut backoff, mut dice) = (Backoff::default(), Dice::new(7));
        for _ in 0..8 {
            backoff.next_anywhere(PACE, &mut dice);
        }
        let waits: Vec<_> = (0..1_000).map(|_| backoff.next_anywhere(PACE, &mut dice).as_millis()).collect();
        assert!(waits.iter().all(|wait| (250..=30_000).contains(wait)));
        let mean = waits.iter().sum::<u128>() / 1_000;
        assert!((13_500..16_500).contains(&mean), "{mean}");
    }

    #[test]
    fn the_same_seed_waits_the_same_and_another_seed_does_not() {
        let waits = |seed| {
            let (mut backoff, mut dice) = (Backoff::default(), Dice::new(seed));
            (0..20).map(|_| backoff.next(PACE, &mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
