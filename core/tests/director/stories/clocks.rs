//! The wall clock is set in the middle of a show, or nobody knows it.

use crate::world::{S, World, autostart};
use cuebox_core::command::Command;
use cuebox_core::director::{Event, NewShow};
use cuebox_core::time::{Trust, Wall};
use cuebox_core::timeline::What;

use super::{SECOND, recording};

const YEAR_S: i64 = 365 * 86_400;

/// Somebody sets the clock.
fn set_clock(world: &mut World, by_s: i64, trust: Trust) {
    world.wall_at_boot_ns += by_s * S as i64;
    world.trust = trust;
    let wall = Wall { unix_ns: world.wall_at_boot_ns + world.now.0 as i64, trust };
    world.tell(Event::ClockRead(wall));
}

fn show(world: &World) -> NewShow {
    world.disk.shows.values().next().unwrap().clone()
}

#[test]
fn a_clock_that_jumps_renames_nothing_ends_nothing_and_is_noted_with_its_offset() {
    for by_s in [-3600, 3600, -20 * YEAR_S, 20 * YEAR_S] {
        let mut world = recording(autostart());
        let before = show(&world);
        let recordings: Vec<_> = world.wanted().recordings.values().map(|wish| wish.epoch).collect();
        world.pass(SECOND * 10);
        set_clock(&mut world, by_s, Trust::Ntp);
        world.pass(SECOND * 10);
        let wished: Vec<_> = world.wanted().recordings.values().map(|wish| wish.epoch).collect();
        assert_eq!(wished, recordings, "no recording is disturbed");
        assert_eq!(world.disk.shows.len(), 1);
        let after = show(&world);
        assert_eq!((&after.id, &after.name, after.started), (&before.id, &before.name, before.started));
        let offset_ns = after.clock.unwrap().offset_ns;
        assert_eq!(offset_ns, by_s * S as i64);
        let noted = |what: &What| matches!(what, What::ClockSet { offset_ns, .. } if *offset_ns == by_s * S as i64);
        assert_eq!(world.timeline().iter().filter(|what| noted(what)).count(), 1, "{:?}", world.timeline());
        assert!(world.alert("clock_set").unwrap().contains(&by_s.to_string()));
        world.ask(Command::ShowStop);
        world.until("closed", SECOND * 5, |world| world.disk.open.is_none());
        let lasted_s = (world.disk.ended.unwrap().unix_ns - before.started.unix_ns) / S as i64;
        let frames = world.disk.timeline.last().unwrap().1.frame;
        assert!((lasted_s - (frames / 30) as i64).abs() <= 1, "{lasted_s} s of {frames} frames");
    }
}

#[test]
fn a_box_that_learns_the_time_in_the_middle_of_a_show_keeps_its_name_and_notes_when_it_began() {
    let mut world = World::bare(autostart(), 1);
    world.trust = Trust::Unset;
    world.wall_at_boot_ns = 0;
    world.boot();
    world.until("recording", SECOND * 6, |world| world.status().recording.files == 1);
    let before = show(&world);
    assert!(before.id.as_str().starts_with("boot-00000000"), "{:?}", before.id);
    set_clock(&mut world, 1_795_285_805, Trust::Ntp);
    world.pass(SECOND);
    let after = show(&world);
    assert_eq!((&after.id, after.started), (&before.id, before.started));
    assert_eq!(after.begun().trust, Trust::Ntp);
    let since_boot_s = after.begun().unix_ns / S as i64 - 1_795_285_805;
    assert!((60..70).contains(&since_boot_s), "{since_boot_s}");

    // After a power cut the show goes on by that clock: it is known now when it began.
    world.pass(SECOND * 5);
    world.reboot();
    world.until("goes on", SECOND * 6, |world| world.timeline().contains(&What::Resumed));
    let resumed = world.disk.timeline.iter().rfind(|(_, entry)| entry.what == What::Resumed).unwrap().1.clone();
    assert_eq!(resumed.clock, None, "nothing had to be guessed");
    assert!((40..55).contains(&(resumed.frame / 30)), "{} frames", resumed.frame);
}

#[test]
fn after_a_jump_of_twenty_years_a_killed_box_goes_on_with_its_show() {
    let mut world = recording(autostart());
    let id = show(&world).id;
    set_clock(&mut world, 20 * YEAR_S, Trust::Rtc);
    world.pass(SECOND);
    world.kill();
    world.until("goes on", SECOND * 6, |world| world.status().show.is_some());
    assert_eq!(world.status().show.unwrap().id, id);
}
