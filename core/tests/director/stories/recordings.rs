//! Shows, files and the timeline.

use crate::world::{Mood, S, World, autostart, config, encode_of, ms, slot};
use cuebox_core::command::{Answer, Command};
use cuebox_core::director::{EncodeJob, ErrorClass, Event, Job, VaultFact};
use cuebox_core::ids::{LegId, Track};
use cuebox_core::status::{LegState, RecordingState, SlotState};
use cuebox_core::time::Trust;
use cuebox_core::timeline::What;

use super::{SECOND, on_air, recording, refused};

#[test]
fn a_show_records_the_program_and_every_live_slot_from_one_common_frame() {
    let world = recording(autostart());
    let tracks: Vec<Track> = world.wanted().recordings.keys().copied().collect();
    assert_eq!(tracks.len(), 6);
    let origin = world.disk.shows.values().next().unwrap().origin;
    assert!(world.wanted().recordings.values().all(|wish| wish.segment_from == origin && wish.origin == origin));
    assert!(matches!(world.timeline()[0], What::ShowStarted { .. }));
    assert!(matches!(world.timeline()[1], What::OnAir { .. }), "frame 0 says what is on air");
    assert!(world.status().show.unwrap().id.as_str().starts_with("20261121-183"));
}

#[test]
fn without_a_clock_a_show_has_no_false_date() {
    let mut world = World::bare(autostart(), 1);
    world.trust = Trust::Unset;
    world.boot();
    world.until("a show", SECOND * 5, |world| world.status().show.is_some());
    assert!(world.status().show.unwrap().id.as_str().starts_with("boot-00000000"));
}

#[test]
fn the_timeline_has_each_switch_with_its_own_frame() {
    let mut world = recording(autostart());
    let lines = world.disk.timeline.len();
    let id = world.send(Command::Cut { slot: slot(3) });
    world.pass(ms(200));
    world.ask(Command::Marker { text: "rings".to_owned() });
    let entries: Vec<_> = world.disk.timeline[lines..].iter().map(|(_, entry)| entry.clone()).collect();
    assert_eq!(entries[0].what, What::OnAir { slot: slot(3) });
    assert_eq!((entries[0].by.as_deref(), entries[0].id.as_deref()), (Some("local"), Some(id.as_str())));
    assert_eq!(entries[1].what, What::Marker { text: "rings".to_owned() });
    assert!(entries[1].frame > entries[0].frame);
    assert!(entries.iter().all(|entry| entry.t_ns.abs_diff(entry.frame * S / 30) < 1_000), "{entries:?}");
}

#[test]
fn all_tracks_rotate_at_one_frame_and_numbers_go_on() {
    let mut config = autostart();
    config.record.segment = SECOND * 10;
    let mut world = recording(config);
    world.pass(SECOND * 11);
    let froms: std::collections::BTreeSet<_> =
        world.wanted().recordings.values().map(|wish| wish.segment_from).collect();
    assert_eq!(froms.len(), 1);
    for track in world.wanted().recordings.keys() {
        assert_eq!(world.segments(*track), [1, 2], "{track:?}");
    }
    let sealed = world.disk.files.iter().filter(|(id, _)| id.number == 1).all(|(_, file)| file.sealed && file.clean);
    assert!(sealed, "{:?}", world.disk.files);
}

#[test]
fn a_slot_that_is_lost_ends_its_file_and_goes_on_with_the_next_number() {
    let mut world = recording(autostart());
    world.fail(Job::Capture(slot(4)), ErrorClass::Device);
    assert!(!world.wanted().recordings.contains_key(&Track::Slot(slot(4))));
    world.until("live again", SECOND * 3, |world| world.state(slot(4)) == SlotState::Live);
    world.until("next file", SECOND * 2, |world| world.segments(Track::Slot(slot(4))) == [1, 2]);
    assert_eq!(world.segments(Track::Program), [1], "nobody else is disturbed");
    assert!(world.timeline().contains(&What::SlotLive { slot: slot(4) }));
}

