//! What an operator finds again when the process was killed and starts anew.

use crate::world::{World, autostart, ms, slot};
use cuebox_core::command::{Answer, AudioCommand, AudioMode, Command, Envelope, Origin};
use cuebox_core::director::{Director, Effect, Event, REMEMBERED, SeenCommand};
use cuebox_core::ids::CommandId;
use cuebox_core::journal::{FILE_BYTES, Journal, last_settings, seen_commands};
use cuebox_core::status::{RecordingState, SlotAudioStatus};
use cuebox_core::timeline::What;

use super::{SECOND, on_air, recording};

fn ask_all(world: &mut World, commands: Vec<Command>) {
    for command in commands {
        assert_eq!(world.ask(command.clone()), Answer::Done, "{command:?}");
    }
}

fn name_of(world: &World, number: u8) -> String {
    world.status().slots.iter().find(|own| own.number == slot(number)).unwrap().name.clone()
}

/// What was set for the show and what for the box.
fn settings() -> Vec<Command> {
    vec![
        Command::Cut { slot: slot(3) },
        Command::Rename { slot: slot(2), name: "Altar".to_owned() },
        Command::Audio(AudioCommand::Gain { slot: slot(2), db: -6.0 }),
        Command::Audio(AudioCommand::Delay { slot: slot(2), ms: 80 }),
        Command::Audio(AudioCommand::Mute { slot: slot(4), on: true }),
        Command::Audio(AudioCommand::Mode(AudioMode::Mix)),
    ]
}

#[test]
fn after_a_kill_the_show_goes_on_as_it_was_set() {
    let mut world = recording(autostart());
    ask_all(&mut world, settings());
    world.kill();
    world.until("the chosen slot is on air", SECOND * 2, |world| world.on_air() == Some(slot(3)));
    assert_eq!(name_of(&world, 2), "Altar");
    let audio = world.status().audio;
    assert_eq!(audio.mode, AudioMode::Mix);
    assert_eq!(audio.slots[&slot(2)], SlotAudioStatus { mute: false, gain_db: -6.0, delay_ms: 80 });
    assert!(audio.slots[&slot(4)].mute);
    world.pass(SECOND * 20);
    assert_eq!(world.on_air(), Some(slot(3)), "nothing returns to the start slot");
}

#[test]
fn after_a_kill_no_track_begins_before_the_frame_that_the_timeline_goes_on_with() {
    let mut world = recording(autostart());
    let origin = world.disk.shows.values().next().unwrap().origin;
    world.kill();
    world.until("recording", SECOND * 5, |world| world.wanted().recordings.len() == 6);
    let resumed = world.disk.timeline.iter().rev().find(|(_, entry)| entry.what == What::Resumed).unwrap().1.frame;
    for (track, wish) in &world.wanted().recordings {
        assert!(wish.segment_from.0 >= origin.0 + resumed, "{track:?}: {wish:?} is before frame {resumed}");
    }
}

#[test]
fn a_slate_and_a_stopped_stream_and_recording_stay_so_after_a_kill() {
    let mut world = recording(autostart());
    ask_all(
        &mut world,
        vec![Command::Slate { on: true }, Command::Stream { on: false }, Command::Record { on: false }],
    );
    for _ in 0..2 {
        world.kill();
        world.pass(SECOND * 5);
        let status = world.status();
        assert!(status.program.slate && status.program.on_air.is_none());
        assert!(world.wanted().legs.is_empty(), "nobody asked for the stream");
        assert_eq!(status.recording.state, RecordingState::Idle);
    }
    ask_all(&mut world, vec![Command::Slate { on: false }]);
    world.until("what was beneath the slate", SECOND, |world| world.on_air() == Some(slot(1)));
}

#[test]
fn a_new_show_begins_without_the_mutes_of_the_last_but_with_its_names_and_gains() {
    let mut world = recording(autostart());
    ask_all(&mut world, settings());
    ask_all(&mut world, vec![Command::ShowStop]);
    world.pass(SECOND * 3);
    world.kill();
    world.until("the start slot is on air", SECOND * 2, |world| world.on_air() == Some(slot(1)));
    let audio = world.status().audio;
    assert_eq!((audio.mode, audio.slots[&slot(4)].mute), (AudioMode::Follow, false));
    assert_eq!((audio.slots[&slot(2)].gain_db, name_of(&world, 2).as_str()), (-6.0, "Altar"));
}

