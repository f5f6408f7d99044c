//! What operators set by command and find again when the process has started anew.
//!
//! | kept | until |
//! |---|---|
//! | names, gains, delays of slots | the configuration says something else than when they were set; a gain is in no configuration and stays |
//! | which camera each slot has | the camera does not come back and another needs the slot, or the configuration names another port |
//! | the chosen slot, the slate, mutes, whose sound is heard, whether is streamed and recorded | the show ends: a mute of last week must not silence this week's show |

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::command::AudioMode;
use crate::ids::{Port, ShowId, SlotId};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub slots: BTreeMap<SlotId, SlotSettings>,
    /// The camera of each slot, there or not.
    #[serde(default)]
    pub cameras: BTreeMap<SlotId, KnownCamera>,
    /// Those of the running show.
    pub show: Option<ShowSettings>,
}

/// A camera as a slot knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCamera {
    pub port: Port,
    pub name: String,
    pub serial: Option<String>,
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