#[test]
fn a_show_that_is_stopped_seals_every_file_before_it_is_closed() {
    let mut world = recording(autostart());
    assert_eq!(world.ask(Command::ShowStop), Answer::Done);
    assert_eq!(world.status().recording.state, RecordingState::Sealing);
    assert!(world.disk.open.is_some());
    world.until("closed", SECOND * 2, |world| world.disk.open.is_none());
    assert!(world.disk.files.values().all(|file| file.sealed && file.clean));
    assert_eq!(world.status().recording.state, RecordingState::Idle);
    assert!(world.wanted().legs.is_empty() && world.wanted().encodes.is_empty());
    assert_eq!(world.timeline().last(), Some(&What::ShowStopped));
}

#[test]
fn a_file_that_is_not_sealed_in_time_is_given_up_as_unclean_and_the_show_is_closed() {
    let mut world = recording(autostart());
    world.seal_delay = SECOND * 60;
    world.send(Command::ShowStop);
    world.pass(ms(4_900));
    assert!(world.disk.open.is_some());
    world.pass(ms(200));
    assert_eq!(world.disk.open, None);
    assert!(world.disk.files.values().all(|file| file.sealed && !file.clean));
    assert!(world.alert("seal_unclean").is_some());
}

#[test]
fn a_show_can_be_started_while_the_last_one_is_still_sealing() {
    let mut world = recording(autostart());
    world.send(Command::ShowStop);
    assert_eq!(world.ask(Command::ShowStart { name: Some("Second".to_owned()) }), Answer::Done);
    let name = |world: &World| world.status().show.map(|show| show.name);
    world.until("the second", SECOND * 5, |world| name(world).as_deref() == Some("Second"));
    world.until("recording", SECOND, |world| world.status().recording.files == 6);
    assert_eq!(world.disk.shows.len(), 2);
    assert!(refused(&world.ask(Command::ShowStart { name: None })).contains("Second"));
    let slate = world.wanted().program.slate.clone();
    assert_eq!((slate.title.as_str(), slate.reason.is_empty()), ("Second", false), "its name is on the slate");
}

#[test]
fn recording_and_streaming_do_without_each_other() {
    let mut world = on_air(config());
    assert_eq!(world.ask(Command::Record { on: true }), Answer::Done);
    world.until("recording", SECOND * 5, |world| world.status().recording.files == 6);
    assert!(world.wanted().legs.is_empty() && !world.wanted().encodes.contains_key(&EncodeJob::Stream));
    world.ask(Command::Stream { on: true });
    world.ask(Command::Record { on: false });
    world.pass(SECOND);
    assert!(world.wanted().recordings.is_empty() && world.disk.files.values().all(|file| file.sealed));
    assert_eq!(world.wanted().legs.len(), 1);
    assert!(world.disk.open.is_some(), "the show goes on");
    world.ask(Command::Record { on: true });
    world.until("recording again", SECOND * 5, |world| world.segments(Track::Program) == [1, 2]);
}

#[test]
fn a_dead_network_leaves_the_recording_alone() {
    let mut world = recording(autostart());
    let before: Vec<_> = world.wanted().recordings.values().map(|wish| wish.epoch).collect();
    let leg = Job::Leg(LegId::new("backup"));
    world.mood(leg.clone(), Mood::Fails(ErrorClass::NetworkLost));
    world.fail(leg, ErrorClass::NetworkLost);
    world.pass(SECOND * 120);
    let after: Vec<_> = world.wanted().recordings.values().map(|wish| wish.epoch).collect();
    assert_eq!(before, after);
    assert_eq!(world.status().recording.state, RecordingState::Recording);
}

#[test]
fn a_recording_that_fails_is_told_and_tried_again() {
    let mut world = recording(autostart());
    world.fail(Job::Record(Track::Program), ErrorClass::DiskFull);
    assert_eq!(world.alert("recording_failed").as_deref(), Some("recording of program failed: the disk is full"));
    world.until("again", SECOND * 3, |world| world.segments(Track::Program) == [1, 2]);
    assert_eq!(world.alert("recording_failed"), None);
    let first = world.disk.files.iter().find(|(id, _)| id.track == Track::Program).unwrap().1.clone();
    assert!(first.sealed && !first.clean);
}

