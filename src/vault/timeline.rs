//! `timeline.jsonl`: a line per fact, each durable before the next. Only ever appended to; what a power cut left
//! half-written at its end is cut off when it is opened.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cuebox_core::timeline::Entry;

use super::disk::{self, Disk, DiskError};

pub struct Timeline {
    file: File,
    path: PathBuf,
    /// Length of the whole lines. A line that failed half-way is written again from here.
    length: u64,
    /// The last whole line. The same line again is the same fact given again after a failure.
    last: Vec<u8>,
}

/// What a timeline held when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The frame after the last that a line names.
    pub end_frame: u64,
    /// Bytes that were no whole line and were cut off.
    pub torn_bytes: u64,
}

impl Timeline {
    /// Opens or creates the file.
    pub fn open(disk: &Disk, path: &Path) -> disk::Result<(Self, Tail)> {
        let mut file = disk.open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|source| DiskError { what: "read", path: path.to_owned(), source })?;
        let (length, mut tail) = whole_lines(&text);
        tail.torn_bytes = text.len() as u64 - length;
        if tail.torn_bytes > 0 {
            disk.cut(&file, path, length)?;
        }
        text.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        let last = text.split_inclusive(|byte| *byte == b'\n').next_back().unwrap_or_default().to_owned();
        Ok((Self { file, path: path.to_owned(), length, last }, tail))
    }

    pub fn append(&mut self, disk: &Disk, entry: &Entry) -> disk::Result<()> {
        let mut line = serde_json::to_vec(entry).map_err(|error| DiskError {
            what: "write",
            path: self.path.clone(),
            source: io::Error::from(error),
        })?;
        line.push(b'\n');
        if line != self.last {
            disk.write_at(&mut self.file, &self.path, self.length, &line)?;
            self.length += line.len() as u64;
            self.last = line;
        }
        Ok(())
    }
}

/// The lines that can be read, oldest first.
///
/// # Errors
/// When the file is there but cannot be read.
pub fn entries(path: &Path) -> io::Result<Vec<Entry>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Length up to the end of the last line that can be read, and what the lines say.
fn whole_lines(text: &[u8]) -> (u64, Tail) {
    let mut tail = Tail::default();
    let (mut at, mut whole) = (0_u64, 0_u64);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        at += line.len() as u64;
        let Some(line) = line.strip_suffix(b"\n") else { break };
        let Ok(entry) = serde_json::from_slice::<Entry>(line) else { continue };
        whole = at;
        tail.end_frame = tail.end_frame.max(entry.frame.saturating_add(1));
    }
    (whole, tail)
}
