//! What every surface shows. [`Status`] holds the director's facts and is what replay compares; [`Gauges`] are sampled
//! numbers that no decision depends on; [`crate::document::Document`] joins both into the
//! published status document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::device::Encoders;
use crate::ids::{LegId, Port, ShowId, SlotId};
use crate::job::Medium;
use crate::overload::Level;
use crate::time::{Mono, Wall};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub box_id: String,
    pub show: Option<ShowStatus>,
    pub program: ProgramStatus,
    pub slots: Vec<SlotStatus>,
    /// Cameras that no slot is for.
    #[serde(default)]
    pub spare: Vec<SpareCamera>,
    pub legs: Vec<LegStatus>,
    pub viewers: Viewers,
    pub recording: RecordingStatus,
    pub encodes: Vec<EncodeStatus>,
    pub encoders: Encoders,
    pub audio: AudioStatus,
    /// Every panel that was seen or is waited for, by its id.
    pub panels: Vec<PanelStatus>,
    /// Keys of panels do nothing.
    pub locked: bool,
    /// Every lamp is to blink.
    pub identifying: bool,
    pub alerts: Vec<Alert>,
    /// What is given up while the machine does not keep up.
    #[serde(default)]
    pub overload: Level,
    #[serde(default)]
    pub mqtt: MqttStatus,
}

/// The connection to the MQTT broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttStatus {
    pub state: MqttState,
    /// Why it is not connected.
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MqttState {
    /// Not configured.
    #[default]
    Off,
    /// The broker is not reached, and tried again.
    Trying,
    Connected,
    /// The broker turns the box away; tried again, slowly.
    Refused,
}

