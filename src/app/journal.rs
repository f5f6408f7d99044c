//! The journal's two halves: what is worth a line is the core's to say, how it gets to the disk is the supervisor's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cuebox_core::director::{Director, Event, SeenCommand};
use cuebox_core::ids::Ticket;
use cuebox_core::journal::{FILES, Journal, last_settings};
use cuebox_core::settings::Settings;
use cuebox_core::time::Mono;
use tokio::sync::mpsc::UnboundedSender;

use crate::supervise::journal::{JournalWriter, newest};

/// What operators had set when the process before ended, however it ended.
pub fn settings(data_dir: &Path) -> Option<Settings> {
    newest(data_dir, last_settings)
}

/// Commands that the process before has seen.
pub fn seen_commands(data_dir: &Path) -> Vec<SeenCommand> {
    newest(data_dir, cuebox_core::journal::seen_commands).unwrap_or_default()
}

pub struct Keeper {
    journal: Journal,
    writer: JournalWriter,
    folder: PathBuf,
}

impl Keeper {
    pub fn start(
        data_dir: &Path,
        director: &Director,
        now: Mono,
        events: UnboundedSender<Event>,
    ) -> std::io::Result<Self> {
        let mut writer = JournalWriter::start(data_dir, FILES, events)?;
        let mut journal = Journal::default();
        writer.start_file(journal.open(director, now));
        Ok(Self { journal, writer, folder: data_dir.join("journal") })
    }

    /// Before the director acts on the event.
    pub fn before(&mut self, at: Mono, event: &Event) {
        self.journal.before(at, event).into_iter().for_each(|line| self.writer.append(line));
    }

    /// When the director has acted, before its effects are carried out.
    pub fn after(&mut self, at: Mono, director: &Director) {
        self.journal.after(at, director).into_iter().for_each(|line| self.writer.append(line));
        if self.journal.is_full() || self.writer.wants_snapshot() {
            self.writer.start_file(self.journal.open(director, at));
        }
    }

    pub fn persist(&self, ticket: Ticket) {
        self.writer.persist(ticket);
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes what waits, within the limit.
    pub fn stop(self, limit: Duration) {
        self.writer.stop(limit);
    }
}
