//! A machine that does not keep up: what gives, in which order, and that it comes back.

use crate::world::{World, autostart, livekit, rtmp, slot};
use cuebox_core::command::{Answer, Command};
use cuebox_core::director::{EncodeJob, ErrorClass, Event, Fact, Job};
use cuebox_core::ids::{LegId, Track};
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

/// Tells the lag each half second for so long, or until the level is this.
fn lags(world: &mut World, job: &Job, seconds: u32, level: Level) {
    for _ in 0..seconds * 2 {
        if world.status().overload == level {
            return;
        }
        world.fact(job.clone(), Fact::Lags(BEHIND));
        world.pass(SECOND / 2);
    }
}

#[track_caller]
fn until_level(world: &mut World, job: &Job, level: Level) {
    lags(world, job, 30, level);
    assert_eq!(world.status().overload, level);
}

/// The slots that are recorded.
fn recorded(world: &World) -> Vec<u8> {
    let slots = world.wanted().recordings.keys().filter_map(|track| match track {
        Track::Slot(slot) => Some(slot.number()),
        Track::Program => None,
    });
    slots.collect()
}

/// Tells the lag until so many slots are recorded.
#[track_caller]
fn until_recorded(world: &mut World, job: &Job, slots: &[u8]) {
    for _ in 0..100 {
        if recorded(world) == slots {
            return;
        }
        world.fact(job.clone(), Fact::Lags(BEHIND));
        world.pass(SECOND / 2);
    }
    panic!("{:?} are recorded", recorded(world));
}

/// The encodes of all slots that are still recorded lag alike until only these are.
#[track_caller]
fn slots_lag_until_recorded(world: &mut World, slots: &[u8]) {
    for _ in 0..100 {
        if recorded(world) == slots {
            return;
        }
        for number in recorded(world) {
            world.fact(Job::Encode(EncodeJob::Slot(slot(number))), Fact::Lags(BEHIND));
        }
        world.pass(SECOND / 2);
    }
    panic!("{:?} are recorded", recorded(world));
}

