//! Cameras that are moved, swapped, too many, without a signal, or flapping.

use crate::world::{Mood, World, camera, cameras, config, ms, slot};
use cuebox_core::command::{Answer, Command};
use cuebox_core::config::Source;
use cuebox_core::device::{Camera, Control, ModeGroup, PixelFormat, Rate, Signal};
use cuebox_core::director::{CaptureSource, ErrorClass, Event, Fact, Job, Look};
use cuebox_core::status::SlotState;

use super::{SECOND, on_air};

fn stick(port: &str, serial: Option<&str>) -> Camera {
    Camera { name: "USB Video".to_owned(), serial: serial.map(str::to_owned), ..camera(port) }
}

fn plug(world: &mut World, camera: Camera) {
    world.cameras.insert(camera.port.clone(), camera.clone());
    world.tell(Event::CameraPlugged(camera));
}

fn seat(world: &World, number: usize) -> String {
    world.status().slots[number - 1].device.clone().unwrap_or_default()
}

#[test]
fn sticks_that_are_swapped_keep_their_slots_by_their_serial_numbers() {
    let mut world = World::bare(cameras(&[None, None]), 1);
    world.boot();
    plug(&mut world, stick("usb-1", Some("A")));
    plug(&mut world, stick("usb-2", Some("B")));
    world.until("live", SECOND * 2, |world| (1..=2).all(|n| world.state(slot(n)) == SlotState::Live));
    world.unplug("usb-1");
    world.unplug("usb-2");
    plug(&mut world, stick("usb-2", Some("A")));
    plug(&mut world, stick("usb-1", Some("B")));
    world.until("live", SECOND * 2, |world| (1..=2).all(|n| world.state(slot(n)) == SlotState::Live));
    assert!(seat(&world, 1).contains("usb-2") && seat(&world, 2).contains("usb-1"), "{:?}", world.status().slots);
}

#[test]
fn the_same_serial_number_on_every_stick_is_none_and_the_port_decides() {
    let mut world = World::bare(cameras(&[None, None, None]), 1);
    world.boot();
    for port in ["usb-1", "usb-2"] {
        plug(&mut world, stick(port, Some("20000130041415")));
    }
    world.unplug("usb-1");
    world.unplug("usb-2");
    plug(&mut world, stick("usb-2", Some("20000130041415")));
    assert!(seat(&world, 2).contains("usb-2"), "{:?}", world.status().slots);
    plug(&mut world, stick("usb-3", Some("20000130041415")));
    assert!(seat(&world, 3).contains("usb-3") && seat(&world, 1).is_empty(), "{:?}", world.status().slots);
}

#[test]
fn slots_find_their_cameras_again_after_a_reboot_whoever_comes_first() {
    let mut world = World::bare(cameras(&[None, None, None]), 1);
    world.boot();
    // The order of plugging, not that of ports.
    for port in ["usb-7", "usb-3", "usb-5"] {
        world.plug(port);
    }
    world.unplug("usb-7");
    world.reboot();
    world.pass(SECOND * 2);
    assert!(seat(&world, 1).is_empty(), "the slot waits for its camera");
    assert!(seat(&world, 2).contains("usb-3") && seat(&world, 3).contains("usb-5"));
    world.plug("usb-9");
    world.pass(SECOND);
    assert_eq!(world.status().spare[0].port.as_str(), "usb-9", "a new one takes no slot that waits");
    world.pass(SECOND * 31);
    assert!(seat(&world, 1).contains("usb-9"), "until it has waited for long enough");
    world.plug("usb-7");
    assert_eq!(world.status().spare[0].port.as_str(), "usb-7");
}

