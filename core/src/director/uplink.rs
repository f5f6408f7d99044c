//! Publishing: which legs are wished, and how each of them does.
//!
//! | state of a leg | shown | then |
//! |---|---|---|
//! | Off | off, or standby when a better leg carries | wanted → Connecting |
//! | Connecting | trying | bytes move → Proving when a worse leg carries meanwhile, else Carrying |
//! | Proving | proving | carried for 5 s → Carrying; error → Waiting |
//! | Carrying | carrying | no bytes for 10 s → Distressed; error → Waiting |
//! | Distressed: strike one | distressed | bytes move → Carrying; 4 s more, or an error: strike two → Waiting |
//! | Waiting: failed, tried again later | trying, or refused for a wrong key | after its wait → Connecting, for ever |
//!
//! Liveness is judged by bytes that moved, never by the absence of errors: a wedged server keeps its socket open.
//! Ranked legs form the uplink: rank 1 is wanted; a worse rank steps in when no better one carried for 2 s, and steps
//! back when a better one has proved itself. A leg without a rank is on its own. Nothing here touches a recording.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Config, LegConfig};
use crate::ids::{Epoch, LegId, SlotId};
use crate::status::{LegState, LegStatus};
use crate::time::Mono;

use super::backoff::{Backoff, Pace};
use super::context::{Context, Silence};
use super::encodes::publishes_slots;
use super::event::{ErrorClass, Fact};
use super::timers::Reason;
use super::wanted::{Leg as Wish, OnAir};
use super::words;

