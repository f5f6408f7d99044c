//! The director: all decisions of the box, in one pure state machine.
//!
//! Events and time go in ([`Director::handle`]), what is *wanted* ([`Director::wanted`]) and a few things to be done
//! once ([`Director::poll_effect`]) come out. It must never know a clock, a file, a socket, GStreamer or a thread.
//!
//! | part | decides |
//! |---|---|
//! | [`input`] | who sits in which slot, and whether its picture can be used |
//! | [`program`] | what is on air |
//! | [`audio`] | whose sound goes with it |
//! | [`encodes`] | which encoders run |
//! | [`recorder`] | the show, its files and its timeline |
//! | [`library`] | what stays on the disk |
//! | [`uplink`] | which legs publish |
//! | [`rates`] | how much the adaptive encodes may make |
//! | [`strain`] | what is given up while the machine cannot keep up |
//! | [`left_out`] | what is not started because the box crashed in it |
//! | [`kept`] | which settings outlive the process |
//! | [`panels`] | which panels are there, and whether their keys work |
//! | [`answers`], [`memory`] | that each command is answered once |
//! | [`timers`], [`backoff`] | when something is judged or tried again |
//!
//! An event changes the machine that it belongs to; then each machine is made to *follow* those before it in the
//! table, so none of them sends messages to another. Facts of a life that is over are dropped in one place, the
//! private `is_current`. Time never runs backwards: an earlier time counts as the last one.

mod alerts;
mod answers;
mod audio;
mod backoff;
mod commands;
mod context;
mod effect;
mod encodes;
mod event;
mod field;
mod goal;
mod input;
mod kept;
mod left_out;
mod library;
mod memory;
mod panels;
mod program;
mod rates;
mod recorder;
mod reload;
mod strain;
mod timers;
mod uplink;
mod vault;
mod wanted;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Answer;
use crate::config::Config;
use crate::crashes::Part;
use crate::ids::{CommandId, Epoch, SlotId};
use crate::settings::ShowSettings;
use crate::status::{MqttStatus, Severity, Status};
use crate::time::Mono;

pub use crate::health::Look;
pub use crate::job::{EncodeJob, Job, Medium};
pub use crate::picture_size::PictureSize;
pub(crate) use answers::fingerprint;
pub use effect::{Effect, NewShow, Report, VaultOp};
pub use event::{ErrorClass, Event, Fact, FoundShow, PanelReport, Progress, Sealed, StoredSegment, VaultFact};
pub use memory::{REMEMBERED, SeenCommand};
pub use timers::Reason;
pub use wanted::{
    Audio, Capture, CaptureSource, Encode, Leg, OnAir, Picture, Program, Recording, Slate, Sound, Switch, Wanted,
};

use answers::Answers;
use audio::AudioDesk;
use context::{Cause, Context};
use encodes::Encodes;
use input::Inputs;
use library::Library;
use panels::Panels;
use recorder::Recorder;
use strain::{Judged, Strained};
use uplink::Uplink;

/// Start-up recovery is waited for this long before a show starts without it.
const RECOVERS: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Director {
    config: Config,
    context: Context,
    inputs: Inputs,
    program: program::Program,
    audio: AudioDesk,
    encodes: Encodes,
    recorder: Recorder,
    library: Library,
    uplink: Uplink,
    panels: Panels,
    answers: Answers,
    mqtt: MqttStatus,
    /// Reloads that wait for the configuration.
    reloads: Vec<CommandId>,
    /// A change of the configuration that is being checked and kept.
    #[serde(default)]
    patching: Option<CommandId>,
    start: StartUp,
    #[serde(default)]
    configured_names: BTreeMap<SlotId, String>,
    /// Of the show that the process before left open, until it is known whether it goes on.
    #[serde(default)]
    returning: Option<ShowSettings>,
    /// Parts that the box crashed in again and again.
    #[serde(default)]
    left_out: BTreeSet<Part>,
    #[serde(default)]
    strain: Strained,
    ending: Option<Ending>,
    wanted: Wanted,
    noticed: bool,
}

/// A show that was left open goes on only when recovery has told of it; so the first show waits for recovery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StartUp {
    Waiting { found: Option<FoundShow> },
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Shutdown,
    Restart { told: bool },
}

