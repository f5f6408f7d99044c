//! The segments on this box's disk, and which of them goes when space runs out.
//!
//! | state of a row | then |
//! |---|---|
//! | Growing | sealed → Sealed |
//! | Sealed (not yet stored elsewhere), Stored | space is needed → Removing |
//! | Removing: told to the vault, tombstone first | removed → (gone); failed → as before, the next one is tried |
//!
//! | free space | what goes, one segment at a time, the oldest first |
//! |---|---|
//! | below `keep_free` | what is stored elsewhere, of finished shows |
//! | below half of it: the hard limit | then what is stored of the running show; then, with `oldest`, what is not stored of the oldest finished show, with an alert that names it; with `stop`, recording stops instead |
//!
//! Invariants: one row a file; at most one removal under way; nothing that is not stored is removed while anything
//! stored is left; nothing of the running show that is not stored is ever removed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{RecordConfig, WhenFull};
use crate::ids::{SegmentId, ShowId, Track};
use crate::status::Severity;

use super::context::Context;
use super::effect::VaultOp;
use super::event::StoredSegment;
use super::timers::Reason;

/// A file that could not be removed is tried again after this.
const RETRIES: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Library {
    rows: BTreeMap<SegmentId, Row>,
    /// Counts rows, so that the oldest is known whatever the shows are called.
    next_age: u64,
    removing: Option<SegmentId>,
    running: Option<ShowId>,
    /// Free bytes by the last sample, with what was removed since.
    free_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    age: u64,
    state: RowState,
    /// A removal failed; it is not tried again before its time.
    stuck: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RowState {
    Growing,
    Sealed { bytes: u64 },
    Stored { bytes: u64 },
}

/// The library as a journal holds it: its rows' keys are not text.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    rows: Vec<(SegmentId, Row)>,
    next_age: u64,
    removing: Option<SegmentId>,
    running: Option<ShowId>,
    free_bytes: Option<u64>,
}

impl From<Stored> for Library {
    fn from(stored: Stored) -> Self {
        let Stored { rows, next_age, removing, running, free_bytes } = stored;
        Self { rows: rows.into_iter().collect(), next_age, removing, running, free_bytes }
    }
}

impl From<Library> for Stored {
    fn from(library: Library) -> Self {
        let Library { rows, next_age, removing, running, free_bytes } = library;
        Self { rows: rows.into_iter().collect(), next_age, removing, running, free_bytes }
    }
}

impl Library {
    /// What recovery found, oldest first.
    pub fn recovered(&mut self, segments: Vec<StoredSegment>) {
        for StoredSegment { segment, bytes, stored } in segments {
            let state = if stored { RowState::Stored { bytes } } else { RowState::Sealed { bytes } };
            self.set(segment, state);
        }
    }

    /// Another disk is in use: these are its segments, oldest first. What the one before held is none of its business.
    pub fn moved(&mut self, segments: Vec<StoredSegment>) {
        self.rows.clear();
        self.removing = None;
        self.free_bytes = None;
        self.recovered(segments);
    }

    pub fn opened(&mut self, segment: &SegmentId) {
        self.set(segment.clone(), RowState::Growing);
    }

    pub fn sealed(&mut self, segment: &SegmentId, bytes: u64) {
        self.set(segment.clone(), RowState::Sealed { bytes });
    }

    pub fn set_running(&mut self, show: Option<ShowId>) {
        self.running = show;
    }

    /// Segments of a show, open ones included.
    pub fn files(&self, show: &ShowId) -> u32 {
        let first = SegmentId { show: show.clone(), track: Track::Program, number: 0 };
        let files = self.rows.range(first..).take_while(|(segment, _)| segment.show == *show);
        u32::try_from(files.count()).unwrap_or(u32::MAX)
    }

    pub fn space(&mut self, free_bytes: u64) {
        self.free_bytes = Some(free_bytes);
    }

    pub fn removed(&mut self, segment: &SegmentId) {
        let row = self.rows.remove(segment);
        if self.removing.as_ref() == Some(segment) {
            self.removing = None;
            let bytes = row.map_or(0, |row| row.bytes());
            self.free_bytes = self.free_bytes.map(|free| free.saturating_add(bytes));
        }
    }

    /// Whether nothing of this show is needed by anybody: it neither runs nor has an open file.
    pub fn may_remove(&self, show: &ShowId) -> bool {
        let growing = |(segment, row): (&SegmentId, &Row)| segment.show == *show && row.state == RowState::Growing;
        self.running.as_ref() != Some(show) && !self.rows.iter().any(growing)
    }

