mod described;

use serde_json::{Value, json};

use super::*;
use crate::command::AudioMode;
use crate::ids::{LegId, ShowId, SlotId};
use crate::job::Medium;
use crate::status::{
    Alert, LegGauges, LegState, LegStatus, LinkQuality, PanelGauges, PanelState, ProgramStatus, RecordingState,
    RecordingStatus, Severity, ShowStatus, SlotGauges, SlotState, SlotStatus,
};
use crate::time::{Trust, Wall};

const S: u64 = 1_000_000_000;

fn life() -> Life {
    Life { boot: "b1".to_owned(), version: "0.1.0".to_owned(), started: Mono(10 * S) }
}

fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

fn snapshot() -> Snapshot {
    let slots = SlotId::all().map(|number| SlotStatus {
        number,
        name: format!("Camera {number}"),
        state: SlotState::Live,
        since: Mono(19 * S),
        why: None,
        device: Some("Test picture".to_owned()),
        next_try: None,
        health: 100,
        kept_off: None,
    });
    let status = Status {
        box_id: "hall-1".to_owned(),
        show: Some(ShowStatus {
            id: ShowId::new("20261121-183005-3f2a"),
            name: "Anna and Ben".to_owned(),
            started: Wall { unix_ns: 1_795_285_805 * 1_000_000_000, trust: Trust::Ntp },
        }),
        program: ProgramStatus { on_air: Some(slot(1)), ..ProgramStatus::default() },
        slots: slots.collect(),
        spare: Vec::new(),
        legs: vec![LegStatus {
            name: LegId::new("backup"),
            kind: "rtmp".to_owned(),
            state: LegState::Trying,
            since: Mono(20 * S),
            why: Some("connection refused by 127.0.0.1:1935".to_owned()),
            next_try: Some(Mono(24 * S)),
            rank: Some(2),
            muted: Vec::new(),
            viewers: None,
        }],
        viewers: Viewers { now: Some(3), peak: Some(9) },
        recording: RecordingStatus { state: RecordingState::Recording, why: None, files: 6 },
        encodes: vec![crate::status::EncodeStatus {
            job: "stream".to_owned(),
            element: Some("x264enc".to_owned()),
            width: 1280,
            height: 720,
            fps: 30,
            why: None,
        }],
        encoders: crate::device::Encoders::default(),
        audio: AudioStatus::default(),
        panels: vec![crate::status::PanelStatus {
            id: "/dev/ttyACM0".to_owned(),
            kind: crate::status::PanelKind::Serial,
            name: "stage".to_owned(),
            state: PanelState::Connected,
            since: Mono(20 * S),
            why: None,
            keys: 6,
        }],
        locked: false,
        identifying: false,
        alerts: Vec::new(),
        overload: Default::default(),
        mqtt: crate::status::MqttStatus::default(),
    };
    let gauges = Gauges {
        slots: [(
            slot(1),
            SlotGauges { fps: 29.970_03, audio_dbfs: vec![-18.234, f64::NEG_INFINITY], ..SlotGauges::default() },
        )]
        .into(),
        recording_bytes: 123_456,
        free_bytes: 60_000_000,
        recording_rate: 100_000,
        encodes: [("stream".to_owned(), 2_450_400)].into(),
        panels: [("/dev/ttyACM0".to_owned(), PanelGauges { presses: 7, lines: 60, ..PanelGauges::default() })].into(),
        ..Gauges::default()
    };
    Snapshot { status: Arc::new(status), gauges: Arc::new(gauges) }
}

fn document(snapshot: &Snapshot, seq: u64) -> Document {
    Document::new(&life(), seq, Mono(22 * S + 340_000_000), snapshot)
}

fn changed(change: impl FnOnce(&mut Status, &mut Gauges)) -> Snapshot {
    let mut snapshot = snapshot();
    change(Arc::make_mut(&mut snapshot.status), Arc::make_mut(&mut snapshot.gauges));
    snapshot
}

