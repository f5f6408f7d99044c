//! The index: a row for each show and each segment, in SQLite (WAL, synchronous=FULL: a committed row survives a
//! power cut). It is a copy that makes finding things fast; the files and the manifests beside them are the truth,
//! and a damaged index is put aside and built again from them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use cuebox_core::director::NewShow;
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{SegmentId, ShowId};
use cuebox_core::time::{Correction, Trust, Wall};
use rusqlite::{Connection, OpenFlags, Row, params};
use thiserror::Error;

use super::disk::{Disk, DiskError};
use super::layout::track_of;
use super::records::{SegmentRecord, ShowRecord, State};
use super::witness::{Step, Witness};

/// SQLite's `user_version`. A later one means that a newer version of the box made the file.
const VERSION: i64 = 2;
const TABLES: i64 = 2;

const SCHEMA: &str = "
BEGIN;
CREATE TABLE shows (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, box TEXT NOT NULL,
    started_ns INTEGER NOT NULL, started_clock TEXT NOT NULL,
    ended_ns INTEGER, ended_clock TEXT,
    width INTEGER NOT NULL, height INTEGER NOT NULL, fps INTEGER NOT NULL,
    origin INTEGER NOT NULL, boot TEXT NOT NULL, origin_frame INTEGER NOT NULL,
    clock_offset_ns INTEGER, clock_trust TEXT
) STRICT;
CREATE TABLE segments (
    show TEXT NOT NULL, track TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
    first_frame INTEGER NOT NULL, frames INTEGER NOT NULL, repeated INTEGER NOT NULL, bytes INTEGER NOT NULL,
    clean INTEGER NOT NULL, sha256 TEXT, stored INTEGER NOT NULL,
    PRIMARY KEY (show, track, number)
) STRICT;
PRAGMA user_version = 2;
COMMIT;";

/// From layout 1, which did not know how far a show's clock was off.
const FROM_1: &str = "
BEGIN;
ALTER TABLE shows ADD COLUMN clock_offset_ns INTEGER;
ALTER TABLE shows ADD COLUMN clock_trust TEXT;
PRAGMA user_version = 2;
COMMIT;";

const SEGMENT_COLUMNS: &str = "track, number, state, first_frame, frames, repeated, bytes, clean, sha256, stored";

#[derive(Debug, Error)]
#[error("cannot {what} the index: {source}")]
pub struct IndexError {
    what: &'static str,
    source: rusqlite::Error,
}

type Result<T> = std::result::Result<T, IndexError>;

impl IndexError {
    /// It is in the file, not around it (no space, no permission, a busy disk).
    pub fn is_damage(&self) -> bool {
        damages(&self.source)
    }
}

/// Statements are ours and do not change: one that is refused as nonsense, or a row that has other columns or kinds of
/// values than it was written with, has met a damaged layout.
fn damages(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    match error.sqlite_error_code() {
        Some(code) => matches!(code, DatabaseCorrupt | NotADatabase | Unknown),
        None => matches!(
            error,
            rusqlite::Error::InvalidColumnName(_)
                | rusqlite::Error::InvalidColumnIndex(_)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
        ),
    }
}

/// SQLite takes a file of a format that it does not know for one that may only be read.
fn is_of_another_format(path: &Path) -> bool {
    let mut head = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && !matches!(head, [.., 1 | 2, 1 | 2])
}

trait Saying<T> {
    fn saying(self, what: &'static str) -> Result<T>;
}

impl<T> Saying<T> for rusqlite::Result<T> {
    fn saying(self, what: &'static str) -> Result<T> {
        self.map_err(|source| IndexError { what, source })
    }
}

#[derive(Debug, Error)]
pub enum OpenError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// How the index was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    Found,
    /// There was none, or an empty one.
    Made,
    /// It was put aside: where it lies now, and what was wrong.
    Damaged {
        said: String,
    },
}

pub struct Index {
    connection: Connection,
    witness: Witness,
}

impl Index {
    /// Opens the index, or makes a new one. A damaged one is put aside first. Unless it was found, the rows have to be
    /// filled in again.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(path: &Path, disk: &Disk, witness: Witness) -> std::result::Result<(Self, Opened), OpenError> {
        let (index, opened) = match Self::connect(path, witness.clone()) {
            Ok(found) => found,
            Err(trouble) if trouble.damage => return Self::replace(path, disk, witness, &trouble.source.to_string()),
            Err(trouble) => return Err(trouble.into_error().into()),
        };
        if opened != Opened::Found {
            disk.sync_dir(path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok((index, opened))
    }

    /// An empty one in place of one that is damaged, which is put aside.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn replace(
        path: &Path,
        disk: &Disk,
        witness: Witness,
        why: &str,
    ) -> std::result::Result<(Self, Opened), OpenError> {
        let aside = put_aside(path, disk)?;
        let said = format!("the index was damaged ({why}); it is put aside as {aside}");
        let (index, _) = Self::connect(path, witness).map_err(Trouble::into_error)?;
        disk.sync_dir(path.parent().unwrap_or(Path::new(".")))?;
        Ok((index, Opened::Damaged { said }))
    }

