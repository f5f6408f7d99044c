//! The uplink: detection, fallback, proof and return.

use std::time::Duration;

use crate::world::{Mood, World, autostart, livekit, ms, rtmp, srt, whip};
use cuebox_core::command::{Answer, Command};
use cuebox_core::config::{Config, LegConfig, PROVES, SrtMode};
use cuebox_core::director::{ErrorClass, Fact, Job, Medium};
use cuebox_core::ids::LegId;
use cuebox_core::status::{LegState, LegStatus};

use super::{SECOND, refused};

use LegState::{Carrying, Distressed, Proving, Refused, Standby, Trying};

/// Everything that a leg may tell of its end.
const CLASSES: [ErrorClass; 15] = [
    ErrorClass::UnknownHost,
    ErrorClass::ConnectionRefused,
    ErrorClass::NetworkLost,
    ErrorClass::Unauthorised,
    ErrorClass::Tls,
    ErrorClass::TokenService,
    ErrorClass::TokenExpired,
    ErrorClass::DuplicateIdentity,
    ErrorClass::RoomDeleted,
    ErrorClass::Removed,
    ErrorClass::ServerShutDown,
    ErrorClass::NoMedia,
    ErrorClass::Format,
    ErrorClass::Timeout,
    ErrorClass::Internal,
];

fn job(name: &str) -> Job {
    Job::Leg(LegId::new(name))
}

fn with(legs: Vec<LegConfig>) -> Config {
    let mut config = autostart();
    config.legs = legs;
    config
}

/// LiveKit, with RTMP behind it, once LiveKit carries.
fn pair() -> World {
    pair_that_proves(PROVES)
}

fn pair_that_proves(proves: Duration) -> World {
    let main = LegConfig { proves, ..livekit("main", Some(1), false) };
    let mut world = World::new(with(vec![main, rtmp("backup", Some(2))]), 1);
    world.until("main carries", SECOND * 5, |world| states(world) == [Standby, Carrying]);
    world
}

fn leg(world: &World, name: &str) -> LegStatus {
    world.status().legs.into_iter().find(|leg| leg.name.as_str() == name).unwrap()
}

/// By name.
fn states(world: &World) -> Vec<LegState> {
    world.status().legs.iter().map(|leg| leg.state).collect()
}

#[test]
fn a_wedged_server_is_seen_by_what_it_does_not_take_and_the_next_rank_carries_within_three_seconds() {
    for (first, limit) in [
        (livekit("main", Some(1), false), ms(2_000)),
        (whip("main", Some(1)), ms(2_000)),
        (rtmp("main", Some(1)), ms(5_000)),
        (srt("main", Some(1), SrtMode::Caller), ms(5_000)),
    ] {
        let mut world = World::new(with(vec![first, rtmp("backup", Some(2))]), 1);
        world.until("main carries", SECOND * 5, |world| leg(world, "main").state == Carrying);
        let epoch = world.epoch_of(&job("main"));
        world.mood(job("main"), Mood::Silent);
        let seen = world.until("strike one", limit, |world| leg(world, "main").state == Distressed);
        assert!(seen >= limit / 2, "a healthy pause is no wedge: {seen:?}");
        assert!(leg(&world, "main").why.unwrap().starts_with("server wedged: nothing sent for "));
        world.until("fallback", SECOND * 3, |world| leg(world, "backup").state == Carrying);
        world.until("strike two", SECOND * 5, |world| world.epoch_of(&job("main")) != epoch);
    }
}

