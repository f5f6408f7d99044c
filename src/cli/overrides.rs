//! `<data_dir>/overrides.toml`: what admins changed by `config patch`, laid over the configuration's file.
//!
//! They are not written while the disk of `data_dir` is absent: they would be lost below its mount point.
//! The one before is kept as `overrides.before.toml`. Both may hold secrets, so that only their owner may read them.
//! Overrides that do not go with the file any more (somebody edited it) are left out, with a warning: a box must come
//! up.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cuebox_core::config::{Config, patch};
use serde_json::{Map, Value};

use crate::mounts::Place;

const NAME: &str = "overrides.toml";
const BEFORE: &str = "overrides.before.toml";
const FRESH: &str = "overrides.new.toml";
const HEAD: &str = "# Written by `config patch`. Remove this file to go back to the configuration's own values.\n";

pub struct Overrides {
    place: Place,
}

/// Shown, it says which file and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct OverridesError {
    path: PathBuf,
    why: String,
}

impl Overrides {
    pub fn of(config: &Config) -> Self {
        Self { place: Place::new(&config.data_dir, config.record.require_mount) }
    }

    pub fn path(&self) -> PathBuf {
        self.place.folder().join(NAME)
    }

    /// Nothing, where there are none.
    ///
    /// # Errors
    /// They cannot be read, or are not TOML.
    pub fn read(&self) -> Result<Map<String, Value>, OverridesError> {
        let path = self.path();
        let fail = |why: String| OverridesError { path: path.clone(), why };
        match fs::read_to_string(&path) {
            Ok(text) => patch::table(&text).map_err(|error| fail(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
            Err(error) => Err(fail(format!("cannot be read: {error}"))),
        }
    }

    /// In place of those that were; durable when it returns.
    ///
    /// # Errors
    /// The disk is absent, or refuses. Those that were are still there.
    pub fn write(&self, tree: &Map<String, Value>) -> Result<(), OverridesError> {
        let path = self.path();
        let fail = |why: String| OverridesError { path: path.clone(), why };
        if !self.place.is_there() {
            return Err(fail("its disk is not there, so that the change would be lost; plug it in first".to_owned()));
        }
        self.replace(&path, tree).map_err(|error| fail(format!("cannot be written: {error}")))
    }

    fn replace(&self, path: &Path, tree: &Map<String, Value>) -> io::Result<()> {
        let folder = self.place.folder();
        fs::create_dir_all(folder)?;
        let fresh = folder.join(FRESH);
        save(&fresh, format!("{HEAD}{}", patch::to_toml(tree)).as_bytes())?;
        match fs::read(path) {
            // A copy and no move: at every moment there are overrides.
            Ok(before) => save(&folder.join(BEFORE), &before)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::rename(&fresh, path)?;
        File::open(folder)?.sync_all()
    }
}

fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