#[test]
fn the_document_says_what_readers_rely_on() {
    let document = serde_json::to_value(document(&snapshot(), 17)).unwrap();
    let expected = json!({
        "box": "hall-1", "version": "0.1.0", "boot": "b1", "seq": 17, "uptime_s": 12.3,
        "show": {"id": "20261121-183005-3f2a", "name": "Anna and Ben", "started": "2026-11-21T18:30:05Z", "clock": "ntp"},
        "program": {"on_air": 1, "armed": null, "preview": null, "slate": false, "held": false, "why": null},
        "recording": {"state": "recording", "why": null, "bytes": 123_456, "free_bytes": 60_000_000, "minutes_left": 10,
            "files": 6},
        "encoders": [{"job": "stream", "element": "x264enc", "bitrate_bps": 2_450_000, "width": 1280, "height": 720,
            "fps": 30, "why": null}],
        "viewers": {"now": 3, "peak": 9}, "locked": false, "mqtt": {"state": "off"}, "alerts": [], "overload": 0,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&document[key], value, "{key}");
    }
    let panel = json!({"kind": "serial", "name": "stage", "state": "connected", "since_s": 2.3, "why": null,
        "device": "/dev/ttyACM0", "keys": 6, "presses": 7, "surplus": 0, "lines": 60, "garbage": 0, "broken": 0,
        "checksum": 0, "unknown": 0});
    assert_eq!(document["panel"], json!([panel]));
    let first_slot = json!({"number": 1, "name": "Camera 1", "state": "live", "since_s": 3.3, "why": null,
        "next_try_s": null, "health": 100, "fps": 30.0, "device": "Test picture", "audio_dbfs": [-18.2, -100.0],
        "audio_peak_dbfs": [], "audio_drift_ppm": null, "connection_quality": 70, "kept_off_s": null});
    assert_eq!(document["slots"][0], first_slot);
    let leg = json!({"name": "backup", "kind": "rtmp", "state": "trying", "why": "connection refused by 127.0.0.1:1935",
        "since_s": 2.3, "bitrate_bps": 0, "rtt_ms": null, "lost_percent": 0.0, "next_try_s": 1.7, "uplink": 2,
        "muted": [], "viewers": null, "quality": null, "quality_why": []});
    assert_eq!(document["legs"], json!([leg]));
}

#[test]
fn a_document_survives_the_wire() {
    let document = document(&snapshot(), 17);
    let text = serde_json::to_string(&document).unwrap();
    assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
}

#[test]
fn seconds_that_pass_are_no_change() {
    let (old, new) = (document(&snapshot(), 1), document(&snapshot(), 1));
    assert_eq!(delta::facts(&old, &new), []);
    assert_eq!(delta::gauges(&old, &new), None);
}

type Change = fn(&mut Status, &mut Gauges);

#[test]
fn each_change_of_state_has_its_event_and_the_event_brings_a_reader_up_to_date() {
    let table: &[(&str, Change)] = &[
        ("on_air", |status, _| status.program.armed = SlotId::new(3)),
        ("show", |status, _| status.show = None),
        ("slot_state", |status, _| status.slots[2].state = SlotState::Stalled),
        ("slot_state", |status, _| status.slots[4].name = "Organ".to_owned()),
        ("leg_state", |status, _| status.legs[0].state = LegState::Carrying),
        ("leg_state", |status, _| status.legs[0].next_try = None),
        ("leg_state", |status, _| status.legs[0].muted.push(Medium::Audio)),
        ("leg_state", |_, gauges| {
            let sampled = LegGauges { quality: Some(LinkQuality::Poor), ..LegGauges::default() };
            gauges.legs.insert(LegId::new("backup"), sampled);
        }),
        ("viewers", |status, _| status.viewers.now = Some(4)),
        ("recording", |status, _| status.recording.state = RecordingState::Failed),
        ("encoders", |status, _| status.encodes.clear()),
        ("encoders", |status, _| status.encoders.board = "rpi4".to_owned()),
        ("audio", |status, _| status.audio.mode = AudioMode::Mix),
        ("panel", |status, _| status.panels[0].state = PanelState::Lost),
        ("panel", |status, _| status.locked = true),
        ("alert", |status, _| status.overload = crate::overload::Level::SlotRates),
        ("alert", |status, _| {
            let text = "The disk is slow".to_owned();
            status.alerts.push(Alert {
                kind: "disk_slow".to_owned(),
                severity: Severity::Warning,
                text,
                since: Mono(S),
            });
        }),
    ];
    for (kind, change) in table {
        let (old, new) = (document(&snapshot(), 17), document(&changed(change), 18));
        assert!(delta::same_shape(&old, &new));
        let deltas = delta::facts(&old, &new);
        assert_eq!(deltas.len(), 1, "{kind}: {deltas:?}");
        let mut event = serde_json::to_value(&deltas[0]).unwrap();
        assert_eq!(event["kind"], *kind);
        event["seq"] = json!(18);
        let mut reader = serde_json::to_value(&old).unwrap();
        assert!(delta::apply(&mut reader, &event), "{kind}");
        assert_eq!(reader, serde_json::to_value(&new).unwrap(), "{kind}");
    }
}

