//! Every deadline of the director, each with its name.
//!
//! A timer fires on [`super::Event::DeadlineReached`] only, never because another event happens to be late: so a
//! replay of the events needs no clock. One name has at most one deadline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, LegId, SlotId, Ticket, Track};
use crate::job::EncodeJob;
use crate::time::Mono;

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A camera that was plugged in is believed to stay.
    SlotSettles(SlotId),
    /// A source that was opened must have shown its first picture.
    SlotOpens(SlotId),
    /// A live source must have made progress.
    SlotStalls(SlotId),
    /// A picture that came back has been steady, or not.
    SlotSteadies(SlotId),
    /// A stalled source is closed.
    SlotGivesUp(SlotId),
    /// A source that failed is opened again.
    SlotRetries(SlotId),
    /// A sound card must have delivered.
    SoundStalls(SlotId),
    /// A sound card that failed is opened again.
    SoundRetries(SlotId),
    /// Cameras of the process before that are not there by now give their slots up where they are needed.
    ClaimsLapse,
    /// Frame rates of the live slots are measured.
    Measure,
    /// The program must have made a frame.
    ProgramStalls,
    /// The program's pipeline is built again.
    ProgramRetries,
    /// The chosen slot was live for long enough to go back to it.
    ProgramReturns,
    /// An encoder must have put out a frame.
    EncodeStalls(EncodeJob),
    /// An encoder that failed is started again.
    EncodeRetries(EncodeJob),
    /// What the encodes tell of their lag is looked at.
    OverloadLooks,
    /// Start-up recovery took too long to be waited for.
    RecoveryLate,
    /// The show begins, whether its encoders are warm or not.
    ShowPrepared,
    /// A show whose folder could not be made is tried again.
    ShowRetries,
    /// The open segments end and the next begin.
    Rotate,
    /// A show that was stopped may be closed.
    ShowCloses,
    /// A recording must have written something.
    RecordStalls(Track),
    /// A recording that failed is tried again.
    RecordRetries(Track),
    /// A recording that was told to end must have sealed its segments.
    SealLate(Epoch),
    /// A removal that failed may be tried again.
    RemoveRetries,
    /// A leg must have moved bytes.
    LegStalls(LegId),
    /// A leg that failed is tried again.
    LegRetries(LegId),
    /// A better leg has carried for long enough to be relied on.
    LegProves(LegId),
    /// The legs above this one have not carried for long enough to start it.
    LegStepsIn(LegId),
    /// A destination has been too weak for the stream for long enough to be called so.
    LegWeakens(LegId),
    /// The stream's bitrate or its picture may change.
    RateDecides,
    /// A command is answered although it is not yet durable.
    AnswerLate(Ticket),
    /// A reload must have brought a configuration.
    ReloadLate,
    /// A change of the configuration must have been checked and kept.
    PatchLate,
    /// The panels have blinked for long enough.
    IdentifyEnds,
    /// An alert about something that happened once is taken back.
    AlertEnds(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Reason, Mono)>", into = "Vec<(Reason, Mono)>")]
pub(super) struct Timers(BTreeMap<Reason, Mono>);

impl Timers {
    /// Sets the deadline, in place of one of that name.
    pub fn set(&mut self, reason: Reason, at: Mono) {
        self.0.insert(reason, at);
    }

    pub fn stop(&mut self, reason: &Reason) {
        self.0.remove(reason);
    }

    pub fn get(&self, reason: &Reason) -> Option<Mono> {
        self.0.get(reason).copied()
    }

    pub fn is_set(&self, reason: &Reason) -> bool {
        self.0.contains_key(reason)
    }

    /// The earliest deadline; of several at one time the first by name.
    pub fn next(&self) -> Option<(Mono, Reason)> {
        self.0.iter().min_by_key(|(_, at)| **at).map(|(reason, at)| (*at, reason.clone()))
    }

    /// Takes the earliest deadline that has come.
    pub fn take_due(&mut self, now: Mono) -> Option<Reason> {
        let (_, reason) = self.next().filter(|(at, _)| *at <= now)?;
        self.0.remove(&reason);
        Some(reason)
    }
}

impl From<Vec<(Reason, Mono)>> for Timers {
    fn from(pairs: Vec<(Reason, Mono)>) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl From<Timers> for Vec<(Reason, Mono)> {
    fn from(timers: Timers) -> Self {
        timers.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_comes_first_and_only_when_it_has_come() {
        let mut timers = Timers::default();
        timers.set(Reason::Rotate, Mono(20));
        timers.set(Reason::Measure, Mono(10));
        timers.set(Reason::Rotate, Mono(5));
        assert_eq!(timers.next(), Some((Mono(5), Reason::Rotate)));
        assert_eq!(timers.take_due(Mono(4)), None);
        assert_eq!(timers.take_due(Mono(10)), Some(Reason::Rotate));
        assert_eq!(timers.take_due(Mono(10)), Some(Reason::Measure));
        assert_eq!(timers.take_due(Mono(99)), None);
    }
}