#[test]
fn a_sixth_camera_is_shown_and_left_alone() {
    let mut world = World::bare(cameras(&[None; 5]), 1);
    world.boot();
    for n in 1..=6 {
        world.plug(&format!("usb-{n}"));
    }
    world.pass(SECOND);
    let status = world.status();
    assert!(status.slots.iter().all(|slot| slot.device.is_some()));
    assert_eq!(status.spare.len(), 1);
    assert_eq!(status.spare[0].port.as_str(), "usb-6");
    assert_eq!(world.wanted().captures.len(), 5);
    world.unplug("usb-6");
    assert!(world.status().spare.is_empty());
}

#[test]
fn a_hub_at_another_port_is_explained() {
    let mut world = World::bare(cameras(&[Some("usb-1.1"), Some("usb-1.2"), Some("usb-4")]), 1);
    world.boot();
    for port in ["usb-a-1.1", "usb-a-1.2", "usb-a-4"] {
        plug(&mut world, stick(port, None));
    }
    assert!(world.alert("hub_moved").is_none() && world.alert("camera_moved").is_none());
    for port in ["usb-a-1.1", "usb-a-1.2"] {
        world.unplug(port);
    }
    assert!(world.alert("hub_moved").is_none() && world.alert("camera_moved").is_none(), "nothing has appeared yet");
    for port in ["usb-a-3.2", "usb-a-3.1"] {
        plug(&mut world, stick(port, None));
    }
    let text = world.alert("hub_moved").expect("explained");
    assert!(
        text.contains("usb-a-1 is now at usb-a-3") && text.contains("slot 1 usb-a-3.1, slot 2 usb-a-3.2"),
        "{text}"
    );
    world.unplug("usb-a-3.1");
    world.unplug("usb-a-3.2");
    plug(&mut world, stick("usb-a-1.1", None));
    plug(&mut world, stick("usb-a-6", None));
    let text = world.alert("camera_moved").expect("one alone is no hub");
    assert!(text.contains("slot 2") && text.contains("usb-a-1.2 and is now at usb-a-6"), "{text}");
    plug(&mut world, stick("usb-a-1.2", None));
    assert!(world.alert("hub_moved").is_none() && world.alert("camera_moved").is_none(), "all is well again");
}

#[test]
fn who_shares_a_bus_without_bandwidth_is_told() {
    let mut world = World::bare(cameras(&[None, None]), 1);
    world.mood(Job::Capture(slot(2)), Mood::Fails(ErrorClass::Bandwidth));
    world.boot();
    world.plug("usb-a-1.1");
    world.plug("usb-a-1.2");
    world.until("failed", SECOND * 2, |world| world.state(slot(2)) == SlotState::Cooling);
    let why = world.why(slot(2));
    assert!(why.contains("it shares the bus usb-a with usb-a-1.1 (slot 1); move one of them"), "{why}");
}

fn hdmi(signal: Signal, height: u32) -> Camera {
    let modes =
        vec![ModeGroup { format: PixelFormat::Uyvy, width: height * 16 / 9, height, rates: vec![Rate::new(30, 1)] }];
    Camera { signal, modes, ..camera("platform-hdmi-0") }
}

#[test]
fn each_kind_of_missing_signal_is_told_and_the_picture_returns_with_it() {
    let mut world = World::bare(cameras(&[None]), 1);
    world.boot();
    plug(&mut world, hdmi(Signal::None, 720));
    world.pass(SECOND * 2);
    assert_eq!(world.state(slot(1)), SlotState::NoSignal, "what it delivers without a signal is noise");
    plug(&mut world, hdmi(Signal::Good, 720));
    world.until("live", SECOND, |world| world.state(slot(1)) == SlotState::Live);
    let epoch = world.epoch_of(&Job::Capture(slot(1)));
    for (signal, word) in
        [(Signal::None, "no signal"), (Signal::Unlocked, "no lock"), (Signal::OutOfRange, "out of range")]
    {
        plug(&mut world, hdmi(signal, 720));
        assert_eq!(world.state(slot(1)), SlotState::NoSignal);
        assert!(world.why(slot(1)).starts_with(word), "{}", world.why(slot(1)));
        world.fact(Job::Capture(slot(1)), Fact::SignalFound);
        world.pass(SECOND);
        assert_eq!(world.state(slot(1)), SlotState::NoSignal, "the input knows better");
    }
    plug(&mut world, hdmi(Signal::Good, 720));
    let wait = world.until("live", SECOND, |world| world.state(slot(1)) == SlotState::Live);
    assert!(wait >= ms(490), "{wait:?}");
    assert_eq!(world.epoch_of(&Job::Capture(slot(1))), epoch, "the capture stayed open");
    plug(&mut world, hdmi(Signal::Good, 1080));
    world.until("live in the other mode", SECOND * 2, |world| {
        world.state(slot(1)) == SlotState::Live && world.epoch_of(&Job::Capture(slot(1))) != epoch
    });
    let CaptureSource::V4l2 { mode, .. } = &world.wanted().captures[&slot(1)].source else { panic!("a camera") };
    assert_eq!(mode.height, 1080);
}

