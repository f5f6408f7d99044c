//! Long random runs against a small reference model of switching. The seeds are part of the test: a failure comes
//! again.

use std::time::Duration;

use cuebox_core::command::{Answer, AudioCommand, AudioMode, Command, Transition};
use cuebox_core::config::{AutoReturn, Config};
use cuebox_core::director::{ErrorClass, Event, Fact, Job, Medium, Picture, Reason, VaultFact};
use cuebox_core::ids::{CommandId, LegId, SlotId, Track};
use cuebox_core::overload::Level;
use cuebox_core::status::SlotState;
use cuebox_core::time::Mono;

use super::world::{Dice, Mood, World, config, livekit, ms, rtmp, slot};

/// What the rules of switching say, written down a second time and as shortly as possible. It believes the director
/// about which slots are live, and nothing else.
#[derive(Debug)]
pub struct Model {
    chosen: Option<SlotId>,
    started: bool,
    /// Until when the program moves to better slots; zero: no longer.
    opening: Option<Mono>,
    current: Option<SlotId>,
    preview: Option<SlotId>,
    slate: bool,
    held: bool,
}

impl Model {
    pub fn new(config: &Config) -> Self {
        let chosen = config.program.start_slot;
        Self { chosen, started: false, opening: None, current: None, preview: None, slate: false, held: false }
    }

    /// Whether the command is to be accepted.
    fn command(&mut self, command: &Command, world: &World) -> Option<bool> {
        let live = |slot: SlotId| world.state(slot) == SlotState::Live;
        match command {
            Command::Cut { slot } if live(*slot) => self.choose(*slot),
            Command::Cut { .. } => return Some(false),
            Command::Preview { slot } => self.preview = Some(*slot),
            Command::Take | Command::Auto { .. } => {
                let Some(next) = self.preview.filter(|slot| live(*slot)) else { return Some(false) };
                let before = self.current;
                let same = before == Some(next) && self.chosen == Some(next) && self.started;
                self.choose(next);
                if !same {
                    self.preview = before;
                }
            }
            Command::Slate { on } => self.slate = *on,
            Command::Hold { on } => self.held = *on,
            _ => return None,
        }
        Some(true)
    }

    fn choose(&mut self, slot: SlotId) {
        (self.chosen, self.current, self.started) = (Some(slot), Some(slot), true);
        self.opening = Some(Mono(0));
    }

    fn follow(&mut self, world: &World) {
        let live: Vec<SlotId> = SlotId::all().filter(|slot| world.state(*slot) == SlotState::Live).collect();
        // Slots that flapped are taken only where no other is live.
        let status = world.status();
        let until = |slot: &SlotId| status.slots.iter().find(|entry| entry.number == *slot)?.kept_off;
        let kept_off = |slot: &SlotId| until(slot).is_some_and(|until| world.now < until);
        let config = world.director.config();
        if self.current.is_some_and(|slot| !live.contains(&slot)) {
            self.current = None;
            self.opening = Some(Mono(0));
        }
        if self.held {
            return;
        }
        let chosen = self.chosen.filter(|slot| live.contains(slot));
        if chosen.is_some() && !self.started {
            (self.current, self.started) = (chosen, true);
            self.opening = Some(Mono(0));
        }
        let best = live.iter().min_by_key(|slot| (kept_off(slot), config.slots[*slot].priority, **slot)).copied();
        if self.current.is_some() && best != self.current && self.opening.is_some_and(|end| world.now <= end) {
            if self.chosen == self.current {
                self.chosen = best;
            }
            self.current = best;
        }
        if self.current.is_none() {
            if best.is_some() && self.opening.is_none() {
                self.opening = Some(world.now + Duration::from_secs(3));
            }
            self.current = chosen.filter(|slot| !kept_off(slot)).or(best);
            let stays = self.started && config.program.auto_return == AutoReturn::Off;
            if self.current.is_some() && (self.chosen.is_none() || stays) {
                (self.chosen, self.started) = (self.current, true);
            }
        }
    }

    fn picture(&self) -> Picture {
        self.current.filter(|_| !self.slate).map_or(Picture::Slate, Picture::Slot)
    }
}

/// Any command, as somebody might send it.
pub fn command(dice: &mut Dice) -> Command {
    let slot = slot(1 + dice.below(5) as u8);
    let on = dice.below(2) == 0;
    match dice.below(22) {
        0..5 => Command::Cut { slot },
        5 | 6 => Command::Preview { slot },
        7 | 8 => Command::Take,
        9 => Command::Auto { kind: *dice.pick(&[Transition::Fade, Transition::Dip]), ms: 500 },
        10 => Command::Slate { on },
        11 => Command::Hold { on },
        12 => Command::Audio(AudioCommand::Mode(*dice.pick(&[AudioMode::Follow, AudioMode::Mix]))),
        13 => Command::Audio(AudioCommand::Mute { slot, on }),
        14 => Command::ShowStart { name: None },
        15 => Command::ShowStop,
        16 => Command::Stream { on },
        17 => Command::Record { on },
        18 => Command::Marker { text: "here".to_owned() },
        19 => Command::Rename { slot, name: format!("Camera {}", dice.below(3)) },
        20 => Command::Leg { name: LegId::new("backup"), on },
        _ => Command::Snapshot { slot },
    }
}

