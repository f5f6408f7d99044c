//! The bitrate that is shown: over the last two seconds of a counter.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// Takes the counter's value of this moment, in bytes; gives bits per second.
    pub fn of(&mut self, bytes: u64) -> u64 {
        self.at(Instant::now(), bytes)
    }

    fn at(&mut self, now: Instant, bytes: u64) -> u64 {
        self.0.push_back((now, bytes));
        while self.0.get(1).is_some_and(|(then, _)| now.duration_since(*then) >= WINDOW) {
            self.0.pop_front();
        }
        let Some((then, before)) = self.0.front() else { return 0 };
        let ms = u64::try_from(now.duration_since(*then).as_millis()).unwrap_or(u64::MAX);
        (bytes.saturating_sub(*before) * 8_000).checked_div(ms).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_two_seconds() {
        let (mut rate, began) = (Rate::default(), Instant::now());
        assert_eq!(rate.at(began, 0), 0);
        for look in 1..=8 {
            rate.at(began + Duration::from_millis(250) * look, u64::from(look) * 25_000);
        }
        assert_eq!(rate.at(began + Duration::from_millis(2_250), 225_000), 800_000);
        assert_eq!(rate.at(began + Duration::from_secs(9), 225_000), 0);
    }
}