impl MqttState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Trying => "trying",
            Self::Connected => "connected",
            Self::Refused => "refused",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShowStatus {
    pub id: ShowId,
    pub name: String,
    pub started: Wall,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// The slot that a frame of the program has shown. `None`: the slate.
    pub on_air: Option<SlotId>,
    /// Chosen, but no frame has shown it yet.
    pub armed: Option<SlotId>,
    pub preview: Option<SlotId>,
    /// The operator asked for the slate.
    pub slate: bool,
    pub held: bool,
    /// Since the program began, or began anew, a frame has shown what `on_air` says. Without it nothing is known to be
    /// on air, the slate neither.
    pub seen: bool,
    /// Why the slate is shown, when it is.
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    #[default]
    Empty,
    Settling,
    Opening,
    Live,
    NoSignal,
    Stalled,
    Cooling,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotStatus {
    pub number: SlotId,
    pub name: String,
    pub state: SlotState,
    pub since: Mono,
    pub why: Option<String>,
    /// Name and port of what is plugged in.
    pub device: Option<String>,
    /// When a cooling slot is tried again.
    pub next_try: Option<Mono>,
    /// 0–100.
    pub health: u8,
    /// Flapped: only a cut puts it on air before this time.
    #[serde(default)]
    pub kept_off: Option<Mono>,
}

/// A camera that is plugged in and left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpareCamera {
    pub port: Port,
    pub name: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    #[default]
    Off,
    Trying,
    Proving,
    Carrying,
    Standby,
    Distressed,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegStatus {
    pub name: LegId,
    pub kind: String,
    pub state: LegState,
    pub since: Mono,
    pub why: Option<String>,
    pub next_try: Option<Mono>,
    /// In the uplink; `None`: a destination of its own.
    pub rank: Option<u32>,
    /// What the host of the room muted.
    pub muted: Vec<Medium>,
    /// Others in the room; `None` where the server does not tell.
    pub viewers: Option<u32>,
}

/// Of all legs together; `None` where no destination counts its viewers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewers {
    pub now: Option<u32>,
    /// Since streaming began.
    pub peak: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    #[default]
    Idle,
    Preparing,
    Recording,
    Sealing,
    /// Wanted, but it cannot be: see the alerts.
    Failed,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingStatus {
    pub state: RecordingState,
    pub why: Option<String>,
    /// Segments of the running show, open ones included.
    pub files: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeStatus {
    /// `stream`, `program-record`, `slot-<n>` or `stream-slot-<n>`.
    pub job: String,
    /// `None`: refused, see `why`.
    pub element: Option<String>,
    /// Picture of the moment.
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub why: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AudioStatus {
    pub mode: crate::command::AudioMode,
    pub slots: BTreeMap<SlotId, SlotAudioStatus>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotAudioStatus {
    pub mute: bool,
    pub gain_db: f64,
    pub delay_ms: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanelState {
    /// It never answered in this run.
    #[default]
    Waiting,
    Connected,
    /// It was connected, and is silent or gone.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanelStatus {
    /// Where it is: a device's path, a GPIO chip, a USB port. One panel each.
    pub id: String,
    pub kind: PanelKind,
    /// As it calls itself; a second one of that name gets a number.
    pub name: String,
    pub state: PanelState,
    pub since: Mono,
    pub why: Option<String>,
    pub keys: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanelKind {
    Serial,
    Gpio,
    Keypad,
    StreamDeck,
    /// A destination of tally, without keys.
    Tsl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Warning,
    Error,
}

/// Something that a person should know, in plain words, for as long as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Stable name, for machines: `disk_slow`, `disk_full`, `recording_failed`, …
    pub kind: String,
    pub severity: Severity,
    pub text: String,
    pub since: Mono,
}

/// Numbers sampled by the shells. No decision depends on them, so they are not in the journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gauges {
    pub slots: BTreeMap<SlotId, SlotGauges>,
    pub legs: BTreeMap<LegId, LegGauges>,
    pub recording_bytes: u64,
    pub free_bytes: u64,
    /// Bytes per second that recording writes at present.
    pub recording_rate: u64,
    /// Bits per second that each encode produces, by its job name.
    pub encodes: BTreeMap<String, u64>,
    /// Frames that links between pipelines threw away, by link name.
    pub dropped: BTreeMap<String, u64>,
    /// Pipelines that did not stop in time and were abandoned.
    pub abandoned: u64,
    /// What each panel's line carried, by its id.
    pub panels: BTreeMap<String, PanelGauges>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanelGauges {
    /// Presses that became commands.
    pub presses: u64,
    /// Presses that came faster than any finger, and were not acted on.
    pub surplus: u64,
    /// Good lines of a serial panel.
    pub lines: u64,
    /// Bytes outside of lines, lines cut off, wrong checksums, lines that mean nothing.
    pub garbage: u64,
    pub broken: u64,
    pub checksum: u64,
    pub unknown: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotGauges {
    pub fps: f64,
    /// RMS per channel, dBFS.
    pub audio_dbfs: Vec<f64>,
    /// Highest sample per channel, dBFS.
    pub audio_peak_dbfs: Vec<f64>,
    /// How much faster the sound card runs than the box's clock; `None`: no card, or not known yet.
    pub audio_drift_ppm: Option<f64>,
    /// Pictures in a hundred that the source lost, of late.
    pub lost_percent: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegGauges {
    pub bitrate_bps: u64,
    pub rtt_ms: Option<u32>,
    pub lost_percent: f64,
    /// As the server judges it, where it does.
    pub quality: Option<LinkQuality>,
}

/// A server's judgement of what reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkQuality {
    Excellent,
    Good,
    Poor,
    Lost,
}

impl LegGauges {
    /// What makes the quality less than excellent, as far as the numbers tell. Loss: what a camera's quality is marked
    /// down for as well. Round trip: what a conversation suffers from (ITU-T G.114: 150 ms one way).
    pub fn causes(&self) -> Vec<String> {
        if self.quality.is_none_or(|quality| quality == LinkQuality::Excellent) {
            return Vec::new();
        }
        let loss = (self.lost_percent >= 2.0).then(|| format!("{:.1} % of the packets are lost", self.lost_percent));
        let slow = self.rtt_ms.filter(|ms| *ms >= 300).map(|ms| format!("a round trip takes {ms} ms"));
        loss.into_iter().chain(slow).collect()
    }
}