/// From starting a leg to its first bytes: name look-up, TCP, TLS and the handshake each within seconds.
const OPENS: Duration = Duration::from_secs(15);
/// Strike one. A dead peer's TCP acknowledges for about 5 s more (measured with a stopped nginx), so this much without
/// a byte is 15 s after the wedge at most; a keyframe-less pause of a healthy stream is far shorter.
const DISTRESSED_AFTER: Duration = Duration::from_secs(10);
/// Strike two: 5 + 10 + 4 s, the leg is rebuilt within 20 s of the wedge.
const REBUILT_AFTER: Duration = Duration::from_secs(4);
/// A better leg must carry this long before the worse one is let go.
const PROVES: Duration = Duration::from_secs(5);
/// So long without a better leg carrying, the next rank steps in.
const STEPS_IN: Duration = Duration::from_secs(2);
/// Carrying for this long, failures are forgotten.
const FORGIVES: Duration = Duration::from_secs(60);
/// At most one try per 0.75 s at first, one per 22 s in the long run.
const PACE: Pace = Pace::ms(1_000, 30_000);
/// A wrong key does not become right by trying.
const REFUSED: Pace = Pace::ms(60_000, 60_000);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Uplink {
    /// The operator wants to stream.
    pub streaming: bool,
    audio_bitrate_bps: u64,
    legs: BTreeMap<LegId, Leg>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Leg {
    config: LegConfig,
    enabled: bool,
    state: State,
    since: Mono,
    why: Option<String>,
    backoff: Backoff,
    /// When bytes moved last in this epoch.
    moved_at: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Off { standby: bool },
    Connecting { epoch: Epoch },
    Proving { epoch: Epoch },
    Carrying { epoch: Epoch },
    Distressed { epoch: Epoch },
    Waiting { refused: bool },
}

impl Uplink {
    pub fn new(context: &Context, config: &Config) -> Self {
        let legs = config.legs.iter().map(|leg| (leg.name.clone(), Leg::new(context, leg))).collect();
        Self { streaming: false, audio_bitrate_bps: config.program.audio_bitrate_bps, legs }
    }

    pub fn has_legs(&self) -> bool {
        !self.legs.is_empty()
    }

    pub fn is_needed(&self) -> bool {
        self.streaming && self.legs.values().any(|leg| leg.enabled)
    }

    /// Whether a leg is to publish the slots beside the program.
    pub fn needs_slots(&self) -> bool {
        self.streaming && self.legs.values().any(|leg| leg.enabled && publishes_slots(&leg.config))
    }

    pub fn is_current(&self, name: &LegId, epoch: Epoch) -> bool {
        self.legs.get(name).and_then(|leg| leg.state.epoch()) == Some(epoch)
    }

    /// `Ok(false)`: it was so already.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn enable(&mut self, name: &LegId, on: bool) -> Result<bool, String> {
        let known = self.legs.keys().map(LegId::as_str).collect::<Vec<_>>().join(", ");
        let Some(leg) = self.legs.get_mut(name) else {
            let known = if known.is_empty() { "none is configured".to_owned() } else { known };
            return Err(format!("no leg is named `{name}` (allowed: {known})"));
        };
        Ok(std::mem::replace(&mut leg.enabled, on) != on)
    }

    /// Takes a new configuration.
    pub fn reconfigure(&mut self, context: &mut Context, config: &Config) {
        let gone: Vec<LegId> =
            self.legs.keys().filter(|name| !config.legs.iter().any(|leg| leg.name == **name)).cloned().collect();
        for name in gone {
            if let Some(mut leg) = self.legs.remove(&name) {
                leg.enter(context, State::Off { standby: false }, None);
            }
        }
        for own in &config.legs {
            match self.legs.get_mut(&own.name) {
                Some(leg) if leg.config == *own => {}
                Some(leg) => {
                    leg.config = own.clone();
                    leg.backoff.reset();
                    leg.enter(context, State::Off { standby: false }, None);
                }
                None => {
                    self.legs.insert(own.name.clone(), Leg::new(context, own));
                }
            }
        }
    }

    /// Makes the legs fit to what is wanted; `encoded`: the stream encode runs.
    pub fn follow(&mut self, context: &mut Context, encoded: bool) {
        let mut names: Vec<(Option<u32>, LegId)> =
            self.legs.iter().map(|(name, leg)| (leg.config.uplink, name.clone())).collect();
        names.sort();
        // Of the ranks above the one looked at.
        let (mut carried, mut tried) = (false, false);
        for (rank, name) in names {
            let Some(leg) = self.legs.get_mut(&name) else { continue };
            let why_not = match (self.streaming, leg.enabled, encoded) {
                (_, false, _) => Some("disabled"),
                (false, true, _) => Some(""),
                (true, true, false) => Some("no encoder runs for the stream"),
                (true, true, true) => None,
            };
            let on = why_not.is_none();
            let better = if rank.is_some() { (carried, tried) } else { (false, false) };
            leg.follow(context, why_not, better);
            if rank.is_some() && on {
                tried = true;
                carried |= matches!(leg.state, State::Carrying { .. });
            }
        }
    }

    pub fn fact(&mut self, context: &mut Context, name: &LegId, fact: &Fact) {
        let Some(leg) = self.legs.get_mut(name) else { return };
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other facts belong to other jobs")]
        match fact {
            Fact::Failed { class, detail } => {
                let why = words::leg(&leg.config, *class, detail);
                leg.fail(context, *class == ErrorClass::Unauthorised, why);
            }
            Fact::Ended => leg.fail(context, false, "the server closed the connection".to_owned()),
            _ => {}
        }
    }

    /// True when anything but a counter changed.
    pub fn progressed(&mut self, context: &mut Context, name: &LegId) -> bool {
        let proves = self.legs.get(name).is_some_and(|leg| self.worse_carries(leg.config.uplink));
        self.legs.get_mut(name).is_some_and(|leg| leg.progressed(context, proves))
    }

    pub fn stall_timer(&mut self, context: &mut Context, name: &LegId) {
        if let Some(leg) = self.legs.get_mut(name) {
            leg.stall_timer(context);
        }
    }

    pub fn retry_timer(&mut self, context: &mut Context, name: &LegId) {
        if let Some(leg) = self.legs.get_mut(name)
            && matches!(leg.state, State::Waiting { .. })
        {
            leg.connect(context);
        }
    }

    pub fn prove_timer(&mut self, context: &mut Context, name: &LegId) {
        if let Some(leg) = self.legs.get_mut(name)
            && let State::Proving { epoch } = leg.state
        {
            leg.enter(context, State::Carrying { epoch }, None);
        }
    }

    pub fn step_in_timer(&mut self, context: &mut Context, name: &LegId) {
        if let Some(leg) = self.legs.get_mut(name)
            && matches!(leg.state, State::Off { .. })
        {
            leg.connect(context);
        }
    }

    /// `on_air`: the camera that viewers see. `slots`: those that have an encode of their own for the legs.
    pub fn wish(&self, on_air: Option<&OnAir>, slots: &BTreeMap<SlotId, String>) -> BTreeMap<LegId, Wish> {
        let wish = |leg: &Leg| {
            leg.state.epoch().map(|epoch| Wish {
                epoch,
                config: leg.config.clone(),
                audio_bitrate_bps: self.audio_bitrate_bps,
                on_air: on_air.cloned(),
                slots: if publishes_slots(&leg.config) { slots.clone() } else { BTreeMap::new() },
                unmute: 0,
            })
        };
        self.legs.iter().filter_map(|(name, leg)| wish(leg).map(|wish| (name.clone(), wish))).collect()
    }

    pub fn status(&self, context: &Context) -> Vec<LegStatus> {
        let shown = |(name, leg): (&LegId, &Leg)| LegStatus {
            name: name.clone(),
            kind: leg.config.target.kind().to_owned(),
            state: leg.state.shown(),
            since: leg.since,
            why: leg.why.clone(),
            next_try: context.timers.get(&Reason::LegRetries(name.clone())),
        };
        self.legs.iter().map(shown).collect()
    }

    pub fn check(&self, context: &Context) {
        for (name, leg) in &self.legs {
            let set = |reason: fn(LegId) -> Reason| context.timers.is_set(&reason(name.clone()));
            let present = (set(Reason::LegStalls), set(Reason::LegRetries), set(Reason::LegProves));
            let expected = match leg.state {
                State::Off { .. } => (false, false, false),
                State::Connecting { .. } | State::Carrying { .. } | State::Distressed { .. } => (true, false, false),
                State::Proving { .. } => (true, false, true),
                State::Waiting { .. } => (false, true, false),
            };
            assert_eq!(present, expected, "timers of leg {name} in {:?}", leg.state);
            assert!(matches!(leg.state, State::Off { .. }) || (self.streaming && leg.enabled), "{name} is wanted");
        }
    }

    fn worse_carries(&self, rank: Option<u32>) -> bool {
        let Some(rank) = rank else { return false };
        let is_worse = |leg: &Leg| leg.config.uplink.is_some_and(|other| other > rank);
        self.legs.values().any(|leg| is_worse(leg) && matches!(leg.state, State::Carrying { .. }))
    }
}

