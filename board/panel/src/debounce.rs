//! A switch's contact → presses and releases.
//!
//! | state | leaves it when |
//! |---|---|
//! | up | the contact was closed for [`DOWN_MS`] without a gap: *down* |
//! | down | the contact was open for [`UP_MS`] without a gap: *up* |
//!
//! Contacts bounce for 1–20 ms when they close and when they open. A press is told soon, because somebody waits for the
//! picture; a release is told only after a gap longer than any bounce, so that one press stays one press, even with a
//! worn switch that chatters for as long as it is held.

/// Milliseconds that a contact must be closed.
pub const DOWN_MS: u32 = 5;
/// Milliseconds that a contact must be open.
pub const UP_MS: u32 = 25;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debounce {
    down: bool,
    /// As it was seen last, and since when.
    closed: bool,
    since_ms: u32,
}

impl Debounce {
    pub const fn new() -> Self {
        Self { down: false, closed: false, since_ms: 0 }
    }

    pub const fn is_down(&self) -> bool {
        self.down
    }

    /// Takes the contact as it is now. `Some(true)`: the key went down; `Some(false)`: it went up. May be called at any
    /// pace; one that has edges calls it for each of them and again when [`Debounce::due`] says.
    pub fn update(&mut self, closed: bool, now_ms: u32) -> Option<bool> {
        if closed != self.closed {
            (self.closed, self.since_ms) = (closed, now_ms);
        }
        let settled = self.waits_ms().is_some_and(|wait| now_ms.wrapping_sub(self.since_ms) >= wait);
        settled.then(|| {
            self.down = self.closed;
            self.down
        })
    }

    /// When [`Debounce::update`] will have something to say if the contact stays as it is.
    pub fn due(&self) -> Option<u32> {
        self.waits_ms().map(|wait| self.since_ms.wrapping_add(wait))
    }

    fn waits_ms(&self) -> Option<u32> {
        (self.closed != self.down).then_some(if self.closed { DOWN_MS } else { UP_MS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    /// Milliseconds at which a contact changed, closing first: recordings of switches as their makers and users
    /// publish them, rounded to milliseconds.
    const PRESSES: &[(&str, &[u32])] = &[
        ("clean", &[0, 180]),
        ("tactile, 5 ms", &[0, 1, 2, 4, 5, 120, 121, 122]),
        ("arcade, 8 ms", &[0, 2, 3, 6, 8, 150, 151, 154]),
        ("push button, 12 ms", &[0, 3, 4, 5, 7, 9, 12, 200, 202, 203, 207, 208]),
        ("toggle, 16 ms", &[0, 4, 5, 9, 11, 15, 16, 240, 244, 246, 250, 252]),
        ("worn, 20 ms", &[0, 4, 8, 12, 13, 17, 20, 300, 306, 310, 317, 320]),
        ("tired, opens for 20 ms while it is held", &[0, 40, 60, 90, 100, 220]),
    ];

    /// What comes of a contact that is looked at each millisecond.
    fn polled(changes: &[u32]) -> Vec<(u32, bool)> {
        let mut debounce = Debounce::new();
        (0..600)
            .filter_map(|now| {
                let closed = changes.iter().filter(|at| **at <= now).count() % 2 == 1;
                debounce.update(closed, now).map(|down| (now, down))
            })
            .collect()
    }

    /// The same from its edges and deadlines alone.
    fn by_edges(changes: &[u32]) -> Vec<(u32, bool)> {
        let mut debounce = Debounce::new();
        let mut told = Vec::new();
        let mut edges = changes.iter().copied().zip([true, false].into_iter().cycle()).peekable();
        let mut closed = false;
        loop {
            let edge = edges.peek().map(|(at, _)| *at);
            let now = match (edge, debounce.due()) {
                (Some(edge), Some(due)) => edge.min(due),
                (Some(at), None) | (None, Some(at)) => at,
                (None, None) => return told,
            };
            if edge == Some(now) {
                closed = edges.next().is_some_and(|(_, closed)| closed);
            }
            told.extend(debounce.update(closed, now).map(|down| (now, down)));
        }
    }

    #[test]
    fn one_press_of_a_bouncing_switch_is_one_press() {
        for (name, changes) in PRESSES {
            let told = polled(changes);
            let downs: Vec<bool> = told.iter().map(|(_, down)| *down).collect();
            assert_eq!(downs, [true, false], "{name}: {told:?}");
            assert!(told[0].0 <= 25, "{name} is told late: {told:?}");
            assert_eq!(told, by_edges(changes), "{name}");
        }
    }

    #[test]
    fn a_spike_is_no_press() {
        assert_eq!(polled(&[10, 14, 50, 51, 90, 94]), []);
    }

    #[test]
    fn a_key_that_bounces_for_200_ms_is_pressed_once() {
        let chatter: Vec<u32> = (0..=66).map(|n| n * 3).collect();
        assert_eq!(chatter.len() % 2, 1, "it ends closed");
        assert_eq!(polled(&chatter).iter().map(|(_, down)| *down).collect::<Vec<_>>(), [true]);
    }

    #[test]
    fn the_clock_may_wrap_around() {
        let mut debounce = Debounce::new();
        assert_eq!(debounce.update(true, u32::MAX - 1), None);
        assert_eq!(debounce.due(), Some(3));
        assert_eq!(debounce.update(true, 3), Some(true));
    }
}
