//! Hashes sealed files in the background: one thread at the lowest priority, which leaves nothing in the page cache
//! that recording could want.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use cuebox_core::ids::SegmentId;
use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};

const BLOCK_BYTES: usize = 1 << 20;
const LOWEST_PRIORITY: i32 = 19;

#[derive(Debug)]
pub struct Job {
    pub segment: SegmentId,
    pub path: PathBuf,
    /// Length that the file must have; one of another length is not hashed.
    pub bytes: u64,
}

#[derive(Debug)]
pub struct Hashed {
    pub segment: SegmentId,
    pub bytes: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// Ends its thread when it is dropped, in the middle of a file if need be.
pub struct Hasher {
    jobs: Sender<Job>,
    over: Arc<AtomicBool>,
}

impl Hasher {
    /// `tell` is called on the hasher's thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(tell: impl Fn(Hashed) + Send + 'static) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        thread::Builder::new().name("vault-hash".into()).spawn(move || run(&waiting, &seen, tell))?;
        Ok(Self { jobs, over })
    }

    pub fn add(&self, job: Job) {
        // A thread that is gone leaves hashes for the next start.
        let _ = self.jobs.send(job);
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn run(waiting: &Receiver<Job>, over: &AtomicBool, tell: impl Fn(Hashed)) {
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST_PRIORITY) {
        tracing::debug!(%error, "hashing at normal priority");
    }
    while let Ok(job) = waiting.recv() {
        match hash(&job.path, job.bytes, over) {
            Ok(Some(sha256)) => tell(Hashed { segment: job.segment, bytes: job.bytes, sha256 }),
            Ok(None) => {}
            Err(error) => tracing::debug!(file = %job.path.display(), %error, "cannot hash"),
        }
        if over.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// `None` when the file has another length, or the hasher is over.
fn hash(path: &Path, bytes: u64, over: &AtomicBool) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut done = 0;
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        hash.update(block.get(..read).unwrap_or_default());
        fadvise(&file, done, None, Advice::DontNeed)?;
        done += read as u64;
        if over.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    Ok((done == bytes).then(|| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::testkit::TempDir;

    #[test]
    fn a_file_of_the_right_length_gets_its_hash_and_another_none() {
        let folder = TempDir::new();
        let path = folder.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        let go = AtomicBool::new(false);
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(&path, 3, &go).unwrap().as_deref(), Some(known));
        assert_eq!(hash(&path, 4, &go).unwrap(), None);
        assert_eq!(hash(&path, 3, &AtomicBool::new(true)).unwrap(), None);
    }
}
