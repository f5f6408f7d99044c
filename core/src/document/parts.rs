//! The document's parts, each built from the director's record of it and the samples that belong to it.

use serde::{Deserialize, Serialize};

use crate::device::{BrokenEncoder, Encoders};
use crate::health::connection_quality;
use crate::ids::{LegId, ShowId, SlotId};
use crate::job::Medium;
use crate::status::{
    Alert, EncodeStatus, Gauges, LegState, LegStatus, LinkQuality, MqttStatus, PanelGauges, PanelKind, PanelState,
    PanelStatus, ProgramStatus, RecordingState, RecordingStatus, Severity, ShowStatus, SlotState, SlotStatus,
};
use crate::time::{Mono, Trust};

use super::tenths;

/// Sound below this is shown as this: meters end here, and JSON has no minus infinity.
const SILENCE_DBFS: f64 = -100.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Show {
    pub id: ShowId,
    pub name: String,
    /// RFC 3339, UTC, as far as `clock` can be believed.
    pub started: String,
    pub clock: Trust,
}

impl Show {
    pub(super) fn new(show: &ShowStatus) -> Self {
        Self {
            id: show.id.clone(),
            name: show.name.clone(),
            started: show.started.rfc3339(),
            clock: show.started.trust,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Slot that the viewers see; null: the slate.
    pub on_air: Option<SlotId>,
    /// Chosen, but no frame has shown it yet.
    pub armed: Option<SlotId>,
    pub preview: Option<SlotId>,
    pub slate: bool,
    pub held: bool,
    /// Why the slate is shown.
    pub why: Option<String>,
}

impl Program {
    pub(super) fn new(program: &ProgramStatus) -> Self {
        let ProgramStatus { on_air, armed, preview, slate, held, seen: _, why } = program.clone();
        Self { on_air, armed, preview, slate, held, why }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    pub number: SlotId,
    pub name: String,
    pub state: SlotState,
    pub since_s: f64,
    pub why: Option<String>,
    pub next_try_s: Option<f64>,
    pub health: u8,
    pub fps: f64,
    pub device: Option<String>,
    /// RMS per channel, −100 to 0; empty without sound.
    pub audio_dbfs: Vec<f64>,
    /// Highest sample per channel, −100 to 0.
    #[serde(default)]
    pub audio_peak_dbfs: Vec<f64>,
    /// How much faster its sound card runs than the box, parts in a million; null while not known.
    #[serde(default)]
    pub audio_drift_ppm: Option<f64>,
    /// As platforms count it, 0–100; 0 while it is not live.
    #[serde(default)]
    pub connection_quality: u8,
    /// It flapped: for so long only a cut puts it on air.
    #[serde(default)]
    pub kept_off_s: Option<f64>,
}

impl Slot {
    pub(super) fn new(slot: &SlotStatus, gauges: &Gauges, now: Mono) -> Self {
        let sampled = gauges.slots.get(&slot.number);
        Self {
            number: slot.number,
            name: slot.name.clone(),
            state: slot.state,
            since_s: seconds_since(slot.since, now),
            why: slot.why.clone(),
            next_try_s: seconds_until(slot.next_try, now),
            health: slot.health,
            fps: sampled.map_or(0.0, |gauge| tenths(gauge.fps)),
            device: slot.device.clone(),
            audio_dbfs: levels(sampled.map(|gauge| &gauge.audio_dbfs)),
            audio_peak_dbfs: levels(sampled.map(|gauge| &gauge.audio_peak_dbfs)),
            audio_drift_ppm: sampled.and_then(|gauge| gauge.audio_drift_ppm).map(f64::round),
            connection_quality: if slot.state == SlotState::Live { quality(slot.number, gauges) } else { 0 },
            kept_off_s: seconds_until(slot.kept_off, now).filter(|left| *left > 0.0),
        }
    }

    /// The same slot without its samples, for telling a change of state from a change of numbers.
    pub(super) fn facts(&self) -> Self {
        Self {
            fps: 0.0,
            audio_dbfs: Vec::new(),
            audio_peak_dbfs: Vec::new(),
            audio_drift_ppm: None,
            connection_quality: 0,
            ..self.clone()
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    pub name: LegId,
    pub kind: String,
    pub state: LegState,
    pub why: Option<String>,
    pub since_s: f64,
    pub bitrate_bps: u64,
    pub rtt_ms: Option<u32>,
    pub lost_percent: f64,
    pub next_try_s: Option<f64>,
    /// Rank in the uplink; null: a destination of its own.
    #[serde(default)]
    pub uplink: Option<u32>,
    /// `audio`, `video`: what the host of the room muted.
    #[serde(default)]
    pub muted: Vec<Medium>,
    /// Null where the server does not count them.
    #[serde(default)]
    pub viewers: Option<u32>,
    /// How well the server gets the stream; null while it does not tell.
    #[serde(default)]
    pub quality: Option<LinkQuality>,
    /// What makes it less than excellent, in words.
    #[serde(default)]
    pub quality_why: Vec<String>,
}

impl Leg {
    pub(super) fn new(leg: &LegStatus, gauges: &Gauges, now: Mono) -> Self {
        let sampled = gauges.legs.get(&leg.name).copied().unwrap_or_default();
        Self {
            name: leg.name.clone(),
            kind: leg.kind.clone(),
            state: leg.state,
            why: leg.why.clone(),
            since_s: seconds_since(leg.since, now),
            bitrate_bps: kilobits(sampled.bitrate_bps),
            rtt_ms: sampled.rtt_ms,
            lost_percent: tenths(sampled.lost_percent),
            next_try_s: seconds_until(leg.next_try, now),
            uplink: leg.rank,
            muted: leg.muted.clone(),
            viewers: leg.viewers,
            quality: sampled.quality,
            quality_why: sampled.causes(),
        }
    }

    pub(super) fn facts(&self) -> Self {
        Self { bitrate_bps: 0, rtt_ms: None, lost_percent: 0.0, quality_why: Vec::new(), ..self.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    pub state: RecordingState,
    pub why: Option<String>,
    pub bytes: u64,
    pub free_bytes: u64,
    /// Until the disk is full at the present rate; null while nothing is written.
    pub minutes_left: Option<u64>,
    pub files: u32,
}

impl Recording {
    pub(super) fn new(recording: &RecordingStatus, gauges: &Gauges) -> Self {
        Self {
            state: recording.state,
            why: recording.why.clone(),
            bytes: gauges.recording_bytes,
            free_bytes: gauges.free_bytes,
            minutes_left: gauges.free_bytes.checked_div(gauges.recording_rate).map(|seconds| seconds / 60),
            files: recording.files,
        }
    }

    pub(super) fn facts(&self) -> Self {
        Self { bytes: 0, free_bytes: 0, minutes_left: None, ..self.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encode {
    pub job: String,
    /// Null: refused, see `why`.
    pub element: Option<String>,
    pub bitrate_bps: u64,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub why: Option<String>,
}

impl Encode {
    pub(super) fn new(encode: &EncodeStatus, gauges: &Gauges) -> Self {
        let EncodeStatus { job, element, width, height, fps, why } = encode.clone();
        let bitrate_bps = kilobits(gauges.encodes.get(&job).copied().unwrap_or_default());
        Self { job, element, bitrate_bps, width, height, fps, why }
    }

    pub(super) fn facts(&self) -> Self {
        Self { bitrate_bps: 0, ..self.clone() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Board file that the limits came from.
    pub board: String,
    /// Encoders that work, best first.
    pub working: Vec<String>,
    /// Encoders that were skipped, with the reason.
    pub broken: Vec<BrokenEncoder>,
}

impl Probe {
    pub(super) fn new(encoders: &Encoders) -> Self {
        Self {
            board: encoders.board.clone(),
            working: encoders.working.iter().map(|encoder| encoder.element.clone()).collect(),
            broken: encoders.broken.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    pub kind: PanelKind,
    pub name: String,
    pub state: PanelState,
    pub since_s: f64,
    pub why: Option<String>,
    /// Where it is.
    pub device: String,
    pub keys: u8,
    #[serde(flatten)]
    pub counts: PanelGauges,
}

impl Panel {
    pub(super) fn new(panel: &PanelStatus, gauges: &Gauges, now: Mono) -> Self {
        Self {
            kind: panel.kind,
            name: panel.name.clone(),
            state: panel.state,
            since_s: seconds_since(panel.since, now),
            why: panel.why.clone(),
            device: panel.id.clone(),
            keys: panel.keys,
            counts: gauges.panels.get(&panel.id).copied().unwrap_or_default(),
        }
    }

    pub(super) fn facts(&self) -> Self {
        Self { counts: PanelGauges::default(), ..self.clone() }
    }
}

/// State of a surface: the MQTT connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl State {
    pub(super) fn mqtt(mqtt: &MqttStatus) -> Self {
        Self { kind: None, state: mqtt.state.as_str().to_owned(), why: mqtt.why.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertEntry {
    pub kind: String,
    pub severity: Severity,
    pub text: String,
    pub since_s: f64,
}

impl AlertEntry {
    pub(super) fn new(alert: &Alert, now: Mono) -> Self {
        Self {
            kind: alert.kind.clone(),
            severity: alert.severity,
            text: alert.text.clone(),
            since_s: seconds_since(alert.since, now),
        }
    }
}

fn seconds_since(at: Mono, now: Mono) -> f64 {
    tenths(now.since(at).as_secs_f64())
}

fn seconds_until(at: Option<Mono>, now: Mono) -> Option<f64> {
    at.map(|at| tenths(at.since(now).as_secs_f64()))
}

fn levels(of: Option<&Vec<f64>>) -> Vec<f64> {
    of.map(|levels| levels.iter().map(|db| level(*db)).collect()).unwrap_or_default()
}

/// Of what leaves the box for viewers, else of its recording.
fn quality(slot: SlotId, gauges: &Gauges) -> u8 {
    let rate = |job: String| gauges.encodes.get(&job).copied().filter(|bps| *bps > 0);
    let bps = rate(format!("stream-slot-{slot}")).or_else(|| rate(format!("slot-{slot}"))).unwrap_or_default();
    let (lost, fps) = gauges.slots.get(&slot).map_or((0.0, 0.0), |gauge| (gauge.lost_percent, gauge.fps));
    connection_quality(lost, fps, bps)
}

fn level(db: f64) -> f64 {
    if db > SILENCE_DBFS { tenths(db.min(0.0)) } else { SILENCE_DBFS }
}

/// To whole kilobits, in bits.
fn kilobits(bps: u64) -> u64 {
    bps.saturating_add(500) / 1000 * 1000
}