    fn connect(path: &Path, witness: Witness) -> std::result::Result<(Self, Opened), Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        prepare(&connection)?;
        if is_of_another_format(path) {
            return Err(Trouble::damage("its format is another"));
        }
        let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Trouble::damage(&verdict));
        }
        let count =
            "SELECT (SELECT count(*) FROM sqlite_schema WHERE type='table'), user_version FROM pragma_user_version";
        let mut opened = Opened::Found;
        match connection.query_row(count, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))? {
            (0, 0) => {
                connection.execute_batch(SCHEMA)?;
                opened = Opened::Made;
            }
            (TABLES, VERSION) => {}
            (TABLES, 1) => connection.execute_batch(FROM_1)?,
            (tables, version) => {
                return Err(Trouble::damage(&format!(
                    "{tables} tables of layout {version}, not {TABLES} of {VERSION}"
                )));
            }
        }
        Ok((Self { connection, witness }, opened))
    }

    /// A second connection that only reads, for another thread.
    ///
    /// # Errors
    /// When there is no index, or it cannot be read.
    pub fn read_only(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).saying("open")?;
        connection.busy_timeout(std::time::Duration::from_secs(2)).saying("open")?;
        Ok(Self { connection, witness: Witness::silent() })
    }

    pub fn put_show(&self, record: &ShowRecord) -> Result<()> {
        let show = &record.show;
        self.change(
            "write to",
            "INSERT INTO shows VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)
             ON CONFLICT (id) DO UPDATE SET name=?2, box=?3, started_ns=?4, started_clock=?5, ended_ns=?6,
             ended_clock=?7, width=?8, height=?9, fps=?10, origin=?11, boot=?12, origin_frame=?13,
             clock_offset_ns=?14, clock_trust=?15",
            params![
                show.id.as_str(),
                show.name,
                show.box_id,
                show.started.unix_ns,
                trust_name(show.started.trust),
                record.ended.map(|wall| wall.unix_ns),
                record.ended.map(|wall| trust_name(wall.trust)),
                show.width,
                show.height,
                show.fps,
                show.origin.0.cast_signed(),
                record.boot,
                show.origin_frame.cast_signed(),
                show.clock.map(|known| known.offset_ns),
                show.clock.map(|known| trust_name(known.trust)),
            ],
        )
    }

    pub fn drop_show(&self, show: &ShowId) -> Result<()> {
        self.change("delete from", "DELETE FROM segments WHERE show=?1", [show.as_str()])?;
        self.change("delete from", "DELETE FROM shows WHERE id=?1", [show.as_str()])
    }

    /// All shows, oldest first.
    pub fn shows(&self) -> Result<Vec<ShowRecord>> {
        self.rows("SELECT * FROM shows ORDER BY started_ns, id", [], show_of)
    }

    pub fn show(&self, show: &ShowId) -> Result<Option<ShowRecord>> {
        Ok(self.rows("SELECT * FROM shows WHERE id=?1", [show.as_str()], show_of)?.pop())
    }

    pub fn put_segment(&self, show: &ShowId, record: &SegmentRecord) -> Result<()> {
        self.change(
            "write to",
            "INSERT INTO segments VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)
             ON CONFLICT (show, track, number) DO UPDATE SET state=?4, first_frame=?5, frames=?6, repeated=?7,
             bytes=?8, clean=?9, sha256=?10, stored=?11",
            params![
                show.as_str(),
                record.track.folder(),
                record.number,
                state_name(record.state),
                record.first_frame.cast_signed(),
                record.frames.cast_signed(),
                record.repeated.cast_signed(),
                record.bytes.cast_signed(),
                record.clean,
                record.sha256,
                record.stored,
            ],
        )
    }

    /// A show's segments, by track and number.
    pub fn segments(&self, show: &ShowId) -> Result<Vec<SegmentRecord>> {
        let query = format!("SELECT {SEGMENT_COLUMNS} FROM segments WHERE show=?1 ORDER BY track, number");
        Ok(self.rows(&query, [show.as_str()], segment_of)?.into_iter().flatten().collect())
    }

    pub fn segment(&self, segment: &SegmentId) -> Result<Option<SegmentRecord>> {
        let query = format!("SELECT {SEGMENT_COLUMNS} FROM segments WHERE show=?1 AND track=?2 AND number=?3");
        let key = params![segment.show.as_str(), segment.track.folder(), segment.number];
        Ok(self.rows(&query, key, segment_of)?.pop().flatten())
    }

    pub fn drop_segment(&self, segment: &SegmentId) -> Result<()> {
        self.change(
            "delete from",
            "DELETE FROM segments WHERE show=?1 AND track=?2 AND number=?3",
            params![segment.show.as_str(), segment.track.folder(), segment.number],
        )
    }

    /// Makes all changes of `work` durable together, or none of them: each by itself would wait for the disk.
    pub fn together<T, E: From<IndexError>>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let transaction = self.connection.unchecked_transaction().saying("write to")?;
        let done = work()?;
        transaction.commit().saying("write to")?;
        Ok(done)
    }

    fn change(&self, what: &'static str, query: &str, values: impl rusqlite::Params) -> Result<()> {
        self.witness
            .about_to(&Step::Commit)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
            .and_then(|()| self.connection.prepare_cached(query)?.execute(values))
            .saying(what)?;
        Ok(())
    }

    fn rows<T>(
        &self,
        query: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let read_all = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare_cached(query)?.query_map(values, read)?.collect()
        };
        read_all().saying("read")
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    // Readers never block the writer in WAL mode; the timeout covers the moments in which SQLite locks everything.
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous=FULL")
}

