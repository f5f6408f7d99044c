//! A data folder that is made as it was a million times: it lies in memory, and only what was changed is written again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::vault::testkit::TempDir;

/// When files were written that nobody has written since.
fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

/// What such a folder holds; names are relative to it.
#[derive(Default)]
pub struct Pristine {
    files: BTreeMap<PathBuf, Vec<u8>>,
    folders: BTreeSet<PathBuf>,
}

impl Pristine {
    pub fn of(make: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::in_memory();
        make(folder.path());
        let mut pristine = Self::default();
        pristine.learn(folder.path(), Path::new(""));
        pristine
    }

    fn learn(&mut self, root: &Path, name: &Path) {
        for entry in fs::read_dir(root.join(name)).unwrap().map(Result::unwrap) {
            let name = name.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                self.learn(root, &name);
                self.folders.insert(name);
            } else {
                self.files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }

    pub fn files(&self) -> Vec<&Path> {
        self.files.keys().map(PathBuf::as_path).collect()
    }

    /// Of the first file of this name.
    pub fn content(&self, name: &str) -> &[u8] {
        self.files.iter().find(|(path, _)| path.ends_with(name)).map(|(_, content)| content.as_slice()).unwrap()
    }

    pub fn copy(&self) -> Copy<'_> {
        Copy { of: self, folder: TempDir::in_memory() }
    }
}

pub struct Copy<'a> {
    of: &'a Pristine,
    folder: TempDir,
}

impl Copy<'_> {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn restore(&self) {
        let mut there = BTreeSet::new();
        self.clear(Path::new(""), &mut there);
        for folder in self.of.folders.iter().filter(|name| !there.contains(*name)) {
            fs::create_dir_all(self.path().join(folder)).unwrap();
        }
        for (name, content) in self.of.files.iter().filter(|(name, _)| !there.contains(*name)) {
            let path = self.path().join(name);
            fs::write(&path, content).unwrap();
            File::options().write(true).open(path).unwrap().set_modified(long_ago()).unwrap();
        }
    }

    /// Removes what does not belong there; tells what is as it was.
    fn clear(&self, folder: &Path, there: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(self.path().join(folder)).unwrap().map(Result::unwrap) {
            let name = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                if self.of.folders.contains(&name) {
                    self.clear(&name, there);
                    there.insert(name);
                } else {
                    fs::remove_dir_all(entry.path()).unwrap();
                }
            } else if self.untouched(&name) {
                there.insert(name);
            } else {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    /// Nobody has written to it. What SQLite maps into memory shows no writing.
    pub fn untouched(&self, name: &Path) -> bool {
        let Some(content) = self.of.files.get(name) else { return false };
        let is_mapped = name.to_string_lossy().starts_with("cuebox.db");
        let found = fs::metadata(self.path().join(name));
        !is_mapped
            && found.is_ok_and(|found| {
                found.len() == content.len() as u64 && found.modified().is_ok_and(|time| time == long_ago())
            })
    }
}
