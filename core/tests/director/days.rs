//! Three days with random faults in one run. Six promises, judged against the truth of the simulated world: something is
//! always on air; the uplink carries whenever its last leg's network lets it; what gives when the machine does not keep up
//! is never the program, and goes and comes back in its order; one press has one effect; nothing that is stored nowhere
//! else is lost while anything stored is left (the simulated disk judges that at each removal); tally never claims what no
//! frame showed.

use std::collections::BTreeMap;
use std::time::Duration;

use cuebox_core::command::{Answer, Command};
use cuebox_core::config::{Source, SrtMode};
use cuebox_core::director::{EncodeJob, Event, Job, Picture, VaultFact, Wanted};
use cuebox_core::ids::{CommandId, Epoch, LegId, Track};
use cuebox_core::overload::Level;
use cuebox_core::status::{LegState, LegStatus, SlotState};
use cuebox_core::time::Mono;
use cuebox_core::timeline::What;

use super::random::{leg_trouble, load, trouble};
use super::world::{Dice, Mood, World, autostart, livekit, ms, rtmp, slot, srt, whip};

const HOUR: Duration = Duration::from_secs(3_600);

/// From the last picture of a source to another one on air: the silence that is believed (267 ms at 15 frames per
/// second, and a second more where nothing else moves either), the sampling in this test, one mixer delay; and again
/// when the next source is found dead as well.
const DEAD_AIR: Duration = Duration::from_millis(3_000);

/// A program that hung at its start is given 15 s, and at most 6 s pass before it is built again.
const BUILT_AGAIN: Duration = Duration::from_secs(22);

/// From the end of a network fault to a leg that carries: a leg that was just opened is given 15 s, a server without an
/// answer 4 and 4 s, and a network 10 s at most before the next try.
const ON_THE_AIR: Duration = Duration::from_secs(28);

/// From the first lost picture of the program to the end of what made it lose them: encodes that have just started are not
/// judged for 10 s, then a second, three and five pass before the steps, and as long again where the load grew meanwhile.
const MADE_ROOM: Duration = Duration::from_secs(25);

/// Watches the promises from outside.
#[derive(Default)]
struct Watch {
    /// Since when the output has shown a source that does not deliver, or nothing.
    dead_since: Option<Mono>,
    longest: Duration,
    /// Since when the program has put out nothing although it could.
    down_since: Option<Mono>,
    longest_down: Duration,
    /// Since when no ranked leg has carried although the last one could.
    unheard_since: Option<Mono>,
    longest_unheard: Duration,
    unheard: bool,
    carried: BTreeMap<String, u64>,
    /// Of the process that runs: what is given up, and the program's parts.
    given_up: Option<(u64, Level, Kept)>,
    /// How often each level was come to.
    levels: BTreeMap<u8, u64>,
    /// Since when pictures of the program have been lost, because others were made as well.
    torn_since: Option<Mono>,
    longest_torn: Duration,
}

/// The lives of what is never given up.
type Kept = (Epoch, Option<Epoch>, Option<Epoch>, Option<Epoch>);

fn kept(wanted: &Wanted) -> Kept {
    let encode = |job| wanted.encodes.get(&job).map(|encode| encode.epoch);
    let recording = wanted.recordings.get(&Track::Program).map(|recording| recording.epoch);
    (wanted.program.epoch, encode(EncodeJob::Stream), encode(EncodeJob::ProgramRecord), recording)
}

impl Watch {
    fn look(&mut self, world: &World) {
        let dead = match world.output {
            Picture::Slate => false,
            Picture::Slot(slot) => !world.delivers(slot),
        };
        last(&mut self.dead_since, &mut self.longest, world.now, dead && world.program_runs());
        let down = world.program_can_run() && !world.program_runs();
        last(&mut self.down_since, &mut self.longest_down, world.now, down);
        if !world.director.noticed() {
            last(&mut self.unheard_since, &mut self.longest_unheard, world.now, self.unheard);
            return;
        }
        let status = world.status();
        self.look_at_load(world, status.overload);
        self.look_at_legs(world, &status.legs);
        let claimed = status.program.on_air;
        assert!(claimed.is_none_or(|slot| world.told == Picture::Slot(slot)), "tally claims what no frame showed");
        let any_live = status.slots.iter().any(|slot| slot.state == SlotState::Live);
        let wants_slate = world.wanted().program.switch.picture == Picture::Slate;
        let asked = status.program.slate || status.program.held;
        assert!(!(any_live && wants_slate && !asked), "the slate is wanted although something better is there");
    }
}