impl Director {
    /// A box that has just started, at `now`. The same seed waits and names the same.
    pub fn new(config: Config, seed: u64, now: Mono) -> Self {
        let mut context = Context::new(seed, now);
        let inputs = Inputs::new(&mut context, &config);
        let program = program::Program::new(&mut context, &config);
        let uplink = Uplink::new(&context, &config);
        context.start_timer(Reason::RecoveryLate, RECOVERS);
        let configured_names = kept::names(&config);
        let mut director = Self {
            audio: AudioDesk::new(&config),
            config,
            context,
            inputs,
            program,
            encodes: Encodes::default(),
            recorder: Recorder::new(),
            library: Library::default(),
            uplink,
            panels: Panels::default(),
            answers: Answers::default(),
            mqtt: MqttStatus::default(),
            reloads: Vec::new(),
            patching: None,
            start: StartUp::Waiting { found: None },
            configured_names,
            returning: None,
            left_out: BTreeSet::new(),
            strain: Strained::default(),
            ending: None,
            wanted: Wanted::nothing(),
            noticed: true,
        };
        director.follow();
        director
    }

    /// Takes one event. Never fails, never blocks. Effects are to be drained after each.
    pub fn handle(&mut self, now: Mono, event: Event) {
        self.context.now = self.context.now.max(now);
        self.noticed = self.apply(event);
        if self.noticed {
            self.follow();
        }
        if cfg!(debug_assertions) {
            self.check();
        }
    }

