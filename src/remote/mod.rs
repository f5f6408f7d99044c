//! MQTT: the box as a broker shows it, and commands from there.
//!
//! Owns the connection to the broker. What is published when, and what a message means, is
//! [`cuebox_core::mqtt`]'s to decide; that a command acts once is the director's.
//!
//! | file | owns |
//! |---|---|
//! | `link` | one connection after the other, and how long to wait between two |
//! | `session` | what comes in and goes out over them, and which command waits for its answer |
//! | `options` | address, names, certificates |
//!
//! A command is acknowledged to the broker when the director has answered it, that is when it is durable. What the box
//! does not come to acknowledge the broker sends again, and its id tells that it is the same. A few commands are
//! carried out at a time; what comes meanwhile waits in a bounded queue.

mod link;
mod options;
mod session;

use std::sync::Arc;
use std::time::Duration;

use cuebox_core::command::Answer;
use cuebox_core::director::Event;
use cuebox_core::document::{Life, Snapshot};
use cuebox_core::ids::CommandId;
use cuebox_core::mqtt::config::MqttConfig;
use cuebox_core::time::{Mono, Wall};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// What the remote surface needs of the rest of the box.
pub struct Deps {
    pub box_id: String,
    pub life: Life,
    /// The monotonic clock.
    pub clock: fn() -> Mono,
    /// The wall clock, with how far it can be believed.
    pub wall: fn() -> Wall,
    /// The newest facts and samples; the sender lives as long as the box.
    pub snapshots: watch::Receiver<Snapshot>,
    /// Tells the director. `false`: the box is stopping.
    pub tell: Arc<dyn Fn(Event) -> bool + Send + Sync>,
}

/// The director's answers to commands that came over MQTT go through here.
#[derive(Clone)]
pub struct Answers(mpsc::UnboundedSender<(CommandId, Answer)>);

impl Answers {
    pub fn resolve(&self, id: &CommandId, answer: Answer) {
        // Nobody listens while the box stops.
        let _ = self.0.send((id.clone(), answer));
    }
}

/// Runs until it is shut down or dropped.
pub struct Remote {
    answers: Answers,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Remote {
    /// Connects on the current tokio runtime, again and again.
    pub fn start(config: MqttConfig, deps: Deps) -> Self {
        let (answers, answered) = mpsc::unbounded_channel();
        let (stop, stopping) = oneshot::channel();
        let task = tokio::spawn(session::run(config, deps, answered, stopping));
        Self { answers: Answers(answers), stop: Some(stop), task }
    }

    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// Says `offline` and leaves, within the limit.
    pub async fn shutdown(mut self, limit: Duration) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = tokio::time::timeout(limit, &mut self.task).await;
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.task.abort();
    }
}
