//! The graph's owner: one thread that keeps what runs equal to what is wanted. It never touches a pipeline; actors do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use cuebox_core::credentials::CredentialSource;
use cuebox_core::director::{ErrorClass, Event, Fact, Job, Progress, Wanted};
use cuebox_core::ids::{Epoch, SlotId};
use cuebox_core::status::Gauges;
use tokio::sync::mpsc::UnboundedSender;

use super::actor::{Actor, Ended};
use super::context::Context;
use super::links::Links;
use super::plan::{self, Real, Step, Wish};
use super::preview::Preview;
use super::requirements::MediaError;
use super::timing::{ShowFormat, Timing};

/// How often counters are sampled: a fifth of the shortest deadline that is judged by them (250 ms).
const SAMPLE: Duration = Duration::from_millis(50);
/// A recording may take this long to seal its last segment; five seconds are promised for all of a stop.
const SEAL_LIMIT: Duration = Duration::from_millis(4_500);
/// Everything else: a healthy pipeline stops in milliseconds.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// The running media graph.
pub struct Media {
    orders: Sender<Order>,
    context: Context,
    preview: Preview,
    thread: Option<std::thread::JoinHandle<()>>,
}

enum Order {
    Want(Arc<Wanted>),
    Ended(Ended),
    ShutDown,
}

struct Running {
    actor: Actor,
    reported: u64,
}

struct Owner {
    context: Context,
    own: Sender<Order>,
    wanted: Option<Arc<Wanted>>,
    real: BTreeMap<Job, Real>,
    running: BTreeMap<Job, Running>,
    /// Told to stop, with the time when they are abandoned.
    ending: BTreeMap<Job, (Epoch, Instant)>,
    shutting_down: bool,
}

impl Media {
    /// Starts the graph; nothing runs until something is wanted.
    pub fn start(
        format: ShowFormat,
        data_dir: PathBuf,
        credentials: Arc<dyn CredentialSource>,
        events: UnboundedSender<Event>,
    ) -> Result<Self, MediaError> {
        let context = Context::new(format, data_dir, credentials, events);
        let (orders, inbox) = channel();
        let owner = Owner {
            context: context.clone(),
            own: orders.clone(),
            wanted: None,
            real: BTreeMap::new(),
            running: BTreeMap::new(),
            ending: BTreeMap::new(),
            shutting_down: false,
        };
        let thread = std::thread::Builder::new().name("graph".to_owned()).spawn(move || owner.run(&inbox))?;
        let preview = Preview::start(context.links.clone())?;
        Ok(Self { orders, context, preview, thread: Some(thread) })
    }

    pub fn want(&self, wanted: Arc<Wanted>) {
        self.preview.turn(wanted.no_snapshots);
        let _ = self.orders.send(Order::Want(wanted));
    }

    pub fn gauges(&self) -> Gauges {
        let mut gauges = self.context.gauges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        gauges.dropped = self.context.links.dropped();
        gauges
    }

    /// Newest JPEG of a slot, or of the program.
    pub fn snapshot(&self, slot: Option<SlotId>) -> Option<Arc<[u8]>> {
        self.preview.newest(slot)
    }

    /// Takes a picture of the slot now, before the next regular one.
    pub fn take_snapshot(&self, slot: SlotId) {
        self.preview.take(slot);
    }

    pub fn links(&self) -> &Links {
        &self.context.links
    }

    pub fn timing(&self) -> &Timing {
        &self.context.timing
    }

