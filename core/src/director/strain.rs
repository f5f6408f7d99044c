//! Asks [`crate::overload`] what to give up, for as long as an encode lags or something is given up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::overload::{LOOKS, Lag, Level, Overload, Strain};
use crate::status::Severity;

use super::context::Context;
use super::encodes::Encodes;
use super::event::EncodeJob;
use super::timers::Reason;

const KIND: &str = "overloaded";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Strained {
    overload: Overload,
    /// Of the encodes that are behind, as they told last.
    lags: BTreeMap<EncodeJob, Lag>,
}

impl Strained {
    /// An encode told how far it lags.
    pub fn lags(&mut self, context: &mut Context, encodes: &Encodes, job: EncodeJob, lag: Lag) {
        if !lag.is_behind() || !encodes.has_settled(context, job) {
            self.lags.remove(&job);
            return;
        }
        self.lags.insert(job, lag);
        if !context.timers.is_set(&Reason::OverloadLooks) {
            self.look_timer(context, encodes);
        }
    }

    pub fn look_timer(&mut self, context: &mut Context, encodes: &Encodes) {
        self.lags.retain(|job, _| encodes.has_settled(context, *job));
        self.overload.look(context.now, Strain::of(self.lags.values()));
        if !self.overload.is_over() {
            context.start_timer(Reason::OverloadLooks, LOOKS);
        }
        match self.overload.level() {
            Level::Nothing => context.alerts.clear(KIND, ""),
            level @ (Level::Previews | Level::SlotRates | Level::Slots) => {
                let severity = if level == Level::Previews { Severity::Warning } else { Severity::Error };
                let text = format!("the machine does not keep up; until it does: {}", level.words());
                context.alerts.raise(context.now, KIND, "", severity, text);
            }
        }
    }

    pub fn sheds_previews(&self) -> bool {
        self.overload.level() >= Level::Previews
    }

    pub fn halves_slots(&self) -> bool {
        self.overload.level() >= Level::SlotRates
    }

    pub fn sheds_slots(&self) -> bool {
        self.overload.level() >= Level::Slots
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
