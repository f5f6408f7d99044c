//! The vault: recordings on disk that survive a power cut at any moment, and the facts about them.
//!
//! Owns `<data_dir>`: the lock, the index, each show's manifest and timeline, which segments there are, their removal,
//! and the mending of torn ones. The media shell writes the segment files, and owns each until it has sealed it. Must
//! never know what is on air, why a recording is wished, or what GStreamer is.
//!
//! # The order in which things become durable
//!
//! A file is named by its folder, described by its show's manifest, and found by its row. Each is made durable
//! before the next says so, and a fact is told when the last of them is durable.
//!
//! - **A show opens**: make its folder, sync `shows/`; create its timeline, sync the folder; write the manifest;
//!   insert the row; tell.
//! - **A segment opens**: the recorder has created the file, and its folder if it is the first; sync the show's folder
//!   and the file's; insert the row as *growing*; write the manifest. While it grows the recorder syncs each fragment.
//! - **A segment is sealed**: the recorder has written and synced the file; sync its folder; cut off a torn tail if it
//!   was not finished in order; update the row to *sealed*; write the manifest; tell. Its hash comes later: row, then manifest.
//! - **A line of the timeline**: append it, sync the file. The next line is written after that.
//! - **A segment is removed**: update the row to *tombstone*; unlink the file; sync its folder; drop the row; write
//!   the manifest; tell.
//! - **A show is removed**: rename its folder to `<id>.removed`, sync `shows/`; unlink all that it holds; drop its rows;
//!   tell.
//! - **A show ends**: update the row; write the manifest.
//! - **A manifest is written**: write `show.json.new`, sync it, rename it to `show.json`, sync the folder. One write
//!   may stand for several segments whose rows are durable already.
//!
//! What can therefore be found after a cut: a file without a row, a row without a file, a manifest behind its rows,
//! a torn last fragment, a torn last line, a tombstone. [`recovery`] names what becomes of each. When they disagree,
//! files are the truth about what exists, rows about what is known of it, and manifests stand in for lost rows.
//!
//! # The parts
//! `worker` is the thread and its backlog · `folders` which disk it uses · `store` the operations · `recovery` and `mend` the start · `index`
//! (SQLite), `manifest`, `timeline` the three kinds of record · `mp4` reads recordings · `disk` the system calls ·
//! `reader` what others may see.

#[cfg(test)]
mod crash;
mod disk;
mod folders;
mod hasher;
mod index;
mod layout;
mod lock;
mod manifest;
mod mend;
mod mp4;
mod reader;
mod records;
mod recovery;
mod store;
#[cfg(test)]
mod testkit;
mod timeline;
mod witness;
mod worker;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use cuebox_core::director::{Event, VaultFact, VaultOp};
use cuebox_core::ids::Ticket;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;

pub use reader::{ReadError, SegmentDetail, ShowDetail, ShowSummary, VaultReader};
pub use recovery::Recovery;

use folders::Folders;
use layout::Layout;
use store::Owner;
use worker::{Message, Worker};

use crate::threads::Running;

/// Operations that may wait for the vault's thread. A show makes some tens in a minute.
const QUEUE: usize = 4096;

#[derive(Debug, Error)]
pub enum VaultError {
    /// Two boxes must never write one folder.
    #[error("{} is used by another cuebox{}", data_dir.display(), pid.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Locked { data_dir: PathBuf, pid: Option<u32> },
    #[error("cannot start the vault's thread: {0}")]
    Thread(io::Error),
}

/// What the vault needs to know.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    pub data_dir: PathBuf,
    /// Used while `data_dir` cannot be.
    pub second_dir: Option<PathBuf>,
    /// Both have to lie on disks of their own.
    pub require_mount: bool,
    /// Given to recordings whose show is not known any more.
    pub box_id: String,
    /// Names this run of the machine; see [`boot_id`].
    pub boot: String,
}

