//! What `docs/schemas.json` describes is what the box sends: real messages are checked against it, and each key that the
//! code writes has to be in it.

use std::collections::BTreeSet;

use super::*;
use crate::command::Answer;
use crate::document::delta;
use crate::ids::{CommandId, Port};
use crate::mqtt::outbound::Mirror;
use crate::status::MqttState;

const SCHEMAS: &str = include_str!("../../../../docs/schemas.json");
const DESCRIPTION: &str = include_str!("../../../../docs/asyncapi.yaml");

fn schemas() -> Value {
    serde_json::from_str(SCHEMAS).unwrap()
}

/// The part of JSON Schema that the file uses. A key that is not described is a fault here; readers have to bear it.
fn fault(value: &Value, schema: &Value, all: &Value) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        assert!(all.get(name).is_some(), "{name} is described");
        return fault(value, &all[name], all);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let faults: Vec<String> = choices.iter().filter_map(|choice| fault(value, choice, all)).collect();
        return (faults.len() + 1 != choices.len()).then(|| format!("{value} is not one of them: {faults:?}"));
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let is = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("what is a {other}?"),
    };
    if !kinds.iter().any(is) {
        return Some(format!("{value} is no {kinds:?}"));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        return Some(format!("{value} is none of {}", schema["enum"]));
    }
    let bound = |key: &str| schema[key].as_f64().zip(value.as_f64());
    if bound("minimum").is_some_and(|(least, is)| is < least) || bound("maximum").is_some_and(|(most, is)| is > most) {
        return Some(format!("{value} is out of its bounds"));
    }
    if let Some(entries) = value.as_array() {
        return entries.iter().find_map(|entry| fault(entry, &schema["items"], all));
    }
    let fields = value.as_object()?;
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|key| !fields.contains_key(*key)) {
        return Some(format!("{missing} is missing in {value}"));
    }
    fields.iter().find_map(|(key, value)| {
        let schema = schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
        let Some(schema) = schema else { return Some(format!("{key} is not described")) };
        fault(value, schema, all).map(|why| format!("{key}: {why}"))
    })
}

#[track_caller]
fn assert_described(value: &Value, name: &str) {
    let all = schemas();
    assert_eq!(fault(value, &all[name], &all), None, "{name}: {value:#}");
}

/// Every change that is told by a kind of its own, and every field in another state than at rest.
fn everything_else() -> Snapshot {
    changed(|status, gauges| {
        status.show = None;
        status.program = ProgramStatus {
            on_air: None,
            armed: Some(slot(2)),
            preview: Some(slot(3)),
            slate: true,
            ..ProgramStatus::default()
        };
        let lost = &mut status.slots[4];
        (lost.state, lost.why, lost.device) = (SlotState::Cooling, Some("no signal".to_owned()), None);
        (lost.next_try, lost.kept_off, lost.health) = (Some(Mono(30 * S)), Some(Mono(60 * S)), 0);
        status.spare.push(SpareCamera { port: Port::new("usb-1.4"), name: "a sixth".to_owned() });
        let leg = &mut status.legs[0];
        (leg.state, leg.muted, leg.viewers) = (LegState::Carrying, vec![Medium::Audio, Medium::Video], Some(3));
        status.viewers = Viewers { now: None, peak: None };
        status.recording.state = RecordingState::Failed;
        status.recording.why = Some("the disk is full".to_owned());
        status.encodes[0].element = None;
        status.encoders.broken.push(crate::device::BrokenEncoder { element: "vah264enc".into(), why: "none".into() });
        status.audio.mode = AudioMode::Slot(slot(2));
        status.audio.slots.insert(slot(2), crate::status::SlotAudioStatus::default());
        status.panels[0].state = PanelState::Lost;
        status.locked = true;
        status.mqtt.state = MqttState::Trying;
        status.mqtt.why = Some("refused".to_owned());
        let text = "the disk is slow".to_owned();
        status.alerts.push(Alert { kind: "disk_slow".into(), severity: Severity::Warning, text, since: Mono(S) });
        let sampled = gauges.slots.entry(slot(2)).or_default();
        (sampled.audio_peak_dbfs, sampled.audio_drift_ppm) = (vec![-3.0], Some(12.0));
        let quality = Some(LinkQuality::Poor);
        gauges
            .legs
            .insert(LegId::new("backup"), LegGauges { bitrate_bps: 1, rtt_ms: Some(400), lost_percent: 3.0, quality });
        gauges.dropped.insert("program-picture".to_owned(), 3);
        gauges.recording_rate = 0;
    })
}

