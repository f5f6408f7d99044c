//! What an operator finds again when the process was killed and starts anew.

use crate::world::{World, autostart, ms, slot};
use cuebox_core::command::{Answer, AudioCommand, AudioMode, Command};
use cuebox_core::director::Event;
use cuebox_core::journal::last_settings;
use cuebox_core::status::{RecordingState, SlotAudioStatus};

use super::{SECOND, recording};

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
