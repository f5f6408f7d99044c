//! What a key can be made to do, in the words of the configuration.
//!
//! | word | does |
//! |---|---|
//! | `slot 3` | the slot on air or in preview, as the mode says |
//! | `slate` `hold` `record` `stream` `lock` | switches between on and off |
//! | `none` | nothing |
//! | anything else | that command, as `cuebox ctl` takes it: `take`, `auto fade 800`, `cut 3`, `marker the rings` |

use serde::{Deserialize, Serialize};

use crate::command::{Command, wire};
use crate::ids::SlotId;

/// Keys of the largest panel.
pub const MAX_KEYS: u8 = 64;
/// Keys of a chord.
pub const MAX_CHORD: usize = 4;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Slot(SlotId),
    Toggle(Switch),
    Do(Command),
    None,
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    Slate,
    Hold,
    Record,
    Stream,
    Lock,
}

impl Switch {
    pub const ALL: [Self; 5] = [Self::Slate, Self::Hold, Self::Record, Self::Stream, Self::Lock];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Slate => "slate",
            Self::Hold => "hold",
            Self::Record => "record",
            Self::Stream => "stream",
            Self::Lock => "lock",
        }
    }
}

impl Action {
    /// Reads the words.
    ///
    /// # Errors
    /// Why they mean nothing, in words.
    pub fn from_words(text: &str) -> Result<Self, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let words_are: Vec<&str> = words.iter().map(String::as_str).collect();
        match words_are[..] {
            ["none"] => Ok(Self::None),
            ["slot", number] => {
                let slot = number.parse().ok().and_then(SlotId::new);
                slot.map(Self::Slot).ok_or_else(|| format!("slot {number} does not exist"))
            }
            [word] if Switch::ALL.iter().any(|switch| switch.word() == word) => {
                let switch = Switch::ALL.into_iter().find(|switch| switch.word() == word);
                Ok(switch.map_or(Self::None, Self::Toggle))
            }
            [_, ..] | [] => wire::from_words(&words).map(Self::Do).map_err(|error| error.to_string()),
        }
    }

    /// The slot that this action is about.
    pub const fn slot(&self) -> Option<SlotId> {
        match self {
            Self::Slot(slot) | Self::Do(Command::Cut { slot } | Command::Preview { slot }) => Some(*slot),
            Self::Toggle(_) | Self::Do(_) | Self::None => None,
        }
    }
}

/// What sets an action off. Keys count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Press(u8),
    Long(u8),
    /// All of them at once, in ascending order.
    Chord(Vec<u8>),
}

impl Trigger {
    /// Reads `3`, `3 long` or `1+6`.
    pub fn from_words(text: &str) -> Option<Self> {
        let key = |text: &str| text.trim().parse().ok().filter(|key| (1..=MAX_KEYS).contains(key));
        if let Some(number) = text.strip_suffix(" long") {
            return key(number).map(Self::Long);
        }
        if !text.contains('+') {
            return key(text).map(Self::Press);
        }
        let mut keys = text.split('+').map(key).collect::<Option<Vec<u8>>>()?;
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        (keys.len() == count && (2..=MAX_CHORD).contains(&count)).then_some(Self::Chord(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Transition;

    #[test]
    fn the_words_of_the_configuration_are_understood_or_refused_with_a_reason() {
        let slot = |number| SlotId::new(number).unwrap();
        let good = [
            ("slot 3", Action::Slot(slot(3))),
            ("slate", Action::Toggle(Switch::Slate)),
            ("lock", Action::Toggle(Switch::Lock)),
            ("slate on", Action::Do(Command::Slate { on: true })),
            ("record stop", Action::Do(Command::Record { on: false })),
            ("auto fade 800", Action::Do(Command::Auto { kind: Transition::Fade, ms: 800 })),
            ("marker the rings", Action::Do(Command::Marker { text: "the rings".to_owned() })),
            ("none", Action::None),
        ];
        for (words, action) in good {
            assert_eq!(Action::from_words(words), Ok(action), "{words}");
        }
        for (words, part) in [("slot 6", "does not exist"), ("fly", "unknown verb"), ("", "no verb"), ("auto", "needs")]
        {
            assert!(Action::from_words(words).is_err_and(|why| why.contains(part)), "{words}");
        }
    }

    #[test]
    fn triggers_are_read() {
        let table = [
            ("3", Some(Trigger::Press(3))),
            ("12 long", Some(Trigger::Long(12))),
            ("6+1", Some(Trigger::Chord(vec![1, 6]))),
            ("1 + 2 + 3", Some(Trigger::Chord(vec![1, 2, 3]))),
            ("0", None),
            ("65", None),
            ("1+1", None),
            ("1+", None),
            ("1+2+3+4+5", None),
            ("long", None),
            ("3 short", None),
        ];
        for (text, trigger) in table {
            assert_eq!(Trigger::from_words(text), trigger, "{text}");
        }
    }
}