impl Leg {
    fn new(context: &Context, config: &LegConfig) -> Self {
        Self {
            config: config.clone(),
            enabled: true,
            state: State::Off { standby: false },
            since: context.now,
            why: None,
            backoff: Backoff::default(),
            moved_at: context.now,
        }
    }

    /// `why_not`: why it is not to run, when it is not. `better`: whether a better rank carries, and whether there is
    /// one at all.
    fn follow(&mut self, context: &mut Context, why_not: Option<&str>, better: (bool, bool)) {
        let steps_in = Reason::LegStepsIn(self.config.name.clone());
        let (carried, tried) = better;
        if why_not.is_some() || carried {
            context.timers.stop(&steps_in);
            let state = State::Off { standby: why_not.is_none() };
            let why = why_not.filter(|why| !why.is_empty());
            if self.state != state || self.why.as_deref() != why {
                self.backoff.reset();
                self.enter(context, state, why.map(str::to_owned));
            }
        } else if matches!(self.state, State::Off { .. }) {
            if !tried {
                context.timers.stop(&steps_in);
                self.connect(context);
            } else if !context.timers.is_set(&steps_in) {
                context.start_timer(steps_in, STEPS_IN);
            }
        }
    }

    fn connect(&mut self, context: &mut Context) {
        context.timers.stop(&Reason::LegStepsIn(self.config.name.clone()));
        self.moved_at = context.now;
        let epoch = context.new_epoch();
        let why = self.why.take();
        self.enter(context, State::Connecting { epoch }, why);
    }

