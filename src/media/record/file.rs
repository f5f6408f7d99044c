//! One recording file on disk: what the muxer writes, in an order that survives a power cut at any moment.
//!
//! The muxer writes a fragment's data behind a placeholder header, goes back to fill the header in, and appends the
//! fragment's index (`moov` for the first, `moof` after that). At the end it goes back to the file's head, turns all
//! fragments into one `mdat`, and only then appends the final `moov`: a cut in between would leave a file that nobody
//! can read. Here:
//!
//! 1. A fragment is gathered in memory and written when it is whole: all of it with its index called `free`, then the
//!    index's name, then a sync. (Readers take a torn `free` for the end; a torn `moof` makes some give up the file.)
//! 2. Whatever goes to a place that is on disk already is held back.
//! 3. At the end: last data and final `moov`, sync; then the held-back head (16 bytes inside one sector), sync.
//!
//! So the file always holds whole fragments and perhaps a torn last one; between the two syncs of step 3 it still
//! reads by its old head, afterwards by its new one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::index::{self, Track};
use super::mp4;

/// What is known of a file while it is written, shared with whoever feeds it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Bytes on disk.
    pub bytes: AtomicU64,
    /// Pictures in whole fragments on disk.
    pub pictures: AtomicU64,
    /// Samples at the sound's beginning that are not to be heard.
    pub sound_skip: AtomicU32,
    /// The first thing that went wrong.
    pub fault: Mutex<Option<io::Error>>,
}

/// A write or a sync, in the order they were done.
#[cfg(test)]
#[derive(Clone, Debug)]
pub enum Operation {
    Write(u64, Vec<u8>),
    Sync,
}

pub struct SegmentFile {
    file: File,
    /// Bytes before this are on disk.
    written: u64,
    pending: Vec<u8>,
    held_back: Vec<(u64, Vec<u8>)>,
    tracks: Vec<Track>,
    ledger: Arc<Ledger>,
    #[cfg(test)]
    pub log: Option<Arc<Mutex<Vec<Operation>>>>,
}

impl SegmentFile {
    /// Makes a new file and its folder durable; [`ErrorKind::AlreadyExists`] when there is one of that name.
    pub fn create(path: &Path, ledger: Arc<Ledger>) -> io::Result<Self> {
        let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
        make_folder(folder)?;
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        sync_folder(folder)?;
        Ok(Self::over(file, ledger))
    }

    /// Over a file that is open and empty.
    pub const fn over(file: File, ledger: Arc<Ledger>) -> Self {
        Self {
            file,
            written: 0,
            pending: Vec::new(),
            held_back: Vec::new(),
            tracks: Vec::new(),
            ledger,
            #[cfg(test)]
            log: None,
        }
    }

