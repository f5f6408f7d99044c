//! Tells each step that makes a thing durable before it is made. In the box nobody listens and it costs nothing; the
//! crash tests listen, and end the world at the step they choose.

use std::io;
use std::path::Path;

/// One system call, or one committed change of the index.
#[expect(dead_code, reason = "only the crash tests look into a step, and not into each")]
pub enum Step<'a> {
    MakeDir { path: &'a Path },
    Create { path: &'a Path },
    Write { path: &'a Path, at: u64, bytes: &'a [u8] },
    Cut { path: &'a Path, length: u64 },
    Rename { from: &'a Path, to: &'a Path },
    Unlink { path: &'a Path },
    SyncFile { path: &'a Path },
    SyncDir { path: &'a Path },
    Commit,
}

#[cfg(test)]
pub use listening::Witness;
#[cfg(not(test))]
pub use silent::Witness;

#[cfg(not(test))]
mod silent {
    use super::{Step, io};

    #[derive(Clone)]
    pub struct Witness;

    impl Witness {
        pub fn silent() -> Self {
            Self
        }

        #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "same shape as the listening one")]
        pub fn about_to(&self, _: &Step<'_>) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod listening {
    use std::sync::{Arc, Mutex};

    use super::{Step, io};

    type Listener = dyn FnMut(&Step<'_>) -> io::Result<()> + Send;

    #[derive(Clone)]
    pub struct Witness(Option<Arc<Mutex<Listener>>>);

    impl Witness {
        pub fn silent() -> Self {
            Self(None)
        }

        pub fn new(listener: impl FnMut(&Step<'_>) -> io::Result<()> + Send + 'static) -> Self {
            Self(Some(Arc::new(Mutex::new(listener))))
        }

        pub fn about_to(&self, step: &Step<'_>) -> io::Result<()> {
            match &self.0 {
                Some(listener) => (listener.lock().unwrap())(step),
                None => Ok(()),
            }
        }
    }
}