#[test]
fn a_bridge_that_stops_with_its_signal_is_opened_anew_when_it_is_back() {
    let mut world = World::bare(cameras(&[None]), 1);
    world.boot();
    plug(&mut world, hdmi(Signal::Good, 720));
    world.until("live", SECOND * 2, |world| world.state(slot(1)) == SlotState::Live);
    let epoch = world.epoch_of(&Job::Capture(slot(1)));
    world.mood(Job::Capture(slot(1)), Mood::Silent);
    plug(&mut world, hdmi(Signal::None, 720));
    world.pass(SECOND * 5);
    plug(&mut world, hdmi(Signal::Good, 720));
    world.pass(ms(450));
    assert_eq!(world.epoch_of(&Job::Capture(slot(1))), epoch);
    // Only a new start brings its picture.
    world.until("opened anew", ms(200), |world| world.epoch_of(&Job::Capture(slot(1))) != epoch);
    world.mood(Job::Capture(slot(1)), Mood::Good);
    let again = world.epoch_of(&Job::Capture(slot(1))).unwrap();
    world.tell(Event::Media { job: Job::Capture(slot(1)), epoch: again, fact: Fact::FirstBuffer });
    world.until("live", SECOND, |world| world.state(slot(1)) == SlotState::Live);
}

#[test]
fn a_bridge_that_refuses_to_start_without_a_signal_says_no_signal() {
    let mut world = World::bare(cameras(&[None]), 1);
    world.mood(Job::Capture(slot(1)), Mood::Fails(ErrorClass::Device));
    world.boot();
    plug(&mut world, hdmi(Signal::None, 720));
    world.pass(SECOND * 20);
    assert_eq!(world.state(slot(1)), SlotState::NoSignal);
    assert!(world.why(slot(1)).starts_with("no signal"), "{}", world.why(slot(1)));
    world.mood(Job::Capture(slot(1)), Mood::Good);
    plug(&mut world, hdmi(Signal::Good, 720));
    world.until("live at once", SECOND, |world| world.state(slot(1)) == SlotState::Live);
}

/// Loses slot 1's picture `times` times, a second each.
fn flap(world: &mut World, times: usize) {
    for _ in 0..times {
        world.fact(Job::Capture(slot(1)), Fact::SignalLost { why: String::new() });
        world.pass(ms(100));
        world.fact(Job::Capture(slot(1)), Fact::SignalFound);
        world.until("live", SECOND, |world| world.state(slot(1)) == SlotState::Live);
    }
}

