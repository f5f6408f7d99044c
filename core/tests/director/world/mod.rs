//! A world for the director: media graph, vault, cameras and a clock, all simulated, with faults on demand.
//!
//! The world answers wishes with facts after delays that its own dice choose, and keeps the truth (what the output
//! really shows, which files are really on the disk) apart from what the director believes.

mod disk;
mod load;
mod media;
mod setting;

use std::collections::BTreeMap;
use std::time::Duration;

use cuebox_core::command::{Answer, Command, Envelope, Origin};
use cuebox_core::config::Config;
use cuebox_core::device::Camera;
use cuebox_core::director::{Director, Effect, ErrorClass, Event, Fact, Job, Picture, VaultFact, Wanted};
use cuebox_core::grid::Grid;
use cuebox_core::ids::{CommandId, Epoch, Port, SlotId, SwitchId, Track};
use cuebox_core::journal::Journal;
use cuebox_core::settings::Settings;
use cuebox_core::status::{SlotState, Status};
use cuebox_core::time::{Mono, Trust, Wall};
use cuebox_core::timeline::What;

pub use media::Mood;
pub use setting::{Dice, autostart, camera, cameras, config, encode_of, encoders, livekit, ms, rtmp, slot, srt, whip};

use disk::Disk;
use load::Load;
use media::Life;

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000 * MS;
/// 2026-11-21T18:30:05Z
const WALL_AT_BOOT_NS: i64 = 1_795_285_805_000_000_000;

#[derive(Clone, Debug)]
enum Act {
    Tell(Event),
    /// A fact of a pipeline, if that life still runs.
    Fact(Job, Epoch, Fact),
    OpenSegment(Track, Epoch),
    /// The first frame of a switch comes out of the mixer.
    Show(SwitchId, Picture, Epoch),
    Sample,
    Space,
    /// The machine works for half a second.
    Work,
}

/// A journal with what it is to lead to.
#[derive(Clone, Default)]
pub struct Kept {
    pub journal: Journal,
    pub lines: Vec<String>,
    pub statuses: Vec<(Mono, Status)>,
}

impl Kept {
    fn after(&mut self, now: Mono, director: &Director) {
        self.lines.extend(self.journal.after(now, director));
        let status = director.status();
        if self.statuses.last().is_none_or(|(_, last)| *last != status) {
            self.statuses.push((now, status));
        }
    }
}

#[derive(Clone)]
pub struct World {
    pub director: Director,
    /// As the box finds it on its disk at the next start.
    pub config: Config,
    /// The settings that the journal held when the process ended.
    kept: Option<Settings>,
    pub now: Mono,
    pub seed: u64,
    pub dice: Dice,
    pub grid: Grid,
    agenda: BTreeMap<(Mono, u64), Act>,
    acts: u64,
    running: BTreeMap<Job, Life>,
    over: BTreeMap<Job, Epoch>,
    goal: Epoch,
    seen_switch: SwitchId,
    shown_switch: SwitchId,
    pub moods: BTreeMap<Job, Mood>,
    pub cameras: BTreeMap<Port, Camera>,
    /// What the output really shows.
    pub output: Picture,
    /// The picture of the last switch whose first frame was told.
    pub told: Picture,
    pub disk: Disk,
    pub load: Load,
    /// Until a ticket is durable; `None`: never.
    pub disk_delay: Option<Duration>,
    pub answers: Vec<(CommandId, Answer)>,
    pub effects: Vec<Effect>,
    pub sent: u64,
    pub events: u64,
    pub sample_every: Duration,
    pub seal_delay: Duration,
    /// The clock's trust in this world, and what it shows when the machine's own clock is at zero.
    pub trust: Trust,
    pub wall_at_boot_ns: i64,
    /// The process that left the show ran in this boot of the machine.
    pub same_boot: bool,
    /// The journal of this box, when one is kept.
    pub journal: Option<Kept>,
}

