//! Publishing: which legs are wished, and how each of them does.
//!
//! Ranked legs form the uplink: rank 1 is wanted. A worse rank steps in at once when each better one has failed or
//! fallen silent, and 2 s after the start when none of them carries yet. A better one that is back proves itself while
//! the worse one goes on, and only then takes over: make before break. A leg without a rank is a destination of its own.
//! Nothing here touches a recording.
//!
//! | part | decides |
//! |---|---|
//! | [`leg`] | the states of one leg |
//! | [`policy`] | how long it is waited for, and when a failure is tried again |
//!
//! Who leads the stream's bitrate: the leg of the uplink that carries, with one that proves itself; without any ranked
//! leg all destinations together, the weakest of them. Whoever does not lead and is too weak is called distressed.

mod leg;
mod policy;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::ids::{Epoch, LegId, SlotId};
use crate::status::{LegStatus, Viewers};

use super::context::Context;
use super::encodes::publishes_slots;
use super::event::Fact;
use super::timers::Reason;
use super::wanted::{Leg as Wish, OnAir};

use leg::{Better, Leg, State, Worse};

const BARRED: &str = "left out, because the box crashed in it; `leg enable` tries it again";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Uplink {
    /// The operator wants to stream.
    pub streaming: bool,
    audio_bitrate_bps: u64,
    legs: BTreeMap<LegId, Leg>,
    /// Most viewers at one time since streaming began.
    peak: Option<u32>,
    /// It streamed when the legs were made to follow last.
    streamed: bool,
}

/// What the network of the legs that lead carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// Nobody leads at the moment.
    Unknown,
    /// Nobody can tell a limit.
    Open,
    Limited {
        estimate_bps: u64,
        sound_bps: u64,
    },
}

impl Uplink {
    pub fn new(context: &Context, config: &Config) -> Self {
        let legs = config.legs.iter().map(|leg| (leg.name.clone(), Leg::new(context, leg))).collect();
        Self { audio_bitrate_bps: config.program.audio_bitrate_bps, legs, ..Self::default() }
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

    /// Enabling a leg that waits for its next try tries at once. `Ok(false)`: it was so already.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn enable(&mut self, context: &mut Context, name: &LegId, on: bool) -> Result<bool, String> {
        let leg = self.named(name)?;
        leg.barred &= !on;
        if on && leg.enabled && matches!(leg.state, State::Waiting { .. }) {
            leg.forgive();
            leg.connect(context);
            return Ok(true);
        }
        Ok(std::mem::replace(&mut leg.enabled, on) != on)
    }

    /// Disables a leg that the box crashed in.
    pub fn bar(&mut self, name: &LegId) {
        if let Some(leg) = self.legs.get_mut(name) {
            (leg.enabled, leg.barred) = (false, true);
        }
    }

    pub fn is_barred(&self, name: &LegId) -> bool {
        self.legs.get(name).is_some_and(|leg| leg.barred)
    }