/// Something goes wrong, or right again.
pub fn trouble(world: &mut World, dice: &mut Dice) {
    let slot = slot(1 + dice.below(5) as u8);
    let class = *dice.pick(&[ErrorClass::Device, ErrorClass::NetworkLost, ErrorClass::DiskFull, ErrorClass::Internal]);
    let jobs =
        [Job::Program, Job::Record(Track::Slot(slot)), Job::Record(Track::Program), Job::Leg(LegId::new("backup"))];
    let job = if dice.below(3) > 0 { Job::Capture(slot) } else { dice.pick(&jobs).clone() };
    match dice.below(9) {
        0 | 1 => world.fail(job, class),
        2 => world.mood(job, Mood::Silent),
        3 => world.mood(job, Mood::Fails(class)),
        4 | 5 => world.moods.clear(),
        6 => world.fact(Job::Capture(slot), Fact::SignalLost { why: String::new() }),
        7 => world.fact(Job::Capture(slot), Fact::SignalFound),
        _ => world.fact(Job::Capture(slot), Fact::Ended),
    }
}

/// The machine has more to do beside the show, or less.
pub fn load(world: &mut World, dice: &mut Dice) {
    match dice.below(30) {
        0 | 1 => world.power(0.45 + dice.below(60) as f64 / 100.0, dice.below(3) == 0),
        2 | 3 => world.power(2.0, false),
        _ => {}
    }
}

/// Something goes wrong with a leg, or its server tells something. The backup meets nothing worse than a bad network.
pub fn leg_trouble(world: &mut World, dice: &mut Dice) {
    let names: Vec<LegId> = world.director.config().legs.iter().map(|leg| leg.name.clone()).collect();
    let name = dice.pick(&names).clone();
    let network =
        [ErrorClass::NetworkLost, ErrorClass::ConnectionRefused, ErrorClass::UnknownHost, ErrorClass::Timeout];
    let others = [
        ErrorClass::Unauthorised,
        ErrorClass::Tls,
        ErrorClass::TokenService,
        ErrorClass::TokenExpired,
        ErrorClass::DuplicateIdentity,
        ErrorClass::RoomDeleted,
        ErrorClass::Removed,
        ErrorClass::ServerShutDown,
        ErrorClass::NoMedia,
        ErrorClass::Internal,
    ];
    let any = name.as_str() != "backup" && dice.below(2) == 0;
    let class = if any { *dice.pick(&others) } else { *dice.pick(&network) };
    let job = Job::Leg(name.clone());
    match dice.below(12) {
        0 | 1 => world.fail(job, class),
        2 => world.mood(job, Mood::Fails(class)),
        3 => world.mood(job, Mood::Silent),
        4 => world.fact(job, Fact::Ended),
        5 | 6 => {
            let bits_per_second = 50_000 << dice.below(8);
            world.fact(job, Fact::Estimated { bits_per_second });
        }
        7 => world.fact(job, Fact::Audience { now: dice.below(200) as u32 }),
        8 => world.fact(job, Fact::Muted { medium: Medium::Audio, on: dice.below(2) == 0 }),
        9 => drop(world.send(Command::LegReconnect { name })),
        10 => drop(world.send(Command::LegUnmute { name })),
        _ => drop(world.send(Command::Leg { name, on: true })),
    }
}

/// Lets time pass, telling the model of each event on the way.
fn pass(world: &mut World, model: &mut Model, until: Mono) {
    while world.now < until {
        let due = world.director.poll_deadline();
        world.step(until);
        // The one timer that the model cannot foresee from the slots' states alone.
        if due.as_ref().is_some_and(|(at, reason)| *reason == Reason::ProgramReturns && *at <= world.now) {
            // Under the slate it is not seen: there it is told by the timer, which was set for a live slot.
            let live = |slot: Option<SlotId>| slot.is_some_and(|slot| world.state(slot) == SlotState::Live);
            let fired = world.director.poll_deadline() != due && live(model.chosen) && live(model.current);
            let returns = world.wanted().program.switch.picture != model.picture() || model.slate && fired;
            if returns && !model.held {
                model.current = model.chosen;
            }
        }
        model.follow(world);
        compare(world, model);
    }
}

fn compare(world: &World, model: &Model) {
    let status = world.status().program;
    assert_eq!(world.wanted().program.switch.picture, model.picture(), "{model:?}\n{status:?}");
    assert_eq!((status.slate, status.held, status.preview), (model.slate, model.held, model.preview));
    assert!(status.on_air.is_none_or(|slot| world.told == Picture::Slot(slot)), "tally claims what no frame showed");
}

