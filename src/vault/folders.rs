//! Which folder is written to: `data_dir`, or the one on a second disk while the first cannot be used.
//!
//! | when | then |
//! |---|---|
//! | a process starts | the first is in use when it can be opened, else the second |
//! | the folder in use refuses | the other is tried, then the one that refused, every few seconds |
//!
//! A show that moved lies on both. At a start what they say of it is put together: it is over when either says so, and
//! goes on behind the last frame and number of both.
//!
//! Invariant: a folder that belongs on a disk of its own is used only while that disk is there.

use std::collections::BTreeSet;

use cuebox_core::director::{FoundShow, VaultOp};
use cuebox_core::ids::ShowId;

use super::layout::Layout;
use super::lock::LockError;
use super::recovery::Recovery;
use super::store::{Owner, Store, StoreError};
use super::witness::Witness;
use crate::mounts::Place;

struct Folder {
    layout: Layout,
    place: Place,
}

pub struct Folders {
    first: Folder,
    second: Option<Folder>,
    on_second: bool,
    /// Which is tried first.
    prefers_second: bool,
}

/// A folder that was opened.
pub struct OpenedFolder {
    pub store: Store,
    pub recovery: Recovery,
    /// It is another one than before.
    pub moved: bool,
}

impl Folders {
    /// `require_mount`: both have to lie on disks of their own.
    pub fn new(first: Layout, second: Option<Layout>, require_mount: bool) -> Self {
        let folder = |layout: Layout| Folder { place: Place::new(layout.root(), require_mount), layout };
        Self { first: folder(first), second: second.map(folder), on_second: false, prefers_second: false }
    }

    /// The folder in use.
    pub fn layout(&self) -> &Layout {
        let second = self.second.as_ref().filter(|_| self.on_second);
        &second.unwrap_or(&self.first).layout
    }

    pub const fn is_second(&self) -> bool {
        self.on_second
    }

    pub const fn has_second(&self) -> bool {
        self.second.is_some()
    }

    /// The folder in use refuses: the other is the better choice.
    pub const fn refused(&mut self) {
        self.prefers_second = self.has_second() && !self.on_second;
    }

    /// Opens the one that is preferred, or else the other.
    ///
    /// # Errors
    /// Why the first of them cannot be used.
    pub fn open(&mut self, owner: &Owner, running: &BTreeSet<ShowId>) -> Result<OpenedFolder, StoreError> {
        let prefers_second = self.prefers_second;
        let (opened, on_second) = match self.open_one(prefers_second, owner, running) {
            Ok(opened) => (opened, prefers_second),
            // Somebody else's, not broken.
            Err(error @ StoreError::Lock(LockError::Held { .. })) => return Err(error),
            Err(error) if !self.has_second() => return Err(error),
            Err(error) => (self.open_one(!prefers_second, owner, running).map_err(|_| error)?, !prefers_second),
        };
        let moved = std::mem::replace(&mut self.on_second, on_second) != on_second;
        let (store, recovery) = opened;
        Ok(OpenedFolder { store, recovery, moved })
    }

    fn open_one(
        &mut self,
        second: bool,
        owner: &Owner,
        running: &BTreeSet<ShowId>,
    ) -> Result<(Store, Recovery), StoreError> {
        self.second.as_mut().filter(|_| second).unwrap_or(&mut self.first).open(owner, running)
    }

    /// Puts together what the folder in use and the other one know of shows; at the start only. What goes wrong with
    /// the other one is noted.
    ///
    /// # Errors
    /// When the folder in use refuses.
    pub fn reconcile(&mut self, owner: &Owner, opened: &mut OpenedFolder) -> Result<(), StoreError> {
        let other = if self.on_second { Some(&mut self.first) } else { self.second.as_mut() };
        // One that was never used is no trouble; and nothing is made below where a disk would be.
        let Some(other) = other.filter(|other| other.layout.shows().is_dir()) else { return Ok(()) };
        let trouble = |error: &StoreError| format!("the other disk cannot be used: {error}");
        let (mut store, mut recovery) = match other.open(owner, &BTreeSet::new()) {
            Ok(found) => found,
            Err(error) => {
                opened.recovery.notes.push(trouble(&error));
                return Ok(());
            }
        };
        opened.recovery.notes.append(&mut recovery.notes);
        end_with(&mut opened.store, &mut opened.recovery, &store)?;
        if let Err(error) = end_with(&mut store, &mut recovery, &opened.store) {
            opened.recovery.notes.push(trouble(&error));
        }
        opened.recovery.open_show = join(opened.recovery.open_show.take(), recovery.open_show);
        Ok(())
    }
}

impl Folder {
    fn open(&mut self, owner: &Owner, running: &BTreeSet<ShowId>) -> Result<(Store, Recovery), StoreError> {
        if !self.place.is_there() {
            return Err(StoreError::NoDisk(self.layout.root().to_owned()));
        }
        let opened = Store::open(self.layout.clone(), owner.clone(), running, Witness::silent())?;
        self.place.used();
        Ok(opened)
    }
}

/// Ends the open show where the other folder says that it is over.
fn end_with(store: &mut Store, recovery: &mut Recovery, other: &Store) -> Result<(), StoreError> {
    let Some(show) = recovery.open_show.as_ref().map(|open| open.show.id.clone()) else { return Ok(()) };
    if let Some(ended) = other.ended(&show)? {
        store.apply(&VaultOp::CloseShow { show, ended })?;
        recovery.open_show = None;
    }
    Ok(())
}

/// The open show of both folders, or the one that began later.
fn join(ours: Option<FoundShow>, theirs: Option<FoundShow>) -> Option<FoundShow> {
    let (mut ours, theirs) = match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        (ours, theirs) => return ours.or(theirs),
    };
    if ours.show.id != theirs.show.id {
        return Some(if theirs.show.begun().unix_ns > ours.show.begun().unix_ns { theirs } else { ours });
    }
    // What was opened later knows the grid of the run that wrote last.
    if theirs.show.origin_frame > ours.show.origin_frame || (theirs.same_boot && !ours.same_boot) {
        (ours.show, ours.same_boot) = (theirs.show, theirs.same_boot);
    }
    ours.last_frame = ours.last_frame.max(theirs.last_frame);
    for (track, number) in theirs.next_numbers {
        let next = ours.next_numbers.entry(track).or_insert(number);
        *next = (*next).max(number);
    }
    Some(ours)
}