#[test]
fn whatever_ends_the_first_leg_the_second_carries_within_three_seconds_and_lets_go_after_the_proof() {
    for class in CLASSES {
        let mut world = pair();
        world.mood(job("main"), Mood::Fails(class));
        world.fail(job("main"), class);
        let shown = leg(&world, "main");
        assert!(matches!(shown.state, Trying | Refused), "{class:?}: {shown:?}");
        assert!(shown.why.is_some_and(|why| !why.is_empty()) && shown.next_try.is_some(), "{class:?}");
        world.until("fallback", SECOND * 3, |world| leg(world, "backup").state == Carrying);
        world.pass(SECOND * 20);
        assert_eq!(leg(&world, "backup").state, Carrying, "{class:?}");
        world.mood(job("main"), Mood::Good);
        let limit = SECOND * 60 * 40;
        world.until("main proves itself", limit, |world| states(world) == [Carrying, Proving]);
        let proof = world.until("main carries", SECOND * 6, |world| states(world) == [Standby, Carrying]);
        assert!(proof >= ms(4_900), "{class:?}: {proof:?}");
        assert_eq!(leg(&world, "main").why, None);
    }
}

#[test]
fn a_failure_at_any_moment_of_the_return_leaves_the_second_leg_carrying() {
    for class in CLASSES {
        for moment in [ms(0), ms(200), ms(700), ms(2_500), ms(4_900), ms(5_600)] {
            let mut world = pair();
            world.fail(job("main"), ErrorClass::NetworkLost);
            world.until("fallback", SECOND * 3, |world| leg(world, "backup").state == Carrying);
            world.until("main is tried", SECOND * 3, |world| world.epoch_of(&job("main")).is_some());
            world.pass(moment);
            world.fail(job("main"), class);
            world.mood(job("main"), Mood::Fails(class));
            world.until("backup carries", SECOND * 3, |world| leg(world, "backup").state == Carrying);
            world.pass(SECOND * 30);
            assert_eq!(leg(&world, "backup").state, Carrying, "{class:?} after {moment:?}");
        }
    }
}

#[test]
fn how_long_a_leg_proves_itself_is_the_configurations() {
    for (proves, expected) in [(SECOND, vec![1, 2, 4]), (SECOND * 20, vec![20, 40, 60]), (SECOND * 90, vec![90, 90])] {
        let mut world = pair_that_proves(proves);
        let mut proofs = vec![];
        for _ in &expected {
            world.fail(job("main"), ErrorClass::NetworkLost);
            world.until("main proves itself", SECOND * 20, |world| states(world) == [Carrying, Proving]);
            let proof = world.until("main carries", SECOND * 100, |world| leg(world, "main").state == Carrying);
            proofs.push(proof.as_secs_f64().round() as u64);
            world.pass(SECOND * 5);
        }
        assert_eq!(proofs, expected, "{proves:?}");
    }
}

#[test]
fn the_worse_leg_goes_on_until_the_better_has_taken_over() {
    let mut world = pair();
    world.fail(job("main"), ErrorClass::NetworkLost);
    world.until("fallback", SECOND * 3, |world| leg(world, "backup").state == Carrying);
    let epoch = world.epoch_of(&job("backup"));
    while leg(&world, "main").state != Carrying {
        assert_eq!((leg(&world, "backup").state, world.epoch_of(&job("backup"))), (Carrying, epoch));
        world.pass(ms(5));
    }
    assert!(world.epoch_of(&job("main")).is_some() && world.epoch_of(&job("backup")).is_none());
}

#[test]
fn a_pause_during_the_proof_begins_it_anew() {
    let mut world = pair();
    world.fail(job("main"), ErrorClass::NetworkLost);
    world.until("main proves itself", SECOND * 5, |world| states(world) == [Carrying, Proving]);
    world.pass(ms(4_000));
    world.mood(job("main"), Mood::Silent);
    world.pass(ms(1_300));
    world.mood(job("main"), Mood::Good);
    let again = world.until("main carries", SECOND * 6, |world| leg(world, "main").state == Carrying);
    assert!(again >= ms(4_600), "{again:?}");
}