#[test]
fn what_the_configuration_changed_meanwhile_stands_above_what_was_commanded() {
    let mut world = recording(autostart());
    ask_all(&mut world, settings());
    let mut new = world.config.clone();
    new.slots.get_mut(&slot(1)).unwrap().name = "Aisle".to_owned();
    world.tell(Event::ConfigLoaded(Box::new(new.clone())));
    assert_eq!(
        (name_of(&world, 1).as_str(), name_of(&world, 2).as_str()),
        ("Aisle", "Altar"),
        "a reload keeps the rest"
    );
    let own = new.slots.get_mut(&slot(2)).unwrap();
    (own.name, own.delay_ms) = ("Organ".to_owned(), 40);
    world.config = new;
    world.kill();
    world.pass(ms(500));
    assert_eq!((name_of(&world, 1).as_str(), name_of(&world, 2).as_str()), ("Aisle", "Organ"));
    assert_eq!(world.status().audio.slots[&slot(2)].delay_ms, 40);
}

#[test]
fn the_journal_holds_the_settings_before_a_command_is_answered() {
    let mut world = recording(autostart());
    world.keep_journal();
    world.pass(ms(200));
    ask_all(&mut world, settings());
    let held = |world: &World| last_settings(&world.journal.as_ref().unwrap().lines.join("\n"));
    assert_eq!(held(&world), world.director.settings());
    assert_eq!(held(&world).unwrap().slots[&slot(2)].name.now, "Altar");
    let before = held(&world);
    world.send(Command::Restart);
    world.pass(SECOND);
    assert_eq!(held(&world), before, "what the end of the process stops is no setting");
}

/// The ids that a new process takes up, with what each came to: "done", "refused …".
fn remembered(file: &str) -> Vec<(String, String)> {
    let seen = seen_commands(file).unwrap();
    let answer = |answer: Option<Answer>| match answer {
        Some(Answer::Done) => "done".to_owned(),
        Some(Answer::Refused { why }) => format!("refused {why}"),
        other => format!("{other:?}"),
    };
    seen.into_iter().map(|seen| (seen.id.as_str().to_owned(), answer(seen.answer))).collect()
}

#[test]
fn an_id_means_one_command_over_a_kill_too() {
    let mut world = recording(autostart());
    let id = CommandId::new("before-the-journal");
    world.send_as(&id, Command::Rename { slot: slot(1), name: "Nave".to_owned() });
    world.pass(ms(100));
    world.keep_journal();
    let rename = Command::Rename { slot: slot(2), name: "Altar".to_owned() };
    world.send_as(&CommandId::new("done"), rename.clone());
    world.send_as(&CommandId::new("refused"), Command::Leg { name: cuebox_core::ids::LegId::new("none"), on: true });
    world.pass(ms(100));
    let whole = world.journal.as_ref().unwrap().lines.join("\n");
    let told = remembered(&whole);
    let of = |id: &str| told.iter().find(|(known, _)| known == id).map(|(_, answer)| answer.as_str());
    assert_eq!((of("before-the-journal"), of("done")), (Some("done"), Some("done")));
    assert!(of("refused").unwrap().starts_with("refused "), "{told:?}");

    // The file ends between the command's line and its answer's, in the middle of a line.
    let cut_off = whole.find("{\"answered\":{\"id\":\"done\"").unwrap() + 20;
    let cut_off = &whole[..cut_off];
    let mut director = Director::new(world.config.clone(), 1, world.now);
    director.remember(seen_commands(cut_off).unwrap());
    let mut ask = |id: &str, command: Command| {
        let envelope = Envelope { id: CommandId::new(id), origin: Origin::Mqtt, command };
        director.handle(world.now, Event::Commanded(envelope));
        std::iter::from_fn(|| director.poll_effect()).find_map(|effect| match effect {
            Effect::Answer { answer, .. } => Some(answer),
            _ => None,
        })
    };
    let done = Answer::Duplicate { first: Box::new(Answer::Done) };
    let nave = Command::Rename { slot: slot(1), name: "Nave".to_owned() };
    assert_eq!(ask("before-the-journal", nave), Some(done));
    let Some(Answer::Duplicate { first }) = ask("done", rename) else { panic!("it was carried out again") };
    assert!(matches!(&*first, Answer::Refused { why } if why.contains("is not done again")), "{first:?}");
    assert!(matches!(ask("done", Command::Take), Some(Answer::Conflict { .. })));
    assert_eq!(seen_commands("no journal"), None);
}

