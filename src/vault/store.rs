//! The data folder: files, manifests and rows, changed in the order that the head of [`super`] gives.
//!
//! Owns everything below `<data_dir>` except what the recorder writes into segment files and the journal. Has no
//! thread and no clock. Every operation may be given again after it failed, however far it had come.
//!
//! A segment's row is written at once, its manifest once for a run of operations ([`Store::flush`]); the facts are
//! held back until then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use cuebox_core::director::{NewShow, Sealed, VaultFact, VaultOp};
use cuebox_core::ids::{SegmentId, ShowId};
use cuebox_core::time::Wall;
use cuebox_core::timeline::Entry;
use thiserror::Error;

use super::disk::{Disk, DiskError};
use super::index::{Index, IndexError, OpenError, Opened};
use super::layout::Layout;
use super::lock::{Lock, LockError};
use super::manifest::Manifest;
use super::mend::{Mended, mend};
use super::records::{SegmentRecord, ShowRecord, State};
use super::recovery::{self, Recovery};
use super::timeline::Timeline;
use super::witness::Witness;

#[derive(Debug, Error)]
pub enum StoreError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the index was removed")]
    IndexGone,
    #[error("{} is not the folder it was", .0.display())]
    Replaced(PathBuf),
    #[error("the disk of {} is not there", .0.display())]
    NoDisk(PathBuf),
    /// Not the world's fault: trying again does not help.
    #[error("there is no show {0}")]
    UnknownShow(ShowId),
}

impl StoreError {
    /// The index is at fault and can be built again from what lies beside it.
    pub fn is_index_damage(&self) -> bool {
        match self {
            Self::IndexGone => true,
            Self::Index(error) => error.is_damage(),
            Self::Lock(_) | Self::Disk(_) | Self::Replaced(_) | Self::NoDisk(_) | Self::UnknownShow(_) => false,
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Index(error) => Self::Index(error),
            OpenError::Disk(error) => Self::Disk(error),
        }
    }
}

type Result<T> = std::result::Result<T, StoreError>;

/// Who writes here.
#[derive(Clone, Debug)]
pub struct Owner {
    pub box_id: String,
    /// Names this run of the machine, and with it what its monotonic clock counts from.
    pub boot: String,
}

/// What is not said or written yet.
#[derive(Debug, Default)]
pub struct Pending {
    /// Shows whose manifest is behind their rows.
    stale: BTreeSet<ShowId>,
    /// Facts that are true when the manifests are written.
    facts: Vec<VaultFact>,
}

pub struct Store {
    layout: Layout,
    owner: Owner,
    disk: Disk,
    index: Index,
    timelines: BTreeMap<ShowId, Timeline>,
    pending: Pending,
    lock: Lock,
}

impl Store {
    /// Locks the folder, opens the index and brings files, manifests and rows into agreement. Shows in `running`
    /// are left alone: somebody writes them at this moment.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process owns the folder; else when the disk refuses.
    pub fn open(
        layout: Layout,
        owner: Owner,
        running: &BTreeSet<ShowId>,
        witness: Witness,
    ) -> Result<(Self, Recovery)> {
        let disk = Disk::new(witness.clone());
        disk.make_dir(layout.root())?;
        let lock = Lock::take(&layout.lock())?;
        disk.make_dir(&layout.shows())?;
        let any_show = recovery::any_show(&layout)?;
        let (mut index, mut opened) = Index::open(&layout.index(), &disk, witness.clone())?;
        let mut recovered = recovery::recover(&layout, &disk, &index, &owner, running);
        if let Err(error) = &recovered
            && error.is_index_damage()
        {
            // What opened well may still hold rows that cannot be read.
            let why = error.to_string();
            drop(index);
            (index, opened) = Index::replace(&layout.index(), &disk, witness, &why)?;
            recovered = recovery::recover(&layout, &disk, &index, &owner, running);
        }
        let mut recovery = recovered?;
        let rebuilt = match opened {
            Opened::Found => None,
            Opened::Made => any_show.then(|| "the index was gone".to_owned()),
            Opened::Damaged { said } => Some(said),
        };
        if let Some(why) = &rebuilt {
            recovery.notes.insert(0, format!("{why}; it was built again from the recordings"));
        }
        recovery.rebuilt = rebuilt;
        let (timelines, pending) = (BTreeMap::new(), Pending::default());
        Ok((Self { layout, owner, disk, index, timelines, pending, lock }, recovery))
    }

