//! Asks every part how the machine is, for `cuebox doctor` and for whoever asks over the network.

use std::path::Path;

use cuebox_core::board::Board;
use cuebox_core::config::{Config, Source};
use cuebox_core::doctor::{Facts, Finding, Level, findings};
use cuebox_core::ids::Port;
use cuebox_core::usb;
use serde_json::{Value, json};

use crate::supervise::{board, clock, crash, doctor, machine};
use crate::{devices, media};

/// Everything that was looked at, what is wrong first. Takes some seconds where encoders have to be tried.
pub fn examine(config: &Config, config_problem: Option<String>) -> Vec<Finding> {
    let data_dir = Path::new(&config.data_dir);
    let missing = media::requirements::check().err().unwrap_or_default();
    let encoders = Board::detect(&board::machine()).ok().filter(|_| missing.is_empty()).map(|board| {
        let cache = data_dir.is_dir().then(|| data_dir.join("encoders.json"));
        media::encode::probe(&board.id, board.encoder_candidates(), cache.as_deref())
    });
    let plugged = devices::snapshot();
    let is_there = |port: &Port| plugged.cameras.iter().any(|camera| camera.port.is_meant_by(port));
    let ports = config.slots.values().filter_map(|slot| match &slot.source {
        Source::V4l2 { port, .. } => port.as_ref(),
        Source::Test { .. } | Source::File { .. } | Source::Network { .. } => None,
    });
    let empty_ports = ports.filter(|port| !is_there(port)).map(ToString::to_string).collect();
    let facts = Facts {
        config_problem,
        missing_elements: missing.iter().map(ToString::to_string).collect(),
        encoders,
        disk: doctor::disk(data_dir),
        clock: clock::read().trust,
        closed: doctor::closed_devices(),
        empty_ports,
        machine: machine::read(Path::new("/")),
        buses: usb::loads(config, &plugged.cameras, &plugged.usb),
        left_out: crash::recorded(config).left_out().cloned().collect(),
    };
    findings(config, &facts)
}

/// The same as JSON.
pub fn to_json(findings: &[Finding]) -> Value {
    let wrong = findings.iter().any(|finding| finding.level == Level::Wrong);
    json!({ "ok": !wrong, "findings": findings })
}

/// Of the running box.
pub fn report(config: &Config) -> Value {
    to_json(&examine(config, None))
}