#[test]
fn samples_alone_make_one_event_of_their_own() {
    let new = document(
        &changed(|_, gauges| {
            gauges.slots.insert(slot(2), SlotGauges { fps: 25.0, audio_dbfs: vec![-30.0], ..SlotGauges::default() });
            gauges.legs.insert(LegId::new("backup"), LegGauges { bitrate_bps: 1_000_000, ..LegGauges::default() });
            gauges.recording_bytes += 1;
            gauges.dropped.insert("slot-1 → program".to_owned(), 3);
        }),
        18,
    );
    let old = document(&snapshot(), 17);
    assert_eq!(delta::facts(&old, &new), []);
    let mut event = serde_json::to_value(delta::gauges(&old, &new)).unwrap();
    assert_eq!(event["kind"], "gauges");
    assert_eq!(event["slots"].as_array().unwrap().len(), 1, "only the slot that changed: {event}");
    event["seq"] = json!(18);
    let mut reader = serde_json::to_value(&old).unwrap();
    assert!(delta::apply(&mut reader, &event));
    assert_eq!(reader, serde_json::to_value(&new).unwrap());
}

#[test]
fn noise_below_the_rounding_is_no_change() {
    let noisy = changed(|_, gauges| {
        gauges
            .slots
            .insert(slot(1), SlotGauges { fps: 29.99, audio_dbfs: vec![-18.2, -700.0], ..SlotGauges::default() });
    });
    assert_eq!(delta::gauges(&document(&snapshot(), 1), &document(&noisy, 1)), None);
}

#[test]
fn a_changed_set_of_legs_is_another_shape() {
    let without = document(&changed(|status, _| status.legs.clear()), 1);
    assert!(!delta::same_shape(&document(&snapshot(), 1), &without));
}

#[test]
fn an_event_that_does_not_follow_is_not_applied() {
    let mut reader = serde_json::to_value(document(&snapshot(), 17)).unwrap();
    let before = reader.clone();
    for event in [
        json!({"kind": "on_air", "seq": 19, "program": {"on_air": 2}}),
        json!({"kind": "on_air", "seq": 17, "program": {"on_air": 2}}),
        json!({"kind": "on_air", "program": {"on_air": 2}}),
        json!({"kind": "snapshot", "seq": 30}),
        json!([18]),
    ] {
        assert!(!delta::apply(&mut reader, &event), "{event}");
        assert_eq!(reader, before);
    }
    assert!(delta::apply(&mut reader, &json!({"kind": "heartbeat", "seq": 18})));
    assert!(delta::apply(&mut reader, &json!({"kind": "snapshot", "boot": "b2", "seq": 3, "status": {"seq": 3}})));
    assert_eq!(reader, json!({"seq": 3}) as Value);
}

#[test]
fn a_reader_lets_time_pass_in_its_document() {
    let mut reader = serde_json::to_value(document(&snapshot(), 17)).unwrap();
    delta::age(&mut reader, 2.0);
    assert_eq!(reader["uptime_s"], json!(14.3));
    assert_eq!(reader["slots"][4]["since_s"], json!(5.3));
    assert_eq!(reader["legs"][0]["next_try_s"], json!(0.0));
    assert_eq!(reader["slots"][0]["next_try_s"], Value::Null);
    assert_eq!(reader["seq"], 17);
}

#[test]
fn what_spoils_the_quality_is_said_in_words() {
    for (quality, lost_percent, rtt_ms, expected) in [
        (Some(LinkQuality::Poor), 6.25, Some(420), &["6.2 % of the packets are lost", "a round trip takes 420 ms"][..]),
        (Some(LinkQuality::Good), 1.0, Some(40), &[]),
        (Some(LinkQuality::Excellent), 6.0, None, &[]),
        (None, 6.0, None, &[]),
    ] {
        let gauges = LegGauges { bitrate_bps: 0, rtt_ms, lost_percent, quality };
        assert_eq!(gauges.causes(), expected);
    }
}
