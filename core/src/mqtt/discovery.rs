//! What Home Assistant is told: one device, with what an operator wants to see and press.
//!
//! The form is that of its MQTT device discovery: `<prefix>/device/<id>/config`, retained, with `device`, `origin` and
//! `components`, each of which has a `platform` and a `unique_id`. It says `online` on `<prefix>/status` when it has
//! started, and is told again then.

use serde_json::{Map, Value, json};

use crate::document::Document;

use super::Topics;

/// Where Home Assistant says that it has started.
pub fn status_topic(prefix: &str) -> String {
    format!("{prefix}/status")
}

/// Topic and payload.
pub fn announcement(prefix: &str, topics: &Topics, document: &Document) -> (String, Value) {
    let id = format!("cuebox_{}", document.box_id.replace('-', "_"));
    let mut components = Map::new();
    let mut add = |name: &str, mut component: Value| {
        component["unique_id"] = json!(format!("{id}_{name}"));
        components.insert(name.to_owned(), component);
    };
    for slot in &document.slots {
        let (number, topic) = (slot.number, topics.slot(slot.number));
        let name = format!("{} (slot {number})", slot.name);
        add(&format!("slot_{number}"), sensor(&name, &topic, "{{ value_json.state }}"));
    }
    for leg in &document.legs {
        let found =
            format!("value_json.legs | selectattr('name', 'eq', '{}') | map(attribute='state') | first", leg.name);
        let template = format!("{{{{ {found} | default('off') }}}}");
        add(
            &format!("leg_{}", leg.name.as_str().replace('-', "_")),
            sensor(&format!("Leg {}", leg.name), &topics.state(), &template),
        );
    }
    let numbers: Vec<String> = document.slots.iter().map(|slot| slot.number.to_string()).collect();
    add(
        "program",
        json!({
            "platform": "select",
            "name": "On air",
            "state_topic": topics.program(),
            "value_template": "{{ value_json.on_air | default('', true) }}",
            "command_topic": topics.command("cut"),
            "options": numbers,
        }),
    );
    add(
        "slate",
        switch(
            "Slate",
            &topics.program(),
            "{{ 'on' if value_json.slate else 'off' }}",
            &topics.command("slate"),
            "on",
            "off",
        ),
    );
    let recording = "{{ 'on' if value_json.recording.state in ['preparing', 'recording'] else 'off' }}";
    add("record", switch("Recording", &topics.state(), recording, &topics.command("record"), "start", "stop"));
    add("stream", button("Start streaming", &topics.command("stream"), "start"));
    // Pressed twice it acts twice, so every press has an id of its own.
    let once = r#"{"id":"ha-{{ now().timestamp() }}"}"#;
    add(
        "take",
        json!({
            "platform": "button", "name": "Take", "command_topic": topics.command("take"), "command_template": once,
        }),
    );
    let minutes = "{{ value_json.recording.minutes_left | default(none) }}";
    let mut left = sensor("Recording time left", &topics.state(), minutes);
    (left["unit_of_measurement"], left["device_class"]) = (json!("min"), json!("duration"));
    left["entity_category"] = json!("diagnostic");
    add("minutes_left", left);
    add(
        "problem",
        json!({
            "platform": "binary_sensor",
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.state(),
            "value_template": "{{ 'ON' if value_json.alerts | count > 0 else 'OFF' }}",
            "json_attributes_topic": topics.state(),
            "json_attributes_template": "{{ {'alerts': value_json.alerts} | tojson }}",
        }),
    );
    let payload = json!({
        "device": {
            "identifiers": [id],
            "name": format!("Cuebox {}", document.box_id),
            "model": "Cuebox",
            "sw_version": document.version,
        },
        "origin": { "name": "cuebox", "sw_version": document.version },
        "availability_topic": topics.availability(),
        "qos": 1,
        "components": components,
    });
    (format!("{prefix}/device/{id}/config"), payload)
}

fn sensor(name: &str, topic: &str, template: &str) -> Value {
    json!({ "platform": "sensor", "name": name, "state_topic": topic, "value_template": template })
}

fn button(name: &str, topic: &str, press: &str) -> Value {
    json!({ "platform": "button", "name": name, "command_topic": topic, "payload_press": press })
}

fn switch(name: &str, topic: &str, template: &str, command: &str, on: &str, off: &str) -> Value {
    json!({
        "platform": "switch", "name": name, "state_topic": topic, "value_template": template, "command_topic": command,
        "state_on": "on", "state_off": "off", "payload_on": on, "payload_off": off,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::outbound::testkit;

    /// Required keys of each platform, and those of a device's announcement, by Home Assistant's documentation.
    const REQUIRED: &[(&str, &[&str])] = &[
        ("sensor", &["state_topic"]),
        ("binary_sensor", &["state_topic"]),
        ("button", &["command_topic"]),
        ("switch", &["command_topic"]),
        ("select", &["command_topic", "options"]),
    ];

    #[test]
    fn the_announcement_has_every_required_key_and_ids_of_its_own() {
        let (topic, payload) = announcement("homeassistant", &Topics::new("hall-1"), &testkit::document());
        assert_eq!(topic, "homeassistant/device/cuebox_hall_1/config");
        assert!(payload["device"]["identifiers"].is_array() && payload["origin"]["name"].is_string());
        let components = payload["components"].as_object().unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for (name, component) in components {
            let platform = component["platform"].as_str().unwrap();
            let (_, required) = REQUIRED.iter().find(|(known, _)| *known == platform).unwrap();
            assert!(required.iter().all(|key| component.get(key).is_some()), "{name}: {component}");
            assert!(component["name"].is_string() && ids.insert(component["unique_id"].to_string()), "{name}");
        }
        for name in ["slot_1", "slot_2", "program", "take", "slate", "record", "minutes_left", "problem"] {
            assert!(components.contains_key(name), "{name}");
        }
    }
}
