//! One line per fact of a show, with its exact frame. `timeline.jsonl` holds these, one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::ids::SlotId;
use crate::time::Trust;

/// A line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Program frame, counted from the show's first.
    pub frame: u64,
    /// Nanoseconds from the show's start.
    pub t_ns: u64,
    #[serde(flatten)]
    pub what: What,
    /// Who caused it: `local`, `http`, `panel`, `mqtt`, `failover`, `return`, `start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Id of the command that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `untrusted` when the time since the show's start had to be guessed after a reboot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    ShowStarted {
        name: String,
    },
    /// The first frame that shows `slot`.
    OnAir {
        slot: SlotId,
    },
    /// The first frame that shows the slate.
    Slate {
        why: String,
    },
    Marker {
        text: String,
    },
    SlotLost {
        slot: SlotId,
        why: String,
    },
    SlotLive {
        slot: SlotId,
    },
    /// The machine's clock was set, or can be believed now. Frames and `t_ns` go on as before.
    ClockSet {
        /// How far it moved.
        offset_ns: i64,
        trust: Trust,
    },
    /// The show went on after the process or the machine was started anew.
    Resumed,
    ShowStopped,
}
