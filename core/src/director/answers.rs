//! Every command is answered exactly once, and an id means one command for ever (for as long as it is in [`Memory`]).
//!
//! A command that changed something acts at once and is answered when it is durable, or after 500 ms with an alert
//! that the disk is slow. So is one that came over MQTT and is refused: a broker may send it again to the next process,
//! and it must not act there. An id that comes again is answered as the first was, and does nothing; while the first waits
//! for its answer, so does the other.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::{Answer, Command, Envelope, Origin};
use crate::ids::{CommandId, Ticket};
use crate::status::Severity;

use super::context::Context;
use super::effect::Effect;
use super::memory::{Memory, Seen, SeenCommand, State};
use super::timers::Reason;

/// A command is answered at last after this, durable or not.
const SPEAKS: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Answers {
    seen: Memory,
    /// Commands that wait to be durable.
    tickets: BTreeMap<Ticket, (CommandId, Answer)>,
    /// Tickets that were given out.
    given: u64,
}

impl Answers {
    /// Takes up what a process before has seen. What it did not come to answer is not done again, because it may have
    /// been done.
    pub fn restore(&mut self, seen: Vec<SeenCommand>) {
        let lost =
            || Answer::Refused { why: "the box went down while it was carried out; it is not done again".to_owned() };
        for SeenCommand { id, body, answer } in seen {
            if !self.seen.knows(&id) {
                self.seen.add(&id, Seen { body, state: answer.unwrap_or_else(lost).into() });
            }
        }
    }

    /// True when the command is new and is to be acted on; otherwise it is answered, or will be.
    pub fn admit(&mut self, context: &mut Context, envelope: &Envelope) -> bool {
        let Envelope { id, origin, command } = envelope;
        let body = fingerprint(command);
        let Some(seen) = self.seen.get_mut(id) else {
            self.seen.add(id, Seen { body, state: State::Waits(vec![*origin]) });
            return true;
        };
        if seen.body != body {
            let why = format!("the id `{id}` was used for another command");
            answer(context, id, *origin, Answer::Conflict { why });
        } else if let Some(first) = seen.state.answer().cloned() {
            answer(context, id, *origin, Answer::Duplicate { first: Box::new(first) });
        } else if let State::Waits(asked) = &mut seen.state {
            asked.push(*origin);
        }
        false
    }

    /// Gives the answer, to whoever asked and to whoever asked again.
    pub fn give(&mut self, context: &mut Context, id: &CommandId, given: Answer) {
        let Some(seen) = self.seen.get_mut(id) else { return };
        let State::Waits(asked) = &mut seen.state else { return };
        let mut asked = std::mem::take(asked).into_iter();
        seen.state = given.clone().into();
        if let Some(first) = asked.next() {
            answer(context, id, first, given.clone());
        }
        for again in asked {
            answer(context, id, again, Answer::Duplicate { first: Box::new(given.clone()) });
        }
    }

    /// Somebody else tells it what it asks for.
    pub fn told_elsewhere(&mut self, id: &CommandId) {
        if let Some(seen) = self.seen.get_mut(id) {
            seen.state = State::Done;
        }
    }

    /// The command acted; it is answered when that is durable.
    pub fn persist(&mut self, context: &mut Context, id: &CommandId) {
        self.persist_as(context, id, Answer::Done);
    }

    /// This is its answer, when it is durable that it was asked for.
    pub fn persist_as(&mut self, context: &mut Context, id: &CommandId, answer: Answer) {
        self.given += 1;
        let ticket = Ticket(self.given);
        self.tickets.insert(ticket, (id.clone(), answer));
        context.effects.push_back(Effect::Persist { ticket });
        context.start_timer(Reason::AnswerLate(ticket), SPEAKS);
    }

    /// The journal is durable up to this ticket, and with it everything before.
    pub fn persisted(&mut self, context: &mut Context, ticket: Ticket) {
        let later = self.tickets.split_off(&Ticket(ticket.0 + 1));
        let durable = std::mem::replace(&mut self.tickets, later);
        if self.tickets.is_empty() {
            context.alerts.clear("disk_slow", "");
        }
        for (ticket, (id, answer)) in durable {
            context.timers.stop(&Reason::AnswerLate(ticket));
            self.give(context, &id, answer);
        }
    }

    pub fn persist_failed(&mut self, context: &mut Context, ticket: Ticket, why: &str) {
        let text = format!("commands act, but cannot be written to the journal: {why}");
        context.alert_once("journal_failed", "", Severity::Warning, text);
        self.speak(context, ticket);
    }

    pub fn late_timer(&mut self, context: &mut Context, ticket: Ticket) {
        let text = "the disk is slow: commands act, but become durable late";
        context.alert_once("disk_slow", "", Severity::Warning, text);
        self.speak(context, ticket);
    }

    /// Every command was answered.
    pub fn all_given(&self) -> bool {
        self.tickets.is_empty()
    }

    pub fn check(&self, context: &Context) {
        self.seen.check();
        for (ticket, (id, _)) in &self.tickets {
            assert!(context.timers.is_set(&Reason::AnswerLate(*ticket)), "{id} is answered at last");
        }
    }

    fn speak(&mut self, context: &mut Context, ticket: Ticket) {
        context.timers.stop(&Reason::AnswerLate(ticket));
        if let Some((id, answer)) = self.tickets.remove(&ticket) {
            self.give(context, &id, answer);
        }
    }
}

fn answer(context: &mut Context, id: &CommandId, origin: Origin, answer: Answer) {
    context.effects.push_back(Effect::Answer { id: id.clone(), origin, answer });
}

/// FNV-1a over the command's serde form: the same for the same command, in every build.
pub(crate) fn fingerprint(command: &Command) -> u64 {
    let text = serde_json::to_string(command).unwrap_or_default();
    crate::fnv::fnv1a(text.as_bytes())
}
