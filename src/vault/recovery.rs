//! Start-up recovery: after it, files, manifests and rows say the same, every file plays, and nothing is left of what
//! was half done.
//!
//! | found | done |
//! |---|---|
//! | a tombstone row | its removal is finished |
//! | a row or manifest entry without a file | dropped |
//! | a file without a row | gets one: from the manifest, else from what the file says |
//! | a file whose length is the sealed row's | trusted |
//! | any other file | examined: finished ones are sealed; torn ones are cut to their last whole fragment and sealed *unclean*; ones without a whole fragment are removed |
//! | a torn last line of a timeline | cut off |
//! | a folder that is being removed (`.removed`) | removed |
//! | an empty show folder without manifest and row | removed: its show was never announced |
//! | a folder of files alone | becomes a finished show named after the folder |
//! | open shows | the newest is offered to go on, older ones are ended with their last frame |
//!
//! Invariants: files change before rows, rows before manifests; recovering again, also after a crash in the middle,
//! comes to the same end. A show that somebody writes at this moment is not touched. What goes wrong with one file
//! does not stop the others: it is noted, and the file is left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use cuebox_core::director::{FoundShow, StoredSegment};
use cuebox_core::ids::{SegmentId, ShowId, Track};
use cuebox_core::time::{Trust, Wall};

use super::disk::{self, Disk, DiskError};
use super::index::Index;
use super::layout::{self, CONDEMNED, Layout, number_of};
use super::manifest::Manifest;
use super::mend::{self, Mended, mend};
use super::mp4::Content;
use super::records::{SegmentRecord, ShowRecord, State};
use super::store::{Owner, StoreError};
use super::timeline::{Tail, Timeline};

/// What start-up recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Sealed segments on disk, oldest show first.
    pub segments: Vec<StoredSegment>,
    /// The show that was running, if one was.
    pub open_show: Option<FoundShow>,
    /// What was mended, for the log.
    pub notes: Vec<String>,
    /// Why the index had to be built again, when it had to.
    pub rebuilt: Option<String>,
}

/// Whether there is a folder of any show.
///
/// # Errors
/// When the folder cannot be read.
pub fn any_show(layout: &Layout) -> disk::Result<bool> {
    Ok(!subfolders(&layout.shows())?.is_empty())
}

/// Brings everything below `shows/` into agreement.
///
/// # Errors
/// When the folder itself or the index cannot be read or written.
pub fn recover(
    layout: &Layout,
    disk: &Disk,
    index: &Index,
    owner: &Owner,
    running: &BTreeSet<ShowId>,
) -> Result<Recovery, StoreError> {
    let mut recovery = Recovery::default();
    for name in subfolders(&layout.shows())?.into_iter().filter(|name| name.ends_with(CONDEMNED)) {
        disk.remove_tree(&layout.shows().join(&name))?;
        recovery.notes.push(format!("what was left of {name} was removed"));
    }
    for id in running {
        readmit(layout, index, id)?;
    }
    let mut names: BTreeSet<ShowId> = index.shows()?.iter().map(|record| record.id().clone()).collect();
    names.extend(subfolders(&layout.shows())?.into_iter().map(ShowId::new));
    let mut found = Vec::new();
    for id in names.difference(running) {
        let mut show = ShowRecovery { layout, disk, index, owner, id, notes: &mut recovery.notes };
        found.extend(show.run()?);
    }
    found.sort_by_key(|one| (one.record.show.started.unix_ns, one.record.id().clone()));
    let newest = found.iter().rposition(|one| one.record.ended.is_none());
    for (place, one) in found.iter_mut().enumerate() {
        let show = one.record.id().clone();
        if Some(place) == newest {
            recovery.open_show = Some(one.open_show(owner));
        } else if one.record.ended.is_none() {
            one.record.ended = Some(one.record.show.time_of(one.end_frame()));
            recovery.notes.push(format!("show {show} was never ended; it ended with its last frame"));
            one.save(layout, disk, index)?;
        }
        let sealed = one.segments.iter().filter(|segment| segment.state == State::Sealed);
        recovery.segments.extend(sealed.map(|segment| StoredSegment {
            segment: segment.id(&show),
            bytes: segment.bytes,
            stored: segment.stored,
        }));
    }
    Ok(recovery)
}

