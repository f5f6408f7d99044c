//! Publishing.

use crate::world::{Mood, World, autostart, livekit, ms, rtmp, slot};
use cuebox_core::command::Command;
use cuebox_core::director::{EncodeJob, ErrorClass, Job};
use cuebox_core::ids::LegId;
use cuebox_core::status::LegState;

use super::{SECOND, on_air, refused};

#[test]
fn a_leg_says_in_words_why_it_does_not_carry_and_is_tried_for_ever() {
    for (class, state, why) in [
        (ErrorClass::ConnectionRefused, LegState::Trying, "connection refused by live.example"),
        (ErrorClass::UnknownHost, LegState::Trying, "unknown host live.example"),
        (ErrorClass::Unauthorised, LegState::Refused, "wrong stream key: live.example refused it: it does not work"),
    ] {
        let leg = Job::Leg(LegId::new("backup"));
        let mut world = World::bare(autostart(), 1);
        world.mood(leg.clone(), Mood::Fails(class));
        world.boot();
        world.pass(SECOND * 180);
        let status = world.status().legs[0].clone();
        assert_eq!(status.why.as_deref(), Some(why));
        assert_eq!(status.state, state);
        world.mood(leg, Mood::Good);
        world.until("carries", SECOND * 80, |world| world.status().legs[0].state == LegState::Carrying);
        assert_eq!(world.status().legs[0].why, None);
    }
}

#[test]
fn a_leg_is_disabled_and_enabled_by_name() {
    let mut world = World::new(autostart(), 1);
    world.until("carries", SECOND * 5, |world| world.status().legs[0].state == LegState::Carrying);
    let disable = |name: &str, on| Command::Leg { name: LegId::new(name), on };
    assert!(refused(&world.ask(disable("nobody", false))).contains("allowed: backup"));
    world.ask(disable("backup", false));
    assert_eq!(world.status().legs[0].state, LegState::Off);
    assert!(!world.wanted().encodes.contains_key(&EncodeJob::Stream), "nobody needs the stream encode");
    world.ask(disable("backup", true));
    world.until("carries", SECOND * 5, |world| world.status().legs[0].state == LegState::Carrying);
}

#[test]
fn viewers_are_told_the_camera_by_the_frame_that_showed_it_and_its_new_name_when_it_is_renamed() {
    let mut world = on_air(autostart());
    world.until("carries", SECOND * 5, |world| world.status().legs[0].state == LegState::Carrying);
    let told = |world: &World| world.wanted().legs[&LegId::new("backup")].on_air.clone();
    let before = told(&world).unwrap();
    assert_eq!((before.slot, before.name.as_str()), (slot(1), "Camera 1"));
    world.send(Command::Cut { slot: slot(3) });
    assert_eq!(told(&world), Some(before.clone()), "no frame has shown it yet");
    world.until("a frame shows it", SECOND, |world| told(world).is_some_and(|camera| camera.slot == slot(3)));
    let after = told(&world).unwrap();
    assert!(after.frame > before.frame);
    world.ask(Command::Rename { slot: slot(3), name: "Organ".to_owned() });
    assert_eq!(told(&world).map(|camera| (camera.name, camera.frame)), Some(("Organ".to_owned(), after.frame)));
    world.send(Command::Slate { on: true });
    world.until("the slate is shown", SECOND, |world| told(world).is_none());
    assert!(world.wanted().legs.contains_key(&LegId::new("backup")), "the leg lives on");
}

#[test]
fn slots_are_published_beside_the_program_while_they_are_live() {
    let mut config = autostart();
    config.legs = vec![rtmp("backup", None), livekit("main", None, true)];
    let mut world = World::new(config, 1);
    let published = |world: &World| world.wanted().legs.get(&LegId::new("main")).map(|leg| leg.slots.len());
    world.until("all slots", SECOND * 5, |world| published(world) == Some(5));
    assert!(world.wanted().legs[&LegId::new("backup")].slots.is_empty());
    world.mood(Job::Capture(slot(2)), Mood::Fails(ErrorClass::Device));
    world.fail(Job::Capture(slot(2)), ErrorClass::Device);
    assert_eq!(published(&world), Some(4), "withdrawn at once");
    assert!(!world.wanted().encodes.contains_key(&EncodeJob::SlotStream(slot(2))));
    world.moods.clear();
    world.until("it comes back", SECOND * 20, |world| published(world) == Some(5));
    world.ask(Command::Leg { name: LegId::new("main"), on: false });
    world.pass(ms(10));
    assert!(!world.wanted().encodes.contains_key(&EncodeJob::SlotStream(slot(1))), "nobody needs them");
}
