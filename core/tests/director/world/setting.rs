//! Configurations, cameras and dice that the tests begin with.

use std::collections::BTreeMap;
use std::time::Duration;

use cuebox_core::config::{
    Config, LegConfig, LegTarget, LivekitTarget, PROVES, Publish, RtmpTarget, Secret, SlotConfig, Source, SrtMode,
    SrtTarget, TokenSource, Url, WhipTarget,
};
use cuebox_core::device::{Camera, Encoder, Encoders, ModeGroup, PixelFormat, Rate, Signal};
use cuebox_core::director::{EncodeJob, Job};
use cuebox_core::ids::{LegId, Port, SlotId};

pub fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Five test pictures, one RTMP leg, 30 frames per second, no show until somebody asks.
pub fn config() -> Config {
    let mut config = Config::default();
    config.program.start_slot = Some(slot(1));
    for own in config.slots.values_mut() {
        own.source = Source::Test { marks: true, tone_hz: Some(440) };
    }
    config.legs = vec![rtmp("backup", None)];
    config.show.autostart = false;
    config
}

pub fn autostart() -> Config {
    let mut config = config();
    config.show.autostart = true;
    config
}

pub fn rtmp(name: &str, rank: Option<u32>) -> LegConfig {
    let target = LegTarget::Rtmp(RtmpTarget::Fixed { url: Url::new("rtmp://live.example/app"), stream_key: None });
    LegConfig { name: LegId::new(name), uplink: rank, target, ca_file: None, proves: PROVES }
}

pub fn livekit(name: &str, rank: Option<u32>, slots: bool) -> LegConfig {
    let target = LegTarget::Livekit(LivekitTarget {
        url: Some(Url::new("wss://live.example")),
        room: Some("hall".to_owned()),
        identity: "hall-1".to_owned(),
        publish: if slots { Publish::ProgramAndSlots } else { Publish::Program },
        token: TokenSource::Fixed(Secret::new("token")),
        ice_servers: Vec::new(),
    });
    LegConfig { name: LegId::new(name), uplink: rank, target, ca_file: None, proves: PROVES }
}

pub fn srt(name: &str, rank: Option<u32>, mode: SrtMode) -> LegConfig {
    let target = LegTarget::Srt(SrtTarget {
        url: Url::new("srt://live.example:9000"),
        mode,
        passphrase: None,
        stream_id: None,
        latency: ms(120),
    });
    LegConfig { name: LegId::new(name), uplink: rank, target, ca_file: None, proves: PROVES }
}

pub fn whip(name: &str, rank: Option<u32>) -> LegConfig {
    let target = LegTarget::Whip(WhipTarget {
        url: Url::new("https://live.example/whip"),
        token: None,
        room: None,
        identity: "hall-1".to_owned(),
        ice_servers: Vec::new(),
    });
    LegConfig { name: LegId::new(name), uplink: rank, target, ca_file: None, proves: PROVES }
}

/// `count` slots that wait for cameras, the given ports first.
pub fn cameras(ports: &[Option<&str>]) -> Config {
    let mut config = config();
    config.slots = ports
        .iter()
        .zip(SlotId::all())
        .map(|(port, id)| {
            let source = Source::V4l2 { port: port.map(Port::new), controls: BTreeMap::new() };
            (id, SlotConfig { source, ..SlotConfig::for_slot(id) })
        })
        .collect();
    config
}

pub fn camera(port: &str) -> Camera {
    Camera {
        port: Port::new(port),
        name: format!("Camera at {port}"),
        serial: None,
        node: format!("/dev/{port}"),
        modes: vec![ModeGroup { format: PixelFormat::Yuyv, width: 1280, height: 720, rates: vec![Rate::new(30, 1)] }],
        card: Some(format!("hw:{port}")),
        signal: Signal::Untold,
        controls: Vec::new(),
    }
}

pub fn encoders() -> Encoders {
    let encoder = Encoder {
        element: "x264enc".to_owned(),
        hardware: false,
        max_sessions: None,
        max_size: None,
        max_pixels_per_s: None,
        max_bitrate_bps: None,
    };
    Encoders { board: "test".to_owned(), working: vec![encoder], broken: Vec::new() }
}

/// xorshift: the world's own dice.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let place = self.below(of.len() as u64);
        &of[place as usize]
    }
}

/// Slot recordings and the program's, for a table.
pub fn encode_of(slot: SlotId) -> Job {
    Job::Encode(EncodeJob::Slot(slot))
}
