//! The journal on disk: `<data_dir>/journal/NNNN.jsonl`, lines that were made elsewhere, in order and durable.
//!
//! Owns the files of that folder. Must never know what a line says, and must never hold up whoever gives it one: a
//! slow or broken disk costs lines, not time.
//!
//! | state | a line | a snapshot | a ticket |
//! |---|---|---|---|
//! | Broken (at first, and after a line was lost) | is dropped and counted | begins a new file → Writing | `PersistFailed` |
//! | Writing | is written; lost when the queue is full or the disk refuses → Broken | begins a new file | `Persisted` after the file was synced |
//!
//! Invariants: the first line of each file is a snapshot, and no line between it and the file's end is missing, so
//! that each file can be replayed by itself; lines are whole, except the last one of a file that a power cut ended
//! (cut off when the next file begins); a new file is durable before an old one is removed.
//!
//! Lines are synced when a ticket asks for it, and else within [`SYNC_EVERY`].

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cuebox_core::director::{Event, VaultFact};
use cuebox_core::ids::Ticket;
use tokio::sync::mpsc::UnboundedSender;

use crate::mounts::Place;
use crate::threads::Running;

/// Longest that a line waits to be synced.
pub const SYNC_EVERY: Duration = Duration::from_secs(1);
/// A journal that is broken asks for a new snapshot no more often than this.
const RETRY_EVERY: Duration = Duration::from_secs(3);
/// Lines that may wait for the disk: some minutes of a busy show.
const QUEUE: usize = 8192;
/// Messages that are written together.
const LARGEST_BATCH: usize = 256;
/// Bytes of lines that are gathered before the file gets them.
const LARGEST_WAITING: usize = 1 << 16;

enum Message {
    Line(String),
    File { snapshot: String },
    Persist(Ticket),
    Stop,
}

#[derive(Default)]
struct Shared {
    broken: AtomicBool,
    lost: AtomicU64,
    why: Mutex<String>,
}

impl Shared {
    fn break_off(&self, why: &str) {
        why.clone_into(&mut self.why.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.broken.swap(true, Ordering::AcqRel) {
            tracing::warn!(why, "the journal is interrupted");
        }
    }

    fn why(&self) -> String {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The near end of the journal's thread. No call blocks on the disk, except [`JournalWriter::stop`].
pub struct JournalWriter {
    queue: SyncSender<Message>,
    facts: UnboundedSender<Event>,
    shared: Arc<Shared>,
    last_try: Option<Instant>,
    thread: Running,
}

impl JournalWriter {
    /// Starts the thread; nothing is written before the first snapshot. The newest `keep` files are kept.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(data_dir: Place, keep: usize, facts: UnboundedSender<Event>) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        shared.broken.store(true, Ordering::Release);
        "it was not begun".clone_into(&mut shared.why.lock().unwrap_or_else(PoisonError::into_inner));
        let folder = data_dir.folder().join("journal");
        let files = Files { data_dir, folder, keep: keep.max(1), open: None };
        let mut writer = Writer { files, shared: shared.clone(), facts: facts.clone(), tickets: Vec::new() };
        let thread = Running::start("journal", move || writer.run(&waiting))?;
        Ok(Self { queue, facts, shared, last_try: None, thread })
    }

    /// Whether [`JournalWriter::start_file`] is to be called now: at first, and some seconds after lines were lost.
    pub fn wants_snapshot(&self) -> bool {
        self.shared.broken.load(Ordering::Acquire) && self.last_try.is_none_or(|at| at.elapsed() >= RETRY_EVERY)
    }

    /// Begins a new file with this line.
    pub fn start_file(&mut self, snapshot: String) {
        self.last_try = Some(Instant::now());
        // Before the thread can have tried: what it finds stands.
        self.shared.broken.store(false, Ordering::Release);
        if self.queue.try_send(Message::File { snapshot }).is_err() {
            self.shared.break_off("the disk does not keep up");
        }
    }

    /// Appends a line (without its line feed).
    pub fn append(&self, line: String) {
        if self.shared.broken.load(Ordering::Acquire) || self.queue.try_send(Message::Line(line)).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            self.shared.break_off("the disk does not keep up");
        }
    }

    /// Asks for `Persisted` when all lines that were given before are durable; `PersistFailed` when they are not.
    pub fn persist(&self, ticket: Ticket) {
        if self.shared.broken.load(Ordering::Acquire) {
            tell(&self.facts, VaultFact::PersistFailed { ticket, why: self.shared.why() });
        } else if self.queue.try_send(Message::Persist(ticket)).is_err() {
            let why = "the disk does not keep up".to_owned();
            tell(&self.facts, VaultFact::PersistFailed { ticket, why });
        }
    }

    /// Lines that were lost since the start.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Writes and syncs what was given, then ends. `false` when that took longer than `limit`.
    pub fn stop(self, limit: Duration) -> bool {
        self.thread.ends_within(limit, || self.queue.try_send(Message::Stop).is_ok())
    }
}

/// The journal's files, oldest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn files(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(numbered(&data_dir.join("journal"))?.into_values().collect())
}

