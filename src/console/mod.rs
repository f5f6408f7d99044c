//! The box's HTTP surface: the local Unix socket, and optionally TCP on loopback.
//!
//! Owns the sockets, the bounds of what they accept, the numbering of events, and who waits for which answer. Decides
//! nothing: a command is checked for form, handed on, and answered with what comes back. Everything it needs of other
//! parts comes in through [`Deps`], so it knows no part of the box but the core.
//!
//! | file | owns |
//! |---|---|
//! | `listen` | the sockets, connections, time limits |
//! | `routes` | the calls, and what each answers |
//! | `feed` | numbers and pace of events (no socket, no clock) |
//! | `events` | one reader of events: WebSocket, snapshot first, dropped when slow |
//! | `answers` | who waits for which command |
//! | `limits` | every bound |
//! | `guard` | whom the TCP surface listens to |

mod answers;
mod events;
mod feed;
mod guard;
mod limits;
mod listen;
mod routes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use cuebox_core::command::{Envelope, Origin};
use cuebox_core::config::HttpConfig;
use cuebox_core::document::{Document, Life, Snapshot};
use cuebox_core::ids::{ShowId, Track};
use cuebox_core::time::Mono;
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinError, JoinSet};

pub use answers::Answers;

use feed::Feed;
use limits::{EVENTS_KEPT, Patience};

/// What the console needs of the rest of the box.
#[derive(Clone)]
pub struct Deps {
    pub life: Life,
    /// The monotonic clock.
    pub clock: fn() -> Mono,
    /// The newest facts and samples; the sender lives as long as the box.
    pub snapshots: watch::Receiver<Snapshot>,
    /// Hands a command on. Its answer comes through `answers`.
    pub submit: Arc<dyn Fn(Envelope) -> Result<(), SubmitError> + Send + Sync>,
    /// Resolved by whoever carries out the director's answers to [`Origin::Local`] and [`Origin::Http`].
    pub answers: Answers,
    /// The newest JPEG of a track. Must not block.
    pub picture: Arc<dyn Fn(Track) -> Option<Arc<[u8]>> + Send + Sync>,
    pub shows: Arc<dyn Shows>,
}

/// Why a command could not be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// Too many are waiting already.
    Busy,
    /// The box is stopping.
    Stopping,
}

/// What is known of recorded shows. Called on a thread that may block; an error is told to the reader as it is.
pub trait Shows: Send + Sync {
    /// All shows, newest first, as a JSON list.
    ///
    /// # Errors
    /// Why they cannot be read, in plain words.
    fn list(&self) -> Result<Value, String>;

    /// One show with its segments and its timeline; `None`: no such show.
    ///
    /// # Errors
    /// Why it cannot be read, in plain words.
    fn show(&self, id: &ShowId) -> Result<Option<Value>, String>;
}

/// Why the console cannot start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error(
        "cannot create the folder of the control socket, {}: {source} (start cuebox as its service, which owns that \
         folder, or set [http] socket to a path that this user may write)",
        folder.display()
    )]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("cannot listen at {}: {source} (set [http] socket to a path that this user may write)", path.display())]
    Bind { path: PathBuf, source: std::io::Error },
    #[error("a box is listening at {} already (stop it, or set another [http] socket)", path.display())]
    InUse { path: PathBuf },
    #[error("{} is there and is no socket (remove it, or set another [http] socket)", path.display())]
    NotASocket { path: PathBuf },
    #[error("{} is too long for a socket's path (at most {max} bytes)", path.display())]
    PathTooLong { path: PathBuf, max: usize },
}

/// The console, ready to be started.
pub struct Console;

impl Console {
    /// Opens the sockets and serves them on the current tokio runtime until the handle is dropped.
    ///
    /// A TCP address that is taken does not stop the box: it is tried again every few seconds.
    ///
    /// # Errors
    /// The Unix socket cannot be opened, see [`ConsoleError`].
    pub fn start(config: &HttpConfig, deps: Deps) -> Result<ConsoleHandle, ConsoleError> {
        Self::start_with(config, deps, Patience::default())
    }

