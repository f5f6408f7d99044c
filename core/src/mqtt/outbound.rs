//! What is published when, and what waits while the broker takes nothing.
//!
//! | | |
//! |---|---|
//! | at each connection | `availability`, what Home Assistant is told, then every retained topic anew |
//! | on air, a slot or a leg changed | at once: its own topic, its event, and `state` |
//! | another fact changed | at once its event; `state` within a second |
//! | only samples changed | `state` within a second |
//!
//! Of a retained topic only the newest payload waits. Events and answers wait in bounded queues: the oldest event goes
//! first, and `seq`, which counts states and events, shows the gap. Answers are few, because each belongs to a command
//! that was not acknowledged yet.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::document::delta::{self, Delta};
use crate::document::{Document, Life, Slot, Snapshot};
use crate::ids::SlotId;
use crate::time::Mono;

use super::inbound::Reply;
use super::{Topics, discovery};

/// Between two states that nothing but samples asks for.
const STATE_PACE: Duration = Duration::from_secs(1);
const MAX_EVENTS: usize = 256;
const MAX_REPLIES: usize = 1_000;

/// A message to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retained: bool,
    pub correlation: Option<Vec<u8>>,
}

/// The box as the broker shows it.
#[derive(Debug)]
pub struct Mirror {
    topics: Topics,
    life: Life,
    discovery_prefix: Option<String>,
    newest: Snapshot,
    /// What events told so far.
    told: Snapshot,
    /// What `state` held last.
    shown: Option<Snapshot>,
    /// Slots that have a retained topic.
    slots: BTreeSet<SlotId>,
    connected: bool,
    state_due: Mono,
    seq: u64,
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct Waiting {
    retained: VecDeque<Out>,
    events: VecDeque<Out>,
    replies: VecDeque<Out>,
    lost: u64,
}

impl Mirror {
    pub fn new(box_id: &str, life: Life, discovery_prefix: Option<String>, snapshot: Snapshot) -> Self {
        Self {
            topics: Topics::new(box_id),
            life,
            discovery_prefix,
            told: snapshot.clone(),
            newest: snapshot,
            shown: None,
            slots: BTreeSet::new(),
            connected: false,
            state_due: Mono::default(),
            seq: 0,
            waiting: Waiting::default(),
        }
    }

    pub const fn topics(&self) -> &Topics {
        &self.topics
    }

    /// A connection stands: everything is told anew.
    pub fn connected(&mut self, now: Mono) {
        self.connected = true;
        self.waiting.events.clear();
        self.told = self.newest.clone();
        self.retain(self.topics.availability(), b"online".to_vec());
        self.announce(now);
        let document = self.document(now);
        self.show_program(&document);
        for slot in &document.slots {
            self.show_slot(slot);
        }
        self.show_state(now, document);
    }

    /// Tells Home Assistant of the box; also when it asks everybody to.
    pub fn announce(&mut self, now: Mono) {
        let Some(prefix) = &self.discovery_prefix else { return };
        let (topic, payload) = discovery::announcement(prefix, &self.topics, &self.document(now));
        self.retain(topic, payload.to_string().into_bytes());
    }

    pub fn lost(&mut self) {
        self.connected = false;
    }

    /// Takes the newest facts and samples.
    pub fn take(&mut self, now: Mono, snapshot: Snapshot) {
        self.newest = snapshot;
        if !self.connected {
            return;
        }
        let build = |snapshot: &Snapshot| Document::new(&self.life, self.seq, now, snapshot);
        let (old, new) = (build(&self.told), build(&self.newest));
        let same_shape = delta::same_shape(&old, &new);
        let deltas = if same_shape { delta::facts(&old, &new) } else { Vec::new() };
        let mut at_once = !same_shape;
        for delta in &deltas {
            at_once |= matches!(delta, Delta::OnAir { .. } | Delta::SlotState { .. } | Delta::LegState { .. });
            match delta {
                Delta::OnAir { .. } => self.show_program(&new),
                Delta::SlotState { slots: [slot] } => self.show_slot(slot),
                Delta::Show { .. }
                | Delta::Spare { .. }
                | Delta::LegState { .. }
                | Delta::Recording { .. }
                | Delta::Encoders { .. }
                | Delta::Audio { .. }
                | Delta::Viewers { .. }
                | Delta::Panel { .. }
                | Delta::Mqtt { .. }
                | Delta::Alert { .. }
                | Delta::Gauges(_) => {}
            }
            self.tell(delta);
        }
        if !same_shape {
            self.show_program(&new);
            self.show_slots(&new);
            self.announce(now);
        }
        self.told = self.newest.clone();
        if at_once || now >= self.state_due {
            self.show_state(now, new);
        }
    }

    /// What is due without anything new.
    pub fn tick(&mut self, now: Mono) {
        if self.connected && self.is_behind() && now >= self.state_due {
            let document = self.document(now);
            self.show_state(now, document);
        }
    }