    /// What was not said or written yet, for a store that is opened anew in place of this one.
    pub fn into_pending(self) -> Pending {
        self.pending
    }

    pub fn resume(&mut self, pending: Pending) {
        self.pending.stale.extend(pending.stale);
        self.pending.facts.extend(pending.facts);
    }

    /// Opens the show if it is not known, without telling of it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn ensure_show(&mut self, show: &NewShow) -> Result<()> {
        if self.index.show(&show.id)?.is_none() {
            self.open_show(show)?;
            self.pending.facts.pop();
        }
        Ok(())
    }

    /// Whether the folder is still the one that was opened.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] when it is not.
    pub fn still_there(&self) -> Result<()> {
        if self.lock.is_at(&self.layout.lock()) {
            return Ok(());
        }
        Err(StoreError::Replaced(self.layout.root().to_owned()))
    }

    /// Does it. The facts come with the next [`Store::flush`].
    ///
    /// # Errors
    /// When the disk refuses; nothing is said then, and the operation is to be given again.
    pub fn apply(&mut self, op: &VaultOp) -> Result<()> {
        self.still_there()?;
        if !self.layout.index().exists() {
            return Err(StoreError::IndexGone);
        }
        match op {
            VaultOp::OpenShow(show) => self.open_show(show),
            VaultOp::Timeline { show, entry } => self.append_timeline(show, entry),
            VaultOp::SegmentOpened { segment, first_frame } => self.segment_opened(segment, *first_frame),
            VaultOp::SegmentSealed { segment, first_frame, sealed } => {
                self.segment_sealed(segment, *first_frame, sealed)
            }
            VaultOp::CloseShow { show, ended } => self.close_show(show, *ended),
            VaultOp::Remove { segment, why } => self.remove(segment, why),
            VaultOp::RemoveShow { show } => self.remove_show(show),
        }
    }

    /// Writes the manifests that are behind, then gives what can now be said.
    ///
    /// # Errors
    /// When the disk refuses; what could not be said comes with a later call.
    pub fn flush(&mut self) -> Result<Vec<VaultFact>> {
        while let Some(show) = self.pending.stale.first().cloned() {
            if let Some(record) = self.index.show(&show)? {
                self.save_manifest(&record)?;
            }
            self.pending.stale.remove(&show);
        }
        Ok(std::mem::take(&mut self.pending.facts))
    }

    /// A show that is there already goes on: its segments stay, its place on the grid and the machine's run are new.
    fn open_show(&mut self, show: &NewShow) -> Result<()> {
        let folder = self.layout.show(&show.id);
        self.disk.make_dir(&folder)?;
        let (timeline, _) = Timeline::open(&self.disk, &self.layout.timeline(&show.id))?;
        self.timelines.insert(show.id.clone(), timeline);
        let record = ShowRecord { show: show.clone(), boot: self.owner.boot.clone(), ended: None };
        // The manifest goes before the row here: a folder with neither is removed by recovery, a manifest gets its
        // row from recovery.
        self.save_manifest(&record)?;
        self.index.put_show(&record)?;
        self.pending.facts.push(VaultFact::ShowOpened { show: show.id.clone() });
        Ok(())
    }

    fn append_timeline(&mut self, show: &ShowId, entry: &Entry) -> Result<()> {
        if !self.timelines.contains_key(show) {
            self.known(show)?;
            let (timeline, _) = Timeline::open(&self.disk, &self.layout.timeline(show))?;
            self.timelines.insert(show.clone(), timeline);
        }
        if let Some(timeline) = self.timelines.get_mut(show) {
            timeline.append(&self.disk, entry)?;
        }
        Ok(())
    }

    fn segment_opened(&mut self, segment: &SegmentId, first_frame: u64) -> Result<()> {
        self.known(&segment.show)?;
        let folder = self.layout.track(&segment.show, segment.track);
        self.disk.make_dir(&folder)?;
        // The recorder may have made the folder itself.
        self.disk.sync_dir(&self.layout.show(&segment.show))?;
        self.disk.sync_dir(&folder)?;
        if self.index.segment(segment)?.is_none() {
            let record = SegmentRecord::growing(segment.track, segment.number, first_frame);
            self.index.put_segment(&segment.show, &record)?;
            self.pending.stale.insert(segment.show.clone());
        }
        Ok(())
    }

    fn segment_sealed(&mut self, segment: &SegmentId, first_frame: u64, sealed: &Sealed) -> Result<()> {
        self.known(&segment.show)?;
        let path = self.layout.segment(segment);
        let bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.remove(segment, "the recorder left no file");
            }
            Err(source) => return Err(DiskError { what: "read", path, source }.into()),
        };
        self.disk.sync_dir(&self.layout.track(&segment.show, segment.track))?;
        let (frames, bytes) = if sealed.clean {
            (sealed.frames, bytes)
        } else {
            // Players refuse a file that ends inside an index. Should the recorder still hang on to this one and write
            // to it after all, its length tells the next start to look again.
            match mend(&self.disk, &path)? {
                Mended::Plays { content, bytes, .. } => (content.frames, bytes),
                Mended::Removed { why } | Mended::PutAside { why } => return self.remove(segment, why),
            }
        };
        let known = self.index.segment(segment)?;
        let record = SegmentRecord {
            state: State::Sealed,
            frames,
            repeated: sealed.repeated,
            bytes,
            clean: sealed.clean,
            stored: known.is_some_and(|known| known.stored),
            ..SegmentRecord::growing(segment.track, segment.number, first_frame)
        };
        self.index.put_segment(&segment.show, &record)?;
        self.pending.stale.insert(segment.show.clone());
        self.pending.facts.push(VaultFact::SegmentIndexed { segment: segment.clone() });
        Ok(())
    }

    fn close_show(&mut self, show: &ShowId, ended: Wall) -> Result<()> {
        let mut record = self.known(show)?;
        record.ended = Some(ended);
        self.index.put_show(&record)?;
        self.save_manifest(&record)?;
        self.timelines.remove(show);
        Ok(())
    }

    fn remove(&mut self, segment: &SegmentId, why: &str) -> Result<()> {
        if let Some(mut record) = self.index.segment(segment)? {
            record.state = State::Tombstone;
            self.index.put_segment(&segment.show, &record)?;
            tracing::info!(file = segment.path(), why, "removing a recording");
        }
        self.disk.remove(&self.layout.segment(segment))?;
        self.index.drop_segment(segment)?;
        self.pending.stale.insert(segment.show.clone());
        self.pending.facts.push(VaultFact::SegmentRemoved { segment: segment.clone() });
        Ok(())
    }

    /// The new name says at once that all of it goes.
    fn remove_show(&mut self, show: &ShowId) -> Result<()> {
        let (folder, condemned) = (self.layout.show(show), self.layout.condemned(show));
        let known = self.index.show(show)?.is_some();
        if known && folder.is_dir() {
            tracing::info!(%show, "removing a show");
            self.disk.rename(&folder, &condemned)?;
        }
        if condemned.is_dir() {
            self.disk.remove_tree(&condemned)?;
        }
        self.index.drop_show(show)?;
        self.timelines.remove(show);
        self.pending.stale.remove(show);
        self.pending.facts.push(VaultFact::ShowRemoved { show: show.clone() });
        Ok(())
    }

    /// Notes a file's hash, unless the file is another by now.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn hashed(&mut self, segment: &SegmentId, bytes: u64, sha256: String) -> Result<()> {
        let Some(mut record) = self.index.segment(segment)? else { return Ok(()) };
        if record.state == State::Sealed && record.bytes == bytes {
            record.sha256 = Some(sha256);
            self.index.put_segment(&segment.show, &record)?;
            self.pending.stale.insert(segment.show.clone());
        }
        Ok(())
    }

    /// Sealed segments without a hash, with their lengths.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn unhashed(&self) -> Result<Vec<(SegmentId, u64)>> {
        let mut found = Vec::new();
        for show in self.index.shows()? {
            let segments = self.index.segments(show.id())?;
            let open = segments.iter().filter(|one| one.state == State::Sealed && one.sha256.is_none());
            found.extend(open.map(|one| (one.id(show.id()), one.bytes)));
        }
        Ok(found)
    }

    /// When the show ended; `None`: it has not, or is not known here.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn ended(&self, show: &ShowId) -> Result<Option<Wall>> {
        Ok(self.index.show(show)?.and_then(|record| record.ended))
    }

    fn known(&self, show: &ShowId) -> Result<ShowRecord> {
        self.index.show(show)?.ok_or_else(|| StoreError::UnknownShow(show.clone()))
    }

    fn save_manifest(&self, record: &ShowRecord) -> Result<()> {
        let segments = self.index.segments(record.id())?;
        Manifest::of(record, &segments).save(&self.disk, &self.layout.manifest(record.id()))?;
        Ok(())
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod others;
#[cfg(test)]
mod tests;
