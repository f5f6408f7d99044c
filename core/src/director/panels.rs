//! The panels: which are there, and whether their keys work.
//!
//! | state | leaves it when |
//! |---|---|
//! | waiting | it says hello: *connected* |
//! | connected | it is silent or unplugged: *lost*, with an alert |
//! | lost | it says hello: *connected* |
//!
//! The shells tell of each; a panel is never forgotten while the process runs, because one that is missing must be
//! seen to be missing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::{Command, Envelope, Origin};
use crate::status::{PanelState, PanelStatus, Severity};

use super::context::Context;
use super::event::PanelReport;
use super::timers::Reason;

/// How long `identify` blinks.
const IDENTIFIES: Duration = Duration::from_secs(5);
/// More places for panels than any box has; a shell that makes up more is not believed.
const MOST: usize = 64;
/// The alert of a lost panel.
const LOST: &str = "panel_lost";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Panels {
    panels: BTreeMap<String, PanelStatus>,
    locked: bool,
    identifying: bool,
}

impl Panels {
    /// True when anything changed.
    pub fn told(&mut self, context: &mut Context, report: PanelReport) -> bool {
        let PanelReport { id, kind, name, state, why, keys } = report;
        let before = self.panels.get(&id);
        if before.is_none() && self.panels.len() >= MOST {
            return false;
        }
        let since = before.filter(|before| before.state == state).map_or(context.now, |before| before.since);
        let panel = PanelStatus { id: id.clone(), kind, name, state, since, why, keys };
        if before == Some(&panel) {
            return false;
        }
        match state {
            PanelState::Lost => {
                let why = panel.why.as_deref().unwrap_or("it does not answer");
                let text = format!("the panel {} is lost: {why}", panel.name);
                context.alerts.raise(context.now, LOST, &id, Severity::Warning, text);
            }
            PanelState::Waiting | PanelState::Connected => context.alerts.clear(LOST, &id),
        }
        self.panels.insert(id, panel);
        true
    }

    /// While the keys are locked, a panel may unlock them and nothing else.
    pub fn admit(&self, envelope: &Envelope) -> Result<(), String> {
        let unlocks = matches!(envelope.command, Command::Lock { .. });
        if self.locked && envelope.origin == Origin::Panel && !unlocks {
            return Err("the keys of the panels are locked".to_owned());
        }
        Ok(())
    }

    /// True when it changed.
    pub const fn lock(&mut self, on: bool) -> bool {
        let before = self.locked;
        self.locked = on;
        before != on
    }

    pub fn identify(&mut self, context: &mut Context) {
        self.identifying = true;
        context.start_timer(Reason::IdentifyEnds, IDENTIFIES);
    }

    pub const fn identify_timer(&mut self) {
        self.identifying = false;
    }

    pub const fn locked(&self) -> bool {
        self.locked
    }

    pub const fn identifying(&self) -> bool {
        self.identifying
    }

    /// Each by a name of its own.
    pub fn status(&self) -> Vec<PanelStatus> {
        let mut names: BTreeMap<&str, u32> = BTreeMap::new();
        let named = self.panels.values().map(|panel| {
            let count = names.entry(&panel.name).or_default();
            *count += 1;
            let name = if *count == 1 { panel.name.clone() } else { format!("{} ({count})", panel.name) };
            PanelStatus { name, ..panel.clone() }
        });
        named.collect()
    }

    pub fn check(&self, context: &Context) {
        assert!(self.panels.len() <= MOST, "memory is bounded");
        assert!(self.panels.iter().all(|(id, panel)| *id == panel.id), "each stands at its own place");
        assert_eq!(self.identifying, context.timers.is_set(&Reason::IdentifyEnds), "blinking ends");
    }
}