#[test]
fn a_leg_that_keeps_failing_after_its_return_must_prove_itself_for_longer() {
    let mut world = pair();
    let mut proofs = vec![];
    for _ in 0..5 {
        world.fail(job("main"), ErrorClass::NetworkLost);
        world.until("main proves itself", SECOND * 20, |world| states(world) == [Carrying, Proving]);
        let proof = world.until("main carries", SECOND * 90, |world| leg(world, "main").state == Carrying);
        proofs.push(proof.as_secs_f64().round() as u64);
        world.pass(SECOND * 5);
    }
    assert_eq!(proofs, [5, 10, 20, 40, 60]);
    world.pass(SECOND * 70);
    world.fail(job("main"), ErrorClass::NetworkLost);
    world.until("main proves itself", SECOND * 20, |world| states(world) == [Carrying, Proving]);
    let proof = world.until("main carries", SECOND * 90, |world| leg(world, "main").state == Carrying);
    assert_eq!(proof.as_secs_f64().round() as u64, 5, "a minute of carrying is trusted");
}

#[test]
fn at_the_start_the_better_leg_is_given_two_seconds_and_a_quick_one_needs_no_second() {
    let mut world = World::bare(with(vec![livekit("main", Some(1), false), rtmp("backup", Some(2))]), 1);
    world.mood(job("main"), Mood::Silent);
    world.boot();
    world.until("main is tried", SECOND * 5, |world| leg(world, "main").state == Trying);
    let wait = world.until("backup steps in", SECOND * 3, |world| world.epoch_of(&job("backup")).is_some());
    assert!(wait >= ms(1_950), "{wait:?}");
    let quick = pair();
    assert!(quick.epoch_of(&job("backup")).is_none());
}

#[test]
fn three_ranks_go_down_one_by_one_and_up_again() {
    let legs = vec![livekit("a", Some(1), false), rtmp("b", Some(2)), srt("c", Some(3), SrtMode::Caller)];
    let mut world = World::new(with(legs), 1);
    world.until("a", SECOND * 5, |world| states(world) == [Carrying, Standby, Standby]);
    for (lost, expected) in [("a", [Trying, Carrying, Standby]), ("b", [Trying, Trying, Carrying])] {
        world.mood(job(lost), Mood::Fails(ErrorClass::ConnectionRefused));
        world.fail(job(lost), ErrorClass::ConnectionRefused);
        world.until(lost, SECOND * 3, |world| states(world) == expected);
    }
    world.mood(job("b"), Mood::Good);
    world.until("b", SECOND * 30, |world| states(world)[1..] == [Carrying, Standby]);
    world.mood(job("a"), Mood::Good);
    world.until("a", SECOND * 30, |world| states(world) == [Carrying, Standby, Standby]);
}

#[test]
fn a_lost_network_is_tried_quickly_and_a_refusal_slowly() {
    for (class, state, least, most) in [
        (ErrorClass::NetworkLost, Trying, 60, 500),
        (ErrorClass::ServerShutDown, Trying, 60, 500),
        (ErrorClass::Internal, Trying, 15, 40),
        (ErrorClass::TokenService, Refused, 8, 20),
        (ErrorClass::Unauthorised, Refused, 7, 14),
        (ErrorClass::Tls, Refused, 7, 14),
        (ErrorClass::TokenExpired, Refused, 7, 14),
        (ErrorClass::DuplicateIdentity, Refused, 3, 8),
        (ErrorClass::RoomDeleted, Refused, 2, 5),
        (ErrorClass::Removed, Refused, 1, 3),
    ] {
        let mut world = World::bare(with(vec![livekit("main", None, false)]), 3);
        world.mood(job("main"), Mood::Fails(class));
        world.boot();
        let (mut tries, mut last) = (0, None);
        for _ in 0..6_000 {
            world.pass(ms(100));
            let epoch = world.epoch_of(&job("main")).or(last);
            tries += u32::from(epoch != last);
            last = epoch;
        }
        assert!((least..=most).contains(&tries), "{class:?}: {tries} tries in ten minutes");
        assert_eq!(leg(&world, "main").state, if leg(&world, "main").next_try.is_some() { state } else { Trying });
    }
}

