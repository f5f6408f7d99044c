//! Who sits in which slot, and whether its picture can be used.

use crate::world::{Mood, World, cameras, config, ms, slot};
use cuebox_core::command::Command;
use cuebox_core::config::{SlotAudio, Source};
use cuebox_core::director::{ErrorClass, Event, Fact, Job};
use cuebox_core::status::SlotState;

use super::{SECOND, on_air};

#[test]
fn the_port_decides_the_slot_and_replugging_restores_slot_and_role() {
    let mut world = World::bare(cameras(&[Some("usb-2"), None, None]), 1);
    world.boot();
    for port in ["usb-7", "usb-2", "usb-9"] {
        world.plug(port);
    }
    world.until("all live", SECOND * 2, |world| (1..=3).all(|n| world.state(slot(n)) == SlotState::Live));
    let device = |world: &World, n: usize| world.status().slots[n - 1].device.clone().unwrap_or_default();
    let seats = |world: &World| [1, 2, 3].map(|n| device(world, n));
    let before = seats(&world);
    assert!(before[0].contains("usb-2") && before[1].contains("usb-7") && before[2].contains("usb-9"), "{before:?}");
    world.unplug("usb-2");
    world.unplug("usb-7");
    world.plug("usb-8");
    world.pass(SECOND);
    assert_eq!(world.state(slot(2)), SlotState::Empty, "a new device never takes a slot that is claimed");
    world.plug("usb-7");
    world.plug("usb-2");
    world.until("all live", SECOND * 2, |world| (1..=3).all(|n| world.state(slot(n)) == SlotState::Live));
    assert_eq!(seats(&world), before);
    world.until("role restored", SECOND * 7, |world| world.on_air() == Some(slot(1)));
}

#[test]
fn a_burst_of_plug_events_opens_the_camera_once() {
    let mut world = World::bare(cameras(&[None]), 1);
    world.boot();
    for _ in 0..5 {
        world.plug("usb-1");
        world.pass(ms(100));
    }
    assert_eq!(world.state(slot(1)), SlotState::Settling);
    world.until("live", SECOND, |world| world.state(slot(1)) == SlotState::Live);
    let epoch = world.epoch_of(&Job::Capture(slot(1)));
    world.plug("usb-1");
    world.pass(SECOND);
    assert_eq!(world.epoch_of(&Job::Capture(slot(1))), epoch, "an event that says nothing new touches nothing");
}

#[test]
fn no_signal_is_a_state_and_the_picture_returns_when_the_signal_has_stayed() {
    let mut world = on_air(config());
    let epoch = world.epoch_of(&Job::Capture(slot(1)));
    world.fact(Job::Capture(slot(1)), Fact::SignalLost { why: "no signal at the HDMI input".to_owned() });
    assert_eq!(
        (world.state(slot(1)), world.why(slot(1))),
        (SlotState::NoSignal, "no signal at the HDMI input".to_owned())
    );
    world.fact(Job::Capture(slot(1)), Fact::SignalFound);
    world.pass(ms(200));
    world.fact(Job::Capture(slot(1)), Fact::SignalLost { why: String::new() });
    world.pass(SECOND);
    assert_eq!(world.state(slot(1)), SlotState::NoSignal, "a flicker is not a signal");
    world.fact(Job::Capture(slot(1)), Fact::SignalFound);
    let wait = world.until("live", SECOND, |world| world.state(slot(1)) == SlotState::Live);
    assert!(wait >= ms(490), "{wait:?}");
    assert_eq!(world.epoch_of(&Job::Capture(slot(1))), epoch, "the capture stayed open");
}

#[test]
fn a_source_that_keeps_failing_is_tried_at_growing_waits_and_never_given_up() {
    let mut config = config();
    config.slots.retain(|id, _| *id == slot(1));
    let mut world = World::bare(config, 5);
    world.mood(Job::Capture(slot(1)), Mood::Fails(ErrorClass::ConnectionRefused));
    world.boot();
    let tries = |world: &mut World, seconds: u64| {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..seconds * 20 {
            world.pass(ms(50));
            seen.extend(world.epoch_of(&Job::Capture(slot(1))));
        }
        seen.len()
    };
    let first = tries(&mut world, 60);
    let later = tries(&mut world, 600);
    assert!((5..=10).contains(&first), "{first} tries in the first minute");
    assert!((15..=28).contains(&later), "{later} tries in ten minutes");
    assert_eq!(world.why(slot(1)), "nobody listens at its address");
    world.mood(Job::Capture(slot(1)), Mood::Good);
    world.until("live at last", SECOND * 40, |world| world.on_air() == Some(slot(1)));
}

