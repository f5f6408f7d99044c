//! What happens when the slot on air is lost, and how it comes back.

use crate::world::{Mood, World, camera, cameras, config, ms, slot};
use cuebox_core::command::{Answer, Command};
use cuebox_core::config::AutoReturn;
use cuebox_core::director::{ErrorClass, Event, Fact, Job, Picture};
use cuebox_core::status::SlotState;

use super::{SECOND, on_air};

#[test]
fn when_the_slot_on_air_fails_the_best_live_slot_by_priority_takes_over() {
    for (how, fact) in [
        ("error", Fact::Failed { class: ErrorClass::Device, detail: String::new() }),
        ("no signal", Fact::SignalLost { why: String::new() }),
        ("end", Fact::Ended),
    ] {
        let mut config = config();
        config.slots.get_mut(&slot(5)).unwrap().priority = 0;
        let mut world = on_air(config);
        world.fact(Job::Capture(slot(1)), fact);
        assert_eq!(world.wanted().program.switch.picture, Picture::Slot(slot(5)), "{how}: at once");
        assert!(!world.wanted().program.inputs.contains(&slot(1)), "{how}: out of the mixers at once");
    }
}

#[test]
fn a_picture_that_stops_without_an_error_is_noticed_within_a_quarter_second() {
    let mut world = on_air(config());
    world.mood(Job::Capture(slot(1)), Mood::Silent);
    let gap = world
        .until("another is wanted", ms(400), |world| world.wanted().program.switch.picture == Picture::Slot(slot(2)));
    assert!(gap <= ms(255), "{gap:?}");
    assert_eq!(world.state(slot(1)), SlotState::Stalled);
}

#[test]
fn a_slow_camera_is_given_four_of_its_own_frame_intervals() {
    let mut world = World::bare(cameras(&[None, None]), 3);
    world.boot();
    let mut dark = camera("usb-1");
    dark.modes[0].rates = vec![cuebox_core::device::Rate::new(10, 1)];
    world.tell(Event::CameraPlugged(dark));
    world.until("live", SECOND, |world| world.state(slot(1)) == SlotState::Live);
    world.mood(Job::Capture(slot(1)), Mood::Silent);
    world.pass(ms(330));
    assert_eq!(world.state(slot(1)), SlotState::Live);
    world.pass(ms(130));
    assert_eq!(world.state(slot(1)), SlotState::Stalled);
}

#[test]
fn the_chosen_slot_returns_only_when_it_has_been_steady() {
    let mut world = on_air(config());
    world.mood(Job::Capture(slot(1)), Mood::Silent);
    world.until("failover", SECOND, |world| world.on_air() == Some(slot(2)));
    world.mood(Job::Capture(slot(1)), Mood::Good);
    world.until("live again", SECOND * 3, |world| world.state(slot(1)) == SlotState::Live);
    let wait = world.until("returned", SECOND * 6, |world| world.on_air() == Some(slot(1)));
    assert!(wait >= ms(4_900), "{wait:?}");
    assert!(world.status().program.armed.is_none());
}

#[test]
fn without_automatic_return_the_program_stays_where_failover_went() {
    let mut config = config();
    config.program.auto_return = AutoReturn::Off;
    let mut world = on_air(config);
    world.fail(Job::Capture(slot(1)), ErrorClass::Device);
    world.until("live again", SECOND * 3, |world| world.state(slot(1)) == SlotState::Live);
    world.pass(SECOND * 20);
    assert_eq!(world.on_air(), Some(slot(2)));
}

#[test]
fn a_cut_after_failover_is_the_new_choice_and_nothing_returns_from_it() {
    let mut world = on_air(config());
    world.fail(Job::Capture(slot(1)), ErrorClass::Device);
    world.pass(ms(100));
    assert_eq!(world.ask(Command::Cut { slot: slot(2) }), Answer::Done);
    world.pass(SECOND * 20);
    assert_eq!((world.state(slot(1)), world.on_air()), (SlotState::Live, Some(slot(2))));
}

#[test]
fn while_held_a_lost_slot_means_the_slate_until_somebody_decides() {
    let mut world = on_air(config());
    world.ask(Command::Hold { on: true });
    world.fail(Job::Capture(slot(1)), ErrorClass::Device);
    world.pass(SECOND * 20);
    assert_eq!((world.state(slot(1)), world.on_air()), (SlotState::Live, None));
    world.ask(Command::Cut { slot: slot(3) });
    world.pass(ms(100));
    assert_eq!(world.on_air(), Some(slot(3)));
    world.fail(Job::Capture(slot(3)), ErrorClass::Device);
    world.ask(Command::Hold { on: false });
    world.pass(ms(100));
    assert!(world.on_air().is_some(), "letting go lets failover do its work");
}

#[test]
fn with_no_slot_left_the_slate_says_why_and_the_first_that_is_back_goes_on_air() {
    let mut world = World::new(cameras(&[None]), 1);
    assert_eq!(world.wanted().program.slate.title, "We will begin shortly");
    world.plug("usb-1");
    world.until("on air", SECOND, |world| world.on_air() == Some(slot(1)));
    world.unplug("usb-1");
    world.pass(ms(100));
    let program = world.status().program;
    assert_eq!((program.on_air, program.why.as_deref()), (None, Some("slot 1 was lost: unplugged")));
    assert_eq!(world.wanted().program.slate.title, "We will be right back", "nobody gave the show a name");
    world.plug("usb-1");
    world.until("back on air", SECOND, |world| world.on_air() == Some(slot(1)));
}

#[test]
fn a_program_that_dies_is_built_again_and_claims_nothing_meanwhile() {
    let mut world = on_air(config());
    let before = world.epoch_of(&Job::Program);
    world.fail(Job::Program, ErrorClass::Internal);
    assert_eq!((world.on_air(), world.status().program.armed), (None, Some(slot(1))));
    world.until("on air again", SECOND, |world| world.on_air() == Some(slot(1)));
    assert_ne!(world.epoch_of(&Job::Program), before);
    world.mood(Job::Program, Mood::Silent);
    world.until("a hanging program is seen", SECOND * 4, |world| world.on_air().is_none());
    world.mood(Job::Program, Mood::Good);
    world.until("and built again", SECOND * 20, |world| world.on_air() == Some(slot(1)));
}

#[test]
fn when_all_sources_pause_together_the_box_was_held_up_and_nobody_is_called_dead() {
    let mut world = on_air(config());
    let pause = |world: &mut World, mood: Mood| {
        for number in 1..=5 {
            world.mood(Job::Capture(slot(number)), mood);
        }
    };
    pause(&mut world, Mood::Silent);
    world.pass(ms(700));
    pause(&mut world, Mood::Good);
    world.pass(SECOND);
    assert!((1..=5).all(|number| world.state(slot(number)) == SlotState::Live));
    assert_eq!(world.on_air(), Some(slot(1)));
    pause(&mut world, Mood::Silent);
    world.pass(ms(1_400));
    assert!((1..=5).all(|number| world.state(slot(number)) != SlotState::Live), "a long silence is believed");
}
