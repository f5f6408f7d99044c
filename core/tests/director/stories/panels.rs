//! Panels as the crew meets them.

use cuebox_core::command::{Answer, Command, Envelope, Origin};
use cuebox_core::director::{Event, PanelReport};
use cuebox_core::ids::CommandId;
use cuebox_core::status::{PanelKind, PanelState};

use super::super::world::{World, config, ms, slot};

fn told(world: &mut World, id: &str, state: PanelState) {
    let report = PanelReport {
        id: id.to_owned(),
        kind: PanelKind::Serial,
        name: "stage".to_owned(),
        state,
        why: (state == PanelState::Lost).then(|| "it does not answer".to_owned()),
        keys: 6,
    };
    world.tell(Event::PanelTold(report));
}

/// A key's command; gives the answer.
fn press(world: &mut World, command: Command) -> Answer {
    world.sent += 1;
    let id = CommandId::new(format!("p{}", world.sent));
    world.tell(Event::Commanded(Envelope { id: id.clone(), origin: Origin::Panel, command }));
    world.until("the key is answered", ms(1_000), |world| world.answers.iter().any(|(answered, _)| *answered == id));
    world.answers.iter().rev().find(|(answered, _)| *answered == id).unwrap().1.clone()
}

fn world() -> World {
    let mut world = World::new(config(), 3);
    world.until("slot 2 is live", ms(5_000), |world| {
        world.status().slots.iter().take(3).all(|slot| slot.state == cuebox_core::status::SlotState::Live)
    });
    world
}

#[test]
fn a_panel_that_falls_silent_is_told_and_the_alert_goes_when_it_is_back() {
    let mut world = world();
    told(&mut world, "/dev/ttyACM0", PanelState::Connected);
    assert_eq!(world.alert("panel_lost"), None);
    told(&mut world, "/dev/ttyACM0", PanelState::Lost);
    assert_eq!(world.alert("panel_lost").unwrap(), "the panel stage is lost: it does not answer");
    let lost = world.status().panels[0].clone();
    assert_eq!((lost.state, lost.since), (PanelState::Lost, world.now));
    world.pass(ms(500));
    told(&mut world, "/dev/ttyACM0", PanelState::Lost);
    assert_eq!(world.status().panels[0], lost, "told twice, it is lost since the first time");
    told(&mut world, "/dev/ttyACM0", PanelState::Connected);
    assert_eq!(world.alert("panel_lost"), None);
}

#[test]
fn a_panel_that_never_came_is_waited_for_without_an_alert() {
    let mut world = world();
    told(&mut world, "/dev/ttyACM0", PanelState::Waiting);
    assert_eq!(world.status().panels[0].state, PanelState::Waiting);
    assert_eq!(world.alert("panel_lost"), None);
}

#[test]
fn two_panels_of_one_name_are_told_apart() {
    let mut world = world();
    told(&mut world, "/dev/ttyACM1", PanelState::Connected);
    told(&mut world, "/dev/ttyACM0", PanelState::Connected);
    let names: Vec<(String, String)> = world.status().panels.into_iter().map(|panel| (panel.id, panel.name)).collect();
    let named = [("/dev/ttyACM0", "stage"), ("/dev/ttyACM1", "stage (2)")];
    assert_eq!(names, named.map(|(id, name)| (id.to_owned(), name.to_owned())));
}

#[test]
fn a_box_is_not_filled_with_panels() {
    let mut world = world();
    for number in 0..1_000 {
        told(&mut world, &format!("/dev/tty{number}"), PanelState::Connected);
    }
    assert_eq!(world.status().panels.len(), 64);
}

#[test]
fn locked_keys_do_nothing_but_unlock() {
    let mut world = world();
    assert_eq!(press(&mut world, Command::Lock { on: true }), Answer::Done);
    assert!(world.status().locked);
    let refused = press(&mut world, Command::Cut { slot: slot(2) });
    assert_eq!(refused, Answer::Refused { why: "the keys of the panels are locked".to_owned() });
    assert_ne!(world.status().program.armed, Some(slot(2)));
    assert_eq!(world.ask(Command::Cut { slot: slot(2) }), Answer::Done, "other surfaces go on");
    assert_eq!(press(&mut world, Command::Lock { on: false }), Answer::Done);
    assert_eq!(press(&mut world, Command::Cut { slot: slot(3) }), Answer::Done);
}

#[test]
fn identify_ends_by_itself() {
    let mut world = world();
    assert_eq!(world.ask(Command::Identify), Answer::Done);
    assert!(world.status().identifying);
    world.pass(ms(3_000));
    assert_eq!(world.ask(Command::Identify), Answer::Done, "and may be asked for again");
    world.pass(ms(4_900));
    assert!(world.status().identifying);
    world.pass(ms(200));
    assert!(!world.status().identifying);
}
