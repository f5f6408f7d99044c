//! What a person should know, for as long as it holds. Each alert has a key: its kind, and what it is about.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::status::{Alert, Severity};
use crate::time::Mono;

/// An alert about something that happened once stays this long.
pub(super) const ONCE: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Alerts(BTreeMap<String, Alert>);

impl Alerts {
    /// Raises the alert `kind` about `about` (empty: the box). The same text again changes nothing.
    pub fn raise(&mut self, now: Mono, kind: &str, about: &str, severity: Severity, text: impl Into<String>) {
        let text = text.into();
        let known = self.0.get(&key(kind, about));
        if known.is_some_and(|alert| alert.text == text && alert.severity == severity) {
            return;
        }
        let since = known.map_or(now, |alert| alert.since);
        self.0.insert(key(kind, about), Alert { kind: kind.to_owned(), severity, text, since });
    }

    pub fn clear(&mut self, kind: &str, about: &str) {
        self.0.remove(&key(kind, about));
    }

    pub fn clear_key(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// The oldest first.
    pub fn list(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.0.values().cloned().collect();
        alerts.sort_by(|a, b| a.since.cmp(&b.since).then_with(|| a.kind.cmp(&b.kind)));
        alerts
    }
}

pub(super) fn key(kind: &str, about: &str) -> String {
    if about.is_empty() { kind.to_owned() } else { format!("{kind}/{about}") }
}
