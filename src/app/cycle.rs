//! The loop itself.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cuebox_core::command::{Answer, Origin};
use cuebox_core::config::patch::Patch;
use cuebox_core::crashes::mark_of;
use cuebox_core::director::{Director, Effect, Event, Fact, Job, Report, VaultFact, VaultOp, Wanted};
use cuebox_core::document::Snapshot;
use cuebox_core::ids::{CommandId, Epoch, Ticket};
use cuebox_core::status::Status;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::banner::{self, Banner};
use super::journal::Keeper;
use super::wiring::{Surfaces, now};
use super::{Change, Ended, Reload, RunError, fault};
use crate::media::Media;
use crate::supervise::crash::{CrashRecord, busy_with};
use crate::supervise::service::ServiceManager;
use crate::vault::VaultHandle;

/// How often the sampled numbers are shown anew.
const GAUGES: Duration = Duration::from_millis(500);
/// Everything is sealed within five seconds of a stop; this is what the director gets of them.
const STOP_LIMIT: Duration = Duration::from_millis(4_000);

pub struct Cycle {
    pub director: Director,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub sender: mpsc::UnboundedSender<Event>,
    pub media: Arc<Media>,
    pub vault: VaultHandle,
    pub journal: Keeper,
    pub surfaces: Surfaces,
    pub snapshots: watch::Sender<Snapshot>,
    pub banner: Banner,
    pub reload: Reload,
    pub change: Change,
    pub service: ServiceManager,
    pub faults: bool,
    /// The goal that the graph was given last.
    pub given: Option<Epoch>,
    pub shown: Arc<Status>,
    /// As the vault told it last.
    pub free_bytes: u64,
    pub ending: Option<Ended>,
    pub order: Order,
    pub crashes: CrashRecord,
}

/// A command that wrote into the timeline is durable when the timeline is, then the journal. What comes after it waits
/// its turn, because a ticket of the journal stands for all before.
#[derive(Default)]
pub struct Order {
    /// The running step has written into the timeline.
    noted: bool,
    /// Tickets that the vault has, and the journal gets next.
    first: BTreeSet<Ticket>,
}

/// The mark of what an event is about, should its handling end the process.
fn subject(event: &Event) -> String {
    if let Event::Media { job, .. } = event { mark_of(job) } else { "loop".to_owned() }
}

enum Woken {
    Event(Event),
    Deadline,
    Gauges,
    Stop,
    ConsoleBroke(String),
}

impl Cycle {
    /// Runs until the box is told to end, or until the director breaks: then the journal is made durable, and that is
    /// all that is left to do.
    pub async fn run(mut self) -> Result<Ended, RunError> {
        match self.turn().await {
            Ok(ended) => {
                self.finish().await;
                Ok(ended)
            }
            Err(error) => {
                if matches!(error, RunError::Director { .. }) {
                    self.crashes.broke();
                }
                self.journal.stop(STOP_LIMIT);
                Err(error)
            }
        }
    }

