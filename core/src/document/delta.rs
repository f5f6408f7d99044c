//! What changed between two documents, and how a reader puts it into its own.
//!
//! An event carries the changed part of the document under the document's own key. In `slots` and `legs` it carries
//! only the entries that changed; everything else is carried whole. When the set of slots or legs itself changed
//! there is no such event ([`same_shape`] is false) and the feed sends a whole document again.
//! Changes of state come as an event each. Changes of samples alone are gathered in one `gauges` event, which the feed
//! paces.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::status::AudioStatus;

use super::{
    AlertEntry, Document, Encode, Leg, Panel, Probe, Program, Recording, Show, Slot, SpareCamera, State, Viewers,
};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Delta {
    Show { show: Option<Show> },
    OnAir { program: Program },
    SlotState { slots: [Slot; 1] },
    Spare { spare: Vec<SpareCamera> },
    LegState { legs: [Leg; 1] },
    Recording { recording: Recording },
    Encoders { encoders: Vec<Encode>, probe: Probe },
    Audio { audio: AudioStatus },
    Viewers { viewers: Viewers },
    Panel { panel: Vec<Panel>, locked: bool },
    Mqtt { mqtt: State },
    Alert { alerts: Vec<AlertEntry>, overload: u8 },
    Gauges(Gauges),
}

/// Samples that changed while nothing else did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gauges {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slots: Vec<Slot>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    legs: Vec<Leg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<Recording>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoders: Option<Vec<Encode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    abandoned: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    panel: Option<Vec<Panel>>,
}

/// Whether both documents have the same slots and legs, in the same order.
pub fn same_shape(old: &Document, new: &Document) -> bool {
    old.slots.iter().map(|slot| slot.number).eq(new.slots.iter().map(|slot| slot.number))
        && old.legs.iter().map(|leg| &leg.name).eq(new.legs.iter().map(|leg| &leg.name))
}

/// Changes of state from `old` to `new`, what is on air first. Both must be of one shape and built for the same moment,
/// so that seconds which merely passed are no change.
pub fn facts(old: &Document, new: &Document) -> Vec<Delta> {
    let mut deltas = Vec::new();
    if old.program != new.program {
        deltas.push(Delta::OnAir { program: new.program.clone() });
    }
    if old.show != new.show {
        deltas.push(Delta::Show { show: new.show.clone() });
    }
    let slots = old.slots.iter().zip(&new.slots).filter(|(old, new)| old.facts() != new.facts());
    deltas.extend(slots.map(|(_, slot)| Delta::SlotState { slots: [slot.clone()] }));
    if old.spare != new.spare {
        deltas.push(Delta::Spare { spare: new.spare.clone() });
    }
    let legs = old.legs.iter().zip(&new.legs).filter(|(old, new)| old.facts() != new.facts());
    deltas.extend(legs.map(|(_, leg)| Delta::LegState { legs: [leg.clone()] }));
    if old.recording.facts() != new.recording.facts() {
        deltas.push(Delta::Recording { recording: new.recording.clone() });
    }
    if old.probe != new.probe || !old.encoders.iter().map(Encode::facts).eq(new.encoders.iter().map(Encode::facts)) {
        deltas.push(Delta::Encoders { encoders: new.encoders.clone(), probe: new.probe.clone() });
    }
    if old.audio != new.audio {
        deltas.push(Delta::Audio { audio: new.audio.clone() });
    }
    if old.viewers != new.viewers {
        deltas.push(Delta::Viewers { viewers: new.viewers });
    }
    if old.locked != new.locked || !old.panel.iter().map(Panel::facts).eq(new.panel.iter().map(Panel::facts)) {
        deltas.push(Delta::Panel { panel: new.panel.clone(), locked: new.locked });
    }
    if old.mqtt != new.mqtt {
        deltas.push(Delta::Mqtt { mqtt: new.mqtt.clone() });
    }
    if old.alerts != new.alerts || old.overload != new.overload {
        deltas.push(Delta::Alert { alerts: new.alerts.clone(), overload: new.overload });
    }
    deltas
}

/// Changes of samples from `old` to `new`; `None` without any.
pub fn gauges(old: &Document, new: &Document) -> Option<Delta> {
    let changed = Gauges {
        slots: changed_entries(&old.slots, &new.slots),
        legs: changed_entries(&old.legs, &new.legs),
        recording: (old.recording != new.recording).then(|| new.recording.clone()),
        encoders: (old.encoders != new.encoders).then(|| new.encoders.clone()),
        dropped: (old.dropped != new.dropped).then(|| new.dropped.clone()),
        abandoned: (old.abandoned != new.abandoned).then_some(new.abandoned),
        panel: (old.panel != new.panel).then(|| new.panel.clone()),
    };
    (changed != Gauges::default()).then_some(Delta::Gauges(changed))
}

fn changed_entries<T: PartialEq + Clone>(old: &[T], new: &[T]) -> Vec<T> {
    old.iter().zip(new).filter(|(old, new)| old != new).map(|(_, new)| new.clone()).collect()
}

/// Puts an event, as it came over the wire, into a document, as it came over the wire. Keys that this version does not
/// know are taken over as well. `false`: the event does not follow on the document (one was lost), and a new snapshot
/// is needed.
pub fn apply(document: &mut Value, event: &Value) -> bool {
    let seq = |value: &Value| value.get("seq").and_then(Value::as_u64);
    if event.get("kind").and_then(Value::as_str) == Some("snapshot") {
        if let Some(status) = event.get("status") {
            *document = status.clone();
        }
        return event.get("status").is_some();
    }
    if seq(event).is_none() || seq(event) != seq(document).map(|seq| seq + 1) {
        return false;
    }
    let (Some(document), Some(event)) = (document.as_object_mut(), event.as_object()) else { return false };
    for (key, changed) in event.iter().filter(|(key, _)| *key != "kind") {
        match (key.as_str(), document.get_mut(key)) {
            ("slots", Some(entries)) => merge(entries, changed, "number"),
            ("legs", Some(entries)) => merge(entries, changed, "name"),
            (_, Some(value)) => *value = changed.clone(),
            (_, None) => drop(document.insert(key.clone(), changed.clone())),
        }
    }
    true
}

/// Lets `seconds` pass for a reader's document: durations grow, times that are to come come nearer.
pub fn age(document: &mut Value, seconds: f64) {
    match document {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_f64()) {
                    ("since_s" | "uptime_s", Some(before)) => *value = (before + seconds).into(),
                    ("next_try_s" | "kept_off_s", Some(before)) => *value = (before - seconds).max(0.0).into(),
                    _ => age(value, seconds),
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| age(entry, seconds)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn merge(entries: &mut Value, changed: &Value, identity: &str) {
    let (Some(entries), Some(changed)) = (entries.as_array_mut(), changed.as_array()) else { return };
    for entry in changed {
        if let Some(known) = entries.iter_mut().find(|known| known.get(identity) == entry.get(identity)) {
            *known = entry.clone();
        }
    }
}