    fn progressed(&mut self, context: &mut Context, proves: bool) -> bool {
        self.moved_at = context.now;
        match self.state {
            State::Connecting { epoch } if proves => {
                self.enter(context, State::Proving { epoch }, None);
                true
            }
            State::Connecting { epoch } | State::Distressed { epoch } => {
                self.enter(context, State::Carrying { epoch }, None);
                true
            }
            State::Carrying { .. } | State::Proving { .. } => {
                context.start_timer(Reason::LegStalls(self.config.name.clone()), DISTRESSED_AFTER);
                false
            }
            State::Off { .. } | State::Waiting { .. } => false,
        }
    }

    fn stall_timer(&mut self, context: &mut Context) {
        let limit = match self.state {
            State::Connecting { .. } => OPENS,
            State::Proving { .. } | State::Carrying { .. } => DISTRESSED_AFTER,
            State::Distressed { .. } => DISTRESSED_AFTER + REBUILT_AFTER,
            State::Off { .. } | State::Waiting { .. } => return,
        };
        if let Silence::NotYet(again) = context.silent(self.moved_at, limit) {
            context.timers.set(Reason::LegStalls(self.config.name.clone()), again);
            return;
        }
        let silent = |limit: Duration| format!("server wedged: nothing sent for {} s", limit.as_secs());
        match self.state {
            State::Connecting { .. } => {
                let why = words::leg(&self.config, ErrorClass::Timeout, "");
                self.fail(context, false, why);
            }
            State::Distressed { .. } => self.fail(context, false, silent(limit)),
            State::Proving { epoch } | State::Carrying { epoch } => {
                self.enter(context, State::Distressed { epoch }, Some(silent(limit)));
            }
            State::Off { .. } | State::Waiting { .. } => {}
        }
    }

    fn fail(&mut self, context: &mut Context, refused: bool, why: String) {
        self.enter(context, State::Waiting { refused }, Some(why));
        let pace = if refused { REFUSED } else { PACE };
        context.start_retry(Reason::LegRetries(self.config.name.clone()), &mut self.backoff, pace);
    }

    fn enter(&mut self, context: &mut Context, state: State, why: Option<String>) {
        let name = &self.config.name;
        for reason in [Reason::LegStalls, Reason::LegRetries, Reason::LegProves, Reason::LegStepsIn] {
            context.timers.stop(&reason(name.clone()));
        }
        let stalls = Reason::LegStalls(name.clone());
        match state {
            State::Connecting { .. } => context.start_timer(stalls, OPENS),
            State::Carrying { .. } => context.start_timer(stalls, DISTRESSED_AFTER),
            State::Proving { .. } => {
                context.start_timer(stalls, DISTRESSED_AFTER);
                context.start_timer(Reason::LegProves(name.clone()), PROVES);
            }
            State::Distressed { .. } => context.start_timer(stalls, REBUILT_AFTER),
            State::Off { .. } | State::Waiting { .. } => {}
        }
        if matches!(self.state, State::Carrying { .. }) && context.now.since(self.since) >= FORGIVES {
            self.backoff.reset();
        }
        if self.state.shown() != state.shown() {
            self.since = context.now;
        }
        self.state = state;
        self.why = why;
    }
}

impl State {
    const fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Connecting { epoch }
            | Self::Proving { epoch }
            | Self::Carrying { epoch }
            | Self::Distressed { epoch } => Some(epoch),
            Self::Off { .. } | Self::Waiting { .. } => None,
        }
    }

    const fn shown(self) -> LegState {
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
