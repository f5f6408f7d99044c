//! Spreads what is due at once, so that a key frame does not fill a small line's queue.

use std::time::Duration;

use crate::time::Mono;

/// Bits that may leave at once, as time at the rate: an ordinary picture is not spread.
const DEPTH_MS: u64 = 40;
/// What waits leaves within this, however much it is.
const PATIENCE_MS: u64 = 300;

/// Fills at a rate; what leaves takes from it, and may take it below empty once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    bits: i64,
    at: Option<Mono>,
}

impl Bucket {
    /// `waiting_bits`: all that is due and has not left yet.
    pub fn fill(&mut self, now: Mono, rate_bps: u64, waiting_bits: u64) {
        let rate_bps = rate_bps.max(waiting_bits * 1_000 / PATIENCE_MS).max(1);
        let depth = i64::try_from(rate_bps * DEPTH_MS / 1_000).unwrap_or(i64::MAX);
        let us = self.at.replace(now).map_or(u64::MAX, |at| u64::try_from(now.since(at).as_micros()).unwrap_or(0));
        let gained = i64::try_from(rate_bps.saturating_mul(us.min(1_000_000)) / 1_000_000).unwrap_or(i64::MAX);
        self.bits = self.bits.saturating_add(gained).min(depth);
    }

    /// Whether a packet may leave; it is counted by [`Bucket::take`].
    pub const fn lets_pass(&self) -> bool {
        self.bits > 0
    }

    pub fn take(&mut self, bytes: u32) {
        self.bits = self.bits.saturating_sub(i64::from(bytes) * 8);
    }

    /// How long until the next packet may leave, at that rate.
    pub fn opens_in(&self, rate_bps: u64) -> Duration {
        let missing = u64::try_from(1 - self.bits).unwrap_or(0);
        Duration::from_micros(missing.saturating_mul(1_000_000) / rate_bps.max(1))
    }
}
