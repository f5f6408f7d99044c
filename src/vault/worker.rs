//! The thread that owns the [`Store`], and what becomes of work that the disk refuses.
//!
//! | state | an operation | every few seconds |
//! |---|---|---|
//! | Open | is done, its facts are sent after the manifests are written | free space is told |
//! | Open, and the disk refuses | goes to the backlog; `Unwritable{why}` → Refused | |
//! | Refused | goes to the backlog; `ShowFailed` for a show, `PersistFailed` for a ticket | the store is opened anew and the backlog done in order; when all of it is done `Writable` → Open |
//!
//! A removal is never kept waiting: on a disk that refuses the file goes all the same, and its row later; where that
//! fails too it is answered `RemoveFailed`, and whoever decides decides anew.
//!
//! An index that is found damaged or gone is built again at once, in the middle of a show: nothing is refused for it.
//!
//! Invariants: operations are done in the order given, none is skipped because the disk refused it; shows that this
//! process has opened are never touched by the recovery of a later opening.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use cuebox_core::director::{Event, NewShow, VaultFact, VaultOp};
use cuebox_core::ids::{SegmentId, ShowId, Ticket};
use tokio::sync::mpsc::UnboundedSender;

use super::disk;
use super::folders::{Folders, OpenedFolder};
use super::hasher::{Hashed, Hasher, Job};
use super::lock::LockError;
use super::recovery::Recovery;
use super::store::{Owner, Pending, Store, StoreError};

/// How often free space is told. At 60 Mbit/s of recording, 40 MB are written in that time.
const SPACE_EVERY: Duration = Duration::from_secs(5);
/// How often a refused disk is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(3);
/// Operations that wait for a disk: at some tens a minute, more than a day.
const LARGEST_BACKLOG: usize = 50_000;
/// Messages that are done together, before their manifests are written.
const LARGEST_BATCH: usize = 64;

#[derive(Debug)]
pub enum Message {
    Op(VaultOp),
    Persist(Ticket),
    Hashed(Hashed),
    Stop,
}

pub struct Worker {
    folders: Folders,
    owner: Owner,
    facts: UnboundedSender<Event>,
    store: Option<Store>,
    /// What was found at the start has been told. What a later opening finds is this process's own.
    recovered: bool,
    /// Why the disk refuses; `None` while it works.
    refused: Option<String>,
    /// The last reason that was told and not taken back since.
    told: Option<String>,
    backlog: VecDeque<VaultOp>,
    tickets: Vec<Ticket>,
    /// What the store of before had still to say.
    pending: Pending,
    /// Shows that this process has opened; `None`: and ended.
    running: BTreeMap<ShowId, Option<NewShow>>,
    hasher: Option<Hasher>,
    next_space: Instant,
    next_retry: Instant,
    /// When a refusal was last answered by trying another disk at once.
    hurried: Option<Instant>,
}

impl Worker {
    /// `hashes` is where the hasher sends its results: the worker's own queue.
    pub fn new(folders: Folders, owner: Owner, facts: UnboundedSender<Event>, hashes: SyncSender<Message>) -> Self {
        let tell = move |hashed| {
            let _ = hashes.send(Message::Hashed(hashed));
        };
        let hasher = Hasher::start(tell).inspect_err(|error| tracing::warn!(%error, "files are not hashed")).ok();
        let now = Instant::now();
        Self {
            folders,
            owner,
            facts,
            store: None,
            recovered: false,
            refused: None,
            told: None,
            backlog: VecDeque::new(),
            tickets: Vec::new(),
            pending: Pending::default(),
            running: BTreeMap::new(),
            hasher,
            next_space: now,
            next_retry: now + RETRY_EVERY,
            hurried: None,
        }
    }

    /// Opens the store and tells what recovery found. A disk that refuses is told and tried again later.
    ///
    /// # Errors
    /// The owner's process id, if it is known, when another process owns the data folder.
    pub fn open(&mut self) -> Result<Recovery, Option<u32>> {
        match self.try_open() {
            Ok(recovery) => Ok(recovery),
            Err(StoreError::Lock(LockError::Held { pid })) => Err(pid),
            Err(error) => {
                self.refuse(&error);
                Ok(Recovery::default())
            }
        }
    }

