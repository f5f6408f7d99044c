//! Bounds of the surface: how much, how many, how fast, how long. Each is far above what a show needs and far below
//! what hurts one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cuebox_core::time::Mono;

/// Bytes of a command's body; the longest real command has under 3 KiB.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Bytes of a body that is too long which are read and thrown away, so that the sender gets to read the answer rather
/// than a reset connection.
pub(super) const MAX_DISCARDED: usize = 8 * 1024 * 1024;
/// Bytes of a request's head.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// Connections of one surface at a time, event streams included.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// Event streams of one surface at a time.
pub(super) const MAX_EVENT_STREAMS: usize = 16;
/// Events kept for a reader that is behind; at two gauge events a second and a quiet show that is two minutes.
pub(super) const EVENTS_KEPT: usize = 256;
/// How long a peer is waited for.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// For the head of a request, and between two requests of one connection.
    pub(super) head: Duration,
    pub(super) body: Duration,
    /// For the director's answer. It promises one within 500 ms.
    pub(super) answer: Duration,
    /// For an event to leave towards its reader.
    pub(super) send: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { head: seconds(10), body: seconds(5), answer: seconds(5), send: seconds(5) }
    }
}

const COMMANDS_PER_S: u32 = 100;
const COMMAND_BURST: u32 = 200;

/// Counts the commands of one surface: a bucket that holds [`COMMAND_BURST`] and refills with [`COMMANDS_PER_S`].
pub(super) struct CommandRate(Mutex<Bucket>);

struct Bucket {
    tokens: f64,
    filled: Mono,
}

impl CommandRate {
    pub(super) fn new(now: Mono) -> Self {
        Self(Mutex::new(Bucket { tokens: f64::from(COMMAND_BURST), filled: now }))
    }

    /// Takes one command's token.
    ///
    /// # Errors
    /// How long until there is one.
    pub(super) fn take(&self, now: Mono) -> Result<(), Duration> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.since(bucket.filled).as_secs_f64() * f64::from(COMMANDS_PER_S);
        bucket.tokens = (bucket.tokens + gained).min(f64::from(COMMAND_BURST));
        bucket.filled = bucket.filled.max(now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / f64::from(COMMANDS_PER_S)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Mono(7_000_000_000);
        let rate = CommandRate::new(start);
        let passed_at = |now: Mono| (0..1_000).filter(|_| rate.take(now).is_ok()).count();
        assert_eq!(passed_at(start), 200);
        assert!(rate.take(start).unwrap_err() <= Duration::from_millis(10));
        assert_eq!(passed_at(start + Duration::from_secs(1)), 100);
        assert_eq!(passed_at(start + Duration::from_secs(3600)), 200);
    }
}
