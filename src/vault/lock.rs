//! One box per data folder: an advisory lock on `<data_dir>/lock`, which holds the owner's process id. The kernel
//! lets go of it when the process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it; its id, when it could be read.
    #[error("held by process {}", pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()))]
    Held { pid: Option<u32> },
    #[error("cannot lock it: {0}")]
    Io(#[from] io::Error),
}

/// Held for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// # Errors
    /// [`LockError::Held`] when another process has it, [`LockError::Io`] when the file cannot be made or written.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held { pid });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { file })
    }

    /// Whether it is still the file of that name: not when the folder was moved, or its disk pulled.
    pub fn is_at(&self, path: &Path) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (ours, there) = (self.file.metadata().map(identity), fs::metadata(path).map(identity));
        ours.is_ok_and(|ours| there.is_ok_and(|there| ours == there))
    }
}

impl Drop for Lock {
    /// Closing alone does not do: a program that is just being started holds a copy of the file until it runs.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "the data folder stays locked until the file is closed");
        }
    }
}