#[test]
fn long_random_runs_agree_with_the_reference_model() {
    for seed in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233] {
        let mut config = config();
        if seed % 2 == 0 {
            config.legs = vec![livekit("main", Some(1), true), rtmp("backup", Some(2))];
        }
        config.program.start_slot = (seed % 3 != 0).then(|| slot(2));
        if seed % 2 == 0 {
            config.program.auto_return = AutoReturn::Off;
        }
        let mut world = World::bare(config, seed);
        let mut model = Model::new(world.director.config());
        world.boot();
        let (mut dice, mut other_work) = (Dice::new(seed * 7_919), Dice::new(seed));
        model.follow(&world);
        for _ in 0..400 {
            load(&mut world, &mut other_work);
            model.follow(&world);
            if dice.below(2) == 0 {
                let command = command(&mut dice);
                let expected = model.command(&command, &world);
                let id = world.send(command.clone());
                model.follow(&world);
                compare(&world, &model);
                let first =
                    world.answers.iter().find(|(answered, _)| *answered == id).map(|(_, answer)| answer.clone());
                let refused = matches!(first, Some(Answer::Refused { .. }));
                assert!(expected.is_none_or(|accepted| accepted != refused), "{command:?}: {first:?}");
                if dice.below(8) == 0 {
                    let before = world.wanted().clone();
                    world.send_as(&id, command);
                    assert_eq!(*world.wanted(), before, "one press, one effect");
                }
            } else if dice.below(3) == 0 {
                leg_trouble(&mut world, &mut dice);
            } else {
                trouble(&mut world, &mut dice);
                model.follow(&world);
            }
            let until = world.now + Duration::from_millis(dice.below(1_500));
            pass(&mut world, &mut model, until);
        }
        world.moods.clear();
        world.power(2.0, false);
        let until = world.now + Duration::from_secs(480);
        pass(&mut world, &mut model, until);
        assert_eq!((world.status().overload, world.alert("overloaded")), (Level::Nothing, None), "all is back");
        let on_air = world.status().program.on_air.map_or(Picture::Slate, Picture::Slot);
        assert_eq!((on_air, world.told), (model.picture(), model.picture()), "left alone, it is on air");
        let answered: std::collections::BTreeSet<&CommandId> = world.answers.iter().map(|(id, _)| id).collect();
        assert!(answered.len() as u64 + 3 >= world.sent, "every command is answered");
    }
}

#[test]
fn a_journal_read_again_gives_the_same_statuses() {
    for seed in [4, 9, 16] {
        let mut config = super::world::autostart();
        config.legs = vec![livekit("main", Some(1), true), rtmp("backup", Some(2)), livekit("other", None, false)];
        let mut world = World::new(config, seed);
        world.keep_journal();
        let (mut dice, mut other_work) = (Dice::new(seed), Dice::new(seed + 1));
        for _ in 0..150 {
            match dice.below(4) {
                3 => leg_trouble(&mut world, &mut dice),
                0 => {
                    let command = command(&mut dice);
                    world.send(command);
                }
                1 => trouble(&mut world, &mut dice),
                _ => {
                    world.tell(Event::Vault(VaultFact::Space { free_bytes: dice.below(4) << 30, total_bytes: 1 << 40 }))
                }
            }
            load(&mut world, &mut other_work);
            if other_work.below(20) == 0 {
                let why = (other_work.below(2) == 0).then(|| "heat".to_owned());
                world.tell(Event::MachineSlowed { why });
            }
            let span = dice.below(4_000);
            world.pass(ms(span));
            if dice.below(30) == 0 {
                world.next_file();
            }
        }
        let kept = world.journal.take().unwrap();
        let text = kept.lines.join("\n");
        let replayed: Result<Vec<_>, _> = cuebox_core::journal::replay(text.lines(), true).collect();
        let replayed = replayed.unwrap();
        let changed = replayed.iter().zip(&kept.statuses).find(|(a, b)| a != b);
        assert!(changed.is_none(), "{changed:#?}");
        assert_eq!(replayed.len(), kept.statuses.len());
        assert!((kept.lines.len() as u64) < world.events / 2, "counters are kept back");
    }
}

#[test]
fn a_journal_that_was_tampered_with_is_told_by_its_line() {
    let mut world = World::new(super::world::autostart(), 1);
    world.keep_journal();
    world.pass(ms(3_000));
    world.send(Command::Cut { slot: slot(2) });
    world.pass(ms(1_000));
    let mut lines = world.journal.take().unwrap().lines;
    let verify = |lines: &[String]| {
        cuebox_core::journal::replay(lines.iter().map(String::as_str), true)
            .find_map(Result::err)
            .map(|it| it.to_string())
    };
    assert_eq!(verify(&lines), None);
    let torn: Vec<String> = lines.iter().cloned().chain(["{\"event\":{\"at\":1,".to_owned()]).collect();
    assert_eq!(verify(&torn), None, "a torn last line is where the process ended");
    let place = lines.iter().position(|line| line.contains("commanded")).unwrap();
    lines[place] = lines[place].replace("\"slot\":2", "\"slot\":3");
    assert!(verify(&lines).unwrap().starts_with(&format!("line {}: the status", place + 2)), "{:?}", verify(&lines));
    lines.remove(0);
    assert_eq!(verify(&lines).unwrap(), "line 1: a journal begins with a snapshot");
    lines.insert(0, "garbage".to_owned());
    assert!(verify(&lines).unwrap().starts_with("line 1: not a journal line"));
}
