//! Shows and segments for whoever wants to see them, read beside the vault's own thread through a connection that
//! can only read.

use std::fs;
use std::io;
use std::path::PathBuf;

use cuebox_core::ids::ShowId;
use cuebox_core::time::Trust;
use cuebox_core::timeline::Entry;
use serde::Serialize;
use thiserror::Error;

use super::index::{Index, IndexError};
use super::layout::Layout;
use super::manifest::rfc3339;
use super::records::{SegmentRecord, ShowRecord, State};
use super::timeline;

#[derive(Debug, Error)]
pub enum ReadError {
    /// The data folder could not be used yet.
    #[error("the recordings cannot be read: {0}")]
    Index(#[from] IndexError),
    #[error("the timeline cannot be read: {0}")]
    Timeline(io::Error),
}

/// One show in a list of shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShowSummary {
    pub id: ShowId,
    pub name: String,
    #[serde(rename = "box")]
    pub box_id: String,
    /// RFC 3339.
    pub started: String,
    pub started_clock: Trust,
    /// To be added to `started` and `ended`, where it was learnt later that their clock was off.
    pub clock_offset_ms: Option<i64>,
    /// `None` while the show is open.
    pub ended: Option<String>,
    /// `1280x720`.
    pub size: String,
    pub fps: u32,
    pub files: usize,
    pub bytes: u64,
}

/// One show with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShowDetail {
    #[serde(flatten)]
    pub summary: ShowSummary,
    pub segments: Vec<SegmentDetail>,
    pub timeline: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentDetail {
    /// `program` or `slot-<n>`.
    pub track: String,
    pub number: u32,
    /// Below the data folder.
    pub file: String,
    pub first_frame: u64,
    /// Zero while the file grows.
    pub frames: u64,
    pub repeated: u64,
    /// Of a file that grows: its length at this moment.
    pub bytes: u64,
    pub sealed: bool,
    pub clean: bool,
    pub sha256: Option<String>,
    pub stored: bool,
}

/// Cheap to clone; each call opens the index for itself. Calls block on the disk.
#[derive(Clone, Debug)]
pub struct VaultReader {
    first: Layout,
    second: Option<Layout>,
}

impl VaultReader {
    pub fn new(data_dir: impl Into<PathBuf>, second_dir: Option<PathBuf>) -> Self {
        Self { first: Layout::new(data_dir), second: second_dir.map(Layout::new) }
    }

    /// All shows, newest first.
    ///
    /// # Errors
    /// When no index can be read.
    pub fn shows(&self) -> Result<Vec<ShowSummary>, ReadError> {
        let mut shows: Vec<(i64, ShowSummary)> = Vec::new();
        for (layout, index) in self.indexes()? {
            for record in index.shows()? {
                let found = summary(&record, &segments(layout, &index, record.id())?);
                match shows.iter_mut().find(|(_, known)| known.id == found.id) {
                    Some((_, known)) => known.add(&found),
                    None => shows.push((record.show.started.unix_ns, found)),
                }
            }
        }
        shows.sort_by(|(a, one), (b, other)| (b, &other.id).cmp(&(a, &one.id)));
        Ok(shows.into_iter().map(|(_, show)| show).collect())
    }

    /// `None` when there is no such show.
    ///
    /// # Errors
    /// When no index, or the timeline, can be read.
    pub fn show(&self, show: &ShowId) -> Result<Option<ShowDetail>, ReadError> {
        let mut told: Option<ShowDetail> = None;
        for (layout, index) in self.indexes()? {
            let Some(record) = index.show(show)? else { continue };
            let segments = segments(layout, &index, show)?;
            let timeline = timeline::entries(&layout.timeline(show)).map_err(ReadError::Timeline)?;
            let found = ShowDetail { summary: summary(&record, &segments), segments, timeline };
            told = Some(match told {
                Some(known) => known.join(found),
                None => found,
            });
        }
        Ok(told)
    }

    /// Those that can be read: a show that moved to the second disk is known to both.
    fn indexes(&self) -> Result<Vec<(&Layout, Index)>, ReadError> {
        let mut found = Vec::new();
        let mut why = None;
        for layout in std::iter::once(&self.first).chain(&self.second) {
            match Index::read_only(&layout.index()) {
                Ok(index) => found.push((layout, index)),
                Err(error) => drop(why.get_or_insert(error)),
            }
        }
        match why {
            Some(error) if found.is_empty() => Err(error.into()),
            Some(_) | None => Ok(found),
        }
    }
}

impl ShowSummary {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        // Over when either says so.
        self.ended = self.ended.take().or_else(|| other.ended.clone());
    }
}

impl ShowDetail {
    fn join(mut self, other: Self) -> Self {
        self.summary.add(&other.summary);
        self.segments.extend(other.segments);
        self.segments.sort_by(|a, b| (&a.track, a.number).cmp(&(&b.track, b.number)));
        self.timeline.extend(other.timeline);
        self.timeline.sort_by_key(|entry| entry.frame);
        self
    }
}

fn segments(layout: &Layout, index: &Index, show: &ShowId) -> Result<Vec<SegmentDetail>, ReadError> {
    let rows = index.segments(show)?.into_iter().filter(|row| row.state != State::Tombstone);
    Ok(rows.map(|row| detail(layout, show, row)).collect())
}

fn detail(layout: &Layout, show: &ShowId, row: SegmentRecord) -> SegmentDetail {
    let segment = row.id(show);
    let sealed = row.state == State::Sealed;
    let grown = || fs::metadata(layout.segment(&segment)).map_or(0, |metadata| metadata.len());
    SegmentDetail {
        track: row.track.folder(),
        number: row.number,
        file: segment.path(),
        first_frame: row.first_frame,
        frames: row.frames,
        repeated: row.repeated,
        bytes: if sealed { row.bytes } else { grown() },
        sealed,
        clean: row.clean,
        sha256: row.sha256,
        stored: row.stored,
    }
}

fn summary(record: &ShowRecord, segments: &[SegmentDetail]) -> ShowSummary {
    let show = &record.show;
    ShowSummary {
        id: show.id.clone(),
        name: show.name.clone(),
        box_id: show.box_id.clone(),
        started: rfc3339(show.started),
        started_clock: show.started.trust,
        clock_offset_ms: show.clock.map(|known| known.offset_ns / 1_000_000),
        ended: record.ended.map(rfc3339),
        size: format!("{}x{}", show.width, show.height),
        fps: show.fps,
        files: segments.len(),
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
    }
}
