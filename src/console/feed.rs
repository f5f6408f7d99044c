//! The event feed's numbering and pacing, without a socket or a clock.
//!
//! Owns the newest snapshot and the number of the newest event. Every message takes the next number, heartbeats too:
//! whoever sees a number missing has lost a message. A change of state is told at once; changes of samples are gathered
//! and told at most every [`GAUGE_PACE`].

use std::sync::Arc;
use std::time::Duration;

use cuebox_core::document::delta::{self, Delta};
use cuebox_core::document::{Document, Life, Snapshot};
use cuebox_core::time::Mono;
use serde::Serialize;

/// Twice a second: as fast as an eye reads a number, and a bounded load however often samples come.
const GAUGE_PACE: Duration = Duration::from_millis(500);
/// A reader that hears nothing for a few of these knows that the box, or the way to it, is gone.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);

pub(super) struct Feed {
    life: Life,
    seq: u64,
    newest: Snapshot,
    /// What the events so far add up to; its samples lag behind `newest`.
    told: Snapshot,
    gauges_due: Mono,
    heartbeat_due: Mono,
}

#[derive(Serialize)]
struct Numbered<'a> {
    seq: u64,
    #[serde(flatten)]
    message: Message<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Delta(&'a Delta),
    Snapshot { kind: &'static str, boot: &'a str, status: Box<Document> },
    Heartbeat { kind: &'static str },
}

impl Feed {
    pub(super) fn new(life: Life, now: Mono, snapshot: Snapshot) -> Self {
        let told = snapshot.clone();
        Self { life, seq: 0, newest: snapshot, told, gauges_due: now, heartbeat_due: now + HEARTBEAT }
    }

    /// The status document as of `now`.
    pub(super) fn document(&self, now: Mono) -> Document {
        Document::new(&self.life, self.seq, now, &self.newest)
    }

    /// The first message for a new reader; the events that follow go on from its number.
    pub(super) fn greeting(&self, now: Mono) -> String {
        self.snapshot_message(now)
    }

    /// Takes a newer snapshot, and gives the events to send.
    pub(super) fn take(&mut self, now: Mono, snapshot: Snapshot) -> Vec<String> {
        self.newest = snapshot;
        let old = Document::new(&self.life, 0, now, &self.told);
        let new = Document::new(&self.life, 0, now, &self.newest);
        if !delta::same_shape(&old, &new) {
            self.told = self.newest.clone();
            self.seq += 1;
            return vec![self.snapshot_message(now)];
        }
        self.told.status = Arc::clone(&self.newest.status);
        let mut events: Vec<_> = delta::facts(&old, &new).iter().map(|delta| self.number(delta)).collect();
        events.extend(self.due_gauges(now));
        events
    }

    /// What is due at `now` without anything new.
    pub(super) fn tick(&mut self, now: Mono) -> Vec<String> {
        let mut events: Vec<_> = self.due_gauges(now).into_iter().collect();
        if now >= self.heartbeat_due {
            self.heartbeat_due = now + HEARTBEAT;
            self.seq += 1;
            events.push(self.render(Message::Heartbeat { kind: "heartbeat" }));
        }
        events
    }

    /// When [`Feed::tick`] has something to do.
    pub(super) fn deadline(&self) -> Mono {
        if Arc::ptr_eq(&self.told.gauges, &self.newest.gauges) {
            self.heartbeat_due
        } else {
            self.heartbeat_due.min(self.gauges_due)
        }
    }

    fn due_gauges(&mut self, now: Mono) -> Option<String> {
        if now < self.gauges_due || Arc::ptr_eq(&self.told.gauges, &self.newest.gauges) {
            return None;
        }
        let old = Document::new(&self.life, 0, now, &self.told);
        let new = Document::new(&self.life, 0, now, &self.newest);
        self.told.gauges = Arc::clone(&self.newest.gauges);
        let delta = delta::gauges(&old, &new)?;
        self.gauges_due = now + GAUGE_PACE;
        Some(self.number(&delta))
    }

    fn number(&mut self, delta: &Delta) -> String {
        self.seq += 1;
        self.render(Message::Delta(delta))
    }

    fn snapshot_message(&self, now: Mono) -> String {
        let status = Box::new(self.document(now));
        self.render(Message::Snapshot { kind: "snapshot", boot: &self.life.boot, status })
    }

    fn render(&self, message: Message<'_>) -> String {
        // Only keys that are not text can fail, and every key here is a field's name or a text.
        serde_json::to_string(&Numbered { seq: self.seq, message }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