#[test]
fn each_refusal_says_what_it_is() {
    for (class, why) in [
        (ErrorClass::TokenService, "token service: it broke"),
        (ErrorClass::TokenExpired, "the token has expired"),
        (ErrorClass::Unauthorised, "wrong token: live.example refused it: it broke"),
        (ErrorClass::DuplicateIdentity, "another participant joined with the same identity"),
        (ErrorClass::RoomDeleted, "the host ended the room"),
        (ErrorClass::Removed, "the host removed the box: `leg enable main` joins again"),
        (ErrorClass::Tls, "certificate of live.example not accepted: it broke"),
    ] {
        let mut world = pair();
        world.fail(job("main"), class);
        assert_eq!(leg(&world, "main").why.as_deref(), Some(why));
    }
}

#[test]
fn enabling_a_leg_that_was_refused_tries_at_once() {
    let mut world = pair();
    world.fail(job("main"), ErrorClass::Removed);
    world.pass(SECOND * 60);
    assert_eq!(states(&world), [Carrying, Refused]);
    let enable = || Command::Leg { name: LegId::new("main"), on: true };
    assert_eq!(world.ask(enable()), Answer::Done);
    world.until("main proves itself", SECOND * 2, |world| states(world)[1] == Carrying || states(world)[1] == Proving);
    let epoch = world.epoch_of(&job("main"));
    world.until("main carries", SECOND * 6, |world| states(world) == [Standby, Carrying]);
    assert_eq!(world.ask(enable()), Answer::Done);
    assert_eq!(world.epoch_of(&job("main")), epoch, "a leg that carries is left alone");
}

#[test]
fn one_leg_is_reconnected_and_no_other_is_touched() {
    let legs = vec![livekit("main", Some(1), false), rtmp("one", None), rtmp("two", None)];
    let mut world = World::new(with(legs), 1);
    world.until("all carry", SECOND * 5, |world| states(world) == [Carrying; 3]);
    let epochs = |world: &World| ["main", "one", "two"].map(|name| world.epoch_of(&job(name)));
    let before = epochs(&world);
    world.ask(Command::LegReconnect { name: LegId::new("one") });
    world.until("all carry", SECOND * 5, |world| states(world) == [Carrying; 3]);
    let after = epochs(&world);
    assert_eq!((before[0], before[2]), (after[0], after[2]));
    assert_ne!(before[1], after[1]);
    world.ask(Command::Leg { name: LegId::new("one"), on: false });
    let answer = world.ask(Command::LegReconnect { name: LegId::new("one") });
    assert_eq!(refused(&answer), "leg one is not connected: it is off");
    let answer = world.ask(Command::LegReconnect { name: LegId::new("none") });
    assert_eq!(refused(&answer), "no leg is named `none` (allowed: main, one, two)");
}

#[test]
fn a_leg_that_one_failure_follows_the_next_disturbs_no_other_and_no_recording() {
    for class in CLASSES {
        let legs = vec![livekit("main", Some(1), false), rtmp("one", None), whip("two", None)];
        let mut world = World::new(with(legs), 1);
        world.until("all carry", SECOND * 5, |world| states(world) == [Carrying; 3]);
        let kept = |world: &World| {
            let wanted = world.wanted();
            let legs = ["main", "two"].map(|name| wanted.legs.get(&LegId::new(name)).cloned());
            (legs, wanted.encodes.clone(), wanted.recordings.clone(), wanted.program.epoch)
        };
        world.pass(SECOND * 15);
        let before = kept(&world);
        world.mood(job("one"), Mood::Fails(class));
        world.fail(job("one"), class);
        world.pass(SECOND * 60);
        assert_eq!(kept(&world), before, "{class:?}");
    }
}

