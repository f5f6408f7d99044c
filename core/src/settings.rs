//! What operators set by command and find again when the process has started anew.
//!
//! | kept | until |
//! |---|---|
//! | names, gains, delays of slots | the configuration says something else than when they were set; a gain is in no configuration and stays |
//! | the chosen slot, the slate, mutes, whose sound is heard, whether is streamed and recorded | the show ends: a mute of last week must not silence this week's show |

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::command::AudioMode;
use crate::ids::{ShowId, SlotId};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub slots: BTreeMap<SlotId, SlotSettings>,
    /// Those of the running show.
    pub show: Option<ShowSettings>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotSettings {
    pub name: Set<String>,
    pub delay_ms: Set<u32>,
    pub gain_db: f64,
}

/// A value that the configuration gives and a command may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set<T> {
    pub configured: T,
    pub now: T,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowSettings {
    pub id: ShowId,
    pub chosen: Option<SlotId>,
    pub slate: bool,
    pub sound: AudioMode,
    pub muted: BTreeSet<SlotId>,
    pub streaming: bool,
    pub recording: bool,
}