    fn start_with(config: &HttpConfig, mut deps: Deps, patience: Patience) -> Result<ConsoleHandle, ConsoleError> {
        let unix = listen::Unix::bind(config.socket.as_ref())?;
        let now = (deps.clock)();
        let newest = deps.snapshots.borrow_and_update().clone();
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let feed = Mutex::new(Feed::new(deps.life.clone(), now, newest));
        let hub = Arc::new(Hub { feed, events, deps, patience });
        let (stop, stopping) = watch::channel(false);
        let (tcp_address, tcp) = watch::channel(None);

        let mut tasks = JoinSet::new();
        tasks.spawn(keep_feed(Arc::clone(&hub), stopping.clone()));
        let local = routes::surface(&hub, Origin::Local, stopping.clone());
        tasks.spawn(listen::serve_unix(unix, local, patience.head, stopping.clone()));
        if let Some(address) = config.listen.clone() {
            let http = routes::surface(&hub, Origin::Http, stopping.clone());
            tasks.spawn(listen::serve_tcp(address, http, patience.head, tcp_address, stopping));
        }
        Ok(ConsoleHandle { stop, tasks, tcp })
    }
}

/// A running console. Dropped, it stops at once; [`ConsoleHandle::shutdown`] lets readers know first.
pub struct ConsoleHandle {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    tcp: watch::Receiver<Option<SocketAddr>>,
}

impl ConsoleHandle {
    /// Waits for the TCP address that it listens at; `None`: without TCP.
    pub async fn tcp_address(&self) -> Option<SocketAddr> {
        let mut tcp = self.tcp.clone();
        let address = tcp.wait_for(Option::is_some).await.ok()?;
        *address
    }

    /// Waits until a part of the console broke, which is our own fault: the rest of it is stopped, and a new one may
    /// be started in its place. Never resolves while all is well.
    pub async fn broken(&mut self) -> JoinError {
        loop {
            match self.tasks.join_next().await {
                Some(Err(error)) => {
                    // Waited for, so that the sockets are free for the next one.
                    self.tasks.shutdown().await;
                    return error;
                }
                Some(Ok(())) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Tells the readers of events, lets answers that are on their way go out, and closes the sockets. Takes at most
    /// `patience`.
    pub async fn shutdown(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let all = async {
            while self.tasks.join_next().await.is_some() {}
            // Event streams are no tasks of ours; each holds a receiver until it is over.
            self.stop.closed().await;
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::debug!("console connections were cut");
        }
    }
}

/// What the surfaces share.
struct Hub {
    feed: Mutex<Feed>,
    events: broadcast::Sender<Utf8Bytes>,
    deps: Deps,
    patience: Patience,
}

impl Hub {
    fn now(&self) -> Mono {
        (self.deps.clock)()
    }

    fn document(&self) -> Document {
        self.feed().document(self.now())
    }

    /// A new reader's first message and the events that follow it. Both are taken under one lock, so that no event is
    /// lost or doubled between them.
    fn join(&self) -> (Utf8Bytes, broadcast::Receiver<Utf8Bytes>) {
        let feed = self.feed();
        (feed.greeting(self.now()).into(), self.events.subscribe())
    }

    /// Advances the feed and sends what it gives, under the lock for the same reason; returns its next deadline.
    fn advance(&self, step: impl FnOnce(&mut Feed, Mono) -> Vec<String>) -> Mono {
        let mut feed = self.feed();
        for event in step(&mut feed, self.now()) {
            // An error means that nobody listens at present.
            let _ = self.events.send(event.into());
        }
        feed.deadline()
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns new snapshots and passing time into events.
async fn keep_feed(hub: Arc<Hub>, mut stopping: watch::Receiver<bool>) {
    let mut snapshots = hub.deps.snapshots.clone();
    let mut deadline = hub.feed().deadline();
    loop {
        let wait = tokio::time::sleep(deadline.since(hub.now()));
        deadline = tokio::select! {
            () = stopped(&mut stopping) => return,
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return;
                }
                let newest = snapshots.borrow_and_update().clone();
                hub.advance(|feed, now| feed.take(now, newest))
            }
            () = wait => hub.advance(Feed::tick),
        };
    }
}

/// Resolves when the console is to stop, or its handle is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
