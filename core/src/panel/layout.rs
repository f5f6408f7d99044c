//! Which key does what.
//!
//! ```text
//! 6 keys, direct          6 keys, preview         long: key 6 lock (direct), slate (preview)
//!  1  2  3  4  5  SLATE    1  2  3  4  5  TAKE
//!
//! 8 keys, direct          8 keys, preview         long: key 8 lock
//!  1  2  3  4              1  2  3  4
//!  5  SLATE MARK HOLD      5  TAKE AUTO SLATE
//!
//! 12 keys and more, both modes                    long: RECORD, STREAM, and key 12 lock
//!  1  2  3  4
//!  5  SLATE TAKE AUTO
//!  HOLD RECORD STREAM MARK
//! ```
//!
//! Recording and streaming stop on a long press only: a slip of the finger must not end them. Nothing that waits for a
//! long press lies on the key of a slot, so those act as soon as they are down.

use std::collections::BTreeMap;

use crate::command::{Command, Transition};
use crate::ids::SlotId;

use super::action::{Action, Switch, Trigger};
use super::{Mode, PanelConfig};

/// Milliseconds of AUTO.
const AUTO_MS: u32 = 800;

/// The map of one panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    keys: u8,
    actions: BTreeMap<Trigger, Action>,
}

impl Layout {
    /// The map for a panel of so many keys: the default one with the configuration's changes.
    pub fn new(keys: u8, config: &PanelConfig) -> Self {
        let mut layout = Self { keys, actions: BTreeMap::new() };
        for slot in SlotId::all().filter(|slot| slot.number() <= keys) {
            layout.set(Trigger::Press(slot.number()), Action::Slot(slot));
        }
        match (keys, config.mode) {
            (0..6, _) => {}
            (6 | 7, Mode::Direct) => layout.six(Action::Toggle(Switch::Slate), Switch::Lock),
            (6 | 7, Mode::Preview) => layout.six(Action::Do(Command::Take), Switch::Slate),
            (8..12, Mode::Direct) => {
                layout.set(Trigger::Press(6), Action::Toggle(Switch::Slate));
                layout.set(Trigger::Press(7), marker());
                layout.set(Trigger::Press(8), Action::Toggle(Switch::Hold));
                layout.set(Trigger::Long(8), Action::Toggle(Switch::Lock));
            }
            (8..12, Mode::Preview) => {
                layout.set(Trigger::Press(6), Action::Do(Command::Take));
                layout.set(Trigger::Press(7), auto());
                layout.set(Trigger::Press(8), Action::Toggle(Switch::Slate));
                layout.set(Trigger::Long(8), Action::Toggle(Switch::Lock));
            }
            (12.., _) => {
                layout.set(Trigger::Press(6), Action::Toggle(Switch::Slate));
                layout.set(Trigger::Press(7), Action::Do(Command::Take));
                layout.set(Trigger::Press(8), auto());
                layout.set(Trigger::Press(9), Action::Toggle(Switch::Hold));
                layout.set(Trigger::Long(10), Action::Toggle(Switch::Record));
                layout.set(Trigger::Long(11), Action::Toggle(Switch::Stream));
                layout.set(Trigger::Press(12), marker());
                layout.set(Trigger::Long(12), Action::Toggle(Switch::Lock));
            }
        }
        for (trigger, action) in &config.keys {
            layout.set(trigger.clone(), action.clone());
        }
        layout
    }

    pub const fn keys(&self) -> u8 {
        self.keys
    }

    pub fn action(&self, trigger: &Trigger) -> Option<&Action> {
        self.actions.get(trigger)
    }

    /// What the lamp of a key is about: what its press does, else what its long press does.
    pub fn shown(&self, key: u8) -> Option<&Action> {
        self.action(&Trigger::Press(key)).or_else(|| self.action(&Trigger::Long(key)))
    }

    /// The chords that hold this key.
    pub fn chords(&self, key: u8) -> impl Iterator<Item = &[u8]> {
        self.actions.keys().filter_map(move |trigger| match trigger {
            Trigger::Chord(keys) if keys.contains(&key) => Some(keys.as_slice()),
            Trigger::Chord(_) | Trigger::Press(_) | Trigger::Long(_) => None,
        })
    }

    fn six(&mut self, short: Action, long: Switch) {
        self.set(Trigger::Press(6), short);
        self.set(Trigger::Long(6), Action::Toggle(long));
    }

    fn set(&mut self, trigger: Trigger, action: Action) {
        if action == Action::None {
            self.actions.remove(&trigger);
        } else {
            self.actions.insert(trigger, action);
        }
    }
}

fn marker() -> Action {
    Action::Do(Command::Marker { text: "panel".to_owned() })
}

const fn auto() -> Action {
    Action::Do(Command::Auto { kind: Transition::Fade, ms: AUTO_MS })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(keys: u8, mode: Mode) -> String {
        let config = PanelConfig { mode, ..PanelConfig::default() };
        let layout = Layout::new(keys, &config);
        let name = |action: &Action| match action {
            Action::Slot(slot) => slot.to_string(),
            Action::Toggle(switch) => switch.word().to_owned(),
            Action::Do(command) => {
                crate::command::wire::to_json(command)["verb"].as_str().unwrap_or_default().to_owned()
            }
            Action::None => "none".to_owned(),
        };
        let key = |key| {
            let short = layout.action(&Trigger::Press(key)).map(name).unwrap_or_default();
            let long = layout.action(&Trigger::Long(key)).map(name);
            long.map_or_else(|| short.clone(), |long| format!("{short}/{long}"))
        };
        (1..=keys).map(key).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_default_maps_are_as_the_picture_shows() {
        let table = [
            (4, Mode::Direct, "1 2 3 4"),
            (6, Mode::Direct, "1 2 3 4 5 slate/lock"),
            (6, Mode::Preview, "1 2 3 4 5 take/slate"),
            (8, Mode::Direct, "1 2 3 4 5 slate marker hold/lock"),
            (8, Mode::Preview, "1 2 3 4 5 take auto slate/lock"),
            (12, Mode::Direct, "1 2 3 4 5 slate take auto hold /record /stream marker/lock"),
            (12, Mode::Preview, "1 2 3 4 5 slate take auto hold /record /stream marker/lock"),
        ];
        for (keys, mode, expected) in table {
            assert_eq!(picture(keys, mode), expected, "{keys} keys, {mode:?}");
        }
    }

    #[test]
    fn the_configuration_changes_single_keys() {
        let keys = [("6", "none"), ("6 long", "none"), ("1+6", "lock"), ("2", "cut 5")];
        let read = |(trigger, words): (&str, &str)| {
            (Trigger::from_words(trigger).unwrap(), Action::from_words(words).unwrap())
        };
        let config = PanelConfig { keys: keys.map(read).to_vec(), ..PanelConfig::default() };
        let layout = Layout::new(6, &config);
        assert_eq!(layout.shown(6), None);
        assert_eq!(layout.shown(2).and_then(Action::slot), SlotId::new(5));
        assert_eq!(layout.chords(6).collect::<Vec<_>>(), [[1, 6]]);
        assert_eq!(layout.chords(2).count(), 0);
    }
}
