//! Threads that write to a disk: started with a name, and waited for no longer than a limit, because a disk may hang.
//!
//! Belongs to no shell, so that each may use it.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Between two tries to ask a thread whose queue is full.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// A thread that was started. It does not end by dropping this.
pub struct Running {
    /// Disconnected when the thread has ended, also by a panic.
    ended: Receiver<()>,
}

impl Running {
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (alive, ended) = sync_channel::<()>(0);
        let body = move || {
            run();
            drop(alive);
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(body)?;
        Ok(Self { ended })
    }

    /// Calls `ask` until it has asked the thread to end, and waits until it has. `false` when that took longer than
    /// `limit`.
    pub fn ends_within(&self, limit: Duration, mut ask: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut asked = false;
        loop {
            asked = asked || ask();
            let left = deadline.saturating_duration_since(Instant::now());
            match self.ended.recv_timeout(left.min(ASK_AGAIN)) {
                Err(RecvTimeoutError::Disconnected) | Ok(()) => return true,
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ends_when_asked_is_told_from_one_that_hangs() {
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        let good = Running::start("good", move || {
            let _ = asked.recv();
        })
        .unwrap();
        assert!(!good.ends_within(Duration::from_millis(30), || false), "nobody asked it");
        let mut tries = 0;
        let second_time = || {
            tries += 1;
            tries == 2 && ask.send(()).is_ok()
        };
        assert!(good.ends_within(Duration::from_secs(10), second_time));
        assert_eq!(tries, 2, "asked once, when it could be");
        let panics = Running::start("panics", || panic!("on purpose")).unwrap();
        assert!(panics.ends_within(Duration::from_secs(10), || true));
    }
}