/// The kernel's name for this run of the machine: as long as it is the same, the monotonic clock counts on.
///
/// # Errors
/// When `/proc` is not there.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The running vault. Dropping it ends the thread after the work that was given.
pub struct VaultHandle {
    queue: SyncSender<Message>,
    facts: UnboundedSender<Event>,
    data_dir: PathBuf,
    second_dir: Option<PathBuf>,
    thread: Running,
}

impl VaultHandle {
    /// Opens the data folder, recovers what a crash left, and starts the vault's thread. What it finds is
    /// also sent as the first events: `ShowFound` when a show was open, then `Recovered`.
    ///
    /// A folder that cannot be used is no error: `Unwritable` is sent, it is tried again every few seconds, and what
    /// is given meanwhile is done when it can be; `Recovered` and `Writable` come then.
    ///
    /// # Errors
    /// [`VaultError::Locked`] when another process uses the folder.
    pub fn open(config: VaultConfig, facts: UnboundedSender<Event>) -> Result<(Self, Recovery), VaultError> {
        let (queue, waiting) = sync_channel(QUEUE);
        let folders = Folders::new(
            Layout::new(config.data_dir.clone()),
            config.second_dir.clone().map(Layout::new),
            config.require_mount,
        );
        let owner = Owner { box_id: config.box_id, boot: config.boot };
        let mut worker = Worker::new(folders, owner, facts.clone(), queue.clone());
        let recovery = worker.open().map_err(|pid| VaultError::Locked { data_dir: config.data_dir.clone(), pid })?;
        let thread = Running::start("vault", move || worker.run(&waiting)).map_err(VaultError::Thread)?;
        let VaultConfig { data_dir, second_dir, .. } = config;
        Ok((Self { queue, facts, data_dir, second_dir, thread }, recovery))
    }

    /// Gives an operation. Never blocks; operations are done in the order given. When the disk has not kept up with
    /// thousands of them, this one is not done, and that is told.
    pub fn submit(&self, op: VaultOp) {
        let Err(TrySendError::Full(Message::Op(op)) | TrySendError::Disconnected(Message::Op(op))) =
            self.queue.try_send(Message::Op(op))
        else {
            return;
        };
        tracing::error!(?op, "the disk does not keep up; this entry is left to the next start");
        let why = "the disk does not keep up".to_owned();
        match op {
            VaultOp::OpenShow(show) => self.tell(VaultFact::ShowFailed { show: show.id, why }),
            VaultOp::Remove { segment, .. } => self.tell(VaultFact::RemoveFailed { segment, why }),
            VaultOp::Timeline { .. }
            | VaultOp::SegmentOpened { .. }
            | VaultOp::SegmentSealed { .. }
            | VaultOp::CloseShow { .. }
            | VaultOp::RemoveShow { .. } => {}
        }
    }

    /// Asks for `Persisted` when everything that was given before is durable. Never blocks.
    pub fn persist(&self, ticket: Ticket) {
        if self.queue.try_send(Message::Persist(ticket)).is_err() {
            self.tell(VaultFact::PersistFailed { ticket, why: "the disk does not keep up".to_owned() });
        }
    }

    /// Reads shows and segments, on any thread.
    pub fn reader(&self) -> VaultReader {
        VaultReader::new(self.data_dir.clone(), self.second_dir.clone())
    }

    /// Ends the thread after the work that was given. `false` when that took longer than `limit`: the process may
    /// end all the same, the next start recovers.
    pub fn stop(self, limit: Duration) -> bool {
        self.thread.ends_within(limit, || self.queue.try_send(Message::Stop).is_ok())
    }

    fn tell(&self, fact: VaultFact) {
        // The receiver is gone only when the box ends.
        let _ = self.facts.send(Event::Vault(fact));
    }
}

impl Drop for VaultHandle {
    fn drop(&mut self) {
        let _ = self.queue.try_send(Message::Stop);
    }
}

#[cfg(test)]
mod tests;