impl Watch {
    fn look_at_load(&mut self, world: &World, level: Level) {
        last(&mut self.torn_since, &mut self.longest_torn, world.now, world.load.costs_the_program);
        let wanted = world.wanted();
        let now = kept(wanted);
        let same_process = self.given_up.filter(|(process, ..)| *process == world.seed);
        let (_, before, parts) = same_process.unwrap_or((world.seed, level, now));
        if level != before {
            assert_eq!(level.number().abs_diff(before.number()), 1, "one step at a time");
            assert_eq!(now, parts, "the program goes on when {level:?} follows on {before:?}");
            *self.levels.entry(level.number()).or_default() += 1;
        }
        self.given_up = Some((world.seed, level, now));
        for (job, encode) in &wanted.encodes {
            let may = matches!(job, EncodeJob::Slot(_)) && level >= Level::SlotRates;
            assert_eq!(encode.halved, may, "{job} at {level:?}");
        }
        let encodes = world.status().encodes;
        let shed = encodes.iter().filter(|it| it.why.as_deref().is_some_and(|why| why.starts_with("given up")));
        let shed: Vec<&str> = shed.map(|it| it.job.as_str()).collect();
        assert!(level == Level::Slots || shed.is_empty(), "{shed:?} are given up at {level:?}");
        for track in wanted.recordings.keys() {
            assert!(!shed.contains(&track.folder().as_str()), "{track:?} is given up, and recorded");
        }
        assert_eq!(wanted.no_snapshots, level >= Level::Previews);
    }

    fn look_at_legs(&mut self, world: &World, legs: &[LegStatus]) {
        let ranked = || legs.iter().filter(|leg| leg.rank.is_some());
        let carriers: Vec<_> = ranked().filter(|leg| leg.state == LegState::Carrying).collect();
        assert!(carriers.len() <= 1, "two legs of the uplink carry");
        for carrier in &carriers {
            *self.carried.entry(carrier.name.to_string()).or_default() += 1;
        }
        let backup_can = world.mood_of(&Job::Leg(LegId::new("backup"))) == Mood::Good;
        let wanted = ranked().any(|leg| !matches!(leg.state, LegState::Off | LegState::Standby));
        self.unheard = wanted && backup_can && carriers.is_empty();
        last(&mut self.unheard_since, &mut self.longest_unheard, world.now, self.unheard);
    }
}

/// Keeps the longest time for which something was so.
fn last(since: &mut Option<Mono>, longest: &mut Duration, now: Mono, is_so: bool) {
    if is_so {
        let since = *since.get_or_insert(now);
        *longest = (*longest).max(now.since(since));
    } else {
        *since = None;
    }
}

/// Presses a key, sometimes twice by accident.
fn press(world: &mut World, dice: &mut Dice, pressed: &mut BTreeMap<CommandId, u32>) {
    let slot = slot(1 + dice.below(5) as u8);
    let command = match dice.below(12) {
        0..5 => Command::Cut { slot },
        5 => Command::Preview { slot },
        6 => Command::Take,
        7 => Command::Slate { on: dice.below(3) == 0 },
        8 => Command::Hold { on: dice.below(4) == 0 },
        9 => Command::Marker { text: "here".to_owned() },
        10 => Command::Record { on: true },
        _ => Command::Stream { on: dice.below(4) > 0 },
    };
    let id = CommandId::new(format!("key-{}", pressed.len()));
    let times = 1 + u32::from(dice.below(5) == 0);
    for _ in 0..times {
        world.send_as(&id, command.clone());
        world.pass(ms(dice.below(40)));
    }
    pressed.insert(id, times);
}