    /// Takes what the muxer writes at `at`.
    pub fn write(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        let Some(offset) = at.checked_sub(self.written) else {
            self.held_back.push((at, data.to_vec()));
            return Ok(());
        };
        let offset = usize::try_from(offset).map_err(|_| ErrorKind::InvalidInput)?;
        if offset > self.pending.len() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the muxer left a hole in the file"));
        }
        if offset == self.pending.len() && matches!(mp4::box_at(data, 0), Some(it) if it.kind == *b"moov") {
            self.close_open_data();
        }
        let end = offset + data.len();
        if self.pending.len() < end {
            self.pending.resize(end, 0);
        }
        self.pending.get_mut(offset..end).ok_or(ErrorKind::InvalidInput)?.copy_from_slice(data);
        if self.fragment_is_whole() { self.flush() } else { Ok(()) }
    }

    /// The muxer is done: everything is on disk when this returns.
    pub fn finish(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.flush()?;
        }
        // The head first: it makes the rest, such as the renamed first index, part of the data. Nothing of that rest
        // is needed.
        self.held_back.sort_by_key(|(at, _)| *at);
        let Some((at, head)) = self.held_back.first().cloned() else { return Ok(()) };
        self.put(at, &head)?;
        self.held_back.clear();
        self.sync()
    }

    /// The last fragment has no index of its own; its placeholder header gets its true size before the final `moov`
    /// follows, so that the `moov` is not taken for data.
    fn close_open_data(&mut self) {
        let length = self.pending.len();
        let mut at = 0;
        while let Some(found) = mp4::box_at(&self.pending, at) {
            match found.end {
                Some(end) => at = end,
                None => {
                    let size = u32::try_from(length - found.start).unwrap_or(0);
                    if let Some(header) = self.pending.get_mut(found.start..found.start + 4) {
                        header.copy_from_slice(&size.to_be_bytes());
                    }
                    return;
                }
            }
        }
    }

    /// Whole boxes up to the end, and the last one is an index.
    fn fragment_is_whole(&self) -> bool {
        let (mut at, mut indexed) = (0, false);
        while let Some(found) = mp4::box_at(&self.pending, at) {
            let Some(end) = found.end.filter(|end| *end <= self.pending.len()) else { return false };
            indexed = matches!(&found.kind, b"moov" | b"moof");
            at = end;
        }
        indexed && at == self.pending.len()
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut data = std::mem::take(&mut self.pending);
        let pictures = self.index(&mut data);
        let at = self.written;
        let index = last_box(&data).map(|found| (found.start + 4, found.kind));
        if let Some((name, _)) = index {
            data.get_mut(name..name + 4).ok_or(ErrorKind::InvalidInput)?.copy_from_slice(b"free");
        }
        self.put(at, &data)?;
        if let Some((name, kind)) = index {
            self.put(at + name as u64, &kind)?;
        }
        self.sync()?;
        self.written += data.len() as u64;
        self.ledger.bytes.store(self.written, Ordering::Release);
        self.ledger.pictures.store(pictures, Ordering::Release);
        data.clear();
        // Keeps its capacity for the next fragment.
        self.pending = data;
        Ok(())
    }

    /// Reads the indexes in `data`, edits the sound's beginning, and returns how many pictures the file then has.
    fn index(&mut self, data: &mut [u8]) -> u64 {
        let mut pictures = self.ledger.pictures.load(Ordering::Acquire);
        for found in mp4::boxes(data, 0, data.len()).collect::<Vec<_>>() {
            if found.kind == *b"moov" {
                // The first describes the first fragment, the final one everything.
                pictures = mp4::pictures_in_moov(data, &found).unwrap_or(pictures);
                self.tracks = index::tracks(data, &found);
                let _ = mp4::edit_sound(data, &found, self.ledger.sound_skip.load(Ordering::Acquire));
            } else if found.kind == *b"moof" {
                let track = self.tracks.iter().find(|track| track.pictures);
                pictures += track.map_or(0, |track| mp4::pictures_in_moof(data, &found, track.number));
                if index::complete(data, &found, self.written, &self.tracks).is_none() {
                    tracing::debug!("a fragment's index is left as the muxer wrote it");
                }
            }
        }
        pictures
    }

    fn put(&self, at: u64, data: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.note(Operation::Write(at, data.to_vec()));
        self.file.write_all_at(data, at)
    }

    fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        self.note(Operation::Sync);
        self.file.sync_data()
    }

    #[cfg(test)]
    fn note(&self, operation: Operation) {
        if let Some(log) = &self.log {
            log.lock().unwrap().push(operation);
        }
    }
}

impl Ledger {
    /// Keeps the first fault.
    pub fn note_fault(&self, error: io::Error) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub fn take_fault(&self) -> Option<io::Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn last_box(data: &[u8]) -> Option<mp4::Box4> {
    mp4::boxes(data, 0, data.len()).last()
}

/// Makes a folder and those above it, and syncs each parent of a new one.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().ok_or(ErrorKind::NotFound)?;
    make_folder(parent)?;
    match std::fs::create_dir(folder) {
        Ok(()) => sync_folder(parent),
        // Another recording was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