/// Rows of a show that somebody writes at this moment, in an index that does not know it: from its manifest. Without
/// them the next manifest would forget its earlier segments.
fn readmit(layout: &Layout, index: &Index, id: &ShowId) -> Result<(), StoreError> {
    if index.show(id)?.is_some() {
        return Ok(());
    }
    let Some((record, segments)) = Manifest::load(&layout.manifest(id)).ok().flatten().map(Manifest::records) else {
        return Ok(());
    };
    index.together(|| {
        for segment in &segments {
            index.put_segment(id, segment)?;
        }
        index.put_show(&record)?;
        Ok(())
    })
}

/// A show after its recovery.
struct Found {
    record: ShowRecord,
    segments: Vec<SegmentRecord>,
    tail: Tail,
    next_numbers: BTreeMap<Track, u32>,
}

impl Found {
    /// The frame after the last that anything speaks of.
    fn end_frame(&self) -> u64 {
        let end = self.segments.iter().map(SegmentRecord::end_frame).max().unwrap_or(0);
        end.max(self.tail.end_frame)
    }

    fn open_show(&self, owner: &Owner) -> FoundShow {
        FoundShow {
            show: self.record.show.clone(),
            same_boot: self.record.boot == owner.boot,
            last_frame: self.end_frame().saturating_sub(1),
            next_numbers: self.next_numbers.clone(),
        }
    }

    /// Rows, then the manifest; what says so already is left alone.
    fn save(&self, layout: &Layout, disk: &Disk, index: &Index) -> Result<(), StoreError> {
        let id = self.record.id();
        let rows = index.segments(id)?;
        let left: BTreeSet<Key> = self.segments.iter().map(key).collect();
        index.together(|| {
            if index.show(id)?.as_ref() != Some(&self.record) {
                index.put_show(&self.record)?;
            }
            for gone in rows.iter().filter(|row| !left.contains(&key(row))) {
                index.drop_segment(&gone.id(id))?;
            }
            for segment in self.segments.iter().filter(|segment| !rows.contains(segment)) {
                index.put_segment(id, segment)?;
            }
            Ok::<(), StoreError>(())
        })?;
        let path = layout.manifest(id);
        let manifest = Manifest::of(&self.record, &self.segments);
        if Manifest::load(&path).ok().flatten().as_ref() != Some(&manifest) {
            manifest.save(disk, &path)?;
        }
        Ok(())
    }
}

type Key = (Track, u32);

fn key(record: &SegmentRecord) -> Key {
    (record.track, record.number)
}

struct ShowRecovery<'a> {
    layout: &'a Layout,
    disk: &'a Disk,
    index: &'a Index,
    owner: &'a Owner,
    id: &'a ShowId,
    notes: &'a mut Vec<String>,
}