#[test]
fn documents_and_their_slots_are_as_described() {
    for snapshot in [snapshot(), everything_else()] {
        let document = serde_json::to_value(document(&snapshot, 1)).unwrap();
        assert_described(&document, "status");
    }
    let mut wrong = serde_json::to_value(document(&snapshot(), 1)).unwrap();
    wrong["slots"][0]["colour"] = json!("red");
    let all = schemas();
    assert_eq!(fault(&wrong, &all["status"], &all).as_deref(), Some("slots: colour is not described"));
    wrong["slots"][0] = json!({ "number": 6 });
    assert!(fault(&wrong, &all["status"], &all).is_some());
}

#[test]
fn every_message_of_the_broker_is_as_described() {
    let mut mirror = Mirror::new("hall-1", life(), None, snapshot());
    let now = Mono(22 * S);
    mirror.connected(now);
    mirror.take(now, everything_else());
    mirror.take(now, snapshot());
    let mut kinds = BTreeSet::new();
    let messages: Vec<_> = std::iter::from_fn(|| mirror.poll()).collect();
    for out in messages {
        let topic = out.topic.strip_prefix("cuebox/hall-1/").unwrap();
        let value: Value =
            serde_json::from_slice(&out.payload).unwrap_or_else(|_| String::from_utf8_lossy(&out.payload).into());
        let name = match topic.split('/').collect::<Vec<_>>()[..] {
            ["slot", _, "state"] => "slot",
            ["event", kind] => {
                assert_eq!(value["kind"], kind);
                kinds.insert(kind.to_owned());
                "event"
            }
            ["program"] => "program_short",
            ["state"] => "status",
            ["availability"] => "availability",
            _ => panic!("{topic}"),
        };
        assert_described(&value, name);
    }
    let listed = DESCRIPTION.split_once("kind: { enum: [").unwrap().1.split_once(']').unwrap().0;
    let listed: BTreeSet<String> = listed.split(", ").map(str::to_owned).collect();
    assert_eq!(kinds, listed, "each kind of event was sent, and is in the description of the topic");
    let described = schemas()["event"]["oneOf"].as_array().unwrap().len();
    assert_eq!(described, listed.len());
    // What differs in samples alone is told by the feed, and not by the broker.
    let (old, new) = (document(&snapshot(), 1), document(&everything_else(), 2));
    assert_eq!(delta::facts(&old, &new).len(), listed.len());
}

#[test]
fn every_answer_is_as_described() {
    let id = CommandId::new("k-1");
    let refused = Answer::Refused { why: "slot 3 is empty".to_owned() };
    for answer in [
        Answer::Done,
        Answer::Report { report: json!({ "lines": [] }) },
        Answer::Conflict { why: "another command".to_owned() },
        Answer::Duplicate { first: Box::new(Answer::Done) },
        Answer::Duplicate { first: Box::new(refused.clone()) },
        refused,
    ] {
        assert_described(&answer.to_json(&id), "reply");
    }
    for name in schemas().as_object().unwrap().keys() {
        let used =
            DESCRIPTION.contains(&format!("schemas.json#/{name}\"")) || SCHEMAS.contains(&format!("\"#/{name}\""));
        assert!(used, "{name} belongs to a message");
    }
}