    /// When [`Mirror::tick`] has something to do.
    pub fn deadline(&self) -> Option<Mono> {
        (self.connected && self.is_behind()).then_some(self.state_due)
    }

    /// An answer for whoever sent a command.
    pub fn answer(&mut self, reply: Reply, body: &Value) {
        let Reply { topic: Some(topic), correlation } = reply else { return };
        if self.waiting.replies.len() >= MAX_REPLIES {
            self.waiting.replies.pop_front();
            self.waiting.lost += 1;
        }
        self.waiting.replies.push_back(Out {
            topic,
            payload: body.to_string().into_bytes(),
            retained: false,
            correlation,
        });
    }

    /// What is to be published next: answers, then states, then events.
    pub fn poll(&mut self) -> Option<Out> {
        let Waiting { retained, events, replies, .. } = &mut self.waiting;
        replies.pop_front().or_else(|| retained.pop_front()).or_else(|| events.pop_front())
    }

    /// It could not be published: it is next again, unless something newer took its place.
    pub fn put_back(&mut self, out: Out) {
        let Waiting { retained, events, replies, .. } = &mut self.waiting;
        if !out.retained {
            let is_event = out.topic.starts_with(&self.topics.event(""));
            if is_event { events.push_front(out) } else { replies.push_front(out) }
        } else if !retained.iter().any(|newer| newer.topic == out.topic) {
            retained.push_front(out);
        }
    }

    /// Answers that wait.
    pub fn answers(&self) -> usize {
        self.waiting.replies.len()
    }

    pub fn is_waiting(&self) -> bool {
        let Waiting { retained, events, replies, .. } = &self.waiting;
        !(retained.is_empty() && events.is_empty() && replies.is_empty())
    }

    /// Messages that did not find room.
    pub const fn dropped(&self) -> u64 {
        self.waiting.lost
    }

    fn is_behind(&self) -> bool {
        let same = |shown: &Snapshot| {
            Arc::ptr_eq(&shown.status, &self.newest.status) && Arc::ptr_eq(&shown.gauges, &self.newest.gauges)
        };
        !self.shown.as_ref().is_some_and(same)
    }

    fn document(&self, now: Mono) -> Document {
        Document::new(&self.life, self.seq, now, &self.newest)
    }

    fn show_state(&mut self, now: Mono, mut document: Document) {
        self.seq += 1;
        document.seq = self.seq;
        self.retain(self.topics.state(), text(&document));
        self.shown = Some(self.newest.clone());
        self.state_due = now + STATE_PACE;
    }

    fn show_program(&mut self, document: &Document) {
        let program = json!({ "on_air": document.program.on_air, "slate": document.program.slate });
        self.retain(self.topics.program(), program.to_string().into_bytes());
    }

    fn show_slots(&mut self, document: &Document) {
        let now: BTreeSet<SlotId> = document.slots.iter().map(|slot| slot.number).collect();
        for gone in self.slots.difference(&now).copied().collect::<Vec<_>>() {
            self.slots.remove(&gone);
            // An empty retained message takes the topic away.
            self.retain(self.topics.slot(gone), Vec::new());
        }
        for slot in &document.slots {
            self.show_slot(slot);
        }
    }

    fn show_slot(&mut self, slot: &Slot) {
        self.slots.insert(slot.number);
        self.retain(self.topics.slot(slot.number), text(slot));
    }

    fn tell(&mut self, delta: &Delta) {
        self.seq += 1;
        let mut event = serde_json::to_value(delta).unwrap_or_default();
        let kind = event.get("kind").and_then(Value::as_str).unwrap_or("other").to_owned();
        event["seq"] = json!(self.seq);
        if self.waiting.events.len() >= MAX_EVENTS {
            self.waiting.events.pop_front();
            self.waiting.lost += 1;
        }
        let (topic, payload) = (self.topics.event(&kind), event.to_string().into_bytes());
        self.waiting.events.push_back(Out { topic, payload, retained: false, correlation: None });
    }

    fn retain(&mut self, topic: String, payload: Vec<u8>) {
        self.waiting.retained.retain(|older| older.topic != topic);
        self.waiting.retained.push_back(Out { topic, payload, retained: true, correlation: None });
    }
}

fn text(value: &impl serde::Serialize) -> Vec<u8> {
    // Every key is a field's name or a text: this cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;

/// A box that has just started.
#[cfg(test)]
pub(super) mod testkit {
    use super::*;
    use crate::config::Config;
    use crate::director::Director;
    use crate::status::Gauges;

    pub fn snapshot() -> Snapshot {
        let config = Config { box_id: "hall-1".to_owned(), ..Config::default() };
        let status = Director::new(config, 1, Mono::default()).status();
        Snapshot { status: Arc::new(status), gauges: Arc::new(Gauges::default()) }
    }

    pub fn document() -> Document {
        let life = Life { boot: "b1".to_owned(), version: "0.1.0".to_owned(), started: Mono::default() };
        Document::new(&life, 0, Mono::default(), &snapshot())
    }
}