impl ShowRecovery<'_> {
    fn run(&mut self) -> Result<Option<Found>, StoreError> {
        let folder = self.layout.show(self.id);
        if !folder.is_dir() {
            self.note("its folder is gone");
            self.index.drop_show(self.id)?;
            return Ok(None);
        }
        let manifest_path = self.layout.manifest(self.id);
        let unfinished = disk::temporary_of(&manifest_path);
        if unfinished.exists() {
            self.disk.remove(&unfinished)?;
        }
        let manifest = Manifest::load(&manifest_path).unwrap_or_else(|error| {
            self.note(&format!("its manifest cannot be read ({error})"));
            None
        });
        let files = self.files()?;
        let row = self.index.show(self.id)?;
        let timeline_path = self.layout.timeline(self.id);
        if manifest.is_none() && row.is_none() && files.is_empty() && length_of(&timeline_path) == 0 {
            self.remove_empty(&folder);
            return Ok(None);
        }
        let (listed, entries) = manifest.map(Manifest::records).unzip();
        let known = self.known_segments(entries.unwrap_or_default())?;
        let orphan = row.is_none() && listed.is_none();
        let mut record = row.or(listed).unwrap_or_else(|| ShowRecord::of_folder(self.id.clone(), &self.owner.box_id));
        record.show.id = self.id.clone();
        let next_numbers = next_numbers(&files, &known, &self.aside());
        let (segments, sample) = self.settle_all(&files, known);
        if orphan {
            self.note("it had neither manifest nor row; it is listed from its files");
            record.ended = Some(last_written(&folder, files.keys().map(|key| self.path(*key))));
            let content = sample.unwrap_or_default();
            (record.show.width, record.show.height, record.show.fps) = (content.width, content.height, content.fps);
        }
        let (_, tail) = Timeline::open(self.disk, &timeline_path)?;
        if tail.torn_bytes > 0 {
            self.note(&format!("{} bytes of a torn line were cut off its timeline", tail.torn_bytes));
        }
        let found = Found { record, segments, tail, next_numbers };
        found.save(self.layout, self.disk, self.index)?;
        Ok(Some(found))
    }

    fn note(&mut self, what: &str) {
        self.notes.push(format!("show {}: {what}", self.id));
    }

    fn segment(&self, (track, number): Key) -> SegmentId {
        SegmentId { show: self.id.clone(), track, number }
    }

    fn path(&self, key: Key) -> std::path::PathBuf {
        self.layout.segment(&self.segment(key))
    }

    /// Rows, and manifest entries that have no row: a row is written before its entry, so it knows more.
    fn known_segments(&self, entries: Vec<SegmentRecord>) -> Result<BTreeMap<Key, SegmentRecord>, StoreError> {
        let mut known: BTreeMap<Key, SegmentRecord> = entries.into_iter().map(|entry| (key(&entry), entry)).collect();
        known.extend(self.index.segments(self.id)?.into_iter().map(|row| (key(&row), row)));
        Ok(known)
    }

    /// Segment files with their lengths.
    fn files(&mut self) -> Result<BTreeMap<Key, u64>, StoreError> {
        let mut files = BTreeMap::new();
        for track in layout::tracks() {
            for (name, length) in files_in(&self.layout.track(self.id, track))? {
                match number_of(&name) {
                    Some(number) => {
                        files.insert((track, number), length);
                    }
                    None if !name.ends_with(mend::ASIDE) => {
                        self.note(&format!("{}/{name} is none of ours; it is left alone", track.folder()));
                    }
                    None => {}
                }
            }
        }
        Ok(files)
    }

    /// Numbers of files that an earlier recovery put aside.
    fn aside(&self) -> Vec<Key> {
        let mut found = Vec::new();
        for track in layout::tracks() {
            for (name, _) in files_in(&self.layout.track(self.id, track)).unwrap_or_default() {
                let number = name.strip_suffix(mend::ASIDE).and_then(|name| number_of(name.strip_suffix('.')?));
                found.extend(number.map(|number| (track, number)));
            }
        }
        found
    }

    /// The segments that remain, and what one of the examined files holds.
    fn settle_all(
        &mut self,
        files: &BTreeMap<Key, u64>,
        known: BTreeMap<Key, SegmentRecord>,
    ) -> (Vec<SegmentRecord>, Option<Content>) {
        let mut segments: Vec<SegmentRecord> = Vec::new();
        let mut sample = None;
        let keys: BTreeSet<Key> = files.keys().chain(known.keys()).copied().collect();
        for key in keys {
            let before = segments.last().filter(|last| last.track == key.0).map_or(0, SegmentRecord::end_frame);
            let record = known.get(&key);
            let settled = match (record, files.get(&key)) {
                (Some(record), _) if record.state == State::Tombstone => match self.disk.remove(&self.path(key)) {
                    Ok(()) => None,
                    Err(error) => {
                        self.note(&format!("{error}; its removal is left unfinished"));
                        Some(record.clone())
                    }
                },
                (_, None) => {
                    self.note(&format!("{} has no file any more", self.segment(key).path()));
                    None
                }
                (Some(record), Some(bytes)) if record.state == State::Sealed && record.bytes == *bytes => {
                    Some(record.clone())
                }
                (record, Some(_)) => match mend(self.disk, &self.path(key)) {
                    Ok(mended) => self.sealed(key, record, before, mended, &mut sample),
                    Err(error) => {
                        self.note(&format!("{error}; the file is left as it is"));
                        record.cloned()
                    }
                },
            };
            segments.extend(settled);
        }
        (segments, sample)
    }

    fn sealed(
        &mut self,
        key: Key,
        record: Option<&SegmentRecord>,
        before: u64,
        mended: Mended,
        sample: &mut Option<Content>,
    ) -> Option<SegmentRecord> {
        let name = self.segment(key).path();
        match mended {
            Mended::Plays { content, bytes, finished, cut_bytes } => {
                *sample = Some(content);
                let how = if finished { "it was finished" } else { "it was not finished in order" };
                self.note(&format!("{name}: {how}; {} frames kept, {cut_bytes} bytes cut off", content.frames));
                let first_frame = record.map_or(before, |record| record.first_frame);
                if record.is_none() {
                    self.note(&format!("{name}: it is not known where it begins; placed at frame {first_frame}"));
                }
                Some(SegmentRecord {
                    state: State::Sealed,
                    frames: content.frames,
                    repeated: record.map_or(0, |record| record.repeated),
                    bytes,
                    clean: finished,
                    ..SegmentRecord::growing(key.0, key.1, first_frame)
                })
            }
            Mended::Removed { why } => {
                self.note(&format!("{name} was removed: {why}"));
                None
            }
            Mended::PutAside { why } => {
                self.note(&format!("{name} was put aside as .{}: {why}", mend::ASIDE));
                None
            }
        }
    }

    /// Only what is empty goes; something else in there is left alone, and the folder with it.
    fn remove_empty(&mut self, folder: &Path) {
        let empty_file = self.layout.timeline(self.id);
        let removed = (|| {
            for track in layout::tracks().map(|track| self.layout.track(self.id, track)).filter(|path| path.is_dir()) {
                self.disk.remove_dir(&track)?;
            }
            if empty_file.exists() {
                self.disk.remove(&empty_file)?;
            }
            self.disk.remove_dir(folder)
        })();
        match removed {
            Ok(()) => self.note("it was never begun; its empty folder was removed"),
            Err(error) => self.note(&format!("its folder holds no recording and is left alone ({error})")),
        }
    }
}

