//! The slots and what is plugged into them.
//!
//! Three principles: the **port** decides the slot, never the order in which devices appear or their `/dev/videoN`;
//! a claimed port stays claimed, so that replugging restores the slot and its role, also after a reboot;
//! a new device never takes a slot that has a claim, whether its camera is there or not. The exception: a slot that
//! is configured with a port takes that port from a slot that only happened to find it.

mod measured;
mod seats;
mod slot;
mod sound;
mod state;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Config, SlotConfig, Source};
use crate::device::Camera;
use crate::ids::{Epoch, Port, SlotId};
use crate::job::Job;
use crate::settings::KnownCamera;
use crate::status::{Severity, SlotState, SlotStatus, SpareCamera};
use crate::time::Mono;
use crate::usb;

use super::context::Context;
use super::event::Fact;
use super::field::Field;
use super::timers::Reason;

use seats::{Cameras, LAPSES, Seats};
pub(super) use slot::{Setting, Slot};

/// Between two measurements of the live slots' frame rates.
const MEASURE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Inputs {
    slots: BTreeMap<SlotId, Slot>,
    cameras: Cameras,
    #[serde(default)]
    seats: Seats,
    /// Alerts about cameras at other ports, as they were raised.
    #[serde(default)]
    explained: Vec<(String, String)>,
}

fn setting(config: &Config, slot: SlotId) -> Option<Setting<'_>> {
    config.slots.get(&slot).map(|own| Setting { slot: own, program: &config.program })
}

impl Inputs {
    pub fn new(context: &mut Context, config: &Config) -> Self {
        let slots = config
            .slots
            .iter()
            .map(|(id, slot)| (*id, Slot::new(context, *id, Setting { slot, program: &config.program })))
            .collect();
        Self { slots, cameras: Cameras::new(), seats: Seats::default(), explained: Vec::new() }
    }

    pub fn get(&self, slot: SlotId) -> Option<&Slot> {
        self.slots.get(&slot)
    }

    pub fn iter(&self) -> impl Iterator<Item = (SlotId, &Slot)> {
        self.slots.iter().map(|(id, slot)| (*id, slot))
    }

    /// The live slots, each with the time since which it is.
    pub fn live(&self) -> BTreeMap<SlotId, Mono> {
        self.iter().filter(|(_, slot)| slot.is_live()).map(|(id, slot)| (id, slot.since)).collect()
    }

    pub fn field<'a>(&self, context: &Context, config: &'a Config, why: &'a dyn Fn(SlotId) -> String) -> Field<'a> {
        let kept_off = self.iter().filter_map(|(id, slot)| Some((id, slot.kept_off()?))).collect();
        Field { live: self.live(), kept_off, now: context.now, config, why }
    }

    /// Nothing is opened for the slot, or for its sound card.
    pub fn bar(&mut self, context: &mut Context, slot: SlotId) {
        if let Some(slot) = self.slots.get_mut(&slot) {
            slot.bar(context);
        }
    }

    pub fn bar_sound(&mut self, slot: SlotId) {
        if let Some(slot) = self.slots.get_mut(&slot) {
            slot.sound.bar();
        }
    }

    /// Somebody asks for this very slot.
    pub fn insist(&mut self, context: &mut Context, slot: SlotId) {
        if let Some(slot) = self.slots.get_mut(&slot) {
            slot.insist(context);
        }
    }

    /// Which camera each slot has, there or not.
    pub fn known(&self) -> BTreeMap<SlotId, KnownCamera> {
        self.seats.claims().clone()
    }

    /// Takes up what the process before knew of the cameras; before the first of them is told.
    pub fn restore(&mut self, context: &mut Context, config: &Config, known: BTreeMap<SlotId, KnownCamera>) {
        if self.seats.restore(config, known) {
            context.start_timer(Reason::ClaimsLapse, LAPSES);
        }
    }

    /// Cameras that are plugged in and left alone.
    pub fn spare(&self) -> Vec<SpareCamera> {
        let spare = |camera: &Camera| SpareCamera { port: camera.port.clone(), name: camera.name.clone() };
        self.seats.spare(&self.cameras).map(spare).collect()
    }

    /// Why a slot is not live, in words.
    pub fn why(&self, slot: SlotId) -> String {
        let Some(slot) = self.get(slot) else { return "it is not configured".to_owned() };
        slot.why.clone().unwrap_or_else(|| {
            let state = match slot.shown_state() {
                SlotState::Empty => "nothing is plugged in",
                SlotState::Settling => "a device was just plugged in",
                SlotState::Opening => "it is being opened",
                SlotState::Live => "it is live",
                SlotState::NoSignal => "no signal",
                SlotState::Stalled => "its picture stopped",
                SlotState::Cooling => "it failed and is tried again",
            };
            state.to_owned()
        })
    }