fn why(world: &World, job: &str) -> String {
    let encodes = world.status().encodes;
    encodes.into_iter().find(|it| it.job == job).and_then(|it| it.why).unwrap_or_default()
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
    let job = &Job::Encode(EncodeJob::ProgramRecord);
    until_level(&mut world, job, Level::Previews);
    assert!(world.wanted().no_snapshots);
    assert!(refused(&world.ask(Command::Snapshot { slot: slot(2) })).contains("does not keep up"));
    assert!(world.wanted().encodes.values().all(|encode| !encode.halved));
    assert_eq!(world.alert("overloaded").as_deref(), Some("the machine does not keep up; until it does: no previews"));
    the_program_goes_on(&world, &before);

    until_level(&mut world, job, Level::SlotRates);
    let halved = world.wanted().encodes.iter().filter(|(_, encode)| encode.halved);
    assert_eq!(
        halved.map(|(job, _)| *job).collect::<Vec<_>>(),
        (1..=5).map(|it| EncodeJob::Slot(slot(it))).collect::<Vec<_>>()
    );
    assert_eq!(world.wanted().recordings, before.recordings, "no file ends for it");
    assert!(world.wanted().encodes.iter().all(|(job, encode)| encode.picture == before.encodes[job].picture));
    assert!(why(&world, "slot-2").contains("every other picture"), "{}", why(&world, "slot-2"));
    the_program_goes_on(&world, &before);

    until_level(&mut world, job, Level::Slots);
    assert_eq!(recorded(&world), [1, 2, 3, 4], "one by one");
    assert!(why(&world, "slot-2").contains("every other picture"), "{}", why(&world, "slot-2"));
    until_recorded(&mut world, job, &[1]);
    assert_eq!(why(&world, "slot-5"), "given up, as the machine does not keep up");
    let alert = world.status().alerts.into_iter().find(|alert| alert.kind == "overloaded").unwrap();
    assert_eq!(alert.severity, Severity::Error);
    let slots = [2, 3, 4, 5].map(|slot| format!("no recording of slot {slot}")).join(", ");
    let told = format!("until it does: no previews, half the pictures of each slot, {slots}");
    assert!(alert.text.ends_with(&told), "{}", alert.text);
    until_recorded(&mut world, job, &[]);
    assert_eq!(world.wanted().recordings.keys().collect::<Vec<_>>(), [&Track::Program]);
    the_program_goes_on(&world, &before);
    for _ in 0..40 {
        world.fact(job.clone(), Fact::Lags(BEHIND));
        world.pass(SECOND / 2);
    }
    the_program_goes_on(&world, &before);

    world.fact(job.clone(), Fact::Lags(FINE));
    world.until("a slot is back", SECOND * 12, |world| recorded(world) == [1]);
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
    let encode = EncodeJob::Slot(slot(4));
    let job = &Job::Encode(encode);
    world.fail(job.clone(), ErrorClass::Internal);
    world.until("it runs again", SECOND * 5, |world| world.wanted().encodes.contains_key(&encode));
    world.pass(SECOND);
    for _ in 0..10 {
        world.fact(job.clone(), Fact::Lags(BEHIND));
        world.pass(SECOND / 2);
    }
    assert_eq!(world.status().overload, Level::Nothing, "it works off what came while it started");
    world.pass(SECOND * 10);
    until_level(&mut world, job, Level::Previews);
    world.fail(job.clone(), ErrorClass::Internal);
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

#[test]
fn a_machine_that_can_do_the_program_and_three_slots_records_three_whole_angles() {
    let mut world = show();
    let before = world.wanted().clone();
    world.power(0.6, true);
    world.until("the last slot goes first", SECOND * 30, |world| recorded(world) == [1, 2, 3, 4]);
    world.until("another one goes", SECOND * 8, |world| recorded(world) == [1, 2, 3]);
    let told = "no previews, half the pictures of each slot, no recording of slot 4, no recording of slot 5";
    assert!(world.alert("overloaded").unwrap().ends_with(told), "{:?}", world.alert("overloaded"));
    for _ in 0..600 {
        world.pass(SECOND);
        for track in [1, 2, 3].map(|it| Track::Slot(slot(it))) {
            let now = world.wanted().recordings.get(&track);
            assert_eq!(now.map(|it| it.epoch), Some(before.recordings[&track].epoch), "{track:?} goes on");
        }
        the_program_goes_on(&world, &before);
    }
    world.power(2.0, true);
    let mut back = Vec::new();
    for _ in 0..300 {
        back.push(recorded(&world));
        world.pass(SECOND);
    }
    assert!(back.iter().all(|slots| slots.iter().eq([1, 2, 3, 4, 5].iter().take(slots.len()))), "{back:?}");
    assert!(back.is_sorted_by_key(Vec::len), "{back:?}");
    assert_eq!((world.status().overload, recorded(&world)), (Level::Nothing, vec![1, 2, 3, 4, 5]));
}

#[test]
fn slots_are_given_up_by_priority_and_the_one_on_air_last() {
    let mut config = autostart();
    config.slots.get_mut(&slot(2)).unwrap().priority = 90;
    config.slots.get_mut(&slot(4)).unwrap().priority = 95;
    let mut world = World::new(config, 1);
    world.until("it records", SECOND * 30, |world| recorded(world).len() == 5);
    assert_eq!(world.ask(Command::Cut { slot: slot(4) }), Answer::Done);
    world.pass(SECOND * 12);
    for left in [&[1, 3, 4, 5][..], &[1, 3, 4], &[1, 4]] {
        slots_lag_until_recorded(&mut world, left);
    }
    // Whoever is cut to is recorded by the program: no file ends or begins for it.
    assert_eq!(world.ask(Command::Cut { slot: slot(5) }), Answer::Done);
    world.pass(SECOND);
    assert_eq!(recorded(&world), [1, 4]);
    slots_lag_until_recorded(&mut world, &[1]);
    world.fact(Job::Encode(EncodeJob::Slot(slot(1))), Fact::Lags(FINE));
    world.until("the last that went comes first", SECOND * 15, |world| recorded(world) == [1, 4]);
}

#[test]
fn a_slot_that_lags_alone_has_others_make_room_for_it_by_priority() {
    let mut world = show();
    let before = world.wanted().clone();
    until_recorded(&mut world, &Job::Encode(EncodeJob::Slot(slot(2))), &[1, 2, 3, 4]);
    world.fact(Job::Encode(EncodeJob::Slot(slot(2))), Fact::Lags(FINE));
    world.pass(SECOND * 8);
    assert_eq!(recorded(&world), [1, 2, 3, 4], "one was enough");
    the_program_goes_on(&world, &before);
}

#[test]
fn a_slot_that_is_configured_no_longer_is_not_told_as_given_up() {
    let mut world = show();
    slots_lag_until_recorded(&mut world, &[1, 2, 3, 4]);
    let mut config = world.director.config().clone();
    config.slots.remove(&slot(5));
    world.send(Command::Reload);
    world.tell(Event::ConfigLoaded(Box::new(config)));
    world.pass(SECOND);
    let told = world.alert("overloaded").unwrap();
    assert!(told.ends_with("half the pictures of each slot"), "{told}");
    assert_eq!((world.status().overload, recorded(&world)), (Level::SlotRates, vec![1, 2, 3, 4]));
}

#[test]
fn a_mixer_that_is_late_counts_as_the_program_does_once_it_has_settled() {
    let mut world = show();
    let job = &Job::Program;
    until_recorded(&mut world, job, &[]);
    world.fact(job.clone(), Fact::Lags(FINE));
    world.until("all is back", SECOND * 120, |world| world.status().overload == Level::Nothing);
    until_level(&mut world, job, Level::SlotRates);
    world.fail(job.clone(), ErrorClass::Internal);
    world.until("the program is built again", SECOND * 10, World::program_runs);
    lags(&mut world, job, 5, Level::Slots);
    assert_eq!(world.status().overload, Level::SlotRates, "it works off what came while it started");
}

#[test]
fn what_slows_the_machine_down_is_told_with_what_is_given_up_and_gives_up_nothing_by_itself() {
    let mut world = show();
    let heat = "heat: cpu-thermal is at 85 °C and slows it down";
    world.tell(Event::MachineSlowed { why: Some(heat.to_owned()) });
    world.pass(SECOND * 60);
    assert_eq!((world.status().overload, world.alert("overloaded")), (Level::Nothing, None));
    let job = &Job::Encode(EncodeJob::Stream);
    until_level(&mut world, job, Level::Previews);
    let told = format!("the machine does not keep up ({heat}); until it does: no previews");
    assert_eq!(world.alert("overloaded"), Some(told));
    world.tell(Event::MachineSlowed { why: None });
    world.pass(SECOND);
    assert_eq!(world.alert("overloaded").as_deref(), Some("the machine does not keep up; until it does: no previews"));
}

#[test]
fn what_the_network_carried_of_the_slots_is_the_programs_while_they_are_given_up() {
    let mut config = autostart();
    config.legs = vec![livekit("main", Some(1), true)];
    let mut world = World::new(config, 1);
    let main = Job::Leg(LegId::new("main"));
    world.until("it carries", SECOND * 30, |world| world.status().legs[0].state == LegState::Carrying);
    world.pass(SECOND * 12);
    let streams = |world: &World| {
        let encodes = world.wanted().encodes.keys();
        encodes.filter(|job| matches!(job, EncodeJob::SlotStream(_))).count()
    };
    let stream_bps = |world: &World| world.wanted().encodes[&EncodeJob::Stream].bitrate_bps;
    world.fact(main, Fact::Estimated { bits_per_second: 3_000_000 });
    world.pass(SECOND * 20);
    let beside = stream_bps(&world);
    assert_eq!(streams(&world), 5);
    until_recorded(&mut world, &Job::Encode(EncodeJob::Stream), &[1, 2, 3]);
    assert_eq!(streams(&world), 3);
    until_recorded(&mut world, &Job::Encode(EncodeJob::Stream), &[]);
    world.until("the program has it all", SECOND * 9, |world| stream_bps(world) > beside / 10 * 12);
    assert_eq!(streams(&world), 0);
    world.fact(Job::Encode(EncodeJob::Stream), Fact::Lags(FINE));
    world.until("they are published again", SECOND * 200, |world| {
        streams(world) == 5 && stream_bps(world) == beside && world.status().overload == Level::Nothing
    });
}