fn next_numbers(
    files: &BTreeMap<Key, u64>,
    known: &BTreeMap<Key, SegmentRecord>,
    aside: &[Key],
) -> BTreeMap<Track, u32> {
    let mut next = BTreeMap::new();
    for (track, number) in files.keys().chain(known.keys()).chain(aside) {
        let next = next.entry(*track).or_insert(1);
        *next = (*next).max(number.saturating_add(1));
    }
    next
}

/// The latest of the files' times of change; the wall clock that made them is not known to have been right.
fn last_written(folder: &Path, files: impl Iterator<Item = std::path::PathBuf>) -> Wall {
    let times = files.chain([folder.to_owned()]).filter_map(|path| fs::metadata(path).ok()?.modified().ok());
    let last = times.max().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Wall { unix_ns: i64::try_from(last.as_nanos()).unwrap_or(i64::MAX), trust: Trust::Unset }
}

fn length_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn subfolders(path: &Path) -> disk::Result<Vec<String>> {
    Ok(list(path)?.into_iter().filter(|(_, metadata)| metadata.is_dir()).map(|(name, _)| name).collect())
}

/// (name, length); none when there is no such folder.
fn files_in(path: &Path) -> disk::Result<Vec<(String, u64)>> {
    let files = list(path)?.into_iter().filter(|(_, metadata)| metadata.is_file());
    Ok(files.map(|(name, metadata)| (name, metadata.len())).collect())
}

/// Names that are no UTF-8 are none of ours.
fn list(path: &Path) -> disk::Result<Vec<(String, fs::Metadata)>> {
    let wrong = |source| DiskError { what: "list", path: path.to_owned(), source };
    let mut found = Vec::new();
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(wrong(error)),
    };
    for entry in entries {
        let entry = entry.map_err(wrong)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.metadata().map_err(wrong)?));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}