impl World {
    /// A box that was switched on a minute ago, its encoders probed and its disk recovered.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut world = Self::bare(config, seed);
        world.boot();
        world
    }

    /// The same before anything was told.
    pub fn bare(config: Config, seed: u64) -> Self {
        let now = Mono(60 * S);
        let grid = Grid::new(config.program.fps);
        Self {
            director: Director::new(config.clone(), seed, now),
            config,
            kept: None,
            now,
            seed,
            dice: Dice::new(seed + 1),
            grid,
            agenda: BTreeMap::new(),
            acts: 0,
            running: BTreeMap::new(),
            over: BTreeMap::new(),
            goal: Epoch(0),
            seen_switch: SwitchId(0),
            shown_switch: SwitchId(0),
            moods: BTreeMap::new(),
            cameras: BTreeMap::new(),
            output: Picture::Slate,
            told: Picture::Slate,
            disk: Disk { capacity: 100_000_000_000, ..Disk::default() },
            load: Load::default(),
            disk_delay: Some(ms(8)),
            answers: Vec::new(),
            effects: Vec::new(),
            sent: 0,
            events: 0,
            sample_every: ms(50),
            seal_delay: ms(120),
            trust: Trust::Ntp,
            wall_at_boot_ns: WALL_AT_BOOT_NS,
            same_boot: true,
            journal: None,
        }
    }

    /// Keeps a journal from here on.
    pub fn keep_journal(&mut self) {
        let mut kept = Kept::default();
        kept.lines.push(kept.journal.open(&self.director, self.now));
        kept.statuses.push((self.now, self.director.status()));
        self.journal = Some(kept);
    }

    /// The journal's file is full.
    pub fn next_file(&mut self) {
        if let Some(kept) = &mut self.journal {
            kept.lines.push(kept.journal.open(&self.director, self.now));
        }
    }

    pub fn boot(&mut self) {
        self.plan(Duration::ZERO, Act::Sample);
        self.plan(ms(700), Act::Space);
        let wall = Wall { unix_ns: self.wall_at_boot_ns + self.now.0 as i64, trust: self.trust };
        self.tell(Event::ClockRead(wall));
        if let Some(found) = self.found_show() {
            self.tell(Event::Vault(VaultFact::ShowFound(found)));
        }
        let segments = self.stored();
        self.tell(Event::Vault(VaultFact::Recovered { segments }));
        self.tell(Event::EncodersProbed(encoders()));
        for camera in self.cameras.values().cloned().collect::<Vec<_>>() {
            self.tell(Event::CameraPlugged(camera));
        }
    }

    /// The process is killed and starts again, on the same disk.
    pub fn kill(&mut self) {
        self.agenda.clear();
        self.load = Load::default();
        self.running.clear();
        self.over.clear();
        self.goal = Epoch(0);
        self.seen_switch = SwitchId(0);
        self.shown_switch = SwitchId(0);
        self.output = Picture::Slate;
        self.told = Picture::Slate;
        for file in self.disk.files.values_mut().filter(|file| !file.sealed) {
            (file.sealed, file.clean) = (true, false);
        }
        self.seed += 1;
        self.now = self.now + ms(1_500);
        self.kept = self.director.settings().or(self.kept.take());
        self.director = Director::new(self.config.clone(), self.seed, self.now);
        if let Some(settings) = self.kept.clone() {
            self.director.restore(settings);
        }
        self.boot();
    }

    /// The machine loses power, and is up again 40 s later: its clock counts from zero.
    pub fn reboot(&mut self) {
        self.wall_at_boot_ns += (self.now.0 + 20 * S) as i64;
        self.now = Mono(18_500 * MS);
        self.same_boot = false;
        self.kill();
    }

    pub fn tell(&mut self, event: Event) {
        self.events += 1;
        if let Some(kept) = &mut self.journal {
            kept.lines.extend(kept.journal.before(self.now, &event));
        }
        self.director.handle(self.now, event);
        if let Some(kept) = &mut self.journal {
            kept.after(self.now, &self.director);
        }
        while let Some(effect) = self.director.poll_effect() {
            self.effect(effect);
        }
        self.converge();
    }

    /// Sends a command with an id of its own; the answer is among [`World::answers`] when it comes.
    pub fn send(&mut self, command: Command) -> CommandId {
        self.sent += 1;
        let id = CommandId::new(format!("c{}", self.sent));
        self.send_as(&id, command);
        id
    }

    pub fn send_as(&mut self, id: &CommandId, command: Command) {
        self.tell(Event::Commanded(Envelope { id: id.clone(), origin: Origin::Local, command }));
    }

    /// Sends a command and lets time pass until it is answered.
    pub fn ask(&mut self, command: Command) -> Answer {
        let id = self.send(command);
        for _ in 0..100 {
            if let Some((_, answer)) = self.answers.iter().rev().find(|(answered, _)| *answered == id) {
                return answer.clone();
            }
            self.pass(ms(10));
        }
        panic!("{id} is not answered within a second");
    }

    pub fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        self.pass_until(until);
    }

    pub fn pass_until(&mut self, until: Mono) {
        while self.now < until || self.is_due() {
            self.step(until);
        }
    }

    /// The next thing that happens, if it does by `until`; else the time is `until`.
    pub fn step(&mut self, until: Mono) {
        let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let deadline = self.director.poll_deadline().map(|(at, _)| at.max(self.now));
        let Some(next) = planned.into_iter().chain(deadline).min().filter(|at| *at <= until) else {
            self.now = until;
            return;
        };
        self.now = next;
        if planned.is_some_and(|at| at <= next) {
            if let Some((_, act)) = self.agenda.pop_first() {
                self.act(act);
            }
        } else {
            self.tell(Event::DeadlineReached);
        }
    }

    fn is_due(&self) -> bool {
        let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let deadline = self.director.poll_deadline().map(|(at, _)| at);
        planned.into_iter().chain(deadline).any(|at| at <= self.now)
    }

    /// Lets time pass until something holds.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub fn until(&mut self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let from = self.now;
        while !holds(self) {
            assert!(self.now.since(from) < limit, "not within {limit:?}: {what}\n{:#?}", self.status());
            self.pass(ms(5));
        }
        self.now.since(from)
    }

    pub fn status(&self) -> Status {
        self.director.status()
    }

    pub fn wanted(&self) -> &Wanted {
        self.director.wanted()
    }

    pub fn state(&self, slot: SlotId) -> SlotState {
        self.status().slots.iter().find(|status| status.number == slot).unwrap().state
    }

    pub fn why(&self, slot: SlotId) -> String {
        let status = self.status();
        status.slots.iter().find(|status| status.number == slot).unwrap().why.clone().unwrap_or_default()
    }

    pub fn on_air(&self) -> Option<SlotId> {
        self.status().program.on_air
    }

    pub fn alert(&self, kind: &str) -> Option<String> {
        self.status().alerts.iter().find(|alert| alert.kind == kind).map(|alert| alert.text.clone())
    }

    pub fn plug(&mut self, port: &str) {
        let camera = camera(port);
        self.cameras.insert(camera.port.clone(), camera.clone());
        self.tell(Event::CameraPlugged(camera));
    }

    pub fn unplug(&mut self, port: &str) {
        let port = Port::new(port);
        if self.cameras.remove(&port).is_some() {
            self.tell(Event::CameraUnplugged { port });
        }
    }

    pub fn mood(&mut self, job: Job, mood: Mood) {
        self.moods.insert(job, mood);
    }

    /// A fact from the life that runs now.
    pub fn fact(&mut self, job: Job, fact: Fact) {
        if let Some(life) = self.running.get(&job) {
            let epoch = life.epoch;
            self.act(Act::Fact(job, epoch, fact));
        }
    }

    pub fn fail(&mut self, job: Job, class: ErrorClass) {
        self.fact(job, Fact::Failed { class, detail: "it broke".to_owned() });
    }

    pub fn timeline(&self) -> Vec<What> {
        self.disk.timeline.iter().map(|(_, entry)| entry.what.clone()).collect()
    }

    pub fn segments(&self, track: Track) -> Vec<u32> {
        self.disk.files.keys().filter(|segment| segment.track == track).map(|segment| segment.number).collect()
    }

    fn plan(&mut self, after: Duration, act: Act) {
        self.acts += 1;
        self.agenda.insert((self.now + after, self.acts), act);
    }

    fn jitter(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        ms(from_ms + self.dice.below(to_ms - from_ms + 1))
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Tell(event) => self.tell(event),
            Act::Fact(job, epoch, fact) => self.act_fact(job, epoch, fact),
            Act::OpenSegment(track, epoch) => self.open_segment(track, epoch),
            Act::Show(switch, picture, epoch) if self.mood_of(&Job::Program) != Mood::Good => {
                self.plan(ms(100), Act::Show(switch, picture, epoch));
            }
            Act::Show(switch, picture, epoch) => {
                let current = self.running.get(&Job::Program).is_some_and(|life| life.epoch == epoch);
                // A mixer that came to a newer switch first has passed over this one.
                if current && switch > self.shown_switch {
                    self.shown_switch = switch;
                    self.output = picture;
                    self.told = picture;
                    let frame = self.grid.at_or_after(self.now);
                    self.tell(Event::Media { job: Job::Program, epoch, fact: Fact::Shown { switch, frame } });
                }
            }
            Act::Sample => self.sample(),
            Act::Work => self.work(),
            Act::Space => {
                let used: u64 = self.disk.files.values().map(|file| file.bytes).sum();
                let free_bytes = self.disk.capacity.saturating_sub(used);
                self.plan(Duration::from_secs(5), Act::Space);
                let total_bytes = self.disk.capacity;
                self.tell(Event::Vault(VaultFact::Space { free_bytes, total_bytes }));
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match &effect {
            Effect::Answer { id, answer, .. } => self.answers.push((id.clone(), answer.clone())),
            Effect::Persist { ticket } => {
                if let Some(delay) = self.disk_delay {
                    self.plan(delay, Act::Tell(Event::Vault(VaultFact::Persisted { ticket: *ticket })));
                }
            }
            Effect::Vault(op) => self.vault(op.clone()),
            Effect::Snapshot { .. }
            | Effect::Reload
            | Effect::Patch { .. }
            | Effect::Report { .. }
            | Effect::Restart => {}
        }
        if !matches!(effect, Effect::Vault(_) | Effect::Answer { .. } | Effect::Persist { .. }) {
            self.effects.push(effect);
        }
    }
}
