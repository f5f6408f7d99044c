//! Which commands were seen, so that an id that comes again is known.
//!
//! The last [`REMEMBERED`] ids are known, whatever their age: more than a thousand an hour, all day and all night. Only
//! that number bounds it, no clock: a box that starts without the time, or finds it in the middle of a show, forgets
//! nothing. The whole of it goes into each snapshot of the journal, which is why it is no larger: with ids of 36
//! characters it takes a third of a journal's file.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::command::{Answer, Origin};
use crate::ids::CommandId;

/// Ids that are remembered.
pub const REMEMBERED: usize = 25_000;

/// A command that another process has seen: what it was and what it came to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SeenCommand {
    pub id: CommandId,
    /// Fingerprint of the command.
    pub body: u64,
    /// `None`: nobody knows.
    pub answer: Option<Answer>,
}

/// Thousands of ids stay for as long as the process lives, so each is kept once and as small as may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Memory {
    seen: BTreeMap<Arc<str>, Seen>,
    /// Oldest first.
    order: VecDeque<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub body: u64,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Who waits for the answer: whoever sent it, then whoever sent the same again.
    Waits(Vec<Origin>),
    Done,
    /// Anything else than done.
    Answered(Box<Answer>),
}

impl State {
    /// `None` while it waits.
    pub const fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Waits(_) => None,
            Self::Done => Some(&Answer::Done),
            Self::Answered(answer) => Some(answer),
        }
    }
}

impl From<Answer> for State {
    fn from(answer: Answer) -> Self {
        if answer == Answer::Done { Self::Done } else { Self::Answered(Box::new(answer)) }
    }
}

impl Memory {
    pub fn knows(&self, id: &CommandId) -> bool {
        self.seen.contains_key(id.as_str())
    }

    pub fn get_mut(&mut self, id: &CommandId) -> Option<&mut Seen> {
        self.seen.get_mut(id.as_str())
    }

    /// Remembers an id that is not known, and forgets the oldest for it when there are too many.
    pub fn add(&mut self, id: &CommandId, seen: Seen) {
        if self.order.len() >= REMEMBERED {
            // One that still waits for its answer is never forgotten; there are few of those.
            let given = |id: &Arc<str>| self.seen.get(id).is_none_or(|seen| seen.state.answer().is_some());
            if let Some(oldest) = self.order.iter().position(given).and_then(|place| self.order.remove(place)) {
                self.seen.remove(&oldest);
            }
        }
        let id: Arc<str> = id.as_str().into();
        self.order.push_back(id.clone());
        self.seen.insert(id, seen);
    }

    pub fn check(&self) {
        assert_eq!(self.seen.len(), self.order.len(), "each id is remembered once");
        assert!(self.order.len() <= REMEMBERED, "memory is bounded");
    }
}

/// As a snapshot holds it: a [`SeenCommand`], and who waits for its answer. There are many, so nothing is copied.
#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    body: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a Answer>,
    #[serde(skip_serializing_if = "<[Origin]>::is_empty")]
    asked: &'a [Origin],
}

/// The same, read back.
#[derive(Deserialize)]
struct Kept {
    id: CommandId,
    body: u64,
    answer: Option<Answer>,
    #[serde(default)]
    asked: Vec<Origin>,
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.order.iter().filter_map(|id| {
            let Seen { body, state } = self.seen.get(id)?;
            let asked = if let State::Waits(asked) = state { asked.as_slice() } else { &[] };
            Some(Entry { id, body: *body, answer: state.answer(), asked })
        }))
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut memory = Self::default();
        for Kept { id, body, answer, asked } in Vec::<Kept>::deserialize(deserializer)? {
            memory.add(&id, Seen { body, state: answer.map_or(State::Waits(asked), State::from) });
        }
        Ok(memory)
    }
}
