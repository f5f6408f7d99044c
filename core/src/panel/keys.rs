//! Ups and downs of one panel's keys → what they set off.
//!
//! | state of a key | leaves it when |
//! |---|---|
//! | up | it goes down: *down* and its press is told, or *maybe* where a long press or a chord may come of it |
//! | maybe | the others of its chord are down: the chord is told, all its keys are *spent* |
//! | | it was held for long: its long press is told, *spent* |
//! | | no chord came in [`CHORD`] and it has no long press: its press is told, *spent* |
//! | | it goes up: its press is told, *up* |
//! | spent | it goes up: *up* |
//!
//! One press sets off one thing, however long it is held. A key that says *down* twice is down once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Mono;

use super::action::Trigger;
use super::layout::Layout;

/// Keys that go down within this time may be a chord.
pub const CHORD: Duration = Duration::from_millis(80);

#[derive(Clone, Debug, Default)]
pub struct Keys {
    down: BTreeMap<u8, Down>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Down {
    Maybe { since: Mono },
    Spent,
}

impl Keys {
    /// A key went down or up.
    pub fn key(&mut self, now: Mono, layout: &Layout, key: u8, down: bool) -> Option<Trigger> {
        if key == 0 || key > layout.keys() {
            return None;
        }
        if !down {
            let before = self.down.remove(&key);
            return matches!(before, Some(Down::Maybe { .. })).then_some(Trigger::Press(key));
        }
        if self.down.contains_key(&key) {
            return None;
        }
        let waits = layout.action(&Trigger::Long(key)).is_some() || layout.chords(key).next().is_some();
        if !waits {
            self.down.insert(key, Down::Spent);
            return Some(Trigger::Press(key));
        }
        self.down.insert(key, Down::Maybe { since: now });
        let ready = |key: &u8| match self.down.get(key) {
            Some(Down::Maybe { since }) => now.since(*since) <= CHORD,
            Some(Down::Spent) | None => false,
        };
        let chord = layout.chords(key).filter(|chord| chord.iter().all(ready)).max_by_key(|chord| chord.len())?;
        for key in chord {
            self.down.insert(*key, Down::Spent);
        }
        Some(Trigger::Chord(chord.to_vec()))
    }

    /// The next thing whose time has come, one at a call.
    pub fn due(&mut self, now: Mono, layout: &Layout, long_press: Duration) -> Option<Trigger> {
        let due = |(key, down): (&u8, &Down)| match down {
            Down::Maybe { since } => {
                let (at, trigger) = waits(*key, *since, layout, long_press);
                (at <= now).then_some((*key, trigger))
            }
            Down::Spent => None,
        };
        let (key, trigger) = self.down.iter().find_map(due)?;
        self.down.insert(key, Down::Spent);
        Some(trigger)
    }

    /// When [`Keys::due`] has something to say.
    pub fn deadline(&self, layout: &Layout, long_press: Duration) -> Option<Mono> {
        let at = |(key, down): (&u8, &Down)| match down {
            Down::Maybe { since } => Some(waits(*key, *since, layout, long_press).0),
            Down::Spent => None,
        };
        self.down.iter().filter_map(at).min()
    }

    /// The panel is gone: what its keys were about to mean is forgotten.
    pub fn forget(&mut self) {
        self.down.clear();
    }
}

/// What a key that stays down comes to, and when.
fn waits(key: u8, since: Mono, layout: &Layout, long_press: Duration) -> (Mono, Trigger) {
    let long = Trigger::Long(key);
    if layout.action(&long).is_some() { (since + long_press, long) } else { (since + CHORD, Trigger::Press(key)) }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, PanelConfig};
    use super::*;

    const LONG: Duration = Duration::from_millis(600);

    /// Six keys; 1+2 is a chord, 1+2+3 another, and 6 has a long press.
    fn layout() -> Layout {
        let keys = [("1+2", "slate"), ("1+2+3", "hold")];
        let read = |(trigger, words): (&str, &str)| {
            (Trigger::from_words(trigger).unwrap(), Action::from_words(words).unwrap())
        };
        Layout::new(6, &PanelConfig { keys: keys.map(read).to_vec(), ..PanelConfig::default() })
    }

    /// Moves as `(ms, key, down)`; gives what came of them as `(ms, trigger)`.
    fn told(moves: &[(u64, u8, bool)]) -> Vec<(u64, Trigger)> {
        let (layout, mut keys, mut told) = (layout(), Keys::default(), Vec::new());
        for now_ms in 0..3_000 {
            let now = Mono(now_ms * 1_000_000);
            for (_, key, down) in moves.iter().filter(|(at, ..)| *at == now_ms) {
                told.extend(keys.key(now, &layout, *key, *down).map(|trigger| (now_ms, trigger)));
            }
            if keys.deadline(&layout, LONG).is_some_and(|at| at <= now) {
                while let Some(trigger) = keys.due(now, &layout, LONG) {
                    told.push((now_ms, trigger));
                }
            }
        }
        told
    }

    type Row<'a> = (&'a str, &'a [(u64, u8, bool)], &'a [(u64, Trigger)]);

    #[test]
    fn one_press_sets_off_one_thing() {
        let (press, long) = (Trigger::Press, Trigger::Long);
        let chord = |keys: &[u8]| Trigger::Chord(keys.to_vec());
        let table: &[Row<'_>] = &[
            ("a plain key acts when it goes down", &[(5, 4, true), (90, 4, false)], &[(5, press(4))]),
            ("down twice is down once", &[(5, 4, true), (9, 4, true), (90, 4, false)], &[(5, press(4))]),
            ("up alone is nothing", &[(5, 4, false)], &[]),
            ("a key that the panel does not have", &[(5, 7, true), (6, 0, true)], &[]),
            ("a stuck key is one press", &[(5, 4, true)], &[(5, press(4))]),
            ("a short press of a key with a long one", &[(5, 6, true), (200, 6, false)], &[(200, press(6))]),
            ("a long press", &[(5, 6, true), (1_500, 6, false)], &[(605, long(6))]),
            ("a key of a chord alone", &[(5, 1, true), (300, 1, false)], &[(85, press(1))]),
            ("the same, short", &[(5, 1, true), (30, 1, false)], &[(30, press(1))]),
            (
                "a chord, and no press when it is let go",
                &[(5, 1, true), (40, 2, true), (300, 1, false), (310, 2, false)],
                &[(40, chord(&[1, 2]))],
            ),
            (
                "too far apart for a chord",
                &[(5, 1, true), (120, 2, true), (300, 1, false), (310, 2, false)],
                &[(85, press(1)), (200, press(2))],
            ),
            (
                "keys of a chord one after the other",
                &[(5, 1, true), (20, 1, false), (30, 2, true), (50, 2, false)],
                &[(20, press(1)), (50, press(2))],
            ),
        ];
        for (name, moves, expected) in table {
            assert_eq!(told(moves), *expected, "{name}");
        }
    }

    #[test]
    fn a_panel_that_went_away_leaves_nothing_behind() {
        let (layout, mut keys) = (layout(), Keys::default());
        assert_eq!(keys.key(Mono(0), &layout, 6, true), None);
        keys.forget();
        assert_eq!(keys.deadline(&layout, LONG), None);
        assert_eq!(keys.key(Mono(9), &layout, 6, false), None);
    }
}
