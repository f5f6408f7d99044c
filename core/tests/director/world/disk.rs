//! The vault and its disk: what is on it is the truth, and it judges each removal.

use std::collections::BTreeMap;

use cuebox_core::director::{Event, FoundShow, NewShow, StoredSegment, VaultFact, VaultOp};
use cuebox_core::ids::{SegmentId, ShowId, Track};
use cuebox_core::time::Wall;
use cuebox_core::timeline::Entry;

use super::{Act, Dice, World, ms};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub bytes: u64,
    pub stored: bool,
    pub sealed: bool,
    pub clean: bool,
    pub age: u64,
}

/// What is on the disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub files: BTreeMap<SegmentId, File>,
    pub shows: BTreeMap<ShowId, NewShow>,
    pub open: Option<ShowId>,
    /// When the last show that was closed ended.
    pub ended: Option<Wall>,
    pub timeline: Vec<(ShowId, Entry)>,
    pub capacity: u64,
    pub(super) ages: u64,
    pub removed_unstored: u64,
    pub removed_stored: u64,
}

impl World {
    /// An uploader stored some of the finished files; the box learns of it when it starts again.
    pub fn store_some(&mut self, dice: &mut Dice) {
        let running = self.disk.open.clone();
        let finished =
            self.disk.files.iter_mut().filter(|(id, file)| file.sealed && Some(&id.show) != running.as_ref());
        for (_, file) in finished {
            if dice.below(3) == 0 {
                file.stored = true;
            }
        }
    }

    pub(super) fn vault(&mut self, op: VaultOp) {
        match op {
            VaultOp::OpenShow(show) => {
                self.disk.open = Some(show.id.clone());
                let opened = VaultFact::ShowOpened { show: show.id.clone() };
                self.disk.shows.insert(show.id.clone(), show);
                self.plan(ms(30), Act::Tell(Event::Vault(opened)));
            }
            VaultOp::Timeline { show, entry } => {
                assert!(self.disk.shows.contains_key(&show), "the timeline belongs to a show that was opened");
                self.disk.timeline.push((show, entry));
            }
            VaultOp::SegmentOpened { segment, .. } => {
                self.disk.ages += 1;
                let age = self.disk.ages;
                let file = File { bytes: 0, stored: false, sealed: false, clean: false, age };
                let before = self.disk.files.insert(segment.clone(), file);
                assert!(before.is_none(), "{segment:?} is opened once");
            }
            VaultOp::SegmentSealed { segment, sealed, .. } => {
                let file = self.disk.files.get_mut(&segment).expect("a segment is opened before it is sealed");
                file.bytes = sealed.bytes.max(file.bytes);
                file.sealed = true;
                file.clean = sealed.clean;
                self.plan(ms(20), Act::Tell(Event::Vault(VaultFact::SegmentIndexed { segment })));
            }
            VaultOp::CloseShow { show, ended } => {
                self.disk.ended = Some(ended);
                assert_eq!(self.disk.open.take(), Some(show), "the show that is closed was open");
            }
            VaultOp::RemoveShow { show } => {
                assert_ne!(self.disk.open.as_ref(), Some(&show), "the running show is never removed");
                self.disk.files.retain(|segment, _| segment.show != show);
                self.disk.shows.remove(&show);
                self.plan(ms(40), Act::Tell(Event::Vault(VaultFact::ShowRemoved { show })));
            }
            VaultOp::Remove { segment, .. } => {
                self.disk.remove(&segment);
                self.plan(ms(40), Act::Tell(Event::Vault(VaultFact::SegmentRemoved { segment })));
            }
        }
    }

    pub(super) fn stored(&self) -> Vec<StoredSegment> {
        let mut files: Vec<_> = self.disk.files.iter().filter(|(_, file)| file.sealed).collect();
        files.sort_by_key(|(_, file)| file.age);
        files
            .into_iter()
            .map(|(segment, file)| StoredSegment { segment: segment.clone(), bytes: file.bytes, stored: file.stored })
            .collect()
    }

    pub(super) fn found_show(&self) -> Option<FoundShow> {
        let show = self.disk.shows.get(self.disk.open.as_ref()?)?.clone();
        let mut next_numbers: BTreeMap<Track, u32> = BTreeMap::new();
        for segment in self.disk.files.keys().filter(|segment| segment.show == show.id) {
            let next = next_numbers.entry(segment.track).or_default();
            *next = (*next).max(segment.number + 1);
        }
        let lines = self.disk.timeline.iter().filter(|(id, _)| *id == show.id);
        let last_frame = lines.map(|(_, entry)| entry.frame).max().unwrap_or(0);
        Some(FoundShow { show, same_boot: self.same_boot, last_frame, next_numbers })
    }
}

impl Disk {
    /// # Panics
    /// When it is not this segment's turn: the promise of the library.
    pub(super) fn remove(&mut self, segment: &SegmentId) {
        let file = self.files.remove(segment).expect("what is removed is there");
        assert!(file.sealed, "an open file is never removed: {segment:?}");
        if file.stored {
            self.removed_stored += 1;
            return;
        }
        assert_ne!(self.open.as_ref(), Some(&segment.show), "the running show loses nothing unstored");
        assert!(!self.files.values().any(|file| file.stored), "unstored goes only when nothing stored is left");
        self.removed_unstored += 1;
    }
}