    fn try_open(&mut self) -> Result<Recovery, StoreError> {
        let running = self.running.keys().cloned().collect();
        let mut opened = self.folders.open(&self.owner, &running)?;
        let at_start = !std::mem::replace(&mut self.recovered, true);
        if at_start && self.folders.has_second() {
            self.folders.reconcile(&self.owner, &mut opened)?;
        }
        let OpenedFolder { mut store, recovery, moved } = opened;
        for show in self.running.values().flatten() {
            // The folder may be another than before: an empty one where a disk was.
            store.ensure_show(show)?;
        }
        store.resume(std::mem::take(&mut self.pending));
        for (segment, bytes) in store.unhashed()? {
            self.hash(segment, bytes);
        }
        self.store = Some(store);
        if let Some(why) = recovery.rebuilt.clone() {
            self.tell(VaultFact::IndexRebuilt { why });
        }
        if moved {
            let root = self.folders.layout().root().to_string_lossy().into_owned();
            let segments = if at_start { Vec::new() } else { recovery.segments.clone() };
            self.tell(VaultFact::Moved { folder: self.folders.is_second().then_some(root), segments });
        }
        if at_start {
            if let Some(show) = recovery.open_show.clone() {
                self.tell(VaultFact::ShowFound(show));
            }
            self.tell(VaultFact::Recovered { segments: recovery.segments.clone() });
        }
        Ok(recovery)
    }

