//! A surface on a thread of its own, which bears its name: a crash in it is told from one in another.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Ends, without being waited for, when it is dropped.
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
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
