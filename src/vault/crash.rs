//! A machine that breaks at a chosen step, for tests: it is told each step that the vault is about to take, and keeps
//! account of what a power cut would leave.
//!
//! Model of the disk: a file's content is what it was when it was last synced; a folder's entries are what they were
//! when it was last synced; nothing else is there. That is the worst that a file system may do. SQLite takes care of
//! its own files, so these are always as they are.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::witness::{Step, Witness};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The process is killed: what it did stays, the write of the moment is half done.
    Kill,
    /// The power goes: only what was synced stays.
    Power,
    /// The disk refuses this one step, and works again.
    Refuse,
}

#[derive(Clone)]
pub struct Machine(Arc<Mutex<State>>);

struct State {
    root: PathBuf,
    kind: Break,
    at: usize,
    taken: usize,
    dead: bool,
    /// The step that was announced last; it is done when the next one is announced.
    last: Option<Synced>,
    contents: HashMap<u64, Vec<u8>>,
    entries: BTreeMap<PathBuf, BTreeMap<OsString, Option<u64>>>,
    /// Keeps removed files' inode numbers from being given to others.
    held: Vec<File>,
}

enum Synced {
    File(PathBuf),
    Dir(PathBuf),
}

impl Machine {
    /// Breaks at step number `at` of what happens below `root`.
    pub fn new(root: &Path, kind: Break, at: usize) -> Self {
        let entries = BTreeMap::from([(root.to_owned(), BTreeMap::new())]);
        Self(Arc::new(Mutex::new(State {
            root: root.to_owned(),
            kind,
            at,
            taken: 0,
            dead: false,
            last: None,
            contents: HashMap::new(),
            entries,
            held: Vec::new(),
        })))
    }

    pub fn witness(&self) -> Witness {
        let state = self.0.clone();
        Witness::new(move |step| state.lock().unwrap().about_to(step))
    }

    /// Whether the chosen step came at all.
    pub fn broke(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.taken > state.at
    }

    /// The recorder writes and syncs a file; it leaves the folder to the vault.
    pub fn record(&self, path: &Path, content: &[u8]) {
        let mut state = self.0.lock().unwrap();
        if !state.dead {
            state.settle();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            state.last = Some(Synced::File(path.to_owned()));
            state.settle();
        }
    }

    /// What is found at the next start, made in `target`.
    pub fn leave(&self, target: &Path) {
        let mut state = self.0.lock().unwrap();
        if state.kind != Break::Power {
            return copy_all(&state.root, target);
        }
        if !state.dead {
            state.settle();
        }
        let root = state.root.clone();
        state.restore(&root, target);
        for entry in fs::read_dir(&root).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with("cuebox.db") {
                fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
            }
        }
    }
}

impl State {
    fn about_to(&mut self, step: &Step<'_>) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("the machine is dead"));
        }
        self.settle();
        self.taken += 1;
        if self.taken - 1 == self.at {
            self.dead = self.kind != Break::Refuse;
            if let Step::Write { path, at, bytes } = step {
                let mut file = File::options().write(true).open(path)?;
                file.seek(SeekFrom::Start(*at))?;
                file.write_all(&bytes[..bytes.len() / 2])?;
            }
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.last = match step {
            Step::SyncFile { path } => Some(Synced::File((*path).to_owned())),
            Step::SyncDir { path } => Some(Synced::Dir((*path).to_owned())),
            Step::MakeDir { .. }
            | Step::Create { .. }
            | Step::Write { .. }
            | Step::Cut { .. }
            | Step::Rename { .. }
            | Step::Unlink { .. }
            | Step::Commit => None,
        };
        Ok(())
    }

    /// What the last step made durable.
    fn settle(&mut self) {
        match self.last.take() {
            Some(Synced::File(path)) => {
                let file = File::open(&path).unwrap();
                self.contents.insert(file.metadata().unwrap().ino(), fs::read(&path).unwrap());
                self.held.push(file);
            }
            Some(Synced::Dir(path)) if path.starts_with(&self.root) => {
                let mut entries = BTreeMap::new();
                for entry in fs::read_dir(&path).unwrap().map(Result::unwrap) {
                    let metadata = entry.metadata().unwrap();
                    if metadata.is_file() {
                        self.held.push(File::open(entry.path()).unwrap());
                    }
                    entries.insert(entry.file_name(), metadata.is_file().then(|| metadata.ino()));
                }
                self.entries.insert(path, entries);
            }
            Some(Synced::Dir(_)) | None => {}
        }
    }

    fn restore(&self, folder: &Path, target: &Path) {
        fs::create_dir_all(target).unwrap();
        for (name, inode) in self.entries.get(folder).into_iter().flatten() {
            match inode {
                Some(inode) => {
                    let content = self.contents.get(inode).map_or(&[][..], Vec::as_slice);
                    fs::write(target.join(name), content).unwrap();
                }
                None => self.restore(&folder.join(name), &target.join(name)),
            }
        }
    }
}

pub fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