#[test]
fn an_encoder_that_fails_ends_the_segment_and_a_new_one_begins() {
    let mut world = recording(autostart());
    world.fail(encode_of(slot(2)), ErrorClass::Internal);
    world.until("again", SECOND * 3, |world| world.segments(Track::Slot(slot(2))) == [1, 2]);
    assert_eq!(world.segments(Track::Program), [1]);
}

#[test]
fn an_encoder_that_hangs_is_started_anew_unless_its_source_is_to_blame() {
    let mut world = recording(autostart());
    let epoch = world.epoch_of(&encode_of(slot(2)));
    world.mood(encode_of(slot(2)), Mood::Silent);
    world.until("started anew", SECOND * 8, |world| world.epoch_of(&encode_of(slot(2))) != epoch);
    world.moods.clear();
    world.until("again", SECOND * 20, |world| world.segments(Track::Slot(slot(2))) == [1, 2]);

    let job = Job::Encode(EncodeJob::ProgramRecord);
    let epoch = world.epoch_of(&job);
    world.mood(job.clone(), Mood::Silent);
    world.mood(Job::Program, Mood::Silent);
    world.pass(SECOND * 12);
    assert_eq!(world.epoch_of(&job), epoch);
}

#[test]
fn a_box_that_cannot_write_runs_and_streams_and_records_when_it_can() {
    let mut world = World::bare(autostart(), 1);
    world.tell(Event::Vault(VaultFact::Unwritable { why: "read-only file system".to_owned() }));
    world.boot();
    world.until("streams", SECOND * 5, |world| world.status().legs[0].state == LegState::Carrying);
    assert_eq!(world.status().recording.state, RecordingState::Failed);
    assert!(world.alert("data_unwritable").is_some() && world.wanted().recordings.is_empty());
    world.tell(Event::Vault(VaultFact::Writable));
    world.until("records", SECOND * 5, |world| world.status().recording.files == 6);
    assert!(world.alert("data_unwritable").is_none());
}

#[test]
fn after_a_kill_the_show_goes_on_in_new_segments() {
    let mut world = recording(autostart());
    let show = world.status().show.unwrap().id;
    world.pass(SECOND * 3);
    world.kill();
    world.until("recording", SECOND * 6, |world| world.segments(Track::Program) == [1, 2]);
    assert_eq!(world.status().show.unwrap().id, show);
    assert!(world.timeline().contains(&What::Resumed));
    let frames: Vec<u64> = world.disk.timeline.iter().map(|(_, entry)| entry.frame).collect();
    assert!(frames.is_sorted(), "{frames:?}");
}

#[test]
fn after_a_reboot_the_show_goes_on_by_the_wall_clock_or_says_that_it_guessed() {
    for (trust, elapsed) in [(Trust::Ntp, 40), (Trust::Unset, 0)] {
        let mut world = recording(autostart());
        world.pass(SECOND * 3);
        world.ask(Command::Marker { text: "before".to_owned() });
        let before = world.disk.timeline.last().unwrap().1.frame;
        world.trust = trust;
        world.reboot();
        world.until("recording", SECOND * 6, |world| world.segments(Track::Program) == [1, 2]);
        let resumed = world.disk.timeline.iter().find(|(_, entry)| entry.what == What::Resumed).unwrap().1.clone();
        let passed = (resumed.frame - before) / 30;
        assert!((elapsed..=elapsed + 2).contains(&passed), "{passed} s by the timeline, {elapsed} s by the clock");
        assert_eq!(resumed.clock.is_some(), trust == Trust::Unset);
        assert!(world.disk.timeline.iter().map(|(_, entry)| entry.frame).is_sorted());
    }
}

#[test]
fn a_show_that_was_left_open_is_closed_when_nothing_starts_by_itself() {
    let mut world = recording(autostart());
    world.config.show.autostart = false;
    world.kill();
    world.pass(SECOND);
    assert_eq!((world.disk.open.clone(), world.status().show), (None, None));
}
