//! The file operations that durability is made of, one system call each.
//!
//! Owns how a thing is written so that it survives; must never know what it writes. Each call first tells the
//! [`Witness`], which in tests can end the world there, so that every order is tried as if the power had gone at
//! every step.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::witness::{Step, Witness};

/// A file operation that failed; reads as a sentence.
#[derive(Debug, Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct DiskError {
    pub what: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

pub type Result<T> = std::result::Result<T, DiskError>;

pub struct Disk {
    witness: Witness,
}

impl Disk {
    pub fn new(witness: Witness) -> Self {
        Self { witness }
    }

    /// Creates the folder and those above it, each durable before the one below; nothing if it is there.
    pub fn make_dir(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.make_dir(parent)?;
        }
        self.act("create", path, Step::MakeDir { path }, || match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        })?;
        parent.map_or(Ok(()), |parent| self.sync_dir(parent))
    }

    /// Replaces a file as a whole: after a crash there is the old one or the new one.
    pub fn replace(&self, path: &Path, content: &[u8]) -> Result<()> {
        let fresh = temporary_of(path);
        let mut file = self.act("create", &fresh, Step::Create { path: &fresh }, || File::create(&fresh))?;
        self.act("write", &fresh, Step::Write { path: &fresh, at: 0, bytes: content }, || file.write_all(content))?;
        self.sync_file(&file, &fresh)?;
        self.act("rename", &fresh, Step::Rename { from: &fresh, to: path }, || fs::rename(&fresh, path))?;
        self.sync_dir(folder_of(path))
    }

    /// Opens a file for writing at any place, creating it (durably) when it is missing.
    pub fn open(&self, path: &Path) -> Result<File> {
        let existed = path.exists();
        let file = self.act("open", path, Step::Create { path }, || {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        })?;
        if !existed {
            self.sync_dir(folder_of(path))?;
        }
        Ok(file)
    }

    /// Writes at a place and makes it durable.
    pub fn write_at(&self, file: &mut File, path: &Path, at: u64, bytes: &[u8]) -> Result<()> {
        self.act("write", path, Step::Write { path, at, bytes }, || {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)
        })?;
        self.sync_file(file, path)
    }

    /// Cuts a file to `length` and makes that durable.
    pub fn cut(&self, file: &File, path: &Path, length: u64) -> Result<()> {
        self.act("cut", path, Step::Cut { path, length }, || file.set_len(length))?;
        self.sync_file(file, path)
    }

    /// Removes a file durably; nothing if it is gone already.
    pub fn remove(&self, path: &Path) -> Result<()> {
        self.act("remove", path, Step::Unlink { path }, || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })?;
        let folder = folder_of(path);
        if folder.is_dir() { self.sync_dir(folder) } else { Ok(()) }
    }

    /// Removes an empty folder durably.
    pub fn remove_dir(&self, path: &Path) -> Result<()> {
        self.act("remove", path, Step::Unlink { path }, || fs::remove_dir(path))?;
        self.sync_dir(folder_of(path))
    }

    /// Removes a folder with all that it holds; nothing if it is gone already.
    pub fn remove_tree(&self, path: &Path) -> Result<()> {
        self.act("remove", path, Step::Unlink { path }, || match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })?;
        self.sync_dir(folder_of(path))
    }

    /// Renames durably, inside one folder.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.act("rename", from, Step::Rename { from, to }, || fs::rename(from, to))?;
        self.sync_dir(folder_of(to))
    }

    /// Makes the folder's entries durable.
    pub fn sync_dir(&self, path: &Path) -> Result<()> {
        self.act("sync", path, Step::SyncDir { path }, || File::open(path)?.sync_all())
    }

    fn sync_file(&self, file: &File, path: &Path) -> Result<()> {
        self.act("sync", path, Step::SyncFile { path }, || file.sync_data())
    }

    fn act<T>(
        &self,
        what: &'static str,
        path: &Path,
        step: Step<'_>,
        call: impl FnOnce() -> io::Result<T>,
    ) -> Result<T> {
        self.witness.about_to(&step).and_then(|()| call()).map_err(|source| DiskError {
            what,
            path: path.to_owned(),
            source,
        })
    }
}

/// Where [`Disk::replace`] prepares the new content; recovery removes what is left of it.
pub fn temporary_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Free and total bytes of the file system that holds `path`; free for us, without what is reserved for root.
///
/// # Errors
/// When the file system does not answer.
pub fn space(path: &Path) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::statvfs(path)?;
    Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
}
