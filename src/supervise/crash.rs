//! What is kept of a crash: the mark of a process that ends badly, and the record of such ends, both beside the control
//! socket. There memory is what a file lies in, so that nothing of it waits for a disk, and a reboot forgets it.
//!
//! A fault (a bad address, an abort, a trap) comes as a signal on the thread that caused it, and the thread's name says
//! which part that was. A signal from outside (the service manager ends a process whose loop stands still by one) says
//! nothing of a thread: then it is what the loop was busy with. What the parts mean is decided by
//! `cuebox_core::crashes`.

#![expect(unsafe_code, reason = "a signal handler: what it may call, only a reader can check")]

use std::ffi::{c_int, c_void};
use std::fs::{self, File};
use std::io;
use std::os::fd::IntoRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use cuebox_core::config::Config;
use cuebox_core::crashes::{Crashes, STEADY};
use cuebox_core::time::Mono;

/// What ends a process because of a fault.
const FAULTS: [c_int; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP];
/// A mark's bytes, the last of which is zero: as many as a thread's name has.
const LENGTH: usize = 16;

/// Where a mark goes; negative: nowhere.
static MARK: AtomicI32 = AtomicI32::new(-1);
/// What the loop is busy with: a mark.
static BUSY: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// The record, open for as long as the box runs. Dropped, the box has ended in order, unless it was told otherwise.
pub struct CrashRecord {
    crashes: Crashes,
    file: PathBuf,
    began: Mono,
    broken: bool,
}

impl CrashRecord {
    /// Takes up what the process before left, and sees to this one's mark. What cannot be read counts as never written;
    /// what cannot be written is only logged.
    pub fn begin(boot: &str, now: Mono, config: &Config) -> Self {
        let (file, mark_file) = places(config);
        let mut crashes = read(&file);
        let mark = fs::read_to_string(&mark_file).ok();
        crashes.begin(boot, now, mark.as_deref(), config);
        let record = Self { crashes, file, began: now, broken: false };
        let made = mark_file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create(&mark_file));
        match made.and_then(install) {
            Ok(()) => record.save(),
            Err(error) => tracing::warn!("a crash would leave no mark in {}: {error}", mark_file.display()),
        }
        record
    }

    pub const fn crashes(&self) -> &Crashes {
        &self.crashes
    }

    /// The process runs on; from some time on that speaks for it.
    pub fn goes_on(&mut self, now: Mono) {
        if now.since(self.began) >= STEADY && self.crashes.came_up() {
            self.save();
        }
    }

    /// The process is about to end because the director broke.
    pub fn broke(&mut self) {
        self.broken = true;
        write_mark(&busy());
    }

    fn save(&self) {
        let saved = serde_json::to_vec(&self.crashes).map_err(io::Error::from).and_then(|text| {
            let part = self.file.with_extension("crashes-part");
            fs::write(&part, text)?;
            fs::rename(part, &self.file)
        });
        if let Err(error) = saved {
            tracing::warn!("crashes are not remembered in {}: {error}", self.file.display());
        }
    }
}

impl Drop for CrashRecord {
    fn drop(&mut self) {
        if !self.broken && !std::thread::panicking() {
            self.crashes.ended();
            self.save();
        }
    }
}

/// What is known of the box with this configuration, for whoever asks.
pub fn recorded(config: &Config) -> Crashes {
    read(&places(config).0)
}

/// The loop turns to this; a mark.
pub fn busy_with(mark: &str) {
    let mut bytes = [0; LENGTH];
    for (to, from) in bytes.iter_mut().zip(mark.bytes().take(LENGTH - 1)) {
        *to = from;
    }
    let (first, second) = bytes.split_at(LENGTH / 2);
    for (word, half) in BUSY.iter().zip([first, second]) {
        let half = half.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        word.store(half, Ordering::Relaxed);
    }
}

/// The record and the mark of this configuration's box.
fn places(config: &Config) -> (PathBuf, PathBuf) {
    let socket = Path::new(&config.http.socket);
    (socket.with_extension("crashes"), socket.with_extension("mark"))
}

fn read(file: &Path) -> Crashes {
    fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn busy() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    for (to, word) in bytes.chunks_mut(LENGTH / 2).zip(&BUSY) {
        to.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    bytes
}

/// The file stays open as long as the process lives.
fn install(mark: File) -> io::Result<()> {
    MARK.store(mark.into_raw_fd(), Ordering::Relaxed);
    for signal in FAULTS {
        // SAFETY: the handler has the signature that SA_SIGINFO asks for and calls only what signal-safety(7) allows;
        // an all-zero sigaction is a valid one.
        let set = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
            action.sa_sigaction = handler as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut())
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel gives a valid siginfo; prctl, signal and raise may be called from a handler, and the name has
    // the sixteen bytes that PR_GET_NAME writes.
    unsafe {
        let mut mark = [0; LENGTH];
        if (*info).si_code == libc::SI_USER {
            mark = busy();
        } else {
            libc::prctl(libc::PR_GET_NAME, mark.as_mut_ptr());
        }
        write_mark(&mark);
        // Again, and this time it ends the process as it would have done without us.
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// Called from a signal handler: no lock, no memory.
fn write_mark(mark: &[u8; LENGTH]) {
    let length = mark.iter().position(|byte| *byte == 0).unwrap_or(LENGTH);
    let file = MARK.load(Ordering::Relaxed);
    if file >= 0 {
        // SAFETY: the descriptor was given away for this, and the bytes are there.
        unsafe { libc::pwrite(file, mark.as_ptr().cast(), length, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loop_is_busy_with_is_read_back() {
        for (mark, read) in [("capture-3", "capture-3"), ("", ""), ("leg-the-other-destination", "leg-the-other-d")] {
            busy_with(mark);
            let bytes = busy();
            let length = bytes.iter().position(|byte| *byte == 0).unwrap();
            assert_eq!(std::str::from_utf8(&bytes[..length]), Ok(read));
        }
    }
}
