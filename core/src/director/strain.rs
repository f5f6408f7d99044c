//! Asks [`crate::overload`] what to give up, for as long as something lags or is given up, and tells why.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::ids::SlotId;
use crate::job::EncodeJob;
use crate::overload::{LOOKS, Lag, Level, Overload, Strain};
use crate::status::Severity;
use crate::time::Mono;

use super::context::Context;
use super::encodes::{Encodes, OPENS, is_slot};
use super::program::Program;
use super::timers::Reason;
use super::wanted::Picture;

const KIND: &str = "overloaded";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Strained {
    overload: Overload,
    /// Of the encodes that are behind, as they told last.
    lags: BTreeMap<EncodeJob, Lag>,
    /// Of the program's mixer, when it is behind.
    #[serde(default)]
    mixer: Option<Lag>,
    /// What slows the machine down, as it says itself.
    #[serde(default)]
    slowed: Option<String>,
}

/// Who may be judged by its lag: what has just started works off what came while it did.
pub(super) struct Judged<'a> {
    encodes: &'a Encodes,
    /// Since when the program puts out frames.
    program: Option<Mono>,
}

impl<'a> Judged<'a> {
    pub const fn of(encodes: &'a Encodes, program: &Program) -> Self {
        Self { encodes, program: program.running_since() }
    }

    fn program(&self, context: &Context) -> bool {
        self.program.is_some_and(|since| context.now.since(since) >= OPENS)
    }
}

impl Strained {
    /// An encode told how far it lags.
    pub fn lags(&mut self, context: &mut Context, judged: &Judged<'_>, job: EncodeJob, lag: Lag) {
        if lag.is_behind() && judged.encodes.has_settled(context, job) {
            self.lags.insert(job, lag);
            self.begin(context, judged);
        } else {
            self.lags.remove(&job);
        }
    }

    /// The program's mixer told the same.
    pub fn mixer_lags(&mut self, context: &mut Context, judged: &Judged<'_>, lag: Lag) {
        self.mixer = Some(lag).filter(|lag| lag.is_behind() && judged.program(context));
        if self.mixer.is_some() {
            self.begin(context, judged);
        }
    }

    /// The machine says what slows it down, or that nothing does any more. Nothing is given up for that alone.
    pub fn slowed(&mut self, why: Option<String>) {
        self.slowed = why;
    }

    fn begin(&mut self, context: &mut Context, judged: &Judged<'_>) {
        if !context.timers.is_set(&Reason::OverloadLooks) {
            self.look(context, judged, None);
        }
    }

    pub fn look_timer(&mut self, context: &mut Context, judged: &Judged<'_>, config: &Config, on_air: Picture) {
        self.overload.forget(|slot| !config.slots.contains_key(&slot));
        let next = self.next(judged.encodes, config, on_air);
        self.look(context, judged, next);
    }

    /// Of the slots that are encoded, the last by priority; the one on air after all others. Also where another one alone is
    /// behind: what encodes this one is a help to that.
    fn next(&self, encodes: &Encodes, config: &Config, on_air: Picture) -> Option<SlotId> {
        let priority = |slot: SlotId| config.slots.get(&slot).map_or(u32::MAX, |own| own.priority);
        let slots = encodes.slots().filter(|slot| !self.shed_slots().contains(slot));
        slots.min_by_key(|slot| (on_air == Picture::Slot(*slot), Reverse((priority(*slot), *slot))))
    }

    fn look(&mut self, context: &mut Context, judged: &Judged<'_>, next: Option<SlotId>) {
        self.lags.retain(|job, _| judged.encodes.has_settled(context, *job));
        self.mixer = self.mixer.filter(|_| judged.program(context));
        let of = |slots: bool| self.lags.iter().filter(move |(job, _)| is_slot(**job) == slots).map(|(_, lag)| lag);
        self.overload.look(context.now, Strain::of(of(false).chain(&self.mixer), of(true)), next);
        if !self.overload.is_over() {
            context.start_timer(Reason::OverloadLooks, LOOKS);
        }
        match self.overload.level() {
            Level::Nothing => context.alerts.clear(KIND, ""),
            level @ (Level::Previews | Level::SlotRates | Level::Slots) => {
                let severity = if level == Level::Previews { Severity::Warning } else { Severity::Error };
                let why = self.slowed.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                let text = format!("the machine does not keep up{why}; until it does: {}", self.overload.words());
                context.alerts.raise(context.now, KIND, "", severity, text);
            }
        }
    }

    pub fn sheds_previews(&self) -> bool {
        self.overload.level() >= Level::Previews
    }

    /// Slots that are neither recorded nor published.
    pub fn shed_slots(&self) -> &[SlotId] {
        self.overload.slots()
    }

    pub fn level(&self) -> Level {
        self.overload.level()
    }

    pub fn check(&self, context: &Context) {
        assert_eq!(
            context.timers.is_set(&Reason::OverloadLooks),
            !self.overload.is_over(),
            "what was given up is looked at until it is back"
        );
    }
}
