//! The checked configuration: what was meant, in our own types and units. Relative paths are already joined to the
//! file's folder, ranges hold, names are unique.

mod defaults;
mod leg;
mod parse;
pub mod patch;
mod problem;
mod secret;
pub mod units;
pub(crate) mod walk;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{Port, SlotId};

pub use crate::mqtt::config::MqttConfig;
pub use crate::panel::PanelConfig;
pub use leg::{
    Ingress, LegConfig, LegTarget, LivekitTarget, PROVES, Publish, RtmpTarget, Service, Shape, SrtMode, SrtTarget,
    TokenSource, WhipTarget,
};
pub(crate) use parse::check_address;
pub use parse::{AUDIO_BITRATES, FRAME_RATES, HEIGHTS, MAX_SOCKET_PATH_BYTES, VIDEO_BITRATES, WIDTHS, parse};
pub use problem::{Checked, Problem};
pub use secret::{Secret, Url};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub box_id: String,
    pub data_dir: String,
    pub program: ProgramConfig,
    /// At most five, by number. A configuration without any has all five, each taking the first camera nobody claimed.
    pub slots: BTreeMap<SlotId, SlotConfig>,
    pub legs: Vec<LegConfig>,
    pub record: RecordConfig,
    pub show: ShowConfig,
    pub http: HttpConfig,
    /// `None`: no MQTT.
    #[serde(default)]
    pub mqtt: Option<MqttConfig>,
    pub panel: PanelConfig,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgramConfig {
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub video_bitrate_bps: u64,
    pub min_video_bitrate_bps: u64,
    pub audio_bitrate_bps: u64,
    /// Goes on air when it is live; until then, or without it, the best live slot.
    pub start_slot: Option<SlotId>,
    pub auto_return: AutoReturn,
    pub steady: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoReturn {
    Off,
    #[default]
    Steady,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotConfig {
    pub name: String,
    /// Failover order, lower first.
    pub priority: u32,
    pub source: Source,
    pub audio: SlotAudio,
    pub delay_ms: u32,
}

impl SlotConfig {
    /// The slot's sound is what its source brings beside the picture. A camera's picture brings none: its card is apart.
    pub fn has_own_sound(&self) -> bool {
        self.audio == SlotAudio::Auto && !matches!(self.source, Source::V4l2 { .. })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Without a port: the first camera that nobody claimed.
    V4l2 {
        port: Option<Port>,
        /// What the camera is set to, by the names that `cuebox devices` prints.
        #[serde(default)]
        controls: BTreeMap<String, i64>,
    },
    Test {
        marks: bool,
        tone_hz: Option<u32>,
    },
    File {
        path: String,
        repeat: bool,
    },
    Network {
        url: Url,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotAudio {
    /// The sound card on the same physical device.
    #[default]
    Auto,
    None,
    /// An ALSA name.
    Alsa(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordConfig {
    pub program: bool,
    pub slots: bool,
    pub segment: Duration,
    /// Where recordings go while `data_dir` cannot be written.
    pub second_dir: Option<String>,
    /// `data_dir` and `second_dir` have to lie on disks of their own.
    #[serde(default)]
    pub require_mount: bool,
    pub keep_free_bytes: u64,
    pub when_full: WhenFull,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    #[default]
    Oldest,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowConfig {
    pub autostart: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpConfig {
    /// Unix socket of the local surface.
    pub socket: String,
    /// TCP address with a port; loopback only. `None`: no TCP.
    pub listen: Option<String>,
}
