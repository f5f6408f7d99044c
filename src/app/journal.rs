//! The journal's two halves: what is worth a line is the core's to say, how it gets to the disk is the supervisor's.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cuebox_core::director::{Director, Event, SeenCommand};
use cuebox_core::ids::Ticket;
use cuebox_core::journal::{FILES, Journal, last_settings, seen_commands};
use cuebox_core::settings::Settings;
use cuebox_core::time::Mono;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::mounts::Place;
use crate::supervise::journal::{JournalWriter, newest};

/// Bytes of the lines that are told at once, and of one of them: an answer has to go through a broker.
const MAX_TOLD: usize = 40 * 1024;
const MAX_TOLD_LINE: usize = 4 * 1024;

/// What the process before has left, however it ended.
pub struct Before {
    /// What operators had set.
    pub settings: Option<Settings>,
    /// Commands that it has seen.
    pub commands: Vec<SeenCommand>,
}

/// Reads each file of the journal once, the newest first, until it knows both.
pub fn process_before(data_dir: &Path) -> Before {
    let (mut settings, mut commands) = (None, None);
    newest(data_dir, |file| {
        settings = settings.take().or_else(|| last_settings(file));
        commands = commands.take().or_else(|| seen_commands(file));
        (settings.is_some() && commands.is_some()).then_some(())
    });
    Before { settings, commands: commands.unwrap_or_default() }
}

/// The newest lines of the journal, those of the running file alone; a line that is too long to be told (a snapshot) is
/// named by its kind. A read at the very moment of a write may miss its end.
pub fn tail(data_dir: &Path, lines: u32) -> Value {
    let text = newest(data_dir, |text| Some(text.to_owned())).unwrap_or_default();
    let mut told: VecDeque<Value> = VecDeque::new();
    let mut bytes = 0;
    for line in text.lines().rev().take(lines as usize) {
        let value = serde_json::from_str::<Value>(line).unwrap_or_else(|_| json!({ "cut_off": line.len() }));
        let kind = value.as_object().and_then(|record| record.keys().next().cloned()).unwrap_or_default();
        let value = if line.len() > MAX_TOLD_LINE { json!({ kind: { "bytes": line.len() } }) } else { value };
        bytes += line.len().min(MAX_TOLD_LINE);
        if bytes > MAX_TOLD {
            break;
        }
        told.push_front(value);
    }
    json!({ "lines": told })
}

pub struct Keeper {
    journal: Journal,
    writer: JournalWriter,
    folder: PathBuf,
}

impl Keeper {
    pub fn start(
        data_dir: Place,
        director: &Director,
        now: Mono,
        events: UnboundedSender<Event>,
    ) -> std::io::Result<Self> {
        let folder = data_dir.folder().join("journal");
        let mut writer = JournalWriter::start(data_dir, FILES, events)?;
        let mut journal = Journal::default();
        writer.start_file(journal.open(director, now));
        Ok(Self { journal, writer, folder })
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
