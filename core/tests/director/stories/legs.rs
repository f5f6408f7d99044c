//! Publishing.

use crate::world::{Mood, World, autostart, rtmp};
use cuebox_core::command::Command;
use cuebox_core::director::{EncodeJob, ErrorClass, Job};
use cuebox_core::ids::LegId;
use cuebox_core::status::LegState;

use super::{SECOND, refused};

#[test]
fn a_leg_says_in_words_why_it_does_not_carry_and_is_tried_for_ever() {
    for (class, state, why) in [
        (ErrorClass::ConnectionRefused, LegState::Trying, "connection refused by live.example"),
        (ErrorClass::UnknownHost, LegState::Trying, "unknown host live.example"),
        (ErrorClass::Unauthorised, LegState::Refused, "wrong stream key: live.example refused it"),
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
fn a_wedged_server_is_seen_by_what_it_does_not_take() {
    let leg = Job::Leg(LegId::new("backup"));
    let mut world = World::new(autostart(), 1);
    world.until("carries", SECOND * 5, |world| world.status().legs[0].state == LegState::Carrying);
    let epoch = world.epoch_of(&leg);
    world.mood(leg.clone(), Mood::Silent);
    let wait = world.until("strike one", SECOND * 15, |world| world.status().legs[0].state == LegState::Distressed);
    assert!(wait >= SECOND * 9, "{wait:?}");
    world.until("strike two", SECOND * 5, |world| world.epoch_of(&leg) != epoch);
    assert_eq!(world.status().legs[0].why.as_deref(), Some("server wedged: nothing sent for 14 s"));
}

#[test]
fn a_worse_leg_steps_in_and_lets_go_when_the_better_has_proved_itself() {
    let mut config = autostart();
    config.legs = vec![rtmp("first", Some(1)), rtmp("second", Some(2))];
    let first = Job::Leg(LegId::new("first"));
    let mut world = World::new(config, 1);
    let states = |world: &World| world.status().legs.iter().map(|leg| leg.state).collect::<Vec<_>>();
    world.until("first", SECOND * 6, |world| states(world) == [LegState::Carrying, LegState::Standby]);
    world.mood(first.clone(), Mood::Fails(ErrorClass::NetworkLost));
    world.fail(first.clone(), ErrorClass::NetworkLost);
    world.until("second steps in", SECOND * 4, |world| states(world)[1] == LegState::Carrying);
    world.mood(first, Mood::Good);
    world.until("first proves", SECOND * 40, |world| states(world) == [LegState::Proving, LegState::Carrying]);
    world.until("first carries", SECOND * 6, |world| states(world) == [LegState::Carrying, LegState::Standby]);
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
