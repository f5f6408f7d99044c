//! Who waits for which command's answer.
//!
//! The director answers every command once, by its id. Two requests with one id must not take each other's answer, so
//! the second is held back until the first has its own; only then is it submitted, and is answered as the repetition it
//! is. A waiter that gives up is forgotten; an answer that nobody waits for is dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuebox_core::command::Answer;
use cuebox_core::ids::CommandId;
use tokio::sync::{oneshot, watch};

/// The registry. Cheap to clone: one clone for the loop that resolves, one for the surface that waits.
#[derive(Clone, Default)]
pub struct Answers {
    waiting: Arc<Mutex<HashMap<CommandId, Waiter>>>,
}

struct Waiter {
    answer: oneshot::Sender<Answer>,
    /// Closed with the entry: tells those behind that it is their turn.
    _over: watch::Sender<()>,
    /// For those behind to subscribe to.
    turn: watch::Receiver<()>,
}

impl Answers {
    /// Gives `answer` to whoever waits for command `id`.
    pub fn resolve(&self, id: &CommandId, answer: Answer) {
        let waiter = self.lock().remove(id);
        if let Some(waiter) = waiter {
            // The waiter may have given up at this moment.
            let _ = waiter.answer.send(answer);
        }
    }

    /// Waits for its turn with `id`. The answer then comes through [`Expected::answer`].
    pub(super) async fn expect(&self, id: &CommandId) -> Expected {
        loop {
            let mut turn = match self.lock().entry(id.clone()) {
                Entry::Occupied(entry) => entry.get().turn.clone(),
                Entry::Vacant(entry) => {
                    let (answer, receiver) = oneshot::channel();
                    let (over, turn) = watch::channel(());
                    entry.insert(Waiter { answer, _over: over, turn });
                    return Expected { id: id.clone(), answers: self.clone(), receiver };
                }
            };
            // An error means that the sender is gone, which is what is waited for.
            let _ = turn.changed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CommandId, Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the registry; dropped, it is given up.
pub(super) struct Expected {
    id: CommandId,
    answers: Answers,
    receiver: oneshot::Receiver<Answer>,
}

impl Expected {
    /// `None`: the registry is gone.
    pub(super) async fn answer(mut self) -> Option<Answer> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        // After an answer the entry is not ours: it is gone, or it is the next request's with the same id.
        self.receiver.close();
        if let Entry::Occupied(entry) = self.answers.lock().entry(self.id.clone())
            && entry.get().answer.is_closed()
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> CommandId {
        CommandId::new("k-1")
    }

    #[tokio::test]
    async fn an_answer_reaches_the_one_who_waits_for_it() {
        let answers = Answers::default();
        let expected = answers.expect(&id()).await;
        answers.resolve(&CommandId::new("k-2"), Answer::Refused { why: "another's".to_owned() });
        answers.resolve(&id(), Answer::Done);
        assert_eq!(expected.answer().await, Some(Answer::Done));
    }

    #[tokio::test]
    async fn a_second_request_with_the_same_id_waits_for_its_turn() {
        let answers = Answers::default();
        let first = answers.expect(&id()).await;
        let second = tokio::spawn({
            let answers = answers.clone();
            async move { answers.expect(&id()).await.answer().await }
        });
        tokio::task::yield_now().await;
        answers.resolve(&id(), Answer::Done);
        assert_eq!(first.answer().await, Some(Answer::Done));
        while answers.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        let again = Answer::Duplicate { first: Box::new(Answer::Done) };
        answers.resolve(&id(), again.clone());
        assert_eq!(second.await.unwrap(), Some(again));
        assert!(answers.lock().is_empty());
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_leaves_nothing_behind() {
        let answers = Answers::default();
        drop(answers.expect(&id()).await);
        assert!(answers.lock().is_empty());
        answers.resolve(&id(), Answer::Done);
        let next = answers.expect(&id()).await;
        answers.resolve(&id(), Answer::Done);
        assert_eq!(next.answer().await, Some(Answer::Done));
    }
}