#[test]
fn a_bandwidth_conflict_is_named_with_its_port() {
    let mut world = World::bare(cameras(&[None]), 1);
    world.mood(Job::Capture(slot(1)), Mood::Fails(ErrorClass::Bandwidth));
    world.boot();
    world.plug("usb-a-1.2");
    world.until("failed", SECOND * 2, |world| world.state(slot(1)) == SlotState::Cooling);
    assert!(world.why(slot(1)).contains("the USB bandwidth of usb-a-1.2 is used up"), "{}", world.why(slot(1)));
}

#[test]
fn a_stalled_source_is_closed_and_opened_again() {
    let mut world = on_air(config());
    let epoch = world.epoch_of(&Job::Capture(slot(2)));
    world.mood(Job::Capture(slot(2)), Mood::Silent);
    world.until("stalled", SECOND, |world| world.state(slot(2)) == SlotState::Stalled);
    world.until("closed", SECOND * 3, |world| world.state(slot(2)) == SlotState::Cooling);
    world.mood(Job::Capture(slot(2)), Mood::Good);
    world.until("live", SECOND * 3, |world| world.state(slot(2)) == SlotState::Live);
    assert_ne!(world.epoch_of(&Job::Capture(slot(2))), epoch);
}

#[test]
fn a_sound_card_that_fails_leaves_the_picture_alone() {
    let mut world = World::bare(cameras(&[None]), 1);
    world.mood(Job::Sound(slot(1)), Mood::Fails(ErrorClass::Busy));
    world.boot();
    world.plug("usb-1");
    world.until("on air", SECOND * 2, |world| world.on_air() == Some(slot(1)));
    world.pass(SECOND * 2);
    assert_eq!(world.state(slot(1)), SlotState::Live);
    assert!(world.alert("sound_lost").unwrap().contains("another program uses the device"));
    assert_eq!(world.status().slots[0].health, 80);
    world.mood(Job::Sound(slot(1)), Mood::Good);
    world.until("sound", SECOND * 10, |world| world.alert("sound_lost").is_none());
    world.mood(Job::Sound(slot(1)), Mood::Silent);
    world.until("a hanging card is taken out", SECOND * 2, |world| world.wanted().sounds.is_empty());
    assert_eq!(world.state(slot(1)), SlotState::Live);
}

#[test]
fn a_source_with_a_sound_card_beside_it_gives_its_picture_alone() {
    let mut world = on_air(config());
    let sound = |world: &World| {
        (
            world.wanted().captures[&slot(2)].own_sound,
            world.wanted().sounds.get(&slot(2)).map(|wish| wish.device.clone()),
        )
    };
    assert_eq!(sound(&world), (true, None));
    for (audio, wanted) in [
        (SlotAudio::Alsa("hw:CARD=CODEC".to_owned()), (false, Some("hw:CARD=CODEC".to_owned()))),
        (SlotAudio::None, (false, None)),
        (SlotAudio::Auto, (true, None)),
    ] {
        let mut config = world.director.config().clone();
        config.slots.get_mut(&slot(2)).unwrap().audio = audio;
        world.send(Command::Reload);
        world.tell(Event::ConfigLoaded(Box::new(config)));
        world.until("live again", SECOND * 5, |world| world.state(slot(2)) == SlotState::Live);
        assert_eq!(sound(&world), wanted);
    }
}

#[test]
fn a_file_played_once_leaves_an_empty_slot() {
    let mut config = config();
    config.slots.get_mut(&slot(2)).unwrap().source = Source::File { path: "/a.mp4".to_owned(), repeat: false };
    let mut world = on_air(config);
    world.fact(Job::Capture(slot(2)), Fact::Ended);
    world.pass(SECOND * 60);
    assert_eq!((world.state(slot(2)), world.why(slot(2))), (SlotState::Empty, "the file has ended".to_owned()));
}

#[test]
fn facts_of_a_life_that_is_over_change_nothing() {
    let mut world = on_air(config());
    let old = world.epoch_of(&Job::Capture(slot(1))).unwrap();
    world.fail(Job::Capture(slot(1)), ErrorClass::Device);
    world.until("live again", SECOND * 3, |world| world.state(slot(1)) == SlotState::Live);
    let before = world.status();
    let fact = Fact::Failed { class: ErrorClass::Device, detail: String::new() };
    world.tell(Event::Media { job: Job::Capture(slot(1)), epoch: old, fact });
    assert!(!world.director.noticed());
    assert_eq!(world.status(), before);
}