/// Why an index cannot be used.
struct Trouble {
    /// It is in the file; anything else (no space, no permission, a busy disk) is around it.
    damage: bool,
    source: rusqlite::Error,
}

impl From<rusqlite::Error> for Trouble {
    fn from(source: rusqlite::Error) -> Self {
        Self { damage: damages(&source), source }
    }
}

impl Trouble {
    fn damage(why: &str) -> Self {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        Self { damage: true, source: rusqlite::Error::SqliteFailure(code, Some(why.to_owned())) }
    }

    fn into_error(self) -> IndexError {
        IndexError { what: "open", source: self.source }
    }
}

/// Renames the index and its companions; gives the new name.
fn put_aside(path: &Path, disk: &Disk) -> std::result::Result<String, DiskError> {
    let name_of = |number: u32, suffix: &str| -> PathBuf {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".damaged-{number}{suffix}"));
        path.with_file_name(name)
    };
    let number = (1..).find(|number| !name_of(*number, "").exists()).unwrap_or(u32::MAX);
    // The database goes last: when the power goes in between, the next start comes here again.
    for suffix in ["-wal", "-shm", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let from = PathBuf::from(name);
        if from.exists() {
            disk.rename(&from, &name_of(number, suffix))?;
        }
    }
    Ok(name_of(number, "").file_name().unwrap_or_default().to_string_lossy().into_owned())
}

fn show_of(row: &Row<'_>) -> rusqlite::Result<ShowRecord> {
    let ended_ns: Option<i64> = row.get("ended_ns")?;
    let ended_clock: Option<String> = row.get("ended_clock")?;
    let clock_trust = trust_of(row.get::<_, Option<String>>("clock_trust")?.as_deref().unwrap_or_default());
    let show = NewShow {
        id: ShowId::new(row.get::<_, String>("id")?),
        name: row.get("name")?,
        box_id: row.get("box")?,
        started: Wall { unix_ns: row.get("started_ns")?, trust: trust_of(&row.get::<_, String>("started_clock")?) },
        width: row.get("width")?,
        height: row.get("height")?,
        fps: row.get("fps")?,
        origin: FrameIndex(row.get::<_, i64>("origin")?.cast_unsigned()),
        origin_frame: row.get::<_, i64>("origin_frame")?.cast_unsigned(),
        clock: row
            .get::<_, Option<i64>>("clock_offset_ns")?
            .map(|offset_ns| Correction { offset_ns, trust: clock_trust }),
    };
    let ended = ended_ns.map(|unix_ns| Wall { unix_ns, trust: trust_of(ended_clock.as_deref().unwrap_or_default()) });
    Ok(ShowRecord { show, boot: row.get("boot")?, ended })
}

/// `None` for a row that names no track or no state.
fn segment_of(row: &Row<'_>) -> rusqlite::Result<Option<SegmentRecord>> {
    let track = track_of(&row.get::<_, String>("track")?);
    let state = state_of(&row.get::<_, String>("state")?);
    let (Some(track), Some(state)) = (track, state) else { return Ok(None) };
    Ok(Some(SegmentRecord {
        track,
        number: row.get("number")?,
        state,
        first_frame: row.get::<_, i64>("first_frame")?.cast_unsigned(),
        frames: row.get::<_, i64>("frames")?.cast_unsigned(),
        repeated: row.get::<_, i64>("repeated")?.cast_unsigned(),
        bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
        clean: row.get("clean")?,
        sha256: row.get("sha256")?,
        stored: row.get("stored")?,
    }))
}

const STATES: [(State, &str); 3] =
    [(State::Growing, "growing"), (State::Sealed, "sealed"), (State::Tombstone, "tombstone")];

fn state_name(state: State) -> &'static str {
    STATES.iter().find(|(one, _)| *one == state).map_or("growing", |(_, name)| name)
}

fn state_of(name: &str) -> Option<State> {
    STATES.iter().find(|(_, one)| *one == name).map(|(state, _)| *state)
}

const TRUSTS: [(Trust, &str); 3] = [(Trust::Unset, "unset"), (Trust::Rtc, "rtc"), (Trust::Ntp, "ntp")];

/// The name that the manifest uses as well.
pub fn trust_name(trust: Trust) -> &'static str {
    TRUSTS.iter().find(|(one, _)| *one == trust).map_or("unset", |(_, name)| name)
}

fn trust_of(name: &str) -> Trust {
    TRUSTS.iter().find(|(_, one)| *one == name).map_or(Trust::Unset, |(trust, _)| *trust)
}
