//! One panel's keys, lamps and report, whatever it is connected by.

use std::sync::{Arc, PoisonError};

use cuebox_core::command::{Envelope, Origin};
use cuebox_core::director::PanelReport;
use cuebox_core::document::Snapshot;
use cuebox_core::ids::CommandId;
use cuebox_core::panel::keys::Keys;
use cuebox_core::panel::layout::Layout;
use cuebox_core::panel::{PanelConfig, Trigger, meaning};
use cuebox_core::status::{PanelGauges, PanelKind, PanelState, Status};
use cuebox_core::tally;
use cuebox_core::time::Mono;
use cuebox_panel::light::Light;
use tokio::sync::watch;

use super::{Counters, Deps};

#[derive(Clone)]
pub(super) struct Desk {
    /// For every panel, and for this one.
    all: Arc<PanelConfig>,
    config: Arc<PanelConfig>,
    deps: Deps,
    counters: Counters,
    layout: Layout,
    keys: Keys,
    told: Option<PanelReport>,
}

impl Desk {
    pub fn new(config: Arc<PanelConfig>, deps: Deps, counters: Counters) -> Self {
        Self {
            all: config.clone(),
            config,
            deps,
            counters,
            layout: Layout::default(),
            keys: Keys::default(),
            told: None,
        }
    }

    pub fn now(&self) -> Mono {
        (self.deps.clock)()
    }

    /// Where a change of the status is waited for.
    pub fn snapshots(&self) -> watch::Receiver<Snapshot> {
        self.deps.snapshots.clone()
    }

    /// The panel is there, with so many keys.
    pub fn connected(&mut self, id: &str, kind: PanelKind, name: &str, keys: u8) {
        let own = self.all.of(id, name);
        if self.layout.keys() != keys || *self.config != own {
            self.layout = Layout::new(keys, &own);
            self.config = Arc::new(own);
        }
        self.keys.forget();
        self.tell(PanelReport {
            id: id.to_owned(),
            kind,
            name: name.to_owned(),
            state: PanelState::Connected,
            why: None,
            keys,
        });
    }

    /// The panel is not there: lost, if it ever was.
    pub fn missing(&mut self, id: &str, kind: PanelKind, why: &str) {
        self.keys.forget();
        let before = self.told.as_ref();
        let was_there = before.is_some_and(|told| told.state != PanelState::Waiting);
        let (name, keys) = before.map_or_else(|| (id.to_owned(), 0), |told| (told.name.clone(), told.keys));
        let state = if was_there { PanelState::Lost } else { PanelState::Waiting };
        self.tell(PanelReport { id: id.to_owned(), kind, name, state, why: Some(why.to_owned()), keys });
    }

    /// A key went down or up.
    pub fn key(&mut self, key: u8, down: bool) {
        let trigger = self.keys.key(self.now(), &self.layout, key, down);
        if let Some(trigger) = trigger {
            self.act(&trigger);
        }
    }

    /// What the time that has passed means for keys that are held.
    pub fn due(&mut self) {
        let now = self.now();
        while let Some(trigger) = self.keys.due(now, &self.layout, self.config.long_press) {
            self.act(&trigger);
        }
    }

    /// When [`Desk::due`] has something to do.
    pub fn deadline(&self) -> Option<Mono> {
        self.keys.deadline(&self.layout, self.config.long_press)
    }

    /// What the lamps show now, key 1's first.
    pub fn lamps(&self) -> Vec<Light> {
        tally::lamps(&self.status(), &self.layout, self.config.hide_preview)
    }

    pub fn status(&self) -> Arc<Status> {
        self.deps.snapshots.borrow().status.clone()
    }

    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Changes what the panel's line carried.
    pub fn count(&self, change: impl FnOnce(&mut PanelGauges)) {
        let Some(told) = &self.told else { return };
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        change(counters.entry(told.id.clone()).or_default());
    }

    fn act(&self, trigger: &Trigger) {
        let status = self.status();
        let action = self.layout.action(trigger);
        let Some(command) = action.and_then(|action| meaning::command(action, self.config.mode, &status)) else {
            return;
        };
        self.count(|gauges| gauges.presses += 1);
        let id = CommandId::new(format!("panel-{}", uuid::Uuid::now_v7()));
        (self.deps.submit)(Envelope { id, origin: Origin::Panel, command });
    }

    fn tell(&mut self, report: PanelReport) {
        if self.told.as_ref() == Some(&report) {
            return;
        }
        match report.state {
            PanelState::Connected => tracing::info!(panel = report.name, at = report.id, "a panel is connected"),
            PanelState::Lost => {
                tracing::warn!(panel = report.name, at = report.id, why = report.why, "a panel is lost")
            }
            PanelState::Waiting => tracing::info!(at = report.id, why = report.why, "a panel is waited for"),
        }
        self.told = Some(report.clone());
        (self.deps.report)(report);
    }
}