    async fn turn(&mut self) -> Result<Ended, RunError> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Runtime)?;
        let mut gauges = tokio::time::interval(GAUGES);
        gauges.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut last_chance = None;
        loop {
            // Also woken by the gauges' clock, so that a box where nothing happens is not taken for dead.
            self.service.alive(now());
            match self.woken(&mut gauges, &mut interrupt, &mut terminate).await {
                Woken::Event(event) => self.step(event)?,
                Woken::Deadline => self.step(Event::DeadlineReached)?,
                Woken::Gauges => self.show_gauges(),
                Woken::Stop => self.end(Ended::Stopped)?,
                Woken::ConsoleBroke(why) => self.restart_console(&why).await?,
            }
            if let Some(ended) = self.ending {
                let limit = *last_chance.get_or_insert_with(|| now() + STOP_LIMIT);
                if self.director.quiesced() || now() >= limit {
                    return Ok(ended);
                }
            }
        }
    }

    async fn woken(
        &mut self,
        gauges: &mut tokio::time::Interval,
        interrupt: &mut Signal,
        terminate: &mut Signal,
    ) -> Woken {
        let deadline = self.director.poll_deadline().map(|(at, _)| at);
        let wait = deadline.map_or(Duration::from_secs(3600), |at| at.since(now()));
        tokio::select! {
            biased;
            event = self.events.recv() => event.map_or(Woken::Stop, Woken::Event),
            () = tokio::time::sleep(wait), if deadline.is_some() => Woken::Deadline,
            _ = interrupt.recv() => Woken::Stop,
            _ = terminate.recv() => Woken::Stop,
            why = self.surfaces.broken() => Woken::ConsoleBroke(why),
            _ = gauges.tick() => Woken::Gauges,
        }
    }

    /// One event, and everything that follows from it.
    fn step(&mut self, event: Event) -> Result<(), RunError> {
        let at = now();
        if let Event::Vault(VaultFact::Space { free_bytes, .. }) = &event {
            self.free_bytes = *free_bytes;
        }
        if let Event::Vault(VaultFact::Persisted { ticket } | VaultFact::PersistFailed { ticket, .. }) = &event
            && self.order.first.remove(ticket)
            && matches!(&event, Event::Vault(VaultFact::Persisted { .. }))
        {
            self.journal.persist(*ticket);
            return Ok(());
        }
        self.order.noted = false;
        if let Event::Media { job: Job::Program, fact: Fact::FirstBuffer, .. } = &event {
            tracing::info!("first frame of the program");
            self.service.ready();
        }
        busy_with(&subject(&event));
        self.journal.before(at, &event);
        let director = &mut self.director;
        let faults = self.faults;
        let handled = std::panic::catch_unwind(AssertUnwindSafe(|| {
            if faults {
                fault::inject(&event);
            }
            director.handle(at, event);
        }));
        if handled.is_err() {
            return Err(RunError::Director { journal: self.journal.folder().to_owned() });
        }
        self.journal.after(at, &self.director);
        while let Some(effect) = self.director.poll_effect() {
            self.carry_out(effect)?;
        }
        // Most events are counters that change nothing.
        if self.given.is_none() || self.director.noticed() {
            self.give_goal();
            self.show_status(at);
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), RunError> {
        match effect {
            Effect::Answer { id, origin, answer } => self.answer(&id, origin, answer),
            Effect::Persist { ticket } => self.persist(ticket),
            Effect::Vault(op) => self.keep(op),
            Effect::Snapshot { slot } => self.media.take_snapshot(slot),
            Effect::Reload => self.load_again(),
            Effect::Patch { id, patch, check } => self.change_config(id, patch, check),
            Effect::Report { id, origin, what } => self.report(id, origin, what),
            Effect::Restart => self.end(Ended::Restart)?,
        }
        Ok(())
    }

    /// As [`Cycle::load_again`].
    fn change_config(&self, id: CommandId, patch: Patch, check: bool) {
        let (change, sender) = (self.change.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let event = match change(&patch, check) {
                Ok(config) => Event::ConfigPatched { id, config: Box::new(config), check },
                Err(why) => Event::PatchRejected { id, why },
            };
            let _ = sender.send(event);
        });
    }

    /// What is asked for takes as long as disks and devices take: not on the loop.
    fn report(&self, id: CommandId, origin: Origin, what: Report) {
        let answerer = self.surfaces.answerer(origin);
        let config = self.director.config().clone();
        tokio::task::spawn_blocking(move || {
            let report = match what {
                Report::Journal { lines } => super::journal::tail(Path::new(&config.data_dir), lines),
                Report::Doctor => super::doctor::report(&config),
            };
            answerer(&id, Answer::Report { report });
        });
    }

    fn answer(&self, id: &CommandId, origin: Origin, answer: Answer) {
        match origin {
            Origin::Local | Origin::Http | Origin::Mqtt => self.surfaces.answerer(origin)(id, answer),
            // Whoever pressed a key sees on the lamps what came of it.
            Origin::Panel => match answer {
                Answer::Done | Answer::Report { .. } => tracing::debug!(%id, "a key was pressed"),
                Answer::Refused { why } | Answer::Conflict { why } => tracing::info!(%id, "a key was refused: {why}"),
                Answer::Duplicate { .. } => tracing::error!(%id, "a key's command was sent twice"),
            },
        }
    }

    fn persist(&mut self, ticket: Ticket) {
        if self.order.noted || !self.order.first.is_empty() {
            self.order.first.insert(ticket);
            self.vault.persist(ticket);
        } else {
            self.journal.persist(ticket);
        }
    }

    fn keep(&mut self, op: VaultOp) {
        if let VaultOp::OpenShow(show) = &op {
            self.banner.show_opened(show);
        }
        self.order.noted |= matches!(op, VaultOp::Timeline { .. });
        self.vault.submit(op);
    }

    /// Reading a file and the secrets it names may take long: not on the loop.
    fn load_again(&self) {
        let (reload, sender) = (self.reload.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let event = match reload() {
                Ok(config) => Event::ConfigLoaded(Box::new(config)),
                Err(why) => Event::ConfigRejected { why },
            };
            let _ = sender.send(event);
        });
    }

    fn give_goal(&mut self) {
        let wanted: &Wanted = self.director.wanted();
        if self.given != Some(wanted.epoch) {
            self.given = Some(wanted.epoch);
            self.media.want(Arc::new(wanted.clone()));
        }
    }

    fn show_status(&mut self, at: cuebox_core::time::Mono) {
        let status = self.director.status();
        if *self.shown != status {
            self.shown = Arc::new(status);
            self.banner.status(at, &self.shown);
            self.service.status(banner::line(&self.shown));
            let status = self.shown.clone();
            self.snapshots.send_modify(|snapshot| snapshot.status = status);
        }
    }

    fn show_gauges(&mut self) {
        self.crashes.goes_on(now());
        let mut gauges = self.media.gauges();
        gauges.free_bytes = self.free_bytes;
        gauges.panels = self.surfaces.panels.gauges();
        self.snapshots.send_modify(|snapshot| snapshot.gauges = Arc::new(gauges));
    }

    fn end(&mut self, how: Ended) -> Result<(), RunError> {
        if self.ending.is_none() {
            tracing::info!("ending: recordings are being sealed");
            self.service.stopping();
            self.ending = Some(how);
            self.step(Event::ShutdownRequested)?;
        }
        Ok(())
    }

    async fn restart_console(&mut self, why: &str) -> Result<(), RunError> {
        tracing::error!("the console broke and is started again: {why}");
        fault::mend();
        self.surfaces.restart().await?;
        self.step(Event::ShellRestarted { shell: "console".to_owned() })
    }

    /// After the director has nothing left to wait for.
    async fn finish(self) {
        let Self { media, vault, journal, surfaces, banner, mut events, crashes, .. } = self;
        surfaces.shutdown().await;
        let stopped = tokio::task::spawn_blocking(move || {
            if let Ok(media) = Arc::try_unwrap(media) {
                media.shut_down();
            }
            vault.stop(Duration::from_secs(1));
            journal.stop(Duration::from_millis(500));
        });
        let _ = stopped.await;
        drop(crashes);
        banner.ended();
        while let Ok(event) = events.try_recv() {
            if let Event::Vault(VaultFact::PersistFailed { why, .. }) = event {
                tracing::warn!("the journal is not complete: {why}");
            }
        }
    }
}
