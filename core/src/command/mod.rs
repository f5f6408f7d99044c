//! The one vocabulary of commands. Every surface (local socket, HTTP, panel, MQTT) builds these and nothing else;
//! [`wire`] holds their JSON and command-line forms.

pub mod wire;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::patch::Patch;
use crate::ids::{CommandId, LegId, ShowId, SlotId};

/// Who sent a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `cuebox ctl` over the local socket.
    Local,
    /// HTTP over TCP.
    Http,
    Panel,
    Mqtt,
}

/// A command with what is needed to answer it exactly once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub id: CommandId,
    pub origin: Origin,
    pub command: Command,
}

/// A command. Its serde form is the journal's; the form on the wire is [`wire`]'s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    Cut {
        slot: SlotId,
    },
    Preview {
        slot: SlotId,
    },
    Take,
    Auto {
        kind: Transition,
        ms: u32,
    },
    Slate {
        on: bool,
    },
    Hold {
        on: bool,
    },
    Audio(AudioCommand),
    ShowStart {
        name: Option<String>,
    },
    ShowStop,
    /// Removes a show that is over: its files, its manifest, its timeline. The running one is refused.
    ShowDelete {
        show: ShowId,
    },
    Stream {
        on: bool,
    },
    Record {
        on: bool,
    },
    Marker {
        text: String,
    },
    Snapshot {
        slot: SlotId,
    },
    Rename {
        slot: SlotId,
        name: String,
    },
    Leg {
        name: LegId,
        on: bool,
    },
    /// Begins a leg's connection anew, and no other's.
    LegReconnect {
        name: LegId,
    },
    /// Asks for what the host of the room muted.
    LegUnmute {
        name: LegId,
    },
    /// Keys of panels do nothing while it is on, but for the one that takes it off.
    Lock {
        on: bool,
    },
    /// Every lamp of every panel blinks, so that the box is found.
    Identify,
    /// Changes the configuration, as far as a running box can; with `check` it is only said what would come of it.
    Config {
        patch: Patch,
        check: bool,
    },
    /// The newest lines of the journal.
    Tail {
        lines: u32,
    },
    /// Everything that is wrong or risky on this machine.
    Doctor,
    Reload,
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The new picture fades in over the old one.
    Fade,
    /// The old picture goes to black, then the new one comes from black.
    Dip,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioCommand {
    Mode(AudioMode),
    Mute {
        slot: SlotId,
        on: bool,
    },
    /// Decibels added to the slot's sound, −60 to +12.
    Gain {
        slot: SlotId,
        db: f64,
    },
    /// Milliseconds that the slot's sound is held back, 0 to 1000.
    Delay {
        slot: SlotId,
        ms: u32,
    },
}

/// Whose sound the program carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioMode {
    /// The sound of the slot on air.
    #[default]
    Follow,
    /// Always this slot's.
    Slot(SlotId),
    /// All live slots together.
    Mix,
}

/// What a command came to. Every command gets exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Answer {
    Done,
    /// Done, and this is what was asked for.
    Report {
        report: Value,
    },
    Refused {
        why: String,
    },
    /// The id was seen before with the same command; `first` is what was answered then.
    Duplicate {
        first: Box<Answer>,
    },
    /// The id was seen before with another command.
    Conflict {
        why: String,
    },
}

impl Answer {
    /// The answer's body on every surface. A repeated id gets the first answer's reason, its result under `first`.
    pub fn to_json(&self, id: &CommandId) -> Value {
        match self {
            Self::Done => json!({ "id": id, "result": "done" }),
            Self::Report { report } => json!({ "id": id, "result": "done", "report": report }),
            Self::Refused { why } => json!({ "id": id, "result": "refused", "why": why }),
            Self::Conflict { why } => json!({ "id": id, "result": "conflict", "why": why }),
            Self::Duplicate { first } => {
                let mut body = first.to_json(id);
                let result = std::mem::replace(&mut body["result"], json!("duplicate"));
                if body.get("first").is_none() {
                    body["first"] = result;
                }
                body
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_id_is_told_the_first_answer() {
        let id = CommandId::new("k-1");
        let refused = Answer::Refused { why: "slot 3 is empty".to_owned() };
        let again = Answer::Duplicate { first: Box::new(refused) };
        let body = json!({"id": "k-1", "result": "duplicate", "first": "refused", "why": "slot 3 is empty"});
        assert_eq!(again.to_json(&id), body);
        assert_eq!(Answer::Duplicate { first: Box::new(again) }.to_json(&id), body);
        assert_eq!(Answer::Done.to_json(&id), json!({"id": "k-1", "result": "done"}));
    }
}