/// A day of a thousand commands an hour, and more: all of it goes from process to process by the first line of a file.
#[test]
fn as_many_ids_as_are_promised_are_known_after_any_number_of_restarts() {
    let world = on_air(autostart());
    let id = |number: usize| CommandId::new(format!("0198a9c6-7e1d-7bb3-a9a5-{number:012}"));
    let rename = Command::Rename { slot: slot(2), name: "Altar".to_owned() };
    let envelope = |number| Envelope { id: id(number), origin: Origin::Mqtt, command: rename.clone() };
    let mut director = Director::new(world.config.clone(), 1, world.now);
    director.handle(world.now, Event::Commanded(envelope(0)));
    let first = seen_commands(&Journal::default().open(&director, world.now)).unwrap();
    let seen = (0..REMEMBERED + 10)
        .map(|number| SeenCommand { id: id(number), body: first[0].body, answer: Some(Answer::Done) })
        .collect();
    let mut director = Director::new(world.config.clone(), 1, world.now);
    director.remember(seen);
    for _ in 0..3 {
        let line = Journal::default().open(&director, world.now);
        assert!(line.len() < FILE_BYTES / 2, "{} bytes leave no room in the file", line.len());
        director = Director::new(world.config.clone(), 1, world.now);
        director.remember(seen_commands(&line).unwrap());
    }
    let mut ask = |number| {
        director.handle(world.now, Event::Commanded(envelope(number)));
        std::iter::from_fn(|| director.poll_effect()).find_map(|effect| match effect {
            Effect::Answer { answer, .. } => Some(answer),
            _ => None,
        })
    };
    let done = Answer::Duplicate { first: Box::new(Answer::Done) };
    for number in [10, 11, REMEMBERED, REMEMBERED + 9] {
        assert_eq!(ask(number), Some(done.clone()), "the id {number}");
    }
    // The others are forgotten, and act; for each, the oldest goes.
    for number in [0, 10, 11] {
        assert!(!matches!(ask(number), Some(Answer::Duplicate { .. })), "the id {number}");
    }
    assert_eq!(ask(13), Some(done));
}

#[test]
fn a_late_command_is_refused_unless_its_first_answer_is_known() {
    let mut world = recording(autostart());
    let rename = Command::Rename { slot: slot(2), name: "Altar".to_owned() };
    let late = |world: &mut World, id: &str| {
        let id = CommandId::new(id);
        let envelope = Envelope {
            id: id.clone(),
            origin: Origin::Mqtt,
            command: Command::Rename { slot: slot(2), name: "Altar".to_owned() },
        };
        world.tell(Event::CommandedLate { envelope, why: "too old".to_owned() });
        world.pass(ms(100));
        world.answers.iter().rev().find(|(answered, _)| *answered == id).map(|(_, answer)| answer.clone()).unwrap()
    };
    let refused = Answer::Refused { why: "too old".to_owned() };
    assert_eq!(late(&mut world, "late"), refused);
    assert_eq!(name_of(&world, 2), "Camera 2");
    assert_eq!(late(&mut world, "late"), Answer::Duplicate { first: Box::new(refused) });
    world.send_as(&CommandId::new("in-time"), rename);
    world.pass(ms(100));
    assert_eq!(late(&mut world, "in-time"), Answer::Duplicate { first: Box::new(Answer::Done) });
}
