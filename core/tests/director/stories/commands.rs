//! Commands, answers, reload, restart, shutdown.

use crate::world::{World, autostart, cameras, config, ms, slot};
use cuebox_core::command::{Answer, AudioCommand, AudioMode, Command, Envelope, Origin};
use cuebox_core::config::Source;
use cuebox_core::config::patch::Patch;
use cuebox_core::director::{Effect, Event, Report};
use cuebox_core::ids::{CommandId, Track};
use cuebox_core::status::SlotState;
use cuebox_core::timeline::What;
use serde_json::json;

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

fn patch(fields: &serde_json::Value) -> Patch {
    Patch::from_json(fields).unwrap()
}

#[test]
fn a_patch_applies_what_it_can_and_its_answer_names_what_needs_a_restart() {
    let mut world = recording(autostart());
    let wanted = patch(&json!({"program": {"fps": 25}, "slot": [{"number": 2, "name": "Organ"}]}));
    let mut config = world.director.config().clone();
    config.program.fps = 25;
    config.slots.get_mut(&slot(2)).unwrap().name = "Organ".to_owned();
    let answer =
        |world: &World, id: &CommandId| world.answers.iter().find(|(it, _)| it == id).map(|(_, it)| it.clone());

    let id = world.send(Command::Config { patch: wanted.clone(), check: true });
    assert!(world.effects.contains(&Effect::Patch { id: id.clone(), patch: wanted.clone(), check: true }));
    let second = world.send(Command::Config { patch: wanted.clone(), check: false });
    assert!(refused(&answer(&world, &second).unwrap()).contains("another change"));
    world.tell(Event::ConfigPatched { id: id.clone(), config: Box::new(config.clone()), check: true });
    world.pass(ms(50));
    let report = json!({"applied": false, "restart_needed": ["program.fps"]});
    assert_eq!(answer(&world, &id), Some(Answer::Report { report }));
    assert_eq!((world.alert("restart_needed"), world.status().slots[1].name.as_str()), (None, "Camera 2"));

    let id = world.send(Command::Config { patch: wanted.clone(), check: false });
    world.tell(Event::ConfigPatched { id: id.clone(), config: Box::new(config), check: false });
    world.pass(ms(50));
    let report = json!({"applied": true, "restart_needed": ["program.fps"]});
    assert_eq!(answer(&world, &id), Some(Answer::Report { report }));
    assert_eq!(world.alert("restart_needed").as_deref(), Some("a restart is needed for: program.fps"));
    assert_eq!(world.status().slots[1].name, "Organ");

    let id = world.send(Command::Config { patch: wanted.clone(), check: false });
    world.tell(Event::PatchRejected { id: id.clone(), why: "program.fps: is 31".to_owned() });
    world.pass(ms(50));
    assert_eq!(refused(&answer(&world, &id).unwrap()), "program.fps: is 31");
    // Nobody answers: it is refused in time, and the next one is taken.
    let id = world.send(Command::Config { patch: wanted.clone(), check: false });
    world.until("is late", SECOND * 12, |world| answer(world, &id).is_some());
    let id = world.send(Command::Config { patch: wanted, check: false });
    assert_eq!(answer(&world, &id), None);
}

#[test]
fn what_is_told_on_request_is_told_once_and_not_remembered() {
    let mut world = recording(autostart());
    let id = world.send(Command::Tail { lines: 5 });
    let what = Report::Journal { lines: 5 };
    assert!(world.effects.contains(&Effect::Report { id: id.clone(), origin: Origin::Local, what }));
    world.send_as(&id, Command::Tail { lines: 5 });
    let duplicate = Answer::Duplicate { first: Box::new(Answer::Done) };
    assert_eq!(world.answers.iter().filter(|(it, _)| *it == id).map(|(_, it)| it).collect::<Vec<_>>(), [&duplicate]);
}

#[test]
fn a_refusal_over_mqtt_is_told_when_it_is_durable() {
    let mut world = recording(autostart());
    world.disk_delay = Some(ms(100));
    let id = CommandId::new("m-1");
    let envelope = Envelope { id: id.clone(), origin: Origin::Mqtt, command: Command::Take };
    world.tell(Event::Commanded(envelope.clone()));
    assert!(!world.answers.iter().any(|(it, _)| *it == id), "it is not durable yet");
    world.pass(ms(200));
    let first = world.answers.iter().find(|(it, _)| *it == id).map(|(_, it)| it.clone()).unwrap();
    assert!(refused(&first).contains("preview"), "{first:?}");
    world.tell(Event::Commanded(envelope));
    assert_eq!(world.answers.last().unwrap().1, Answer::Duplicate { first: Box::new(first) });
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