    /// Ends every pipeline, within the limits, and then the graph.
    pub fn shut_down(mut self) {
        let _ = self.orders.send(Order::ShutDown);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Owner {
    fn run(mut self, inbox: &Receiver<Order>) {
        let mut next_sample = Instant::now() + SAMPLE;
        loop {
            match inbox.recv_timeout(next_sample.saturating_duration_since(Instant::now())) {
                Ok(Order::Want(wanted)) => self.wanted = Some(wanted),
                Ok(Order::Ended(ended)) => self.ended(&ended),
                Ok(Order::ShutDown) => self.shutting_down = true,
                Err(RecvTimeoutError::Timeout) => {
                    self.sample();
                    next_sample = Instant::now() + SAMPLE;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.abandon_late();
            if self.shutting_down {
                self.stop_all();
                if self.running.is_empty() && self.ending.is_empty() {
                    return;
                }
            } else {
                self.converge();
            }
        }
    }

    /// Takes every step towards what is wanted that can be taken now.
    fn converge(&mut self) {
        let Some(wanted) = self.wanted.clone() else { return };
        for step in plan::steps(&self.real, &wanted) {
            match step {
                Step::Start(wish) => self.start(wish),
                Step::Update(wish) => self.update(wish),
                Step::Stop(job) => self.stop(&job),
                Step::Forget(job) => {
                    self.real.remove(&job);
                }
            }
        }
    }

    fn start(&mut self, wish: Wish) {
        let (job, epoch) = (wish.job(), wish.epoch());
        let own = self.own.clone();
        let ended = move |ended| {
            let _ = own.send(Order::Ended(ended));
        };
        match Actor::start(&self.context, wish.clone(), ended) {
            Ok(actor) => {
                self.real.insert(job.clone(), Real::Running(wish));
                self.running.insert(job, Running { actor, reported: 0 });
            }
            Err(error) => {
                let fact = Fact::Failed { class: ErrorClass::Internal, detail: format!("no thread: {error}") };
                self.context.reporter(job.clone(), epoch).fact(fact);
                self.real.insert(job, Real::Over(epoch));
            }
        }
    }

    fn update(&mut self, wish: Wish) {
        let job = wish.job();
        if let Some(running) = self.running.get(&job) {
            running.actor.update(wish.clone());
            self.real.insert(job, Real::Running(wish));
        }
    }

    fn stop(&mut self, job: &Job) {
        let Some(running) = self.running.remove(job) else { return };
        running.actor.stop();
        let limit = if matches!(job, Job::Record(_)) { SEAL_LIMIT } else { STOP_LIMIT };
        self.ending.insert(job.clone(), (running.actor.reporter.epoch(), Instant::now() + limit));
        self.real.insert(job.clone(), Real::Ending);
    }

    fn stop_all(&mut self) {
        for job in self.running.keys().cloned().collect::<Vec<_>>() {
            self.stop(&job);
        }
    }

    fn ended(&mut self, ended: &Ended) {
        if self.ending.get(&ended.job).is_some_and(|(epoch, _)| *epoch == ended.epoch) {
            self.ending.remove(&ended.job);
            self.real.insert(ended.job.clone(), Real::Over(ended.epoch));
        } else if self.running.get(&ended.job).is_some_and(|it| it.actor.reporter.epoch() == ended.epoch) {
            self.running.remove(&ended.job);
            self.real.insert(ended.job.clone(), Real::Over(ended.epoch));
        }
    }

    /// A pipeline that does not stop is left to itself, counted, and may be replaced.
    fn abandon_late(&mut self) {
        let now = Instant::now();
        let late: Vec<Job> =
            self.ending.iter().filter(|(_, (_, limit))| *limit <= now).map(|(job, _)| job.clone()).collect();
        for job in late {
            let Some((epoch, _)) = self.ending.remove(&job) else { continue };
            tracing::warn!(?job, "did not stop in time and was abandoned");
            self.context.gauge(|gauges| gauges.abandoned += 1);
            let fact = Fact::Failed { class: ErrorClass::Timeout, detail: "did not stop in time".to_owned() };
            self.context.reporter(job.clone(), epoch).fact(fact);
            self.real.insert(job, Real::Over(epoch));
        }
    }

    fn sample(&mut self) {
        let moved: Vec<Progress> = self
            .running
            .iter_mut()
            .filter_map(|(job, running)| {
                let total = running.actor.reporter.total();
                (total != std::mem::replace(&mut running.reported, total)).then(|| Progress {
                    job: job.clone(),
                    epoch: running.actor.reporter.epoch(),
                    total,
                })
            })
            .collect();
        if !moved.is_empty() {
            let _ = self.context.events.send(Event::Progressed(moved));
        }
    }
}
