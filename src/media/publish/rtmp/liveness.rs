//! How much a server has taken; pure.
//!
//! | what tells | how late |
//! |---|---|
//! | answers to pings, acknowledgements that come often | the server itself has read it: a wedged one stops within half a second |
//! | the kernel's acknowledgements, where a server tells nothing | the server's kernel has it: a wedged one takes what its buffers hold, up to 6 MB |

use std::time::{Duration, Instant};

/// A ping each so often, while the one before was answered.
pub const PING_EVERY: Duration = Duration::from_millis(500);
/// Acknowledgements further apart than this come from a server that does not heed the window it was asked for.
const OFTEN: u64 = 256 * 1024;

#[derive(Debug, Default)]
pub struct Liveness {
    /// Bytes given to the connection.
    pub sent: u64,
    /// Bytes the server told it has read.
    told: u64,
    /// It tells often enough to be believed alone.
    tells: bool,
    last_acknowledged: Option<u64>,
    ping: Option<Ping>,
    pinged: Option<Instant>,
    number: u32,
    pub rtt: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    number: u32,
    at: Instant,
    /// An answer means that so much has been read.
    before: u64,
}

impl Liveness {
    /// The number of a ping to be sent now; `queued`: bytes that go before it and are not counted as sent yet.
    pub fn ping(&mut self, now: Instant, queued: u64) -> Option<u32> {
        if self.ping.is_some() || self.pinged.is_some_and(|at| now.duration_since(at) < PING_EVERY) {
            return None;
        }
        self.number = self.number.wrapping_add(1);
        self.pinged = Some(now);
        self.ping = Some(Ping { number: self.number, at: now, before: self.sent + queued });
        Some(self.number)
    }

    pub fn answered(&mut self, now: Instant, number: u32) {
        let Some(ping) = self.ping.take_if(|ping| ping.number == number) else { return };
        self.rtt = Some(now.duration_since(ping.at));
        self.told = self.told.max(ping.before);
        self.tells = true;
    }

    pub fn acknowledged(&mut self, bytes: u64) {
        let apart = bytes.saturating_sub(self.last_acknowledged.replace(bytes).unwrap_or(0));
        self.told = self.told.max(bytes.min(self.sent));
        self.tells |= apart <= OFTEN;
    }

    /// Bytes that have arrived, of which `unacknowledged` are known not to have by the kernel.
    pub const fn arrived(&self, unacknowledged: u64) -> u64 {
        if self.tells { self.told } else { self.sent.saturating_sub(unacknowledged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_server_that_tells_nothing_is_judged_by_its_kernel() {
        let mut line = Liveness { sent: 1_000, ..Liveness::default() };
        let began = Instant::now();
        assert_eq!(line.ping(began, 0), Some(1));
        assert_eq!(line.ping(began + 60 * SECOND, 0), None, "one that is not answered is not followed by another");
        assert_eq!(line.arrived(300), 700);
        line.sent = 8_000_000;
        line.acknowledged(5_000_000);
        assert_eq!(line.arrived(300), 7_999_700, "once in 5 MB is not often enough");
    }

    #[test]
    fn a_server_that_tells_is_believed_alone() {
        let mut line = Liveness { sent: 1_000, ..Liveness::default() };
        let began = Instant::now();
        assert_eq!(line.ping(began, 200), Some(1));
        line.sent = 9_000;
        line.answered(began + SECOND, 7);
        assert_eq!(line.arrived(0), 9_000, "not the number that was asked for");
        line.answered(began + SECOND, 1);
        assert_eq!((line.arrived(0), line.rtt), (1_200, Some(SECOND)));
        line.acknowledged(4_000);
        line.acknowledged(u64::MAX);
        assert_eq!(line.arrived(0), 9_000, "never more than was sent");
    }
}
