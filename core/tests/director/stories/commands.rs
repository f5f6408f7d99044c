//! Commands, answers, reload, restart, shutdown.

use crate::world::{World, autostart, cameras, config, ms, slot};
use cuebox_core::command::{Answer, AudioCommand, AudioMode, Command};
use cuebox_core::config::Source;
use cuebox_core::director::{Effect, Event};
use cuebox_core::ids::{CommandId, Track};
use cuebox_core::status::SlotState;
use cuebox_core::timeline::What;

use super::{SECOND, on_air, recording, refused};

#[test]
fn a_repeated_id_does_nothing_twice_and_another_body_is_a_conflict() {
    let mut world = recording(autostart());
    let id = CommandId::new("press-1");
    let marker = Command::Marker { text: "kiss".to_owned() };
    world.disk_delay = Some(ms(100));
    world.send_as(&id, marker.clone());
    world.send_as(&id, marker.clone());
    world.pass(ms(150));
    world.send_as(&id, marker);
    world.send_as(&id, Command::Marker { text: "other".to_owned() });
    let duplicate = Answer::Duplicate { first: Box::new(Answer::Done) };
    let answers: Vec<Answer> = world.answers.iter().filter(|(it, _)| *it == id).map(|(_, it)| it.clone()).collect();
    assert_eq!(answers[..3], [Answer::Done, duplicate.clone(), duplicate]);
    assert!(matches!(answers[3], Answer::Conflict { .. }), "{answers:?}");
    let markers = world.timeline().iter().filter(|what| matches!(what, What::Marker { .. })).count();
    assert_eq!(markers, 1);
}

#[test]
fn a_slow_disk_delays_no_cut_and_an_answer_by_half_a_second_at_most() {
    let mut world = on_air(config());
    world.disk_delay = None;
    let id = world.send(Command::Cut { slot: slot(2) });
    world.pass(ms(100));
    assert_eq!(world.on_air(), Some(slot(2)), "on air waits for no disk");
    world.pass(ms(390));
    assert!(world.answers.iter().all(|(answered, _)| *answered != id));
    world.pass(ms(20));
    assert!(world.answers.contains(&(id, Answer::Done)));
    assert!(world.alert("disk_slow").is_some());
    world.disk_delay = Some(ms(5));
    world.ask(Command::Cut { slot: slot(3) });
    assert_eq!(world.alert("disk_slow"), None);
}

#[test]
fn sound_follows_the_picture_unless_it_is_told_otherwise() {
    let mut world = on_air(config());
    let heard = |world: &World| world.wanted().program.audio.gains.keys().map(|it| it.number()).collect::<Vec<_>>();
    world.send(Command::Cut { slot: slot(2) });
    assert_eq!(heard(&world), [2]);
    world.ask(Command::Audio(AudioCommand::Mode(AudioMode::Slot(slot(5)))));
    world.ask(Command::Cut { slot: slot(3) });
    assert_eq!(heard(&world), [5]);
    world.ask(Command::Audio(AudioCommand::Mode(AudioMode::Mix)));
    world.ask(Command::Audio(AudioCommand::Mute { slot: slot(1), on: true }));
    assert_eq!(heard(&world), [2, 3, 4, 5]);
    world.ask(Command::Audio(AudioCommand::Mode(AudioMode::Follow)));
    world.ask(Command::Slate { on: true });
    assert!(heard(&world).is_empty());
}

#[test]
fn a_reload_applies_what_it_can_and_names_what_needs_a_restart() {
    let mut world = recording(autostart());
    let epochs = |world: &World| world.wanted().captures.values().map(|wish| wish.epoch).collect::<Vec<_>>();
    let before = epochs(&world);
    let id = world.send(Command::Reload);
    assert!(world.effects.contains(&Effect::Reload));
    let mut config = world.director.config().clone();
    config.program.fps = 25;
    config.slots.get_mut(&slot(2)).unwrap().name = "Organ".to_owned();
    config.slots.get_mut(&slot(3)).unwrap().source = Source::Test { marks: false, tone_hz: None };
    world.tell(Event::ConfigLoaded(Box::new(config)));
    world.pass(ms(50));
    assert!(world.answers.contains(&(id, Answer::Done)));
    assert_eq!(world.alert("restart_needed").as_deref(), Some("a restart is needed for: program.fps"));
    assert_eq!(world.director.config().program.fps, 30);
    assert_eq!(world.status().slots[1].name, "Organ");
    let changed: Vec<bool> = before.iter().zip(epochs(&world)).map(|(old, new)| *old != new).collect();
    assert_eq!(changed, [false, false, true, false, false]);

    let id = world.send(Command::Reload);
    world.tell(Event::ConfigRejected { why: "line 3: unknown key".to_owned() });
    let answer = &world.answers.iter().find(|(answered, _)| *answered == id).unwrap().1;
    assert!(refused(answer).contains("the one before stays: line 3"));
}

#[test]
fn a_restart_seals_everything_leaves_the_show_open_and_only_then_restarts() {
    let mut world = recording(autostart());
    let show = world.disk.open.clone();
    world.send(Command::Restart);
    assert!(!world.effects.contains(&Effect::Restart));
    assert_eq!(refused(&world.ask(Command::Cut { slot: slot(2) })), "the box is shutting down");
    world.until("restarts", SECOND * 5, |world| world.effects.contains(&Effect::Restart));
    assert!(world.director.quiesced());
    assert!(world.disk.files.values().all(|file| file.sealed && file.clean));
    assert_eq!(world.disk.open, show);
    world.kill();
    world.until("goes on", SECOND * 6, |world| world.segments(Track::Program) == [1, 2]);
}

#[test]
fn a_shutdown_seals_everything_and_closes_the_show_within_its_time() {
    let mut world = recording(autostart());
    world.tell(Event::ShutdownRequested);
    assert!(!world.director.quiesced());
    let wait = world.until("quiet", SECOND * 5, |world| world.director.quiesced());
    assert!(wait < SECOND, "{wait:?}");
    assert_eq!(world.disk.open, None);
    assert!(world.disk.files.values().all(|file| file.sealed && file.clean));
}

#[test]
fn a_snapshot_is_taken_of_a_live_slot_and_refused_of_another() {
    let mut world = World::new(cameras(&[None, None]), 1);
    world.plug("usb-1");
    world.until("live", SECOND * 2, |world| world.state(slot(1)) == SlotState::Live);
    assert_eq!(world.ask(Command::Snapshot { slot: slot(1) }), Answer::Done);
    assert!(world.effects.contains(&Effect::Snapshot { slot: slot(1) }));
    assert!(refused(&world.ask(Command::Snapshot { slot: slot(2) })).contains("nothing is plugged in"));
}
