//! A surface on a thread of its own, which bears its name: a crash in it is told from one in another.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// What runs there may put its things in order when it is dropped: panels go dark.
const ENDS: Duration = Duration::from_millis(200);

/// Ends when it is dropped, and is waited for meanwhile.
pub struct Apart(Option<Runtime>);

impl Apart {
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str) -> io::Result<Self> {
        Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build().map(Some).map(Self)
    }

    /// What `make` spawns runs there.
    pub fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(Runtime::enter);
        make()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else { return };
        // A thread that drives another runtime must not wait for this one.
        let ending = std::thread::Builder::new().spawn(move || runtime.shutdown_timeout(ENDS));
        let _ = ending.map(std::thread::JoinHandle::join);
    }
}
