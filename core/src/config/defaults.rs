//! The built-in defaults. The sample configuration states the same values, and a test compares the two.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::SlotId;

use super::{
    AutoReturn, Config, HttpConfig, PanelConfig, ProgramConfig, RecordConfig, ShowConfig, SlotAudio, SlotConfig,
    Source, WhenFull,
};

impl Default for Config {
    fn default() -> Self {
        Self {
            box_id: "cuebox".to_owned(),
            data_dir: "/var/lib/cuebox".to_owned(),
            program: ProgramConfig::default(),
            slots: SlotId::all().map(|slot| (slot, SlotConfig::for_slot(slot))).collect(),
            legs: Vec::new(),
            record: RecordConfig::default(),
            show: ShowConfig::default(),
            http: HttpConfig::default(),
            mqtt: None,
            panel: PanelConfig::default(),
        }
    }
}

impl Default for ProgramConfig {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 720,
            fps: 30,
            video_bitrate_bps: 4_000_000,
            min_video_bitrate_bps: 150_000,
            audio_bitrate_bps: 128_000,
            start_slot: None,
            auto_return: AutoReturn::Steady,
            steady: Duration::from_secs(5),
        }
    }
}

impl SlotConfig {
    /// A slot that takes the first camera nobody claimed.
    pub fn for_slot(slot: SlotId) -> Self {
        Self {
            name: format!("Camera {slot}"),
            priority: u32::from(slot.number()),
            source: Source::V4l2 { port: None, controls: BTreeMap::new() },
            audio: SlotAudio::Auto,
            delay_ms: 0,
        }
    }
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self {
            program: true,
            slots: true,
            segment: Duration::from_secs(10 * 60),
            second_dir: None,
            require_mount: false,
            keep_free_bytes: 2_000_000_000,
            when_full: WhenFull::Oldest,
        }
    }
}

impl Default for ShowConfig {
    fn default() -> Self {
        Self { autostart: true }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { socket: "/run/cuebox/control.sock".to_owned(), listen: None }
    }
}
