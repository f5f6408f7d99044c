use super::*;
use crate::config::Config;
use crate::director::Director;
use crate::panel::{Mode, PanelConfig};
use crate::status::{PanelKind, PanelStatus};
use crate::time::Mono;

fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

/// Five live slots, slot 1 on air, slot 2 in preview.
fn status() -> Status {
    let mut status = Director::new(Config::default(), 1, Mono(0)).status();
    for slot in &mut status.slots {
        slot.state = SlotState::Live;
    }
    status.program.seen = true;
    status.program.on_air = Some(slot(1));
    status.program.preview = Some(slot(2));
    status
}

/// The lamps of a panel of so many keys, as words.
fn words(status: &Status, keys: u8, mode: Mode) -> String {
    let layout = Layout::new(keys, &PanelConfig { mode, ..PanelConfig::default() });
    let word = |light: &Light| match light.pattern {
        Pattern::Steady => light.colour.word().to_owned(),
        Pattern::Slow => format!("{}~", light.colour.word()),
        Pattern::Fast => format!("{}!", light.colour.word()),
    };
    lamps(status, &layout, false).iter().map(word).collect::<Vec<_>>().join(" ")
}

type Row = (&'static str, &'static str, fn(&mut Status));

#[test]
fn the_lamps_of_the_slots_say_what_a_frame_showed() {
    let table: &[Row] = &[
        ("on air, and preview", "red green off off off off", |_| {}),
        ("armed", "red green red! off off off", |status| status.program.armed = Some(slot(3))),
        ("lost while on air", "red green off off off off", |status| status.slots[0].state = SlotState::Stalled),
        ("no picture", "red amber off amber off off", |status| {
            status.slots[1].state = SlotState::NoSignal;
            status.slots[3].state = SlotState::Empty;
        }),
        ("coming up", "red green amber~ amber~ off off", |status| {
            status.slots[2].state = SlotState::Settling;
            status.slots[3].state = SlotState::Opening;
        }),
        ("the slate is on air", "red~ red~ amber red~ red~ red", |status| {
            status.program.on_air = None;
            status.program.slate = true;
            status.slots[2].state = SlotState::Cooling;
        }),
        ("the slate is armed", "red green off off off red!", |status| status.program.slate = true),
        ("the slate stands in", "amber amber amber amber amber amber~", |status| {
            status.program.on_air = None;
            status.slots.iter_mut().for_each(|slot| slot.state = SlotState::NoSignal);
        }),
        ("no frame was ever seen", "red! green off off off off", |status| {
            status.program = crate::status::ProgramStatus {
                armed: Some(slot(1)),
                preview: Some(slot(2)),
                ..crate::status::ProgramStatus::default()
            };
        }),
        ("identify", "white! white! white! white! white! white!", |status| status.identifying = true),
        ("another panel is lost", "red green off off off blue~", |status| {
            status.panels.push(PanelStatus {
                id: "x".to_owned(),
                kind: PanelKind::Serial,
                name: "x".to_owned(),
                state: PanelState::Lost,
                since: Mono(0),
                why: None,
                keys: 6,
            });
        }),
    ];
    for (name, expected, change) in table {
        let mut status = status();
        change(&mut status);
        assert_eq!(words(&status, 6, Mode::Direct), *expected, "{name}");
    }
}

#[test]
fn preview_can_be_hidden() {
    let status = status();
    assert_eq!(of_slot(&status, slot(2), true), Light::OFF);
    assert_eq!(of_slot(&status, slot(1), true), Light::steady(Colour::Red));
}

#[test]
fn the_other_lamps_say_what_runs() {
    let table: &[Row] = &[
        // slate, take, auto, hold, record, stream, marker
        ("quiet", "off off off off off off off", |status| status.program.preview = None),
        ("a preview to take", "off green green off off off off", |_| {}),
        ("a preview without a picture", "off off off off off off off", |status| {
            status.slots[1].state = SlotState::NoSignal;
        }),
        ("held and locked", "off green green amber off off off", |status| {
            status.program.held = true;
            status.locked = true;
        }),
        ("recording", "off green green off white off off", |status| {
            status.recording.state = RecordingState::Recording;
        }),
        ("recording failed", "off green green off amber! off off", |status| {
            status.recording.state = RecordingState::Failed;
        }),
    ];
    for (name, expected, change) in table {
        let mut status = status();
        change(&mut status);
        let all = words(&status, 12, Mode::Preview);
        let others = all.split(' ').skip(5).collect::<Vec<_>>().join(" ");
        assert_eq!(others, *expected, "{name}");
    }
}
