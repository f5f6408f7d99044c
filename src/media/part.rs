//! What every kind of pipeline of the graph is to its actor, and how it fails.

use std::sync::mpsc::Sender;
#[cfg(test)]
use std::sync::mpsc::channel;

use cuebox_core::director::ErrorClass;

use super::plan::Wish;

/// One kind of pipeline. Lives on its actor's thread; dropping it must undo what building it did.
pub trait Part {
    fn pipeline(&self) -> &gst::Pipeline;

    /// The pipeline plays: start whatever feeds it.
    fn playing(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// The wish changed within its epoch.
    fn update(&mut self, _wish: &Wish) {}

    /// A message of the pipeline's bus. Errors are handled when this returns `Handled::No`.
    fn message(&mut self, _message: &gst::Message) -> Handled {
        Handled::No
    }

    /// Something of this part's own called [`Mailbox::nudge`].
    fn nudged(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// End in order, before the pipeline is taken down; may block for a bounded time.
    fn finish(&mut self) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    Yes,
    No,
}

/// Why a part cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    pub class: ErrorClass,
    pub detail: String,
}

impl Failure {
    pub fn new(class: ErrorClass, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into() }
    }

    /// Something that only a bug or a broken installation can cause.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::new(ErrorClass::Internal, detail.to_string())
    }
}

impl From<gst::glib::BoolError> for Failure {
    fn from(error: gst::glib::BoolError) -> Self {
        Self::internal(error.message)
    }
}

/// What reaches an actor.
pub(super) enum Letter {
    Bus(gst::Message),
    Update(Box<Wish>),
    Nudge,
    Stop,
}

/// A part's way to wake its own actor from a streaming thread.
#[derive(Clone)]
pub struct Mailbox(pub(super) Sender<Letter>);

impl Mailbox {
    /// Of no actor; for parts that a test plays by hand.
    #[cfg(test)]
    pub fn unread() -> Self {
        Self(channel().0)
    }

    /// False when the actor has ended.
    pub fn nudge(&self) -> bool {
        self.0.send(Letter::Nudge).is_ok()
    }
}