    /// Begins a leg's connection anew; no other leg is touched.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn reconnect(&mut self, context: &mut Context, name: &LegId) -> Result<(), String> {
        let leg = self.named(name)?;
        if let State::Off { standby } = leg.state {
            let why = if standby { "a better leg carries" } else { "it is off" };
            return Err(format!("leg {name} is not connected: {why}"));
        }
        leg.forgive();
        leg.connect(context);
        Ok(())
    }

    /// Asks the host's server to let the box be heard and seen again.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn unmute(&mut self, name: &LegId) -> Result<(), String> {
        let leg = self.named(name)?;
        if leg.session.muted.is_empty() {
            return Err(format!("nobody has muted leg {name}"));
        }
        leg.unmute += 1;
        Ok(())
    }

    fn named(&mut self, name: &LegId) -> Result<&mut Leg, String> {
        let known = self.legs.keys().map(LegId::as_str).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none is configured".to_owned() } else { known };
        self.legs.get_mut(name).ok_or_else(|| format!("no leg is named `{name}` (allowed: {known})"))
    }

    /// Takes a new configuration.
    pub fn reconfigure(&mut self, context: &mut Context, config: &Config) {
        let gone: Vec<LegId> =
            self.legs.keys().filter(|name| !config.legs.iter().any(|leg| leg.name == **name)).cloned().collect();
        for name in gone {
            if let Some(mut leg) = self.legs.remove(&name) {
                leg.turn_off(context, State::Off { standby: false }, None);
            }
        }
        for own in &config.legs {
            match self.legs.get_mut(&own.name) {
                Some(leg) if leg.config == *own => {}
                Some(leg) => {
                    leg.config = own.clone();
                    leg.turn_off(context, State::Off { standby: false }, None);
                }
                None => {
                    self.legs.insert(own.name.clone(), Leg::new(context, own));
                }
            }
        }
    }

    /// Makes the legs fit to what is wanted; `encoded`: the stream encode runs.
    pub fn follow(&mut self, context: &mut Context, encoded: bool) {
        if self.streaming && !self.streamed {
            self.peak = None;
        }
        self.streamed = self.streaming;
        let mut names: Vec<(Option<u32>, LegId)> =
            self.legs.iter().map(|(name, leg)| (leg.config.uplink, name.clone())).collect();
        names.sort();
        // Of the ranks above the one looked at.
        let mut above = Better::default();
        for (rank, name) in names {
            let Some(leg) = self.legs.get_mut(&name) else { continue };
            let why_off = if leg.barred { BARRED } else { "disabled" };
            let why_not = match (self.streaming, leg.enabled, encoded) {
                (_, false, _) => Some(why_off),
                (false, true, _) => Some(""),
                (true, true, false) => Some("no encoder runs for the stream"),
                (true, true, true) => None,
            };
            leg.follow(context, why_not, if rank.is_some() { above } else { Better::default() });
            if rank.is_some() {
                above.carries |= leg.carries();
                above.hopeful |= leg.is_hopeful();
            }
        }
    }

    pub fn fact(&mut self, context: &mut Context, name: &LegId, fact: &Fact) {
        let Some(leg) = self.legs.get_mut(name) else { return };
        leg.fact(context, fact);
        self.peak = self.peak.max(self.audience());
    }

    /// True when anything but a counter changed.
    pub fn progressed(&mut self, context: &mut Context, name: &LegId) -> bool {
        let worse = self.worse(name);
        self.legs.get_mut(name).is_some_and(|leg| leg.progressed(context, worse))
    }

    /// `true`: the timer was a leg's.
    pub fn fire(&mut self, context: &mut Context, reason: &Reason) -> bool {
        let (Reason::LegStalls(name)
        | Reason::LegRetries(name)
        | Reason::LegProves(name)
        | Reason::LegStepsIn(name)
        | Reason::LegWeakens(name)) = reason
        else {
            return false;
        };
        let Some(leg) = self.legs.get_mut(name) else { return true };
        match (reason, leg.state) {
            (Reason::LegStalls(_), _) => leg.stall_timer(context),
            (Reason::LegProves(_), _) => leg.prove_timer(context),
            (Reason::LegWeakens(_), _) => leg.weak_timer(context),
            (Reason::LegRetries(_), State::Waiting { .. }) | (_, State::Off { .. }) => leg.connect(context),
            _ => {}
        }
        true
    }

    /// What the legs that lead can carry.
    pub fn road(&self) -> Road {
        let leads = |leg: &&Leg| matches!(leg.state, State::Carrying { .. } | State::Proving { .. });
        let mut leaders = self.candidates().filter(leads).peekable();
        if leaders.peek().is_none() {
            return Road::Unknown;
        }
        let limit = |leg: &Leg| leg.session.estimate_bps.map(|estimate| (estimate, leg.sound));
        match leaders.filter_map(limit).min() {
            None => Road::Open,
            Some((estimate_bps, sound)) => Road::Limited { estimate_bps, sound_bps: sound.bps(self.audio_bitrate_bps) },
        }
    }

    /// Compares what the stream has with what each leg that does not lead can carry.
    pub fn weigh(&mut self, context: &mut Context, picture_bps: Option<u64>) {
        let ranked = self.has_ranked();
        let sound_bps = self.audio_bitrate_bps;
        for leg in self.legs.values_mut().filter(|leg| leg.config.uplink.is_none()) {
            let needed = picture_bps.filter(|_| ranked).map_or(0, |bps| bps + leg.sound.bps(sound_bps));
            leg.weigh(context, needed);
        }
    }

    /// `on_air`: the camera that viewers see. `slots`: those that have an encode of their own for the legs.
    pub fn wish(&self, on_air: Option<&OnAir>, slots: &BTreeMap<SlotId, String>) -> BTreeMap<LegId, Wish> {
        let wish = |leg: &Leg| {
            leg.state.epoch().map(|epoch| Wish {
                epoch,
                config: leg.config.clone(),
                audio_bitrate_bps: leg.sound.bps(self.audio_bitrate_bps),
                on_air: on_air.cloned(),
                slots: if publishes_slots(&leg.config) { slots.clone() } else { BTreeMap::new() },
                unmute: leg.unmute,
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
            rank: leg.config.uplink,
            muted: leg.session.muted.iter().copied().collect(),
            viewers: leg.session.audience,
        };
        self.legs.iter().map(shown).collect()
    }

    pub fn viewers(&self) -> Viewers {
        Viewers { now: self.audience(), peak: self.peak }
    }

    pub fn check(&self, context: &Context) {
        let mut carriers: Vec<Option<u32>> = Vec::new();
        for (name, leg) in &self.legs {
            leg.check(context);
            assert!(matches!(leg.state, State::Off { .. }) || (self.streaming && leg.enabled), "{name} is wanted");
            if leg.config.uplink.is_some() && leg.carries() {
                carriers.push(leg.config.uplink);
            }
        }
        assert!(carriers.len() <= 1, "one leg of the uplink carries: {carriers:?}");
        assert!(self.peak >= self.audience() || !self.streaming, "the peak was noticed");
    }

    /// Viewers of all legs that can count them.
    fn audience(&self) -> Option<u32> {
        self.legs.values().filter_map(|leg| leg.session.audience).reduce(u32::saturating_add)
    }

    fn has_ranked(&self) -> bool {
        self.legs.values().any(|leg| leg.enabled && leg.config.uplink.is_some())
    }

    /// Legs that may lead.
    fn candidates(&self) -> impl Iterator<Item = &Leg> {
        let ranked = self.has_ranked();
        self.legs.values().filter(move |leg| leg.config.uplink.is_some() == ranked)
    }

    fn worse(&self, name: &LegId) -> Worse {
        let Some(rank) = self.legs.get(name).and_then(|leg| leg.config.uplink) else { return Worse::default() };
        let worse = || self.legs.values().filter(|leg| leg.config.uplink.is_some_and(|other| other > rank));
        Worse { carries: worse().any(Leg::carries), is_on: worse().any(|leg| !matches!(leg.state, State::Off { .. })) }
    }
}
