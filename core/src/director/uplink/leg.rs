//! One leg: its state, and what its server told in this connection.
//!
//! | state | shown | then |
//! |---|---|---|
//! | Off | off, or standby when a better leg carries | wanted → Connecting |
//! | Connecting | trying | bytes move → Carrying; → Proving when it failed before and a worse leg is on |
//! | Proving | proving | clean progress for [`LegConfig::proves`] → Carrying; no byte in time → Distressed; error → Waiting |
//! | Carrying | carrying | no byte in time → Distressed (silent); too small a network → Distressed (weak); error → Waiting |
//! | Distressed, silent: strike one | distressed | bytes move → Carrying or Proving; strike two, or an error → Waiting |
//! | Distressed, weak | distressed | the network is large enough → Carrying |
//! | Waiting: failed, tried again later | trying or refused, see [`super::policy`] | after its wait → Connecting, for ever |
//!
//! Liveness is judged by bytes that moved, never by the absence of errors: a wedged server keeps its socket open.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::units::show_bitrate;
use crate::config::{LegConfig, LegTarget};
use crate::ids::{Epoch, LegId};
use crate::job::Medium;
use crate::rate::{SoundStep, usable};
use crate::status::{LegState, Severity};
use crate::time::Mono;

use super::super::backoff::Backoff;
use super::super::context::{Context, Silence};
use super::super::event::{ErrorClass, Fact};
use super::super::timers::Reason;
use super::super::words;
use super::policy::{self, Kind};

/// Each time that a leg was lost again soon after its proof doubles the next one, up to here.
const PROVES_AT_MOST: Duration = Duration::from_secs(60);
/// A pause of this length is no clean progress: the proof begins anew.
const UNCLEAN: Duration = Duration::from_secs(1);
/// So long without a better leg carrying, the next rank steps in, where the better one has not failed yet.
const STEPS_IN: Duration = Duration::from_secs(2);
/// Carrying for this long, failures are forgotten.
const FORGIVES: Duration = Duration::from_secs(60);
/// A destination that is too weak for so long is called so.
const WEAKENS: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    pub config: LegConfig,
    pub enabled: bool,
    pub state: State,
    pub since: Mono,
    pub why: Option<String>,
    /// Grows with each time that the operator asks to be heard again.
    pub unmute: u32,
    pub session: Session,
    /// Of the sound; outlives a connection, because the network does.
    pub sound: SoundStep,
    backoff: Backoff,
    /// What the failures in a row were.
    kind: Option<Kind>,
    /// The box crashed in it: it is disabled until somebody enables it.
    #[serde(default)]
    pub barred: bool,
    /// Times that it was lost soon after it had proved itself.
    shaken: u32,
    /// Failed or fell silent, and did not carry for long since.
    failed: bool,
    /// When bytes moved last in this epoch.
    moved_at: Mono,
}

/// What the server told in this connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub estimate_bps: Option<u64>,
    pub audience: Option<u32>,
    /// What the host muted.
    pub muted: BTreeSet<Medium>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Off { standby: bool },
    Connecting { epoch: Epoch },
    Proving { epoch: Epoch },
    Carrying { epoch: Epoch },
    Distressed { epoch: Epoch, weak: bool },
    Waiting { refused: bool },
}

/// The ranks above a leg.
#[derive(Clone, Copy, Debug, Default)]
pub struct Better {
    /// One of them carries.
    pub carries: bool,
    /// One of them has not failed and may carry in a moment.
    pub hopeful: bool,
}

/// The ranks below a leg.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worse {
    pub carries: bool,
    /// One of them is connected or tries to be.
    pub is_on: bool,
}

impl Leg {
    pub fn new(context: &Context, config: &LegConfig) -> Self {
        Self {
            config: config.clone(),
            enabled: true,
            barred: false,
            state: State::Off { standby: false },
            since: context.now,
            why: None,
            unmute: 0,
            session: Session::default(),
            sound: SoundStep::Full,
            backoff: Backoff::default(),
            kind: None,
            shaken: 0,
            failed: false,
            moved_at: context.now,
        }
    }