#[test]
fn a_source_that_flaps_is_kept_off_the_air_for_longer_each_time_and_a_cut_overrules_it() {
    let mut world = on_air(config());
    let returns =
        |world: &mut World| world.until("back", SECOND * 100, |world| world.on_air() == Some(slot(1))).as_secs();
    flap(&mut world, 1);
    assert!((4..=6).contains(&returns(&mut world)), "once is an accident");
    flap(&mut world, 5);
    let status = &world.status().slots[0];
    assert!(status.kept_off.is_some() && status.health <= 80);
    assert!(status.why.as_ref().unwrap().contains("kept off the air"), "{:?}", status.why);
    let first = returns(&mut world);
    assert!((35..=42).contains(&first), "{first} s");
    flap(&mut world, 1);
    let second = returns(&mut world);
    assert!((75..=82).contains(&second), "{second} s");
    flap(&mut world, 1);
    assert_ne!(world.on_air(), Some(slot(1)));
    assert_eq!(world.ask(Command::Cut { slot: slot(1) }), Answer::Done);
    world.until("on air at once", SECOND, |world| world.on_air() == Some(slot(1)));
    assert!(world.status().slots[0].kept_off.is_none());
    // Where nothing else is live it goes on air all the same.
    flap(&mut world, 4);
    for n in 2..=5 {
        world.mood(Job::Capture(slot(n)), Mood::Fails(ErrorClass::Device));
        world.fail(Job::Capture(slot(n)), ErrorClass::Device);
    }
    world.until("better than the slate", SECOND * 2, |world| world.on_air() == Some(slot(1)));
}

#[test]
fn whoever_asks_for_a_cooling_slot_has_it_tried_at_once() {
    let mut world = World::bare(cameras(&[None]), 3);
    world.mood(Job::Capture(slot(1)), Mood::Fails(ErrorClass::Device));
    world.boot();
    world.plug("usb-1");
    world.pass(SECOND * 100);
    let waits = |world: &World| world.status().slots[0].next_try.is_some_and(|at| at.since(world.now) > SECOND * 10);
    world.until("cooling for long", SECOND * 40, waits);
    world.mood(Job::Capture(slot(1)), Mood::Good);
    assert_eq!(world.ask(Command::Preview { slot: slot(1) }), Answer::Done);
    world.until("live", SECOND * 2, |world| world.state(slot(1)) == SlotState::Live);
}

#[test]
fn still_and_black_pictures_cost_health_and_are_named() {
    let mut world = on_air(config());
    for (look, word, health) in
        [(Look::Still, "does not change", 80), (Look::Black, "black", 60), (Look::Moving, "", 100)]
    {
        world.fact(Job::Capture(slot(1)), Fact::Looked(look));
        let status = &world.status().slots[0];
        assert_eq!((status.health, status.state), (health, SlotState::Live), "{look:?}");
        assert!(status.why.clone().unwrap_or_default().contains(word), "{:?}", status.why);
    }
}

#[test]
fn a_cameras_controls_are_wished_at_each_plug_and_what_cannot_be_set_is_told() {
    let mut config = cameras(&[None]);
    let controls = [("exposure", 9), ("zoom", 1)].map(|(name, value)| (name.to_owned(), value)).into();
    config.slots.get_mut(&slot(1)).unwrap().source = Source::V4l2 { port: None, controls };
    let mut world = World::bare(config, 1);
    world.boot();
    let exposure = Control {
        id: 7,
        name: "exposure".to_owned(),
        min: 0,
        max: 10,
        step: 1,
        default: 0,
        value: 0,
        menu: Vec::new(),
        leads: false,
    };
    let wished = |world: &World| match &world.wanted().captures[&slot(1)].source {
        CaptureSource::V4l2 { controls, .. } => controls.clone(),
        other => panic!("{other:?}"),
    };
    plug(&mut world, Camera { controls: vec![exposure.clone()], ..camera("usb-1") });
    world.pass(SECOND);
    assert_eq!(wished(&world), [(7, 9)]);
    assert!(world.alert("camera_control").unwrap().contains("no control `zoom`"));
    world.unplug("usb-1");
    plug(&mut world, Camera { controls: vec![Control { id: 8, max: 5, ..exposure }], ..camera("usb-1") });
    world.pass(SECOND);
    assert_eq!(wished(&world), []);
    assert!(world.alert("camera_control").unwrap().contains("cannot be 9 (allowed: 0 to 5)"));
}