    /// Somebody had the whole show removed.
    pub fn show_removed(&mut self, show: &ShowId) {
        let gone: Vec<SegmentId> = self.rows.keys().filter(|segment| segment.show == *show).cloned().collect();
        gone.iter().for_each(|segment| self.removed(segment));
    }

    pub fn remove_failed(&mut self, context: &mut Context, segment: &SegmentId, why: &str) {
        if self.removing.as_ref() == Some(segment) {
            self.removing = None;
        }
        if let Some(row) = self.rows.get_mut(segment) {
            row.stuck = true;
        }
        let text = format!("{} cannot be removed: {why}", segment.path());
        context.alert_once("remove_failed", "", Severity::Warning, text);
        context.start_timer(Reason::RemoveRetries, RETRIES);
    }

    pub fn retry_timer(&mut self) {
        self.rows.values_mut().for_each(|row| row.stuck = false);
    }

    /// Removes what must go; says why recording must stop, when it must. Once stopped (`halted`) it goes on only when
    /// there is space enough again.
    pub fn follow(&mut self, context: &mut Context, config: &RecordConfig, halted: bool) -> Option<String> {
        let free = self.free_bytes?;
        let low = free < config.keep_free_bytes;
        let hard = free < config.keep_free_bytes / 2 || (halted && config.when_full == WhenFull::Stop);
        if !low {
            context.alerts.clear("disk_low", "");
            context.alerts.clear("disk_full", "");
            return None;
        }
        let choice = self.oldest(true, false).or_else(|| self.oldest(true, true).filter(|_| hard));
        if self.removing.is_none()
            && let Some(segment) = choice
        {
            self.remove(context, segment, "space is needed, it is stored elsewhere");
            return None;
        }
        if !hard || self.removing.is_some() {
            let text =
                format!("little space is left: {} MB, {} MB are to be kept free", mb(free), mb(config.keep_free_bytes));
            context.alerts.raise(context.now, "disk_low", "", Severity::Warning, text);
            return None;
        }
        match (config.when_full, self.oldest(false, false)) {
            (WhenFull::Oldest, Some(segment)) => {
                let text =
                    format!("the disk is full: {} was removed although it is stored nowhere else", segment.path());
                context.alert_once("unstored_removed", segment.show.as_str(), Severity::Error, text);
                self.remove(context, segment, "the disk is full, it is of the oldest finished show");
                None
            }
            (WhenFull::Oldest, None) => {
                let text = "the disk is nearly full, and only the running show is left on it";
                context.alerts.raise(context.now, "disk_full", "", Severity::Error, text);
                None
            }
            (WhenFull::Stop, _) => {
                let text = "recording stopped: the disk is nearly full";
                context.alerts.raise(context.now, "disk_full", "", Severity::Error, text);
                Some(text.to_owned())
            }
        }
    }

    pub fn check(&self) {
        if let Some(segment) = &self.removing {
            let row = self.rows.get(segment);
            assert!(row.is_some_and(|row| row.state != RowState::Growing), "what is removed is there and sealed");
            let running = self.running.as_ref() == Some(&segment.show);
            let stored = row.is_some_and(Row::is_stored);
            assert!(stored || !running, "nothing unstored of the running show is removed: {segment:?}");
        }
        assert!(self.rows.values().all(|row| row.age < self.next_age), "rows are counted");
    }

    fn set(&mut self, segment: SegmentId, state: RowState) {
        let next_age = &mut self.next_age;
        let row = self.rows.entry(segment).or_insert_with(|| {
            *next_age += 1;
            Row { age: *next_age - 1, state, stuck: false }
        });
        row.state = state;
    }

    fn remove(&mut self, context: &mut Context, segment: SegmentId, why: &str) {
        context.vault(VaultOp::Remove { segment: segment.clone(), why: why.to_owned() });
        self.removing = Some(segment);
    }

    /// The oldest sealed segment that is stored or is not, of finished shows or of any.
    fn oldest(&self, stored: bool, running_too: bool) -> Option<SegmentId> {
        let fits = |segment: &SegmentId, row: &Row| {
            let running = self.running.as_ref() == Some(&segment.show);
            row.state != RowState::Growing && row.is_stored() == stored && !row.stuck && (running_too || !running)
        };
        let rows = self.rows.iter().filter(|(segment, row)| fits(segment, row));
        rows.min_by_key(|(_, row)| row.age).map(|(segment, _)| segment.clone())
    }
}

impl Row {
    const fn is_stored(&self) -> bool {
        matches!(self.state, RowState::Stored { .. })
    }

    const fn bytes(&self) -> u64 {
        match self.state {
            RowState::Growing => 0,
            RowState::Sealed { bytes } | RowState::Stored { bytes } => bytes,
        }
    }
}

const fn mb(bytes: u64) -> u64 {
    bytes / 1_000_000
}