    /// What is to be done, in order, without taking it.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.context.effects.iter()
    }

    /// Takes up which commands the process before has seen; to be called before the first event.
    pub fn remember(&mut self, seen: Vec<SeenCommand>) {
        self.answers.restore(seen);
    }

    /// The next thing to be done, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.context.effects.pop_front()
    }

    /// When [`Event::DeadlineReached`] is due next, and why. May lie in the past.
    pub fn poll_deadline(&self) -> Option<(Mono, Reason)> {
        self.context.timers.next()
    }

    /// The goal; its epoch grows with each change.
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whether the last event changed anything but counters. Where it did not, neither status nor goal changed.
    pub const fn noticed(&self) -> bool {
        self.noticed
    }

    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// A shutdown or restart was asked for, everything is sealed and every command answered.
    pub fn quiesced(&self) -> bool {
        self.ending.is_some() && self.recorder.is_idle() && self.answers.all_given()
    }

    /// What every surface shows.
    pub fn status(&self) -> Status {
        Status {
            box_id: self.config.box_id.clone(),
            show: self.recorder.show_status(),
            program: self.program.status(),
            slots: self.inputs.status(&self.config, &self.context.timers),
            spare: self.inputs.spare(),
            legs: self.uplink.status(&self.context),
            viewers: self.uplink.viewers(),
            recording: self.recorder.status(&self.library),
            encodes: self.encodes.status(),
            encoders: self.encodes.encoders(),
            audio: self.audio.status(),
            panels: self.panels.status(),
            locked: self.panels.locked(),
            identifying: self.panels.identifying(),
            alerts: self.context.alerts.list(),
            overload: self.strain.level(),
            mqtt: self.mqtt.clone(),
        }
    }

    /// The invariants of every machine, and those between them.
    ///
    /// # Panics
    /// When one is broken: a bug of ours.
    pub fn check(&self) {
        self.inputs.check(&self.context, &self.config);
        let why = |slot| self.inputs.why(slot);
        let field = self.inputs.field(&self.context, &self.config, &why);
        self.program.check(&self.context, &field);
        self.encodes.check(&self.context);
        self.recorder.check(&self.context);
        self.library.check();
        self.uplink.check(&self.context);
        self.panels.check(&self.context);
        self.strain.check(&self.context);
        self.answers.check(&self.context);
        let wanted = &self.wanted;
        assert!(wanted.program.inputs.iter().eq(field.live.keys()), "the mixers have the live slots");
        if let Picture::Slot(slot) = wanted.program.switch.picture {
            assert!(wanted.captures.contains_key(&slot), "what is on air is captured");
        }
        for (track, recording) in &wanted.recordings {
            assert!(wanted.encodes.contains_key(&recording.from), "{track:?} is recorded from an encode that runs");
        }
        assert!(self.context.news.is_empty(), "all news was told");
        assert!(self.context.timers.next().is_some() || self.ending.is_some(), "somebody always watches the program");
    }

    /// False when nothing but counters changed.
    fn apply(&mut self, event: Event) -> bool {
        match event {
            Event::Commanded(envelope) => self.command(&envelope),
            Event::CommandedLate { envelope, why } => {
                if self.answers.admit(&mut self.context, &envelope) {
                    self.answers.give(&mut self.context, &envelope.id, Answer::Refused { why });
                }
            }
            Event::MqttTold(mqtt) => self.mqtt = mqtt,
            Event::DeadlineReached => {
                while let Some(reason) = self.context.timers.take_due(self.context.now) {
                    self.fire(&reason);
                }
            }
            Event::Media { job, epoch, fact } => {
                if !self.is_current(&job, epoch) {
                    return false;
                }
                self.media(&job, epoch, &fact);
            }
            Event::Progressed(sample) => return self.progressed(sample),
            Event::CameraPlugged(camera) => self.inputs.plugged(&mut self.context, &self.config, camera),
            Event::CameraUnplugged { port } => self.inputs.unplugged(&mut self.context, &port),
            Event::EncodersProbed(encoders) => self.encodes.probed(encoders),
            Event::Vault(fact) => self.vault(fact),
            Event::ClockRead(wall) => self.context.clock_read(wall),
            Event::MachineSlowed { why } => self.strain.slowed(why),
            Event::ConfigLoaded(config) => self.config_loaded(*config),
            Event::ConfigRejected { why } => self.config_rejected(&why),
            Event::ConfigPatched { id, config, check } => self.config_patched(&id, *config, check),
            Event::PatchRejected { id, why } => self.answer_patch(&id, Answer::Refused { why }),
            Event::ShellRestarted { shell } => {
                let text = format!("the {shell} part of the box failed and was restarted");
                self.context.alert_once("shell_restarted", &shell, Severity::Warning, text);
            }
            Event::PanelTold(report) => return self.panels.told(&mut self.context, report),
            Event::ShutdownRequested => self.end(&Cause::own("shutdown"), false),
        }
        true
    }

    /// The one place where facts of a life that is over are dropped.
    fn is_current(&self, job: &Job, epoch: Epoch) -> bool {
        match job {
            Job::Capture(_) | Job::Sound(_) => self.inputs.is_current(job, epoch),
            Job::Program => self.program.is_current(epoch),
            Job::Encode(job) => self.encodes.is_current(*job, epoch),
            Job::Record(track) => self.recorder.is_current(*track, epoch),
            Job::Leg(name) => self.uplink.is_current(name, epoch),
        }
    }

    fn media(&mut self, job: &Job, epoch: Epoch, fact: &Fact) {
        match job {
            Job::Capture(_) | Job::Sound(_) => self.inputs.fact(&mut self.context, &self.config, job, fact),
            Job::Program => {
                if let Fact::Lags(lag) = fact {
                    let judged = Judged::of(&self.encodes, &self.program);
                    self.strain.mixer_lags(&mut self.context, &judged, *lag);
                }
                self.program.fact(&mut self.context, fact);
            }
            Job::Encode(job) => {
                if let Fact::Lags(lag) = fact {
                    let judged = Judged::of(&self.encodes, &self.program);
                    self.strain.lags(&mut self.context, &judged, *job, *lag);
                }
                self.encodes.fact(&mut self.context, *job, fact);
            }
            Job::Record(_) => self.recorder.fact(&mut self.context, &mut self.library, epoch, fact),
            Job::Leg(name) => self.uplink.fact(&mut self.context, name, fact),
        }
    }

    fn progressed(&mut self, sample: Vec<Progress>) -> bool {
        self.context.sampled = self.context.now;
        let mut noticed = false;
        for Progress { job, epoch, total } in sample {
            if !self.is_current(&job, epoch) {
                continue;
            }
            noticed |= match &job {
                Job::Capture(_) | Job::Sound(_) => self.inputs.progressed(&mut self.context, &job, total),
                Job::Program => self.program.progressed(&mut self.context),
                Job::Encode(job) => self.encodes.progressed(&mut self.context, *job),
                Job::Record(_) => {
                    self.recorder.progressed(&mut self.context, epoch);
                    false
                }
                Job::Leg(name) => self.uplink.progressed(&mut self.context, name),
            };
        }
        noticed
    }

    fn fire(&mut self, reason: &Reason) {
        let on_air = self.program.on_air();
        let framed = self.program.progressed_at();
        if self.inputs.fire(&mut self.context, &self.config, framed, reason)
            || self.recorder.fire(&mut self.context, &self.config, &mut self.library, on_air, reason)
            || self.uplink.fire(&mut self.context, reason)
        {
            return;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "inputs, recorder and uplink have taken theirs")]
        match reason {
            Reason::ProgramStalls => self.program.stall_timer(&mut self.context),
            Reason::ProgramRetries => self.program.retry_timer(&mut self.context),
            Reason::ProgramReturns => {
                let why = |slot| self.inputs.why(slot);
                let field = self.inputs.field(&self.context, &self.config, &why);
                self.program.return_timer(&field);
            }
            Reason::EncodeStalls(job) => {
                let fed = match job {
                    EncodeJob::Stream | EncodeJob::ProgramRecord => self.program.running_since(),
                    EncodeJob::Slot(slot) | EncodeJob::SlotStream(slot) => self.inputs.live().get(slot).copied(),
                };
                self.encodes.stall_timer(&mut self.context, *job, fed);
            }
            Reason::EncodeRetries(job) => self.encodes.retry_timer(&mut self.context, *job),
            Reason::OverloadLooks => {
                let judged = Judged::of(&self.encodes, &self.program);
                self.strain.look_timer(&mut self.context, &judged, &self.config, self.program.on_air());
            }
            Reason::RecoveryLate => self.recovery_over(),
            Reason::RemoveRetries => self.library.retry_timer(),
            Reason::AnswerLate(ticket) => self.answers.late_timer(&mut self.context, *ticket),
            Reason::IdentifyEnds => self.panels.identify_timer(),
            Reason::ReloadLate => self.answer_reload(Err("the configuration could not be read in time".to_owned())),
            Reason::PatchLate => self.patch_late(),
            Reason::AlertEnds(key) => self.context.alerts.clear_key(key),
            _ => {}
        }
    }

    /// Seals everything. A restart leaves the show open, so that it goes on.
    fn end(&mut self, cause: &Cause, restart: bool) {
        self.recovery_over();
        self.uplink.streaming = false;
        self.recorder.hurry();
        self.recorder.stop(&mut self.context, !restart, cause);
        self.ending = Some(if restart { Ending::Restart { told: false } } else { Ending::Shutdown });
    }

    /// Makes every machine fit to those before it.
    fn follow(&mut self) {
        self.follow_left_out();
        let (context, config) = (&mut self.context, &self.config);
        self.inputs.follow(context, config);
        let inputs = &self.inputs;
        let why = |slot| inputs.why(slot);
        let field = inputs.field(context, config, &why);
        self.program.follow(context, &field);
        self.recorder.report(context);
        let shed = self.strain.shed_slots();
        self.recorder.spare(left_out::unrecorded(&self.left_out).into_iter().chain(shed.iter().copied()).collect());
        self.encodes.give_up(self.strain.level(), shed);
        let live = |slot| inputs.get(slot).is_some_and(input::Slot::is_live);
        let halted = self.library.follow(context, &config.record, self.recorder.is_halted());
        self.recorder.halt(halted);
        // Twice: recordings need encodes to begin, and free them when they end; a small network sheds slots.
        for _ in 0..2 {
            let mut needed: BTreeSet<EncodeJob> = self.recorder.needs(config, live);
            if self.uplink.is_needed() {
                needed.insert(EncodeJob::Stream);
            }
            let published = config.slots.keys().copied().filter(|slot| self.encodes.grants_slot(*slot) && live(*slot));
            let publishes = |slot: &SlotId| self.uplink.needs_slots() && !shed.contains(slot);
            let published: Vec<_> = published.filter(publishes).collect();
            if !self.encodes.slots_are_shed() {
                needed.extend(published.iter().map(|slot| EncodeJob::SlotStream(*slot)));
            }
            self.encodes.follow(context, config, &needed);
            let on_air = self.program.on_air();
            self.recorder.follow(context, config, &self.encodes, &mut self.library, live, on_air);
            self.uplink.follow(context, self.encodes.source(EncodeJob::Stream).is_some());
            self.encodes.rate(context, self.uplink.road(), published.len());
        }
        self.uplink.weigh(context, self.encodes.stream_bps());
        if let Some(Ending::Restart { told: told @ false }) = &mut self.ending
            && self.recorder.is_idle()
            && self.answers.all_given()
        {
            *told = true;
            context.effects.push_back(Effect::Restart);
        }
        self.make_goal();
    }
}
