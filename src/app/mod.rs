//! The one loop and all wiring: the only part of the box that knows more than one shell.
//!
//! Take one event or the next deadline → the director handles it → its effects are carried out → a changed goal goes
//! to the media graph → a changed status goes to the surfaces. Nothing here decides anything.
//!
//! | when this breaks | then |
//! |---|---|
//! | a leaf shell (console, devices, one pipeline) panics | it is started again in place, and the director is told |
//! | a library ends the process three times in a minute, in one part | the next start leaves that part out and says so |
//! | the director panics | the journal is made durable, the process ends, the next start recovers |
//! | the loop stands still | the service manager's watchdog is not fed any more: it ends the process and starts it again |
//! | the disk | facts, never errors: the show goes on without it |

mod apart;
mod banner;
mod cycle;
pub mod doctor;
mod fault;
mod journal;
pub mod shows;
mod wiring;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cuebox_core::board::BoardError;
use cuebox_core::config::Config;
use cuebox_core::config::patch::Patch;
use cuebox_core::settings::Settings;

use crate::console::ConsoleError;
use crate::devices::DeviceError;
use crate::media::MediaError;
use crate::vault::VaultError;

pub use crate::devices::Snapshot as Plugged;
pub use crate::panel::{Found as FoundPanel, found as panels};

/// What `cuebox run` was asked to run.
pub struct Job {
    pub config: Config,
    /// The file it came from; `None`: the built-in defaults.
    pub file: Option<PathBuf>,
    /// Reads the configuration again. An error is told as it is.
    pub reload: Reload,
    /// Changes it.
    pub patch: Change,
}

/// Reads the configuration again.
pub type Reload = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// Lays a patch over the configuration and keeps it; with `true` it is only checked. An error is told as it is.
pub type Change = Arc<dyn Fn(&Patch, bool) -> Result<Config, String> + Send + Sync>;

/// How a run ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// `restart` was commanded: the process is to be started anew.
    Restart,
}

/// Why the box cannot run, or cannot go on. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the runtime does not start: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("{}", list(.0))]
    Missing(Vec<MediaError>),
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Console(#[from] ConsoleError),
    #[error(transparent)]
    Devices(#[from] DeviceError),
    #[error("the board table is broken: {0}")]
    Board(#[from] BoardError),
    #[error("the director panicked; the journal in {} shows what led to it", journal.display())]
    Director { journal: PathBuf },
}

fn list(errors: &[MediaError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Runs the box until it is told to end.
///
/// # Errors
/// What keeps it from starting, or made it end out of order.
pub fn run(job: Job) -> Result<Ended, RunError> {
    crate::media::memory::bound();
    crate::media::requirements::leave_crashes_alone();
    crate::media::requirements::close_cameras_whole();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("surface")
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let ended = runtime.block_on(async { wiring::start(job)?.run().await });
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

/// What a box with this configuration remembers of its cameras and settings; `None`: it has not run yet.
pub fn remembered(config: &Config) -> Option<Settings> {
    journal::process_before(Path::new(&config.data_dir)).settings
}

/// Everything that is plugged in.
pub fn devices() -> Plugged {
    crate::devices::snapshot()
}
