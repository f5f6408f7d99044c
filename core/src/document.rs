//! The published status document: what `GET /api/v1/status`, the event feed and every other surface show.
//!
//! Built from the director's [`Status`] (facts) and the shells' [`Gauges`] (samples) at a given time. Times inside the
//! box are monotonic; in the document they are seconds before or after the moment it was built, because a reader has
//! no such clock. Numbers are rounded to what a reader can use, so that noise does not look like change.
//! [`delta`] finds what changed between two documents and puts it into another one.

pub mod delta;
mod parts;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::status::{AudioStatus, Gauges, Status};
use crate::time::Mono;

pub use crate::status::{SpareCamera, Viewers};
pub use parts::{AlertEntry, Encode, Leg, Panel, Probe, Program, Recording, Show, Slot, State};

/// What the loop publishes: the facts and the latest samples. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub status: Arc<Status>,
    pub gauges: Arc<Gauges>,
}

/// One life of the process: event numbers count from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Unique for each start of the process.
    pub boot: String,
    pub version: String,
    pub started: Mono,
}

/// The document itself. Every key is always there; keys may be added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    #[serde(rename = "box")]
    pub box_id: String,
    pub version: String,
    pub boot: String,
    /// Number of the newest event that this document contains.
    pub seq: u64,
    pub uptime_s: f64,
    pub show: Option<Show>,
    pub program: Program,
    pub slots: Vec<Slot>,
    /// Cameras that are plugged in and that no slot is for.
    #[serde(default)]
    pub spare: Vec<SpareCamera>,
    pub legs: Vec<Leg>,
    pub recording: Recording,
    pub encoders: Vec<Encode>,
    /// What the encoder probe found on this machine.
    pub probe: Probe,
    pub audio: AudioStatus,
    pub viewers: Viewers,
    pub panel: Vec<Panel>,
    /// Keys of panels do nothing.
    pub locked: bool,
    pub mqtt: State,
    pub alerts: Vec<AlertEntry>,
    /// What is given up while the machine does not keep up: 0 (nothing) to 3.
    #[serde(default)]
    pub overload: u8,
    /// Frames thrown away between pipelines, by link.
    pub dropped: BTreeMap<String, u64>,
    /// Pipelines that did not stop in time and were abandoned.
    pub abandoned: u64,
}

impl Document {
    /// The document as of `now`; `seq` is the number of the newest event it contains.
    pub fn new(life: &Life, seq: u64, now: Mono, snapshot: &Snapshot) -> Self {
        let (status, gauges) = (&*snapshot.status, &*snapshot.gauges);
        Self {
            box_id: status.box_id.clone(),
            version: life.version.clone(),
            boot: life.boot.clone(),
            seq,
            uptime_s: tenths(now.since(life.started).as_secs_f64()),
            show: status.show.as_ref().map(Show::new),
            program: Program::new(&status.program),
            slots: status.slots.iter().map(|slot| Slot::new(slot, gauges, now)).collect(),
            spare: status.spare.clone(),
            legs: status.legs.iter().map(|leg| Leg::new(leg, gauges, now)).collect(),
            recording: Recording::new(&status.recording, gauges),
            encoders: status.encodes.iter().map(|encode| Encode::new(encode, gauges)).collect(),
            probe: Probe::new(&status.encoders),
            audio: status.audio.clone(),
            viewers: status.viewers,
            panel: status.panels.iter().map(|panel| Panel::new(panel, gauges, now)).collect(),
            locked: status.locked,
            mqtt: State::mqtt(&status.mqtt),
            alerts: status.alerts.iter().map(|alert| AlertEntry::new(alert, now)).collect(),
            overload: status.overload.number(),
            dropped: gauges.dropped.clone(),
            abandoned: gauges.abandoned,
        }
    }
}

/// Rounded to one decimal; zero for what is not a number.
fn tenths(value: f64) -> f64 {
    if value.is_finite() { (value * 10.0).round() / 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
