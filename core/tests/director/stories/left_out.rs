//! What the box crashed in again and again is left out, and everything else goes on.

use crate::world::{World, autostart, encoders, rtmp, slot};
use cuebox_core::command::{Answer, Command};
use cuebox_core::crashes::Part;
use cuebox_core::device::Encoder;
use cuebox_core::director::Event;
use cuebox_core::ids::{LegId, Track};
use cuebox_core::status::{LegState, MqttState, RecordingState, SlotState};

use super::{SECOND, refused};

/// A box that starts without these.
fn without(parts: Vec<Part>) -> World {
    let mut config = autostart();
    config.legs = vec![rtmp("backup", None)];
    let mut world = World::bare(config, 1);
    world.director.leave_out(parts);
    world.boot();
    world.until("it records", SECOND * 10, |world| world.status().recording.state == RecordingState::Recording);
    world.pass(SECOND * 2);
    world
}

#[test]
fn a_slot_is_left_out_until_its_source_is_another() {
    let mut world = without(vec![Part::Slot(slot(1))]);
    assert_eq!(world.state(slot(1)), SlotState::Empty);
    assert!(world.why(slot(1)).contains("crashed in it"));
    assert!(world.alert("left_out").is_some_and(|text| text.starts_with("slot 1 is left out")));
    assert_eq!(world.on_air(), Some(slot(2)), "the best of the others");
    assert!(!world.wanted().captures.contains_key(&slot(1)));
    refused(&world.ask(Command::Snapshot { slot: slot(1) }));
    world.pass(SECOND * 60);
    assert_eq!(world.state(slot(1)), SlotState::Empty, "nothing is tried again by the clock");

    let mut config = world.director.config().clone();
    let other = cuebox_core::config::Source::File { path: "/a.mp4".to_owned(), repeat: true };
    config.slots.get_mut(&slot(1)).unwrap().source = other;
    world.tell(Event::ConfigLoaded(Box::new(config)));
    world.until("its new source is live", SECOND * 5, |world| world.state(slot(1)) == SlotState::Live);
    assert_eq!(world.alert("left_out"), None);
}

#[test]
fn a_leg_is_left_out_until_it_is_enabled() {
    let mut world = without(vec![Part::Leg(LegId::new("backup"))]);
    let leg = world.status().legs[0].clone();
    assert_eq!(leg.state, LegState::Off);
    assert!(leg.why.unwrap().contains("crashed in it"));
    assert!(world.wanted().legs.is_empty());
    let name = LegId::new("backup");
    assert_eq!(world.ask(Command::Leg { name, on: true }), Answer::Done);
    world.until("it carries", SECOND * 5, |world| world.status().legs[0].state == LegState::Carrying);
    assert_eq!(world.alert("left_out"), None);
}

#[test]
fn mqtt_is_left_out_and_says_why() {
    let world = without(vec![Part::Mqtt, Part::Panels]);
    let mqtt = world.status().mqtt;
    assert_eq!(mqtt.state, MqttState::Off);
    assert!(mqtt.why.is_some_and(|why| why.contains("crashed in it")));
    let said = |part: &str| world.status().alerts.iter().any(|alert| alert.text.starts_with(part));
    assert!(said("MQTT is left out") && said("every panel is left out"));
}

#[test]
fn recordings_snapshots_and_hardware_encoders_are_left_out_and_the_rest_records() {
    let mut world = without(vec![Part::SlotRecording(slot(5)), Part::Snapshots, Part::HardwareEncoders]);
    let hardware = Encoder { element: "v4l2h264enc".to_owned(), hardware: true, ..encoders().working[0].clone() };
    let mut probed = encoders();
    probed.working.insert(0, hardware);
    world.tell(Event::EncodersProbed(probed));
    world.pass(SECOND * 2);
    assert!(!world.wanted().recordings.contains_key(&Track::Slot(slot(5))));
    assert_eq!(world.wanted().recordings.len(), 5, "the program and four slots");
    assert_eq!(world.state(slot(5)), SlotState::Live, "it can go on air all the same");
    assert!(world.wanted().encodes.values().all(|encode| encode.grant.element != "v4l2h264enc"));
    let broken = world.status().encoders.broken;
    assert!(broken.iter().any(|it| it.element == "v4l2h264enc" && it.why.contains("crashed")), "{broken:?}");
    assert!(world.wanted().no_snapshots);
    assert!(refused(&world.ask(Command::Snapshot { slot: slot(2) })).contains("crashed"));
}