    pub const fn is_hopeful(&self) -> bool {
        match self.state {
            State::Proving { .. } => true,
            State::Connecting { .. } => !self.failed,
            State::Off { .. } | State::Carrying { .. } | State::Distressed { .. } | State::Waiting { .. } => false,
        }
    }

    pub const fn carries(&self) -> bool {
        matches!(self.state, State::Carrying { .. })
    }

    /// `why_not`: why it is not to run, when it is not.
    pub fn follow(&mut self, context: &mut Context, why_not: Option<&str>, better: Better) {
        let steps_in = Reason::LegStepsIn(self.config.name.clone());
        if why_not.is_some() || better.carries {
            let state = State::Off { standby: why_not.is_none() };
            let why = why_not.filter(|why| !why.is_empty());
            if self.state != state || self.why.as_deref() != why {
                self.turn_off(context, state, why.map(str::to_owned));
            }
            context.timers.stop(&steps_in);
        } else if matches!(self.state, State::Off { .. }) {
            if !better.hopeful {
                self.connect(context);
            } else if !context.timers.is_set(&steps_in) {
                context.start_timer(steps_in, STEPS_IN);
            }
        }
    }

    pub fn turn_off(&mut self, context: &mut Context, state: State, why: Option<String>) {
        self.forgive();
        self.sound = SoundStep::Full;
        self.enter(context, state, why);
    }

    /// Begins a new connection, in place of one that there is.
    pub fn connect(&mut self, context: &mut Context) {
        self.moved_at = context.now;
        let epoch = context.new_epoch();
        let why = self.why.take().filter(|_| matches!(self.state, State::Waiting { .. }));
        self.enter(context, State::Connecting { epoch }, why);
    }

    /// Somebody says that what was wrong is right now.
    pub fn forgive(&mut self) {
        self.backoff.reset();
        (self.kind, self.shaken, self.failed) = (None, 0, false);
    }

