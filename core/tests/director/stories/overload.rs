//! A machine that does not keep up: what gives, in which order, and that it comes back.

use crate::world::{World, autostart, rtmp, slot};
use cuebox_core::command::{Answer, Command};
use cuebox_core::director::{EncodeJob, Fact, Job};
use cuebox_core::ids::Track;
use cuebox_core::overload::{Lag, Level};
use cuebox_core::status::{LegState, RecordingState, Severity};

use super::{SECOND, refused};

const BEHIND: Lag = Lag { waiting_ms: 500, room_ms: 533, lost_ms_per_s: 300 };
const FINE: Lag = Lag { waiting_ms: 0, room_ms: 533, lost_ms_per_s: 0 };

/// A show that has been on for long enough for its encodes to be judged.
fn show() -> World {
    let mut config = autostart();
    config.legs = vec![rtmp("backup", None)];
    let mut world = World::new(config, 1);
    world.until("it records and publishes", SECOND * 30, |world| {
        let status = world.status();
        status.recording.state == RecordingState::Recording && status.legs[0].state == LegState::Carrying
    });
    world.pass(SECOND * 12);
    world
}

/// Tells the lag each half second until the level is this.
fn until_level(world: &mut World, job: EncodeJob, lag: Lag, level: Level) {
    for _ in 0..60 {
        if world.status().overload == level {
            return;
        }
        world.fact(Job::Encode(job), Fact::Lags(lag));
        world.pass(SECOND / 2);
    }
    panic!("{:?} instead of {level:?}", world.status().overload);
}

/// Whatever is given up, this is not.
#[track_caller]
fn the_program_goes_on(world: &World, before: &cuebox_core::director::Wanted) {
    let wanted = world.wanted();
    assert_eq!(wanted.program, before.program);
    for job in [EncodeJob::Stream, EncodeJob::ProgramRecord] {
        assert_eq!(wanted.encodes[&job].epoch, before.encodes[&job].epoch, "{job}");
        assert!(!wanted.encodes[&job].halved, "{job}");
    }
    assert_eq!(wanted.recordings[&Track::Program].epoch, before.recordings[&Track::Program].epoch);
    assert_eq!(wanted.legs.keys().collect::<Vec<_>>(), before.legs.keys().collect::<Vec<_>>());
    assert_eq!(world.status().legs[0].state, LegState::Carrying);
}

#[test]
fn previews_go_first_then_pictures_of_the_slots_then_their_recordings_and_all_come_back() {
    let mut world = show();
    let before = world.wanted().clone();
    let files = world.segments(Track::Slot(slot(3))).len();
    // It is the program that lags: the others have to make room for it.
    let job = EncodeJob::ProgramRecord;
    until_level(&mut world, job, BEHIND, Level::Previews);
    assert!(world.wanted().no_snapshots);
    assert!(refused(&world.ask(Command::Snapshot { slot: slot(2) })).contains("does not keep up"));
    assert!(world.wanted().encodes.values().all(|encode| !encode.halved));
    assert_eq!(world.alert("overloaded").as_deref(), Some("the machine does not keep up; until it does: no previews"));
    the_program_goes_on(&world, &before);

    until_level(&mut world, job, BEHIND, Level::SlotRates);
    let halved = world.wanted().encodes.iter().filter(|(_, encode)| encode.halved);
    assert_eq!(
        halved.map(|(job, _)| *job).collect::<Vec<_>>(),
        (1..=5).map(|it| EncodeJob::Slot(slot(it))).collect::<Vec<_>>()
    );
    assert_eq!(world.wanted().recordings, before.recordings, "no file ends for it");
    assert!(world.wanted().encodes.iter().all(|(job, encode)| encode.picture == before.encodes[job].picture));
    let encodes = world.status().encodes;
    assert!(
        encodes.iter().any(|it| it.job == "slot-2" && it.why.as_ref().is_some_and(|why| why.contains("every other")))
    );
    the_program_goes_on(&world, &before);

    until_level(&mut world, job, BEHIND, Level::Slots);
    world.pass(SECOND);
    assert_eq!(world.wanted().recordings.keys().collect::<Vec<_>>(), [&Track::Program]);
    let alert = world.status().alerts.into_iter().find(|alert| alert.kind == "overloaded").unwrap();
    assert_eq!(alert.severity, Severity::Error);
    assert!(alert.text.ends_with("no previews, no recordings of slots"), "{}", alert.text);
    the_program_goes_on(&world, &before);
    for _ in 0..40 {
        world.fact(Job::Encode(job), Fact::Lags(BEHIND));
        world.pass(SECOND / 2);
    }
    the_program_goes_on(&world, &before);

    world.fact(Job::Encode(job), Fact::Lags(FINE));
    world.until("all is back", SECOND * 120, |world| world.status().overload == Level::Nothing);
    world.pass(SECOND * 2);
    assert_eq!(world.alert("overloaded"), None);
    assert_eq!(world.wanted().recordings.len(), 6);
    assert_eq!(world.segments(Track::Slot(slot(3))).len(), files + 1, "the slots' files go on with another one each");
    assert_eq!(world.ask(Command::Snapshot { slot: slot(2) }), Answer::Done);
    the_program_goes_on(&world, &before);
}

#[test]
fn an_encode_that_has_just_started_and_one_that_ended_are_not_behind() {
    let mut world = show();
    let job = EncodeJob::Slot(slot(4));
    world.fail(Job::Encode(job), cuebox_core::director::ErrorClass::Internal);
    world.until("it runs again", SECOND * 5, |world| world.wanted().encodes.contains_key(&job));
    world.pass(SECOND);
    for _ in 0..10 {
        world.fact(Job::Encode(job), Fact::Lags(BEHIND));
        world.pass(SECOND / 2);
    }
    assert_eq!(world.status().overload, Level::Nothing, "it works off what came while it started");
    world.pass(SECOND * 10);
    until_level(&mut world, job, BEHIND, Level::Previews);
    world.fail(Job::Encode(job), cuebox_core::director::ErrorClass::Internal);
    world.until("nobody is behind", SECOND * 30, |world| world.status().overload == Level::Nothing);
}

#[test]
fn a_load_of_a_moment_changes_nothing() {
    let mut world = show();
    let before = world.wanted().clone();
    for _ in 0..20 {
        world.fact(Job::Encode(EncodeJob::Stream), Fact::Lags(BEHIND));
        world.pass(SECOND / 2);
        world.fact(Job::Encode(EncodeJob::Stream), Fact::Lags(FINE));
        world.pass(SECOND * 2);
        assert_eq!(world.status().overload, Level::Nothing);
    }
    assert_eq!(*world.wanted(), before);
}
