//! What parts share with the graph, and what they tell through it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::credentials::CredentialSource;
use cuebox_core::director::{Event, Fact, Job};
use cuebox_core::ids::{Epoch, SlotId};
use cuebox_core::status::Gauges;
use tokio::sync::mpsc::UnboundedSender;

use super::{links, timing};

/// What every part of the graph shares.
#[derive(Clone)]
pub struct Context {
    pub timing: timing::Timing,
    pub format: timing::ShowFormat,
    pub links: links::Links,
    pub gauges: Arc<Mutex<Gauges>>,
    /// Folder that segment paths are relative to.
    pub data_dir: Arc<PathBuf>,
    /// What lets legs in.
    pub credentials: Arc<dyn CredentialSource>,
    pub(crate) events: UnboundedSender<Event>,
}

impl Context {
    pub fn new(
        format: timing::ShowFormat,
        data_dir: PathBuf,
        credentials: Arc<dyn CredentialSource>,
        events: UnboundedSender<Event>,
    ) -> Self {
        Self {
            timing: timing::Timing::new(),
            format,
            links: links::Links::default(),
            gauges: Arc::default(),
            data_dir: Arc::new(data_dir),
            credentials,
            events,
        }
    }

    /// Changes the gauges; a poisoned lock still holds valid numbers.
    pub fn gauge(&self, change: impl FnOnce(&mut Gauges)) {
        change(&mut self.gauges.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn reporter(&self, job: Job, epoch: Epoch) -> Reporter {
        Reporter { job, epoch, progress: Arc::default(), events: self.events.clone() }
    }

    pub fn slot_gauge(&self, slot: SlotId, change: impl FnOnce(&mut cuebox_core::status::SlotGauges)) {
        self.gauge(|gauges| change(gauges.slots.entry(slot).or_default()));
    }
}

/// Tells the director facts of one job's epoch, and counts its progress.
#[derive(Clone)]
pub struct Reporter {
    job: Job,
    epoch: Epoch,
    progress: Arc<std::sync::atomic::AtomicU64>,
    events: UnboundedSender<Event>,
}

impl Reporter {
    pub fn fact(&self, fact: Fact) {
        // The loop is gone only when the process ends.
        let _ = self.events.send(Event::Media { job: self.job.clone(), epoch: self.epoch, fact });
    }

    /// Counts buffers or bytes that went through; sampled by the graph. Returns the total before.
    pub fn progress(&self, count: u64) -> u64 {
        self.progress.fetch_add(count, std::sync::atomic::Ordering::Relaxed)
    }

    pub fn total(&self) -> u64 {
        self.progress.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub fn job(&self) -> &Job {
        &self.job
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}
