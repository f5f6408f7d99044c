//! Tally never lies: over many random events, no lamp is red for a slot that no frame shows.

use cuebox_core::director::{Event, PanelReport, Picture};
use cuebox_core::panel::layout::Layout;
use cuebox_core::panel::{Mode, PanelConfig};
use cuebox_core::status::{PanelKind, PanelState, SlotState};
use cuebox_core::tally;
use cuebox_panel::light::{Colour, Light, Pattern};

use super::random::{command, trouble};
use super::world::{Dice, World, autostart, ms, slot};

/// Lamps that were seen to be red, by their pattern: a test that never sees one proves nothing.
#[derive(Debug, Default)]
struct Seen {
    steady: u64,
    fast: u64,
    slow: u64,
}

fn look(world: &World, layouts: &[Layout], seen: &mut Seen) {
    let status = world.status();
    for layout in layouts {
        let lamps = tally::lamps(&status, layout, world.seed.is_multiple_of(2));
        for number in 1..=5 {
            let own = slot(number);
            let Light { colour, pattern } = lamps[usize::from(number) - 1];
            let shown = world.told == Picture::Slot(own);
            if colour != Colour::Red {
                assert!(
                    !(shown && status.program.seen) || status.identifying,
                    "{own:?} is on air and its lamp is not red"
                );
                continue;
            }
            match pattern {
                Pattern::Steady => {
                    assert!(shown, "{own:?} is red and no frame shows it");
                    seen.steady += 1;
                }
                Pattern::Fast => {
                    assert!(!shown, "{own:?} blinks although a frame shows it");
                    assert_eq!(status.program.armed, Some(own));
                    seen.fast += 1;
                }
                Pattern::Slow => {
                    assert_eq!(world.told, Picture::Slate, "{own:?} says that the slate is on air");
                    assert_eq!(world.state(own), SlotState::Live);
                    seen.slow += 1;
                }
            }
        }
    }
}

/// A panel comes, goes, or falls silent.
fn panel(dice: &mut Dice) -> Event {
    let state = *dice.pick(&[PanelState::Waiting, PanelState::Connected, PanelState::Lost]);
    let (id, name) = (format!("/dev/ttyACM{}", dice.below(3)), "stage".to_owned());
    Event::PanelTold(PanelReport { id, kind: PanelKind::Serial, name, state, why: None, keys: 6 })
}

#[test]
fn over_ten_thousand_random_events_no_lamp_is_red_for_a_slot_that_no_frame_shows() {
    let layout = |(keys, mode)| Layout::new(keys, &PanelConfig { mode, ..PanelConfig::default() });
    let layouts = [(5, Mode::Direct), (6, Mode::Preview), (12, Mode::Direct)].map(layout);
    let (mut seen, mut events, mut seed) = (Seen::default(), 0, 70);
    while events < 10_000 {
        seed += 1;
        let mut world = World::bare(autostart(), seed);
        look(&world, &layouts, &mut seen);
        world.boot();
        let mut dice = Dice::new(seed * 31);
        for _ in 0..250 {
            match dice.below(5) {
                0 | 1 => drop(world.send(command(&mut dice))),
                2 | 3 => trouble(&mut world, &mut dice),
                _ => world.tell(panel(&mut dice)),
            }
            look(&world, &layouts, &mut seen);
            let until = world.now + ms(dice.below(900));
            while world.now < until {
                let before = world.events;
                world.step(until);
                // Counters change no lamp; every other event is looked at.
                if world.events != before {
                    look(&world, &layouts, &mut seen);
                }
            }
        }
        events += world.events;
    }
    assert!(seen.steady > 1_000 && seen.fast > 100 && seen.slow > 100, "{seen:?}");
}
