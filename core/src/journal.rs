//! What happened, as text: a bounded history of events from which the same status comes again.
//!
//! Owns the form of the lines and which of them are written; knows no file. One JSON object a line:
//!
//! | line | holds |
//! |---|---|
//! | `snapshot` | the whole director, secrets masked; the first line of every file |
//! | `event` | an event and when it was handled, written before the director acts on it |
//! | `settings` | what is to outlive the process, when that changed |
//! | `answered` | a command's first answer, so that its id is known after a restart |
//! | `status` | the fingerprint of the status that an event led to, when that changed |
//!
//! Counters come twenty times a second and mostly change nothing. Those that the director did not notice are kept
//! back, the last one of each job, and written with their own times just before the next other line: what it decides
//! then depends on the last counters alone, so a replay comes to the same. A line that the process did not come to
//! write is lost with it; the director had not told anyone of what came of it either.
//!
//! An event that carries a configuration is written as a snapshot of what it led to, because its secrets are masked
//! and a replay could not see that one of them changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use serde_json::Value;

use crate::command::{Answer, Envelope};
use crate::director::{Director, Effect, Event, Progress, SeenCommand, fingerprint};
use crate::fnv::fnv1a;
use crate::ids::CommandId;
use crate::job::Job;
use crate::settings::Settings;
use crate::status::Status;
use crate::time::Mono;

/// A file is full with this many bytes; the next one begins with a snapshot.
pub const FILE_BYTES: usize = 8 << 20;
/// Files that are kept, the newest one included.
pub const FILES: usize = 4;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Snapshot {
        at: Mono,
        director: Box<Director>,
    },
    Event {
        at: Mono,
        event: Event,
    },
    /// Hexadecimal fingerprint of the status after the event before.
    Status {
        at: Mono,
        hash: String,
    },
    Settings(Settings),
    Answered {
        id: CommandId,
        answer: Answer,
    },
}

/// [`Record::Snapshot`], of a director that is not copied for it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Opening<'a> {
    Snapshot { at: Mono, director: &'a Director },
}

/// Turns events into lines. Call [`Journal::before`] and [`Journal::after`] around each [`Director::handle`].
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// Counters that were not written yet.
    pending: BTreeMap<Mono, BTreeMap<Job, Progress>>,
    /// Counters of the running event.
    sample: Option<Vec<Progress>>,
    /// The running event carries a configuration.
    configured: bool,
    status: u64,
    /// As they stand in the open file.
    settings: Option<Settings>,
    bytes: usize,
}

impl Journal {
    /// The first line of a file, also of the very first.
    pub fn open(&mut self, director: &Director, now: Mono) -> String {
        self.bytes = 0;
        self.settings = None;
        self.pending.clear();
        self.status = hash(&director.status());
        self.line(&Opening::Snapshot { at: now, director })
    }

    /// Lines to be written before the director acts on `event`.
    pub fn before(&mut self, now: Mono, event: &Event) -> Vec<String> {
        self.configured = false;
        match event {
            Event::Progressed(sample) => {
                self.sample = Some(sample.clone());
                Vec::new()
            }
            Event::ConfigLoaded(_) | Event::ConfigPatched { .. } => {
                self.configured = true;
                Vec::new()
            }
            Event::Commanded(_)
            | Event::CommandedLate { .. }
            | Event::MqttTold(_)
            | Event::DeadlineReached
            | Event::Media { .. }
            | Event::CameraPlugged(_)
            | Event::CameraUnplugged { .. }
            | Event::EncodersProbed(_)
            | Event::Vault(_)
            | Event::ClockRead(_)
            | Event::MachineSlowed { .. }
            | Event::ConfigRejected { .. }
            | Event::PatchRejected { .. }
            | Event::ShellRestarted { .. }
            | Event::PanelTold(_)
            | Event::ShutdownRequested => {
                let mut lines = self.flush();
                lines.push(self.line(&Record::Event { at: now, event: event.clone() }));
                lines
            }
        }
    }

