//! The command line: arguments in, one call, an exit code out.
//!
//! Exit codes: 0 done · 1 refused or failed, with the reason on stderr · 2 usage. Answers go to stdout, everything else
//! to stderr.

pub mod config_file;
mod ctl;
mod devices;
mod doctor;
mod overrides;
mod replay;
mod shows;

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser, Subcommand};

use config_file::Loaded;
use cuebox_core::config::patch::Patch;

use crate::app::{self, Ended, Job};

#[derive(Parser)]
#[command(name = "cuebox", version, about = "A venue's video encoder: five cameras in, one program out")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the box: this is what its service starts
    Run {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Check the configuration, and name every problem in it
    Check {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// List the cameras and sound cards that are plugged in, with the slot each camera would take
    Devices {
        #[command(flatten)]
        config: ConfigArgument,
        /// One JSON value
        #[arg(long)]
        json: bool,
    },
    /// Tell everything that is wrong or risky on this machine, each with its remedy; exit 1 when something is wrong
    Doctor {
        #[command(flatten)]
        config: ConfigArgument,
        /// One JSON value
        #[arg(long)]
        json: bool,
    },
    /// List the shows of a data folder, mending what a crash has left there when no box runs; delete one by hand
    Shows(shows::Arguments),
    /// Speak to the running box
    Ctl(ctl::Arguments),
    /// Run a journal through the director again, and print the status after each change
    Replay {
        /// A file of the journal folder, `<data_dir>/journal/*.jsonl`
        file: PathBuf,
        /// Only compare with what the box had come to; exit 1 where it differs
        #[arg(long)]
        verify: bool,
    },
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(clap::Args)]
struct ConfigArgument {
    /// Configuration [default: /etc/cuebox/cuebox.toml if it is there, else built-in defaults]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why a call did not do what was asked; each with its exit code.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Told as it is: one line or several.
    #[error("{0}")]
    Failed(String),
    /// What is to be said was said already.
    #[error("failed")]
    Told,
    #[error("{0}")]
    Usage(String),
    /// Whoever read our output is gone, which is no failure (`cuebox ctl status | head -1`).
    #[error("stdout is closed")]
    Unread,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Unread;
        }
        Self::Failed(format!("cannot write the answer: {error}"))
    }
}

/// Does what the process's arguments say.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { config } => run(config.config),
        Command::Check { config } => check(config.config),
        Command::Devices { config, json } => devices::list(config.config, json),
        Command::Doctor { config, json } => doctor::run(config.config, json),
        Command::Shows(arguments) => shows::run(arguments),
        Command::Ctl(arguments) => ctl::run(arguments),
        Command::Replay { file, verify } => replay::run(&file, verify),
        Command::Completions { shell } => completions(shell),
    };
    let (code, text) = match outcome {
        Ok(()) | Err(Failure::Unread) => return ExitCode::SUCCESS,
        Err(Failure::Told) => return ExitCode::from(1),
        Err(Failure::Failed(text)) => (1, text),
        Err(Failure::Usage(text)) => (2, text),
    };
    // With stderr gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}

fn run(config: Option<PathBuf>) -> Result<(), Failure> {
    let loaded = Loaded::load(config).map_err(|error| Failure::Failed(error.to_string()))?;
    for warning in loaded.warnings() {
        tracing::warn!("{warning}");
    }
    let again = loaded.clone();
    let reload = move || again.reload().map(|loaded| loaded.config).map_err(|error| error.to_string());
    let patched = loaded.clone();
    let patch = move |patch: &Patch, check: bool| patched.patch(patch, check);
    let job = Job { config: loaded.config, file: loaded.path, reload: Arc::new(reload), patch: Arc::new(patch) };
    match app::run(job) {
        Ok(Ended::Stopped) => Ok(()),
        Ok(Ended::Restart) => Err(start_anew()),
        Err(error) => Err(Failure::Failed(format!("cuebox cannot run: {error}"))),
    }
}

/// The same program with the same arguments in place of this process, so that whoever started it need not know.
/// Returns only when that fails.
fn start_anew() -> Failure {
    // By its name: a new program may have been installed there meanwhile, and it is the one to be started.
    let program = std::env::args_os().next().unwrap_or_else(|| "cuebox".into());
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    Failure::Failed(format!("cuebox cannot be started anew: {error}"))
}

fn check(config: Option<PathBuf>) -> Result<(), Failure> {
    let loaded = Loaded::load(config).map_err(|error| Failure::Failed(error.to_string()))?;
    for warning in loaded.warnings() {
        writeln!(io::stderr(), "warning: {warning}")?;
    }
    match &loaded.path {
        Some(path) => writeln!(io::stdout(), "{}: no problem", path.display())?,
        None => writeln!(io::stdout(), "no {}: the built-in defaults apply", config_file::DEFAULT_PATH)?,
    }
    Ok(())
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "cuebox", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn bad_usage_is_told_apart_from_help() {
        let parse =
            |line: &str| Arguments::try_parse_from(line.split_whitespace()).map(drop).map_err(|e| e.exit_code());
        for line in ["cuebox", "cuebox fly", "cuebox ctl", "cuebox ctl ctu 3", "cuebox replay", "cuebox run extra"] {
            assert_eq!(parse(line), Err(2), "{line}");
        }
        for line in ["cuebox --help", "cuebox --version", "cuebox ctl --help"] {
            assert_eq!(parse(line), Err(0), "{line}");
        }
        for line in [
            "cuebox run",
            "cuebox check --config x.toml",
            "cuebox devices --json",
            "cuebox doctor --json",
            "cuebox shows --json",
            "cuebox shows --data-dir /mnt/disk 20261121-183005-3f2a",
            "cuebox shows delete 20261121-183005-3f2a",
            "cuebox ctl config patch program.fps = 25",
            "cuebox ctl journal 20",
            "cuebox ctl cut 3 --json",
            "cuebox ctl --socket /tmp/s status",
            "cuebox ctl audio gain 1 -6.5",
            "cuebox ctl show start Anna and Ben",
            "cuebox replay a.jsonl --verify",
            "cuebox completions bash",
        ] {
            assert_eq!(parse(line), Ok(()), "{line}");
        }
    }
}