    pub fn is_current(&self, job: &Job, epoch: Epoch) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other jobs belong to other machines")]
        match job {
            Job::Capture(slot) => {
                self.get(*slot).and_then(|slot| slot.capture.as_ref()).is_some_and(|capture| capture.epoch == epoch)
            }
            Job::Sound(slot) => self.get(*slot).and_then(|slot| slot.sound.epoch()) == Some(epoch),
            _ => false,
        }
    }

    pub fn plugged(&mut self, context: &mut Context, config: &Config, camera: Camera) {
        if self.cameras.insert(camera.port.clone(), camera.clone()).is_none() {
            self.seats.appeared(&camera.port);
        }
        self.seats.assign(config, &self.cameras);
        let owner = self.seats.owner(&camera.port);
        if let Some(slot) = owner.and_then(|slot| self.slots.get_mut(&slot))
            && slot.camera.as_ref().is_none_or(|seated| seated.port == camera.port)
        {
            slot.plugged(context, camera);
        }
        self.seat(context);
    }

    pub fn unplugged(&mut self, context: &mut Context, port: &Port) {
        self.cameras.remove(port);
        self.seats.disappeared();
        let owner = self.seats.owner(port);
        if let Some(slot) = owner.and_then(|slot| self.slots.get_mut(&slot))
            && slot.camera.is_some()
        {
            slot.unplugged(context);
        }
        self.explain(context);
    }

    pub fn fact(&mut self, context: &mut Context, config: &Config, job: &Job, fact: &Fact) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other jobs belong to other machines")]
        match job {
            Job::Capture(id) => {
                let port = self.get(*id).and_then(|slot| slot.camera.as_ref()).map(|camera| camera.port.clone());
                let others = self.cameras.keys().map(|port| (port, self.seats.owner(port)));
                let crowded = port.map(|port| usb::crowded(&port, others)).unwrap_or_default();
                if let (Some(slot), Some(setting)) = (self.slots.get_mut(id), setting(config, *id)) {
                    slot.fact(context, setting, fact, &crowded);
                }
            }
            Job::Sound(id) => {
                if let Some(slot) = self.slots.get_mut(id) {
                    slot.sound.fact(context, *id, fact);
                }
            }
            _ => {}
        }
    }

    /// True when anything but a counter changed.
    pub fn progressed(&mut self, context: &mut Context, job: &Job, total: u64) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other jobs belong to other machines")]
        match job {
            Job::Capture(id) => self.slots.get_mut(id).is_some_and(|slot| slot.progressed(context, total)),
            Job::Sound(id) => self.slots.get_mut(id).is_some_and(|slot| slot.sound.progressed(context, *id)),
            _ => false,
        }
    }

    /// Fires a timer of the slots; `false` when it is somebody else's. `program`: when the program made a frame last.
    pub fn fire(&mut self, context: &mut Context, config: &Config, program: Mono, reason: &Reason) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other timers belong to other machines")]
        let id = match reason {
            Reason::Measure => {
                self.slots.values_mut().for_each(|slot| slot.measure(context));
                return true;
            }
            Reason::ClaimsLapse => {
                self.seats.lapse();
                self.seats.assign(config, &self.cameras);
                self.seat(context);
                return true;
            }
            Reason::SlotSettles(id)
            | Reason::SlotOpens(id)
            | Reason::SlotStalls(id)
            | Reason::SlotSteadies(id)
            | Reason::SlotGivesUp(id)
            | Reason::SlotRetries(id)
            | Reason::SoundStalls(id)
            | Reason::SoundRetries(id) => *id,
            _ => return false,
        };
        let others = self.slots.iter().filter(|(other, slot)| **other != id && slot.is_live());
        let others = others.map(|(_, slot)| slot.progressed_at()).max().unwrap_or(program);
        let (Some(slot), Some(setting)) = (self.slots.get_mut(&id), setting(config, id)) else { return true };
        #[expect(clippy::wildcard_enum_match_arm, reason = "listed above")]
        match reason {
            Reason::SlotSettles(_) => slot.settle_timer(context, setting),
            Reason::SlotOpens(_) => slot.open_timer(context),
            Reason::SlotStalls(_) => slot.stall_timer(context, others),
            Reason::SlotSteadies(_) => slot.steady_timer(context, setting),
            Reason::SlotGivesUp(_) => slot.give_up_timer(context),
            Reason::SlotRetries(_) => slot.retry_timer(context, setting),
            Reason::SoundStalls(_) => slot.sound.stall_timer(context, id),
            Reason::SoundRetries(_) => slot.sound.retry_timer(context, id),
            _ => {}
        }
        true
    }

    /// Lets sound follow picture, and measures while somebody is live.
    pub fn follow(&mut self, context: &mut Context, config: &Config) {
        let mut any_live = false;
        for (id, slot) in &mut self.slots {
            any_live |= slot.is_live();
            let device = setting(config, *id).and_then(|setting| slot.sound_device(setting)).map(str::to_owned);
            slot.sound.follow(context, *id, device.as_deref());
        }
        match (any_live, context.timers.is_set(&Reason::Measure)) {
            (true, false) => context.start_timer(Reason::Measure, MEASURE),
            (false, true) => context.timers.stop(&Reason::Measure),
            _ => {}
        }
    }

    /// Takes a new configuration: `config` is the new one, `old` the slots' old part.
    pub fn reconfigure(&mut self, context: &mut Context, config: &Config, old: &BTreeMap<SlotId, SlotConfig>) {
        let gone: Vec<SlotId> = self.slots.keys().filter(|id| !config.slots.contains_key(id)).copied().collect();
        for id in gone {
            if let Some(mut slot) = self.slots.remove(&id) {
                slot.close(context);
            }
            self.seats.forget(id);
        }
        for (id, own) in &config.slots {
            let setting = Setting { slot: own, program: &config.program };
            let opens_as = |slot: &SlotConfig| (slot.source.clone(), slot.has_own_sound());
            let changed = old.get(id).is_some_and(|old| opens_as(old) != opens_as(own));
            let port = |source: &Source| match source {
                Source::V4l2 { port, .. } => Some(port.clone()),
                Source::Test { .. } | Source::File { .. } | Source::Network { .. } => None,
            };
            // Other controls open the same camera anew.
            if old.get(id).is_some_and(|old| port(&old.source) != port(&own.source)) {
                self.seats.forget(*id);
            }
            match self.slots.get_mut(id) {
                Some(slot) if changed => {
                    slot.camera = None;
                    slot.begin(context, setting);
                }
                Some(slot) => slot.rename(&own.name),
                None => {
                    self.slots.insert(*id, Slot::new(context, *id, setting));
                }
            }
        }
        self.seats.assign(config, &self.cameras);
        self.seat(context);
    }

    pub fn rename(&mut self, slot: SlotId, name: &str) {
        if let Some(slot) = self.slots.get_mut(&slot) {
            slot.rename(name);
        }
    }

    pub fn status(&self, config: &Config, timers: &super::timers::Timers) -> Vec<SlotStatus> {
        self.iter()
            .map(|(number, slot)| {
                let health = crate::health::health(&slot.signs());
                let why = slot.why.clone().or_else(|| {
                    let reasons = health.reasons.join(", ");
                    (!reasons.is_empty()).then_some(reasons)
                });
                SlotStatus {
                    number,
                    name: config.slots.get(&number).map(|own| own.name.clone()).unwrap_or_default(),
                    state: slot.shown_state(),
                    since: slot.since,
                    why,
                    device: self.device(config, number, slot),
                    next_try: timers.get(&Reason::SlotRetries(number)),
                    health: health.score,
                    kept_off: slot.kept_off(),
                }
            })
            .collect()
    }

    fn device(&self, config: &Config, number: SlotId, slot: &Slot) -> Option<String> {
        match &config.slots.get(&number)?.source {
            Source::V4l2 { .. } => slot.camera.as_ref().map(|camera| format!("{} ({})", camera.name, camera.port)),
            Source::Test { .. } => Some("test picture".to_owned()),
            Source::File { path, .. } => Some(path.clone()),
            Source::Network { url } => Some(url.to_string()),
        }
    }

    /// Tells slots whose claim changed what is plugged in there.
    fn seat(&mut self, context: &mut Context) {
        for (id, slot) in &mut self.slots {
            let claimed = self.seats.port(*id).and_then(|port| self.cameras.get(port));
            match (&slot.camera, claimed) {
                (None, Some(camera)) => slot.plugged(context, camera.clone()),
                (Some(seated), Some(camera)) if seated.port != camera.port => {
                    slot.unplugged(context);
                    slot.plugged(context, camera.clone());
                }
                (Some(_), None) => slot.unplugged(context),
                _ => {}
            }
        }
        self.explain(context);
    }

    /// Says which cameras were found at other ports, and takes back what does not hold any more.
    fn explain(&mut self, context: &mut Context) {
        for (kind, about) in std::mem::take(&mut self.explained) {
            context.alerts.clear(&kind, &about);
        }
        for (kind, about, text) in self.seats.explain(&self.cameras) {
            context.alerts.raise(context.now, kind, &about, Severity::Warning, text);
            self.explained.push((kind.to_owned(), about));
        }
    }

    pub fn check(&self, context: &Context, config: &Config) {
        assert!(self.slots.keys().eq(config.slots.keys()), "a slot machine for each configured slot");
        let mut ports: Vec<&Port> = self.seats.claims().values().map(|claim| &claim.port).collect();
        ports.sort();
        ports.dedup();
        assert_eq!(ports.len(), self.seats.claims().len(), "no port belongs to two slots: {:?}", self.seats);
        for (id, slot) in &self.slots {
            slot.check(context);
            let seated = slot.camera.as_ref().map(|camera| &camera.port);
            let claimed = self.seats.port(*id).filter(|port| self.cameras.contains_key(port));
            assert_eq!(seated, claimed, "{id:?} has the camera of its port");
        }
    }
}