    /// Lines to be written once the director has acted, before its effects are carried out.
    pub fn after(&mut self, now: Mono, director: &Director) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(sample) = self.sample.take() {
            if !director.noticed() {
                self.keep_back(now, sample);
                return lines;
            }
            lines = self.flush();
            lines.push(self.line(&Record::Event { at: now, event: Event::Progressed(sample) }));
        }
        if self.configured {
            self.pending.clear();
            self.status = hash(&director.status());
            lines = vec![self.line(&Opening::Snapshot { at: now, director })];
            lines.extend(self.answers(director));
            lines.extend(self.changed_settings(director));
            return lines;
        }
        lines.extend(self.answers(director));
        let status = if director.noticed() { hash(&director.status()) } else { self.status };
        if std::mem::replace(&mut self.status, status) != status {
            lines.push(self.line(&Record::Status { at: now, hash: format!("{status:016x}") }));
        }
        lines.extend(self.changed_settings(director));
        lines
    }

    /// First answers among what is about to be carried out.
    fn answers(&mut self, director: &Director) -> Vec<String> {
        let given = director.effects().filter_map(|effect| match effect {
            Effect::Answer {
                id,
                answer: answer @ (Answer::Done | Answer::Report { .. } | Answer::Refused { .. }),
                ..
            } => Some(Record::Answered { id: id.clone(), answer: answer.clone() }),
            // What is told may be long, and is not what it was when it is asked for again.
            Effect::Report { id, .. } => Some(Record::Answered { id: id.clone(), answer: Answer::Done }),
            Effect::Answer { answer: Answer::Duplicate { .. } | Answer::Conflict { .. }, .. }
            | Effect::Persist { .. }
            | Effect::Vault(_)
            | Effect::Snapshot { .. }
            | Effect::Reload
            | Effect::Patch { .. }
            | Effect::Restart => None,
        });
        let given: Vec<Record> = given.collect();
        given.iter().map(|record| self.line(record)).collect()
    }

    fn changed_settings(&mut self, director: &Director) -> Option<String> {
        let settings = director.noticed().then(|| director.settings()).flatten()?;
        if self.settings.as_ref() == Some(&settings) {
            return None;
        }
        self.settings = Some(settings.clone());
        Some(self.line(&Record::Settings(settings)))
    }

    /// The file is full: a new one is to be opened.
    pub const fn is_full(&self) -> bool {
        self.bytes >= FILE_BYTES
    }

    /// The last counter of each job, and the time of the last sample even when it was empty.
    fn keep_back(&mut self, now: Mono, sample: Vec<Progress>) {
        for progress in &sample {
            for older in self.pending.values_mut() {
                older.remove(&progress.job);
            }
        }
        self.pending.retain(|_, older| !older.is_empty());
        let kept = self.pending.entry(now).or_default();
        kept.extend(sample.into_iter().map(|progress| (progress.job.clone(), progress)));
    }

    fn flush(&mut self) -> Vec<String> {
        std::mem::take(&mut self.pending)
            .into_iter()
            .map(|(at, sample)| {
                let event = Event::Progressed(sample.into_values().collect());
                self.line(&Record::Event { at, event })
            })
            .collect()
    }

    fn line(&mut self, record: &impl Serialize) -> String {
        // All maps in here have text or numbers as keys, and a command's numbers come from JSON: this cannot fail.
        let line = serde_json::to_string(record).unwrap_or_default();
        self.bytes += line.len() + 1;
        line
    }
}

/// The last settings in a file of a journal. `None` where there are none: then those of the file before hold.
pub fn last_settings(file: &str) -> Option<Settings> {
    // Most lines are something else, and a snapshot is large: the beginning tells.
    let lines = file.lines().rev().filter(|line| line.starts_with("{\"settings\":"));
    lines.filter_map(|line| serde_json::from_str(line).ok()).find_map(|record| match record {
        Record::Settings(settings) => Some(settings),
        Record::Snapshot { .. } | Record::Event { .. } | Record::Status { .. } | Record::Answered { .. } => None,
    })
}