    /// Works until it is told to stop, or nobody can tell it anything any more.
    pub fn run(mut self, queue: &Receiver<Message>) {
        loop {
            self.tick();
            let wait = self.next_space.min(self.next_retry).saturating_duration_since(Instant::now());
            let first = match queue.recv_timeout(wait) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut batch = std::iter::once(first).chain(queue.try_iter()).take(LARGEST_BATCH);
            let flow = batch.try_for_each(|message| self.take(message));
            self.settle();
            if flow.is_break() {
                break;
            }
        }
        if !self.backlog.is_empty() {
            tracing::error!(
                waiting = self.backlog.len(),
                "the disk never took these entries; the next start finds them"
            );
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if now >= self.next_space {
            self.next_space = now + SPACE_EVERY;
            if let Ok((free_bytes, total_bytes)) = disk::space(self.folders.layout().root()) {
                self.tell(VaultFact::Space { free_bytes, total_bytes });
            }
        }
        if now >= self.next_retry {
            self.next_retry = now + RETRY_EVERY;
            match self.store.as_ref().map(Store::still_there) {
                // A disk that was pulled is missed also while nothing is written to it.
                Some(Err(error)) if self.refused.is_none() => self.refuse(&error),
                _ if self.refused.is_some() => self.retry(),
                Some(Ok(()) | Err(_)) | None => {}
            }
        }
    }

    fn take(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Op(op) => self.take_op(op),
            Message::Persist(ticket) => self.tickets.push(ticket),
            Message::Hashed(hashed) => self.take_hash(hashed),
            Message::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn take_op(&mut self, op: VaultOp) {
        match &op {
            VaultOp::OpenShow(show) => drop(self.running.insert(show.id.clone(), Some(show.clone()))),
            VaultOp::CloseShow { show, .. } => drop(self.running.insert(show.clone(), None)),
            VaultOp::Timeline { .. }
            | VaultOp::SegmentOpened { .. }
            | VaultOp::SegmentSealed { .. }
            | VaultOp::Remove { .. }
            | VaultOp::RemoveShow { .. } => {}
        }
        if let Some(why) = self.refused.clone() {
            if let VaultOp::Remove { segment, .. } = &op
                && self.make_room(segment)
            {
                self.backlog.push_back(op);
                return;
            }
            self.tell_failure(&op, why);
            self.keep(op);
            return;
        }
        let done = self.work(&op).or_else(|error| {
            // The recordings go on while the index is built again: nobody waits for it but this thread.
            if !error.is_index_damage() {
                return Err(error);
            }
            self.pending = self.store.take().map(Store::into_pending).unwrap_or_default();
            self.try_open()?;
            self.work(&op)
        });
        if let Err(error) = done {
            self.refuse(&error);
            self.tell_failure(&op, error.to_string());
            self.keep(op);
        }
    }

    /// On a disk that refuses, because it is full perhaps, a removal may be what helps: the file goes at once, and
    /// its row, which recovery would drop as well, when the disk takes it.
    fn make_room(&self, segment: &SegmentId) -> bool {
        let removed = std::fs::remove_file(self.folders.layout().segment(segment)).is_ok();
        if removed {
            tracing::info!(file = segment.path(), "removed from a disk that takes nothing");
            self.tell(VaultFact::SegmentRemoved { segment: segment.clone() });
        }
        removed
    }

    /// Does it, unless the disk refuses.
    fn work(&mut self, op: &VaultOp) -> Result<(), StoreError> {
        let Some(store) = self.store.as_mut() else { return Ok(()) };
        match store.apply(op) {
            Ok(()) => {}
            Err(error @ StoreError::UnknownShow(_)) => tracing::error!(%error, ?op, "nonsense asked of the vault"),
            Err(error) => return Err(error),
        }
        if let VaultOp::SegmentSealed { segment, .. } = op {
            let bytes = std::fs::metadata(self.folders.layout().segment(segment)).map_or(0, |metadata| metadata.len());
            self.hash(segment.clone(), bytes);
        }
        Ok(())
    }

    /// A removal is not kept, and a show that waits already takes the newer wish in its place.
    fn keep(&mut self, op: VaultOp) {
        match &op {
            VaultOp::Remove { .. } => return,
            VaultOp::OpenShow(show) => {
                let same = |one: &&mut VaultOp| matches!(one, VaultOp::OpenShow(waiting) if waiting.id == show.id);
                if let Some(waiting) = self.backlog.iter_mut().find(same) {
                    *waiting = op;
                    return;
                }
            }
            VaultOp::Timeline { .. }
            | VaultOp::SegmentOpened { .. }
            | VaultOp::SegmentSealed { .. }
            | VaultOp::CloseShow { .. }
            | VaultOp::RemoveShow { .. } => {}
        }
        if self.backlog.len() < LARGEST_BACKLOG {
            self.backlog.push_back(op);
        } else {
            tracing::error!(?op, "too much waits for the disk; this entry is left to the next start");
        }
    }

    fn take_hash(&mut self, hashed: Hashed) {
        if let (None, Some(store)) = (&self.refused, self.store.as_mut())
            && let Err(error) = store.hashed(&hashed.segment, hashed.bytes, hashed.sha256)
        {
            self.refuse(&error);
        }
    }

    /// Ends a run of operations: manifests, then facts, then tickets.
    fn settle(&mut self) {
        let flushed = match (&self.refused, self.store.as_mut()) {
            (None, Some(store)) => Some(store.flush()),
            (_, None) | (Some(_), _) => None,
        };
        match flushed {
            Some(Ok(facts)) => facts.into_iter().for_each(|fact| self.tell(fact)),
            Some(Err(error)) => self.refuse(&error),
            None => {}
        }
        for ticket in std::mem::take(&mut self.tickets) {
            self.tell(match &self.refused {
                None => VaultFact::Persisted { ticket },
                Some(why) => VaultFact::PersistFailed { ticket, why: why.clone() },
            });
        }
    }

    fn refuse(&mut self, error: &StoreError) {
        if let Some(store) = self.store.take() {
            self.pending = store.into_pending();
        }
        let why = match error {
            StoreError::Lock(error) => format!("{}: {error}", self.folders.layout().root().display()),
            StoreError::Disk(_)
            | StoreError::Index(_)
            | StoreError::IndexGone
            | StoreError::NoDisk(_)
            | StoreError::Replaced(_)
            | StoreError::UnknownShow(_) => error.to_string(),
        };
        self.folders.refused();
        // Another disk takes over at once, unless that was tried a moment ago.
        let now = Instant::now();
        let hurries = self.folders.has_second() && self.hurried.is_none_or(|at| now - at >= RETRY_EVERY);
        if hurries {
            self.hurried = Some(now);
        }
        self.next_retry = if hurries { now } else { now + RETRY_EVERY };
        self.refused = Some(why.clone());
        if self.told.as_ref() != Some(&why) {
            tracing::warn!(why, "the data folder cannot be used");
            self.told = Some(why.clone());
            self.tell(VaultFact::Unwritable { why });
        }
    }

    /// What the operation's sender waits for.
    fn tell_failure(&self, op: &VaultOp, why: String) {
        match op {
            VaultOp::OpenShow(show) => self.tell(VaultFact::ShowFailed { show: show.id.clone(), why }),
            VaultOp::Remove { segment, .. } => self.tell(VaultFact::RemoveFailed { segment: segment.clone(), why }),
            VaultOp::Timeline { .. }
            | VaultOp::SegmentOpened { .. }
            | VaultOp::SegmentSealed { .. }
            | VaultOp::CloseShow { .. }
            | VaultOp::RemoveShow { .. } => {}
        }
    }

    fn retry(&mut self) {
        if self.store.is_none() {
            match self.try_open() {
                Ok(recovery) => recovery.notes.iter().for_each(|note| tracing::warn!("{note}")),
                Err(error) => return self.refuse(&error),
            }
        }
        self.refused = None;
        while let Some(op) = self.backlog.pop_front() {
            if let Err(error) = self.work(&op) {
                self.backlog.push_front(op);
                self.refuse(&error);
                return;
            }
        }
        self.settle();
        if self.refused.is_none() {
            tracing::info!(was = self.told.take(), "the data folder can be used again");
            self.tell(VaultFact::Writable);
        }
    }

    fn hash(&self, segment: SegmentId, bytes: u64) {
        if let Some(hasher) = &self.hasher {
            hasher.add(Job { path: self.folders.layout().segment(&segment), segment, bytes });
        }
    }

    fn tell(&self, fact: VaultFact) {
        // The receiver is gone only when the box ends.
        let _ = self.facts.send(Event::Vault(fact));
    }
}
