//! Every triple of commands and world events, the invariants checked after each (the director does so itself in
//! debug builds), and nothing left to follow: telling it the time again changes nothing.

use cuebox_core::command::{AudioCommand, AudioMode, Command, Transition};
use cuebox_core::config::{Config, Source};
use cuebox_core::director::{ErrorClass, Event, Fact, Job, Medium, VaultFact};
use cuebox_core::ids::{LegId, Track};

use super::world::{S, World, autostart, livekit, ms, rtmp, slot};

type Step = (&'static str, fn(&mut World));

fn send(world: &mut World, command: Command) {
    world.send(command);
}

fn steps() -> Vec<Step> {
    vec![
        ("cut 1", |world| send(world, Command::Cut { slot: slot(1) })),
        ("cut 2", |world| send(world, Command::Cut { slot: slot(2) })),
        ("cut 5", |world| send(world, Command::Cut { slot: slot(5) })),
        ("preview 2", |world| send(world, Command::Preview { slot: slot(2) })),
        ("take", |world| send(world, Command::Take)),
        ("fade", |world| send(world, Command::Auto { kind: Transition::Fade, ms: 500 })),
        ("slate on", |world| send(world, Command::Slate { on: true })),
        ("slate off", |world| send(world, Command::Slate { on: false })),
        ("hold on", |world| send(world, Command::Hold { on: true })),
        ("hold off", |world| send(world, Command::Hold { on: false })),
        ("mix", |world| send(world, Command::Audio(AudioCommand::Mode(AudioMode::Mix)))),
        ("show start", |world| send(world, Command::ShowStart { name: None })),
        ("show stop", |world| send(world, Command::ShowStop)),
        ("record on", |world| send(world, Command::Record { on: true })),
        ("record off", |world| send(world, Command::Record { on: false })),
        ("stream off", |world| send(world, Command::Stream { on: false })),
        ("marker", |world| send(world, Command::Marker { text: "here".to_owned() })),
        ("leg off", |world| send(world, Command::Leg { name: LegId::new("backup"), on: false })),
        ("leg on", |world| send(world, Command::Leg { name: LegId::new("main"), on: true })),
        ("leg anew", |world| send(world, Command::LegReconnect { name: LegId::new("main") })),
        ("leg unmute", |world| send(world, Command::LegUnmute { name: LegId::new("main") })),
        ("main is removed", |world| world.fail(Job::Leg(LegId::new("main")), ErrorClass::Removed)),
        ("main is slow", |world| {
            world.fact(Job::Leg(LegId::new("main")), Fact::Estimated { bits_per_second: 600_000 });
        }),
        ("main is muted", |world| {
            world.fact(Job::Leg(LegId::new("main")), Fact::Muted { medium: Medium::Audio, on: true });
        }),
        ("restart", |world| send(world, Command::Restart)),
        ("reload", |world| {
            let mut config = world.director.config().clone();
            config.slots.remove(&slot(4));
            if let Some(own) = config.slots.get_mut(&slot(2)) {
                own.source = Source::V4l2 { port: None, controls: Default::default() };
            }
            world.tell(Event::ConfigLoaded(Box::new(config)));
        }),
        ("1 fails", |world| world.fail(Job::Capture(slot(1)), ErrorClass::Device)),
        ("2 fails", |world| world.fail(Job::Capture(slot(2)), ErrorClass::Device)),
        ("1 no signal", |world| world.fact(Job::Capture(slot(1)), Fact::SignalLost { why: String::new() })),
        ("1 signal", |world| world.fact(Job::Capture(slot(1)), Fact::SignalFound)),
        ("plug", |world| world.plug("usb-1")),
        ("unplug", |world| world.unplug("usb-1")),
        ("program fails", |world| world.fail(Job::Program, ErrorClass::Internal)),
        ("recording fails", |world| world.fail(Job::Record(Track::Program), ErrorClass::DiskFull)),
        ("leg fails", |world| world.fail(Job::Leg(LegId::new("backup")), ErrorClass::Unauthorised)),
        ("unwritable", |world| world.tell(Event::Vault(VaultFact::Unwritable { why: "gone".to_owned() }))),
        ("writable", |world| world.tell(Event::Vault(VaultFact::Writable))),
        ("full", |world| world.tell(Event::Vault(VaultFact::Space { free_bytes: 1, total_bytes: S }))),
        ("shutdown", |world| world.tell(Event::ShutdownRequested)),
        ("a moment", |world| world.pass(ms(120))),
        ("a while", |world| world.pass(ms(6_500))),
    ]
}

fn ready() -> World {
    let mut config: Config = autostart();
    config.slots.get_mut(&slot(5)).unwrap().source = Source::V4l2 { port: None, controls: Default::default() };
    config.record.segment = ms(5_000);
    config.legs = vec![livekit("main", Some(1), true), rtmp("backup", Some(2))];
    let mut world = World::new(config, 11);
    world.sample_every = ms(150);
    world.pass(ms(1_200));
    world
}

#[test]
fn every_triple_of_commands_and_events_keeps_every_invariant() {
    let steps = steps();
    let ready = ready();
    for (first, do_first) in &steps {
        let mut one = ready.clone();
        do_first(&mut one);
        for (second, do_second) in &steps {
            let mut two = one.clone();
            do_second(&mut two);
            for (third, do_third) in &steps {
                let mut three = two.clone();
                do_third(&mut three);
                let wanted = three.wanted().clone();
                three.tell(Event::Vault(VaultFact::SegmentIndexed { segment: segment() }));
                assert_eq!(*three.wanted(), wanted, "nothing is left to follow after {first}, {second}, {third}");
            }
        }
    }
}

fn segment() -> cuebox_core::ids::SegmentId {
    cuebox_core::ids::SegmentId { show: cuebox_core::ids::ShowId::new("none"), track: Track::Program, number: 1 }
}