#[test]
fn what_the_host_mutes_is_said_and_the_operator_may_ask_for_it_back() {
    let mut world = pair();
    let unmute = || Command::LegUnmute { name: LegId::new("main") };
    assert_eq!(refused(&world.ask(unmute())), "nobody has muted leg main");
    world.fact(job("main"), Fact::Muted { medium: Medium::Audio, on: true });
    assert_eq!(leg(&world, "main").muted, [Medium::Audio]);
    let alert = "main: the host muted our sound; `leg unmute main` asks for it back";
    assert_eq!(world.alert("leg_muted").as_deref(), Some(alert));
    assert_eq!(world.wanted().legs[&LegId::new("main")].unmute, 0);
    assert_eq!(world.ask(unmute()), Answer::Done);
    assert_eq!(world.wanted().legs[&LegId::new("main")].unmute, 1);
    world.fact(job("main"), Fact::Muted { medium: Medium::Audio, on: false });
    assert_eq!((leg(&world, "main").muted, world.alert("leg_muted")), (vec![], None));
    world.fact(job("main"), Fact::Muted { medium: Medium::Video, on: true });
    world.fail(job("main"), ErrorClass::NetworkLost);
    assert_eq!((leg(&world, "main").muted, world.alert("leg_muted")), (vec![], None), "it ends with the connection");
}

#[test]
fn viewers_are_counted_now_and_at_most() {
    let mut world = World::new(with(vec![livekit("main", Some(1), false), livekit("other", None, false)]), 1);
    world.until("both carry", SECOND * 5, |world| states(world) == [Carrying; 2]);
    let viewers = |world: &World| (world.status().viewers.now, world.status().viewers.peak);
    assert_eq!(viewers(&world), (None, None));
    for (name, now, expected) in
        [("main", 3, (Some(3), Some(3))), ("other", 4, (Some(7), Some(7))), ("main", 1, (Some(5), Some(7)))]
    {
        world.fact(job(name), Fact::Audience { now });
        assert_eq!(viewers(&world), expected);
    }
    assert_eq!(leg(&world, "other").viewers, Some(4));
    world.fail(job("other"), ErrorClass::NetworkLost);
    assert_eq!(viewers(&world), (Some(1), Some(7)));
    world.ask(Command::Stream { on: false });
    assert_eq!(viewers(&world), (None, Some(7)));
    world.ask(Command::Stream { on: true });
    assert_eq!(viewers(&world), (None, None), "a new stream counts anew");
}

#[test]
fn a_listener_waits_for_whoever_calls() {
    let mut world = World::bare(with(vec![srt("studio", None, SrtMode::Listener)]), 1);
    world.mood(job("studio"), Mood::Silent);
    world.boot();
    world.until("listens", SECOND * 5, |world| world.epoch_of(&job("studio")).is_some());
    let epoch = world.epoch_of(&job("studio"));
    world.pass(SECOND * 500);
    assert_eq!(world.epoch_of(&job("studio")), epoch, "nobody is thrown out for being late");
    let away = world.until("is set up anew", SECOND * 120, |world| world.epoch_of(&job("studio")) != epoch);
    assert!(away >= Duration::from_secs(60));
    assert_eq!(leg(&world, "studio").why.as_deref(), Some("no receiver has called"));
    world.until("listens again", ms(1_100), |world| world.epoch_of(&job("studio")).is_some());
}

#[test]
fn the_network_gone_for_a_minute_brings_both_legs_back() {
    let mut world = pair();
    for name in ["main", "backup"] {
        world.mood(job(name), Mood::Fails(ErrorClass::NetworkLost));
        world.fail(job(name), ErrorClass::NetworkLost);
    }
    world.pass(SECOND * 60);
    assert_eq!(states(&world), [Trying, Trying]);
    world.moods.clear();
    world.until("one carries", SECOND * 11, |world| states(world).contains(&Carrying));
    world.until("main carries alone", SECOND * 25, |world| states(world) == [Standby, Carrying]);
}
