//! Key frame requests, coalesced; pure.
//!
//! Several viewers who join at once, or who all lost the same packet, ask within milliseconds. One key frame answers all
//! who asked before it was made; one who asks while it is on its way is answered by another, when the pause is over.

/// At most one request per this many nanoseconds.
const PAUSE_NS: u64 = 500_000_000;

/// What is known of requests that passed.
#[derive(Debug, Default)]
pub struct KeyFrames {
    asked_at: Option<u64>,
    open: bool,
}

impl KeyFrames {
    /// Somebody asks. True: pass it on now; else it is remembered.
    pub fn ask(&mut self, now_ns: u64) -> bool {
        self.open = true;
        let due = self.is_due(now_ns);
        if due {
            self.open = false;
            self.asked_at = Some(now_ns);
        }
        due
    }

    /// True when a remembered request is to be asked again.
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.open && self.asked_at.is_none_or(|at| now_ns.saturating_sub(at) >= PAUSE_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_requests_within_a_second_become_three() {
        let mut keys = KeyFrames::default();
        let mut passed = |ms: u64| (ms < 1_000 || keys.is_due(ms * 1_000_000)) && keys.ask(ms * 1_000_000);
        let at: Vec<u64> = (0..3_000).step_by(10).filter(|ms| passed(*ms)).collect();
        assert_eq!(at, [0, 500, 1_000]);
    }

    #[test]
    fn nobody_asks_and_nothing_passes() {
        let mut keys = KeyFrames::default();
        assert!(!keys.is_due(0));
        assert!(keys.ask(10));
        assert!(!keys.is_due(u64::MAX));
    }
}
