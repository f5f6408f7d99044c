//! `show.json`: all that is known of a show, beside its files, so that a folder that is copied away explains itself
//! and the index can be rebuilt.

use std::fs;
use std::io;
use std::path::Path;

use cuebox_core::director::NewShow;
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{ShowId, Track};
use cuebox_core::time::{Correction, Trust, Wall};
use serde::{Deserialize, Serialize};

use super::disk::{self, Disk};
use super::layout::track_of;
use super::records::{SegmentRecord, ShowRecord, State};

/// Grows when the meaning of a field changes.
const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    id: ShowId,
    name: String,
    #[serde(rename = "box")]
    box_id: String,
    started: Moment,
    /// `null` while the show is open.
    ended: Option<Moment>,
    /// Pictures: `1280x720`.
    size: String,
    fps: u32,
    /// Grid position of frame `origin_frame` in the machine's run `boot`: `origin / fps` seconds on its monotonic clock.
    origin: u64,
    #[serde(default)]
    origin_frame: u64,
    boot: String,
    /// How far off the clock was that gave the times of this manifest, once that is known: to be added to each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock_offset: Option<Offset>,
    segments: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Offset {
    offset_ns: i64,
    clock: Trust,
}

/// A wall-clock time with how far it can be believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Moment {
    /// RFC 3339, UTC.
    time: String,
    unix_ns: i64,
    clock: Trust,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// `program` or `slot-<n>`.
    track: String,
    number: u32,
    /// Relative to the manifest.
    file: String,
    first_frame: u64,
    frames: u64,
    repeated: u64,
    bytes: u64,
    /// `false` while the file grows.
    sealed: bool,
    clean: bool,
    sha256: Option<String>,
    stored: bool,
}

impl Manifest {
    /// Segments that are being removed are left out.
    pub fn of(record: &ShowRecord, segments: &[SegmentRecord]) -> Self {
        let show = &record.show;
        Self {
            version: VERSION,
            id: show.id.clone(),
            name: show.name.clone(),
            box_id: show.box_id.clone(),
            started: Moment::of(show.started),
            ended: record.ended.map(Moment::of),
            size: format!("{}x{}", show.width, show.height),
            fps: show.fps,
            origin: show.origin.0,
            origin_frame: show.origin_frame,
            boot: record.boot.clone(),
            clock_offset: show.clock.map(|known| Offset { offset_ns: known.offset_ns, clock: known.trust }),
            segments: segments.iter().filter(|one| one.state != State::Tombstone).map(Entry::of).collect(),
        }
    }

    /// Entries that name no track are left out.
    pub fn records(self) -> (ShowRecord, Vec<SegmentRecord>) {
        let (width, height) = self
            .size
            .split_once('x')
            .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)))
            .unwrap_or_default();
        let show = NewShow {
            id: self.id,
            name: self.name,
            box_id: self.box_id,
            started: self.started.wall(),
            width,
            height,
            fps: self.fps,
            origin: FrameIndex(self.origin),
            origin_frame: self.origin_frame,
            clock: self.clock_offset.map(|known| Correction { offset_ns: known.offset_ns, trust: known.clock }),
        };
        let ended = self.ended.map(|moment| moment.wall());
        let segments = self.segments.into_iter().filter_map(Entry::record).collect();
        (ShowRecord { show, boot: self.boot, ended }, segments)
    }

    /// `None` when it says nothing.
    pub fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// `None` when there is none, or when it says nothing.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn load(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => Ok(Self::read(&text)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file durably.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, disk: &Disk, path: &Path) -> disk::Result<()> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| disk::DiskError {
            what: "write",
            path: path.to_owned(),
            source: error.into(),
        })?;
        text.push(b'\n');
        disk.replace(path, &text)
    }
}

impl Moment {
    fn of(wall: Wall) -> Self {
        Self { time: rfc3339(wall), unix_ns: wall.unix_ns, clock: wall.trust }
    }

    fn wall(&self) -> Wall {
        Wall { unix_ns: self.unix_ns, trust: self.clock }
    }
}

impl Entry {
    fn of(record: &SegmentRecord) -> Self {
        let track = record.track.folder();
        Self {
            file: format!("{track}/{:04}.mp4", record.number),
            track,
            number: record.number,
            first_frame: record.first_frame,
            frames: record.frames,
            repeated: record.repeated,
            bytes: record.bytes,
            sealed: record.state == State::Sealed,
            clean: record.clean,
            sha256: record.sha256.clone(),
            stored: record.stored,
        }
    }

    fn record(self) -> Option<SegmentRecord> {
        let track: Track = track_of(&self.track)?;
        Some(SegmentRecord {
            track,
            number: self.number,
            state: if self.sealed { State::Sealed } else { State::Growing },
            first_frame: self.first_frame,
            frames: self.frames,
            repeated: self.repeated,
            bytes: self.bytes,
            clean: self.clean,
            sha256: self.sha256,
            stored: self.stored,
        })
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn rfc3339(wall: Wall) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(wall.unix_ns)).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}