#[test]
fn for_72_hours_of_random_faults_the_six_promises_hold() {
    let mut config = autostart();
    config.program.fps = 15;
    config.legs = vec![
        livekit("main", Some(1), true),
        srt("second", Some(2), SrtMode::Caller),
        rtmp("backup", Some(3)),
        whip("other", None),
    ];
    config.record.segment = HOUR / 6;
    config.slots.get_mut(&slot(4)).unwrap().source = Source::V4l2 { port: None, controls: Default::default() };
    config.slots.get_mut(&slot(5)).unwrap().source =
        Source::Network { url: cuebox_core::config::Url::new("rtsp://cam") };
    config.record.keep_free_bytes = 6_000_000_000;
    let mut world = World::bare(config, 72);
    world.sample_every = ms(190);
    world.disk.capacity = 24_000_000_000;
    world.boot();
    world.plug("usb-1");
    let (mut dice, mut watch, mut pressed) = (Dice::new(7_272), Watch::default(), BTreeMap::new());
    let mut other_work = Dice::new(27);
    let (start, end) = (world.now, world.now + HOUR * 72);
    let mut answered: BTreeMap<CommandId, Vec<Answer>> = BTreeMap::new();
    while world.now < end {
        match dice.below(30) {
            24.. => leg_trouble(&mut world, &mut dice),
            0..9 => press(&mut world, &mut dice, &mut pressed),
            9..15 => trouble(&mut world, &mut dice),
            15 | 16 => world.moods.clear(),
            17 => world.plug("usb-1"),
            18 => world.unplug("usb-1"),
            19 => world.disk_delay = *dice.pick(&[Some(ms(3)), Some(ms(3)), Some(ms(200)), None]),
            20 => world.seal_delay = *dice.pick(&[ms(100), ms(100), ms(100), ms(9_000)]),
            21 if dice.below(4) == 0 => {
                settle_answers(&mut world, &mut answered);
                world.store_some(&mut dice);
                world.kill();
            }
            21 | 22 if dice.below(3) == 0 => {
                world.send(Command::ShowStop);
                world.pass(ms(200));
                world.send(Command::ShowStart { name: None });
            }
            _ => {
                let why = "read-only file system".to_owned();
                world.tell(Event::Vault(VaultFact::Unwritable { why }));
                world.pass(ms(2_000));
                world.tell(Event::Vault(VaultFact::Writable));
            }
        }
        load(&mut world, &mut other_work);
        // What happened meanwhile was not looked at step by step.
        watch.given_up = None;
        let until = world.now + Duration::from_secs(10 + dice.below(110));
        while world.now < until {
            world.step(until);
            watch.look(&world);
        }
        world.effects.clear();
    }
    settle_answers(&mut world, &mut answered);
    assert!(world.now.since(start) >= HOUR * 72);

    assert!(watch.longest <= DEAD_AIR, "the output showed a dead source for {:?}", watch.longest);
    assert!(watch.longest_down <= BUILT_AGAIN, "the program was down for {:?}", watch.longest_down);
    assert!(watch.longest_unheard <= ON_THE_AIR, "no leg carried for {:?}", watch.longest_unheard);
    assert!(watch.longest_torn <= MADE_ROOM, "pictures of the program were lost for {:?}", watch.longest_torn);
    assert!((0..=3).all(|level| watch.levels.get(&level) > Some(&10)), "each level was come to: {:?}", watch.levels);
    let all =
        ["main", "second", "backup"].iter().all(|name| watch.carried.get(*name).is_some_and(|times| *times > 100));
    assert!(all, "each leg of the uplink had its turn: {:?}", watch.carried);
    one_press_one_effect(&world, &pressed, &answered);
    assert!(
        world.disk.removed_stored > 50 && world.disk.removed_unstored > 50,
        "the disk was full: {:?}",
        (world.disk.removed_stored, world.disk.removed_unstored)
    );
    world.power(2.0, false);
    world.pass(HOUR / 4);
    assert_eq!((world.status().overload, world.alert("overloaded")), (Level::Nothing, None), "all is back");
    let unsealed = world.disk.files.values().filter(|file| !file.sealed).count();
    assert!(unsealed <= 6, "{unsealed} files are open at the end");
}

/// Waits until every command is answered, and takes the answers.
fn settle_answers(world: &mut World, answered: &mut BTreeMap<CommandId, Vec<Answer>>) {
    world.pass(ms(600));
    for (id, answer) in world.answers.drain(..) {
        answered.entry(id).or_default().push(answer);
    }
}

fn one_press_one_effect(
    world: &World,
    pressed: &BTreeMap<CommandId, u32>,
    answered: &BTreeMap<CommandId, Vec<Answer>>,
) {
    let mut effects: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, entry) in &world.disk.timeline {
        if let (Some(id), What::Marker { .. } | What::OnAir { .. }) = (&entry.id, &entry.what) {
            *effects.entry(id).or_default() += 1;
        }
    }
    for (id, times) in pressed {
        let answers = answered.get(id).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(answers.len() as u32, *times, "{id} is answered as often as it was sent: {answers:?}");
        let first = answers.iter().filter(|answer| matches!(answer, Answer::Done | Answer::Refused { .. })).count();
        assert_eq!(first, 1, "{id} acted once: {answers:?}");
        let effects = effects.get(id.as_str()).copied().unwrap_or(0);
        let refused = answers.iter().any(|answer| matches!(answer, Answer::Refused { .. }));
        assert!(effects <= u32::from(!refused), "{id} had {effects} effects: {answers:?}");
    }
    assert!(effects.len() > 300, "keys had effects: {}", effects.len());
}
