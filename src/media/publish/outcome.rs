//! What ends a leg, told by the threads that talk to its server to the thread that owns its pipeline.

use std::sync::{Mutex, PoisonError};

use crate::media::part::{Failure, Mailbox};

/// The first thing that went wrong; what follows from it is not told.
#[derive(Debug, Default)]
pub struct Outcome(Mutex<Option<Failure>>);

impl Outcome {
    /// Wakes the part.
    pub fn fail(&self, failure: Failure, mailbox: &Mailbox) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        mailbox.nudge();
    }

    /// For [`crate::media::part::Part::nudged`]: an error once something went wrong.
    pub fn result(&self) -> Result<(), Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}