/// What `find` sees in the newest file in which it sees anything; a file that cannot be read shows nothing.
pub fn newest<T>(data_dir: &Path, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
    let files = files(data_dir).unwrap_or_default();
    files.iter().rev().find_map(|file| find(&String::from_utf8_lossy(&fs::read(file).ok()?)))
}

fn numbered(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl")?.parse().ok());
        if let Some(number) = name {
            found.insert(number, path);
        }
    }
    Ok(found)
}

struct Writer {
    files: Files,
    shared: Arc<Shared>,
    facts: UnboundedSender<Event>,
    tickets: Vec<Ticket>,
}

impl Writer {
    fn run(&mut self, waiting: &Receiver<Message>) {
        let mut last_sync = Instant::now();
        loop {
            let wait = SYNC_EVERY.saturating_sub(last_sync.elapsed()).max(Duration::from_millis(1));
            let mut over = false;
            match waiting.recv_timeout(wait) {
                Ok(first) => {
                    for message in std::iter::once(first).chain(waiting.try_iter()).take(LARGEST_BATCH) {
                        over |= matches!(message, Message::Stop);
                        self.take(message);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => over = true,
            }
            if over || !self.tickets.is_empty() || last_sync.elapsed() >= SYNC_EVERY {
                last_sync = Instant::now();
                self.sync();
            }
            if over {
                return;
            }
        }
    }

    fn take(&mut self, message: Message) {
        let done = match message {
            Message::Line(line) if self.files.open.is_some() => self.files.append(&line),
            Message::Line(_) => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Message::File { snapshot } => self.files.begin(&snapshot),
            Message::Persist(ticket) => {
                self.tickets.push(ticket);
                Ok(())
            }
            Message::Stop => Ok(()),
        };
        self.note(done);
    }

    fn sync(&mut self) {
        let synced = self.files.sync();
        self.note(synced);
        let whole = self.files.open.is_some();
        for ticket in std::mem::take(&mut self.tickets) {
            let fact = if whole {
                VaultFact::Persisted { ticket }
            } else {
                VaultFact::PersistFailed { ticket, why: self.shared.why() }
            };
            tell(&self.facts, fact);
        }
    }

    fn note(&mut self, done: io::Result<()>) {
        if let Err(error) = done {
            self.files.open = None;
            self.shared.break_off(&format!("{}: {error}", self.files.folder.display()));
        }
    }
}

fn tell(facts: &UnboundedSender<Event>, fact: VaultFact) {
    // The receiver is gone only when the box ends.
    let _ = facts.send(Event::Vault(fact));
}

struct Files {
    data_dir: Place,
    folder: PathBuf,
    keep: usize,
    /// `None`: broken, lines are dropped until the next snapshot.
    open: Option<Open>,
}

struct Open {
    file: File,
    /// Whole lines that were not handed to the file yet.
    waiting: Vec<u8>,
    dirty: bool,
}

impl Files {
    fn begin(&mut self, snapshot: &str) -> io::Result<()> {
        self.sync()?;
        self.open = None;
        if !self.data_dir.is_there() {
            return Err(io::Error::other("its disk is not there"));
        }
        fs::create_dir_all(&self.folder)?;
        self.data_dir.used();
        let before = numbered(&self.folder)?;
        if let Some(newest) = before.values().next_back() {
            cut_torn_line(newest)?;
        }
        let number = before.keys().next_back().map_or(1, |number| number + 1);
        let path = self.folder.join(format!("{number:04}.jsonl"));
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        self.open = Some(Open { file, waiting: Vec::new(), dirty: true });
        self.append(snapshot)?;
        self.sync()?;
        File::open(&self.folder)?.sync_all()?;
        let surplus = (before.len() + 1).saturating_sub(self.keep);
        for old in before.values().take(surplus) {
            fs::remove_file(old)?;
        }
        Ok(())
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        open.waiting.extend_from_slice(line.as_bytes());
        open.waiting.push(b'\n');
        open.dirty = true;
        if open.waiting.len() < LARGEST_WAITING { Ok(()) } else { open.hand_over() }
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| open.dirty) else { return Ok(()) };
        open.hand_over()?;
        open.file.sync_data()?;
        open.dirty = false;
        Ok(())
    }
}

impl Open {
    fn hand_over(&mut self) -> io::Result<()> {
        self.file.write_all(&self.waiting)?;
        self.waiting.clear();
        // A snapshot of megabytes was in it perhaps.
        self.waiting.shrink_to(LARGEST_WAITING);
        Ok(())
    }
}

fn cut_torn_line(path: &Path) -> io::Result<()> {
    let text = fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < text.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
