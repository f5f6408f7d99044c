//! The media graph: the only importer of GStreamer.
//!
//! One failure domain, one pipeline: every capture, every sound card, the program, every encode, every recording and
//! every leg is a pipeline of its own with an actor of its own. They are joined by [`links`] on one clock and one
//! base time ([`timing`]), so that a PTS means the same instant everywhere.
//!
//! | module | what it does |
//! |---|---|
//! | [`graph`] | owner thread: compares wanted with real, executes the difference |
//! | [`plan`] | that comparison, pure |
//! | [`actor`] | one thread per pipeline: builds it, plays it, hears its bus, ends it within a deadline |
//! | [`names`] | which part a thread works for |
//! | [`priority`] | which parts' threads wait when the processor is too small |
//! | [`memory`] | what ended pipelines leave |
//! | [`links`] | named meeting places of pipelines: who produces, who consumes, what was dropped |
//! | [`lag`] | how far behind encodes and mixer are |
//! | [`repeats`] | which frames stand for a lost picture |
//! | [`ticker`] | calls back on each frame of the show's grid |
//! | [`bus`] | GStreamer errors → error classes |
//!
//! Media decides nothing: it knows [`Wanted`] and answers with facts. Callbacks on streaming threads only translate
//! and send; no state of a pipeline is changed from one.
//!
//! Lock order: `links` before any GStreamer object lock; no lock of ours is held while a pipeline changes its state.

pub mod actor;
pub mod bus;
pub mod capture;
pub mod encode;
pub mod graph;
mod lag;
pub mod links;
pub mod memory;
mod names;
pub mod picture;
pub mod plan;
pub mod preview;
mod priority;
pub mod program;
pub mod publish;
pub mod record;
pub mod repeats;
pub mod requirements;
#[cfg(test)]
pub(crate) mod testkit;
pub mod ticker;
pub mod timing;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::credentials::CredentialSource;
use cuebox_core::director::{Event, Fact, Job};
use cuebox_core::ids::{Epoch, SlotId};
use cuebox_core::status::Gauges;
use tokio::sync::mpsc::UnboundedSender;

pub use graph::Media;

/// Something of GStreamer's that is needed and is not there, or cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("GStreamer does not start: {0}")]
    Init(#[from] gst::glib::Error),
    #[error("GStreamer element `{element}` ({purpose}) is missing: install the Debian package {package}")]
    MissingElement { element: &'static str, purpose: &'static str, package: &'static str },
    #[error("the media graph's thread does not start: {0}")]
    Thread(#[from] std::io::Error),
}

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
