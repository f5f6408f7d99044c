//! Cut, take, slate and what tally says of them.

use crate::world::{World, cameras, config, ms, slot};
use cuebox_core::command::{Answer, Command, Transition};
use cuebox_core::director::{ErrorClass, Job, Picture};
use cuebox_core::status::SlotState;

use super::{SECOND, on_air, refused};

#[test]
fn a_cut_is_armed_at_once_and_on_air_when_a_frame_showed_it() {
    let mut world = on_air(config());
    world.send(Command::Cut { slot: slot(3) });
    assert_eq!(world.wanted().program.switch.picture, Picture::Slot(slot(3)));
    let program = world.status().program;
    assert_eq!((program.on_air, program.armed), (Some(slot(1)), Some(slot(3))));
    world.until("a frame shows it", ms(100), |world| world.on_air() == Some(slot(3)));
    assert_eq!(world.status().program.armed, None);
}

#[test]
fn a_cut_to_a_slot_without_picture_is_refused_in_words_and_changes_nothing() {
    let mut world = World::new(cameras(&[None, None]), 1);
    world.plug("usb-1");
    world.until("live", SECOND, |world| world.on_air() == Some(slot(1)));
    let before = world.wanted().clone();
    let answer = world.ask(Command::Cut { slot: slot(2) });
    assert_eq!(refused(&answer), "slot 2 is not live: nothing is plugged in");
    assert_eq!(refused(&world.ask(Command::Cut { slot: slot(5) })), "slot 5 is not configured");
    assert_eq!(*world.wanted(), before);
}

#[test]
fn a_cut_to_the_slot_on_air_is_done_and_changes_nothing() {
    let mut world = on_air(config());
    let before = world.wanted().clone();
    assert_eq!(world.ask(Command::Cut { slot: slot(1) }), Answer::Done);
    assert_eq!(*world.wanted(), before);
}

#[test]
fn take_swaps_preview_and_program_and_is_refused_without_a_preview() {
    let mut world = on_air(config());
    assert_eq!(refused(&world.ask(Command::Take)), "no slot is in preview");
    world.ask(Command::Preview { slot: slot(2) });
    assert_eq!(world.ask(Command::Take), Answer::Done);
    world.pass(ms(100));
    let program = world.status().program;
    assert_eq!((program.on_air, program.preview), (Some(slot(2)), Some(slot(1))));
    world.ask(Command::Auto { kind: Transition::Fade, ms: 800 });
    assert_eq!(world.wanted().program.switch.transition, Some((Transition::Fade, ms(800))));
    world.pass(ms(100));
    assert_eq!(world.on_air(), Some(slot(1)));
}

#[test]
fn the_slate_stays_until_it_is_taken_off_and_a_cut_meanwhile_chooses_what_returns() {
    let mut world = on_air(config());
    world.ask(Command::Slate { on: true });
    world.pass(ms(100));
    assert_eq!((world.on_air(), world.status().program.slate), (None, true));
    assert_eq!(world.ask(Command::Cut { slot: slot(4) }), Answer::Done);
    world.pass(ms(500));
    assert_eq!(world.on_air(), None);
    world.ask(Command::Slate { on: false });
    world.pass(ms(100));
    assert_eq!(world.on_air(), Some(slot(4)));
}

#[test]
fn the_start_slot_goes_on_air_when_it_is_live_and_until_then_the_best_live_slot() {
    let mut world = World::bare(cameras(&[Some("usb-1"), Some("usb-2"), Some("usb-3")]), 4);
    world.boot();
    world.plug("usb-3");
    world.until("the only one is on air", SECOND * 2, |world| world.on_air() == Some(slot(3)));
    world.pass(SECOND * 3);
    world.plug("usb-2");
    world.pass(SECOND * 2);
    assert_eq!(world.on_air(), Some(slot(3)), "nobody asked for slot 2");
    world.plug("usb-1");
    world.until("the start slot is on air", SECOND * 2, |world| world.on_air() == Some(slot(1)));
}

/// Three cameras, of which the best is plugged in last, on a box that knows no start slot.
fn opening() -> World {
    let mut config = cameras(&[Some("usb-1"), Some("usb-2"), Some("usb-3")]);
    config.program.start_slot = None;
    config.slots.get_mut(&slot(2)).unwrap().priority = 0;
    let mut world = World::bare(config, 4);
    world.boot();
    world.plug("usb-3");
    world.until("the only one is on air", SECOND * 2, |world| world.on_air() == Some(slot(3)));
    world
}

#[test]
fn in_its_first_seconds_the_program_moves_to_the_best_slot_by_priority() {
    let mut world = opening();
    world.plug("usb-1");
    world.until("the better one is on air", SECOND, |world| world.on_air() == Some(slot(1)));
    world.plug("usb-2");
    world.until("the best one is on air", SECOND, |world| world.on_air() == Some(slot(2)));
    world.fail(Job::Capture(slot(2)), ErrorClass::Device);
    world.pass(ms(100));
    assert_eq!(world.on_air(), Some(slot(1)));
    world.until("the best one returns", SECOND * 20, |world| world.on_air() == Some(slot(2)));
}

#[test]
fn once_the_first_seconds_are_over_a_better_slot_is_left_to_the_operator() {
    let mut world = opening();
    world.pass(ms(3_100));
    world.plug("usb-2");
    world.until("it is live", SECOND * 2, |world| world.state(slot(2)) == SlotState::Live);
    world.pass(SECOND * 10);
    assert_eq!(world.on_air(), Some(slot(3)));
}

#[test]
fn a_cut_in_the_first_seconds_is_not_moved_away_from() {
    let mut world = opening();
    assert_eq!(world.ask(Command::Cut { slot: slot(3) }), Answer::Done);
    world.plug("usb-1");
    world.until("it is live", SECOND * 2, |world| world.state(slot(1)) == SlotState::Live);
    world.pass(SECOND * 10);
    assert_eq!(world.on_air(), Some(slot(3)));
}

#[test]
fn a_slot_that_was_lost_in_the_first_seconds_ends_the_search_for_a_better_one() {
    let mut world = opening();
    world.plug("usb-1");
    world.until("the better one is on air", SECOND, |world| world.on_air() == Some(slot(1)));
    world.fail(Job::Capture(slot(1)), ErrorClass::Device);
    world.plug("usb-2");
    world.until("the best is live", SECOND * 2, |world| world.state(slot(2)) == SlotState::Live);
    world.pass(ms(500));
    assert_eq!(world.on_air(), Some(slot(3)), "automatic return goes to the chosen slot, not to the best");
}

#[test]
fn a_switch_that_is_overtaken_by_a_newer_one_never_lights_a_lamp_afterwards() {
    let mut world = on_air(config());
    for number in [2, 3, 4, 5, 2, 3] {
        world.send(Command::Cut { slot: slot(number) });
    }
    assert_eq!(world.status().program.armed, Some(slot(3)));
    for _ in 0..40 {
        world.pass(ms(5));
        assert_eq!(world.status().program.on_air.map_or(Picture::Slate, Picture::Slot), world.told);
    }
    assert_eq!(world.on_air(), Some(slot(3)));
}