    pub fn fact(&mut self, context: &mut Context, fact: &Fact) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other facts belong to other jobs")]
        match fact {
            Fact::Failed { class, detail } => {
                let why = words::leg(&self.config, *class, detail);
                self.fail(context, Kind::of(*class), why);
            }
            Fact::Ended => self.fail(context, Kind::Network, "the server closed the connection".to_owned()),
            Fact::Estimated { bits_per_second } => {
                self.session.estimate_bps = Some(*bits_per_second);
                self.sound = self.sound.follow(usable(*bits_per_second));
            }
            Fact::Audience { now } => self.session.audience = Some(*now),
            Fact::Muted { medium, on } => self.muted(context, *medium, *on),
            _ => {}
        }
    }

    fn muted(&mut self, context: &mut Context, medium: Medium, on: bool) {
        if on {
            self.session.muted.insert(medium);
        } else {
            self.session.muted.remove(&medium);
        }
        let name = self.config.name.as_str();
        let what: Vec<_> = self.session.muted.iter().copied().map(words::medium).collect();
        if what.is_empty() {
            context.alerts.clear("leg_muted", name);
        } else {
            let text =
                format!("{name}: the host muted our {}; `leg unmute {name}` asks for it back", what.join(" and "));
            context.alerts.raise(context.now, "leg_muted", name, Severity::Warning, text);
        }
    }

    /// True when anything but a counter changed.
    pub fn progressed(&mut self, context: &mut Context, worse: Worse) -> bool {
        self.moved_at = context.now;
        let proves = worse.carries || (worse.is_on && self.failed);
        match self.state {
            State::Connecting { epoch } | State::Distressed { epoch, weak: false } if proves => {
                self.enter(context, State::Proving { epoch }, None);
                true
            }
            State::Connecting { epoch } | State::Distressed { epoch, weak: false } => {
                self.enter(context, State::Carrying { epoch }, None);
                true
            }
            State::Proving { .. } | State::Carrying { .. } | State::Distressed { weak: true, .. } => {
                context.start_timer(Reason::LegStalls(self.config.name.clone()), self.watched());
                false
            }
            State::Off { .. } | State::Waiting { .. } => false,
        }
    }

    pub fn stall_timer(&mut self, context: &mut Context) {
        let limits = policy::limits(&self.config.target);
        if matches!(self.state, State::Proving { .. }) && !self.paused(context, limits.distressed) {
            return;
        }
        let limit = match self.state {
            State::Connecting { .. } => limits.opens,
            State::Proving { .. } | State::Carrying { .. } | State::Distressed { weak: true, .. } => limits.distressed,
            State::Distressed { weak: false, .. } => limits.distressed + limits.rebuilt,
            State::Off { .. } | State::Waiting { .. } => return,
        };
        if let Silence::NotYet(again) = context.silent(self.moved_at, limit) {
            context.timers.set(Reason::LegStalls(self.config.name.clone()), again);
            return;
        }
        match self.state {
            State::Connecting { .. } => {
                let why = words::leg(&self.config, ErrorClass::Timeout, "");
                self.fail(context, Kind::Network, why);
            }
            State::Distressed { weak: false, .. } => self.fail(context, Kind::Network, words::silent(limit)),
            State::Proving { epoch } | State::Carrying { epoch } | State::Distressed { epoch, weak: true } => {
                self.failed = true;
                self.enter(context, State::Distressed { epoch, weak: false }, Some(words::silent(limit)));
            }
            State::Off { .. } | State::Waiting { .. } => {}
        }
    }

    /// A leg that proves itself and paused: the proof begins anew. True when it is to be judged for its silence as well.
    /// (By timers and not by comparing samples: a journal keeps only the last of them.)
    fn paused(&self, context: &mut Context, silent: Duration) -> bool {
        let name = &self.config.name;
        match context.silent(self.moved_at, UNCLEAN) {
            Silence::NotYet(again) => {
                context.timers.set(Reason::LegStalls(name.clone()), again);
                false
            }
            Silence::Yes => {
                context.start_timer(Reason::LegProves(name.clone()), self.proof());
                let long = context.now >= self.moved_at + silent;
                if !long {
                    context.timers.set(Reason::LegStalls(name.clone()), self.moved_at + silent);
                }
                long
            }
        }
    }

    pub fn prove_timer(&mut self, context: &mut Context) {
        if let State::Proving { epoch } = self.state {
            // In the middle of a pause nothing is proved.
            if context.now.since(self.moved_at) >= UNCLEAN / 2 {
                return context.start_timer(Reason::LegProves(self.config.name.clone()), self.proof());
            }
            self.shaken = self.shaken.saturating_add(1);
            self.enter(context, State::Carrying { epoch }, None);
        }
    }

    /// Compares the network of a destination with what the stream needs.
    pub fn weigh(&mut self, context: &mut Context, needed_bps: u64) {
        let weakens = Reason::LegWeakens(self.config.name.clone());
        let estimate = self.session.estimate_bps.unwrap_or(u64::MAX);
        match self.state {
            State::Carrying { .. } if estimate < needed_bps / 100 * 95 => {
                if !context.timers.is_set(&weakens) {
                    context.start_timer(weakens, WEAKENS);
                }
            }
            State::Distressed { epoch, weak: true } if estimate >= needed_bps => {
                self.enter(context, State::Carrying { epoch }, None);
            }
            State::Off { .. }
            | State::Connecting { .. }
            | State::Proving { .. }
            | State::Carrying { .. }
            | State::Distressed { .. }
            | State::Waiting { .. } => context.timers.stop(&weakens),
        }
    }

    pub fn weak_timer(&mut self, context: &mut Context) {
        if let (State::Carrying { epoch }, Some(estimate)) = (self.state, self.session.estimate_bps) {
            let why = format!("its network carries {}, less than the stream", show_bitrate(estimate));
            self.enter(context, State::Distressed { epoch, weak: true }, Some(why));
        }
    }

    pub fn check(&self, context: &Context) {
        let name = &self.config.name;
        let set = |reason: fn(LegId) -> Reason| context.timers.is_set(&reason(name.clone()));
        let present = (set(Reason::LegStalls), set(Reason::LegRetries), set(Reason::LegProves));
        let expected = match self.state {
            State::Off { .. } => (false, false, false),
            State::Connecting { .. } | State::Carrying { .. } | State::Distressed { .. } => (true, false, false),
            State::Proving { .. } => (true, false, true),
            State::Waiting { .. } => (false, true, false),
        };
        assert_eq!(present, expected, "timers of leg {name} in {:?}", self.state);
        assert!(!set(Reason::LegWeakens) || self.carries(), "only a leg that carries can weaken: {name}");
        assert!(!set(Reason::LegStepsIn) || matches!(self.state, State::Off { .. }), "{name} steps in once");
        assert!(self.state.epoch().is_some() || self.session == Session::default(), "{name} is not connected");
    }

    fn fail(&mut self, context: &mut Context, kind: Kind, why: String) {
        // Another cause has its own wait; what it was before says nothing about it.
        if self.kind.replace(kind) != Some(kind) {
            self.backoff.reset();
        }
        self.enter(context, State::Waiting { refused: kind.is_refusal() }, Some(why));
        self.failed = true;
        let wait = match &self.config.target {
            LegTarget::Srt(target) if target.is_listener() => kind.wait(&mut Backoff::default(), &mut context.dice),
            LegTarget::Rtmp(_) | LegTarget::Livekit(_) | LegTarget::Srt(_) | LegTarget::Whip(_) => {
                kind.wait(&mut self.backoff, &mut context.dice)
            }
        };
        context.start_timer(Reason::LegRetries(self.config.name.clone()), wait);
    }

    /// A leg that runs is looked at after so long without progress.
    fn watched(&self) -> Duration {
        if matches!(self.state, State::Proving { .. }) {
            UNCLEAN
        } else {
            policy::limits(&self.config.target).distressed
        }
    }

    fn proof(&self) -> Duration {
        let usual = self.config.proves;
        usual.saturating_mul(1 << self.shaken.min(8)).min(PROVES_AT_MOST.max(usual))
    }

    fn enter(&mut self, context: &mut Context, state: State, why: Option<String>) {
        let name = &self.config.name;
        for reason in [Reason::LegStalls, Reason::LegRetries, Reason::LegProves, Reason::LegStepsIn, Reason::LegWeakens]
        {
            context.timers.stop(&reason(name.clone()));
        }
        let limits = policy::limits(&self.config.target);
        let stalls = Reason::LegStalls(name.clone());
        match state {
            State::Connecting { .. } => context.start_timer(stalls, limits.opens),
            State::Carrying { .. } | State::Distressed { weak: true, .. } => {
                context.start_timer(stalls, limits.distressed);
            }
            State::Proving { .. } => {
                context.start_timer(stalls, UNCLEAN);
                context.start_timer(Reason::LegProves(name.clone()), self.proof());
            }
            State::Distressed { weak: false, .. } => context.start_timer(stalls, limits.rebuilt),
            State::Off { .. } | State::Waiting { .. } => {}
        }
        if state.epoch() != self.state.epoch() {
            self.session = Session::default();
            context.alerts.clear("leg_muted", name.as_str());
        }
        if self.carries() && context.now.since(self.since) >= FORGIVES {
            self.backoff.reset();
            (self.kind, self.shaken, self.failed) = (None, 0, matches!(state, State::Distressed { weak: false, .. }));
        }
        if self.state.shown() != state.shown() {
            self.since = context.now;
        }
        self.state = state;
        self.why = why;
    }
}

impl State {
    pub const fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Connecting { epoch }
            | Self::Proving { epoch }
            | Self::Carrying { epoch }
            | Self::Distressed { epoch, .. } => Some(epoch),
            Self::Off { .. } | Self::Waiting { .. } => None,
        }
    }

    pub const fn shown(self) -> LegState {
        match self {
            Self::Off { standby: true } => LegState::Standby,
            Self::Off { standby: false } => LegState::Off,
            Self::Connecting { .. } | Self::Waiting { refused: false } => LegState::Trying,
            Self::Proving { .. } => LegState::Proving,
            Self::Carrying { .. } => LegState::Carrying,
            Self::Distressed { .. } => LegState::Distressed,
            Self::Waiting { refused: true } => LegState::Refused,
        }
    }
}