/// Every command that a file of a journal knows of, oldest first. `None`: it is no journal, and the file before holds.
///
/// Most of them stand in its first line, the snapshot. That is looked into and not read as a director, because another
/// version of the box may have written it.
pub fn seen_commands(file: &str) -> Option<Vec<SeenCommand>> {
    let mut seen = Vec::new();
    let mut places: BTreeMap<CommandId, usize> = BTreeMap::new();
    let mut snapshots = 0;
    for line in file.lines() {
        if line.starts_with("{\"snapshot\":") {
            let Ok(snapshot) = serde_json::from_str::<Value>(line) else { continue };
            snapshots += 1;
            for command in in_snapshot(&snapshot) {
                places.entry(command.id.clone()).or_insert_with(|| {
                    seen.push(command);
                    seen.len() - 1
                });
            }
        } else if line.starts_with("{\"event\":") && line.contains("\"commanded") {
            let Ok(Record::Event { event: Event::Commanded(envelope) | Event::CommandedLate { envelope, .. }, .. }) =
                serde_json::from_str(line)
            else {
                continue;
            };
            let Envelope { id, command, .. } = envelope;
            places.entry(id.clone()).or_insert_with(|| {
                seen.push(SeenCommand { id, body: fingerprint(&command), answer: None });
                seen.len() - 1
            });
        } else if line.starts_with("{\"answered\":")
            && let Ok(Record::Answered { id, answer }) = serde_json::from_str(line)
            && let Some(command) = places.get(&id).and_then(|place| seen.get_mut(*place))
        {
            command.answer = Some(answer);
        }
    }
    (snapshots > 0).then_some(seen)
}

fn in_snapshot(snapshot: &Value) -> Vec<SeenCommand> {
    let seen = snapshot.pointer("/snapshot/director/answers/seen").and_then(Value::as_array);
    seen.into_iter().flatten().filter_map(|seen| SeenCommand::deserialize(seen).ok()).collect()
}

/// What is wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("line {line}: not a journal line: {why}")]
    Unreadable { line: usize, why: String },
    #[error("line {line}: a journal begins with a snapshot")]
    NoSnapshot { line: usize },
    #[error("line {line}: the status is another one than was recorded (recorded {recorded}, replayed {replayed})")]
    Differs { line: usize, recorded: String, replayed: String },
}

/// Runs a journal through the director again: yields the status at the start and each time it changes.
///
/// Lines are those of one file, or of several in order. A last line that was cut off by a crash ends the replay
/// without an error. With `verify` each recorded fingerprint is compared.
pub fn replay<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    verify: bool,
) -> impl Iterator<Item = Result<(Mono, Status), ReplayError>> {
    Replay { lines: lines.into_iter().enumerate().peekable(), director: None, status: None, verify, over: false }
}

struct Replay<I: Iterator> {
    lines: std::iter::Peekable<std::iter::Enumerate<I>>,
    director: Option<Box<Director>>,
    status: Option<Status>,
    verify: bool,
    over: bool,
}

impl<'a, I: Iterator<Item = &'a str>> Replay<I> {
    /// The status, when this line changed it.
    fn step(&mut self, line: usize, text: &str) -> Result<Option<(Mono, Status)>, ReplayError> {
        let record: Record = match serde_json::from_str(text) {
            Ok(record) => record,
            Err(_) if self.lines.peek().is_none() => {
                self.over = true;
                return Ok(None);
            }
            Err(error) => return Err(ReplayError::Unreadable { line, why: error.to_string() }),
        };
        let at = match record {
            Record::Snapshot { at, director } => {
                self.director = Some(director);
                at
            }
            Record::Event { at, event } => {
                let director = self.director.as_mut().ok_or(ReplayError::NoSnapshot { line })?;
                director.handle(at, event);
                while director.poll_effect().is_some() {}
                at
            }
            Record::Status { hash: recorded, .. } => {
                let replayed = self.status.as_ref().map(hash).map(|hash| format!("{hash:016x}")).unwrap_or_default();
                if self.verify && replayed != recorded {
                    return Err(ReplayError::Differs { line, recorded, replayed });
                }
                return Ok(None);
            }
            Record::Settings(_) | Record::Answered { .. } => return Ok(None),
        };
        let status = self.director.as_ref().map(|director| director.status());
        if status == self.status {
            return Ok(None);
        }
        self.status.clone_from(&status);
        Ok(status.map(|status| (at, status)))
    }
}

impl<'a, I: Iterator<Item = &'a str>> Iterator for Replay<I> {
    type Item = Result<(Mono, Status), ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            let (index, text) = self.lines.next()?;
            if text.trim().is_empty() {
                continue;
            }
            let result = self.step(index + 1, text);
            self.over |= result.is_err();
            if let Some(item) = result.transpose() {
                return Some(item);
            }
        }
        None
    }
}

/// Fingerprint of a status.
fn hash(status: &Status) -> u64 {
    fnv1a(serde_json::to_string(status).unwrap_or_default().as_bytes())
}
