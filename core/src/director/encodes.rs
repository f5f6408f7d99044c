//! Which encodes run. The plan says what each may use; this says which of them are needed now and keeps them alive.
//!
//! The plan is made for all that the configuration may ask for, not for what runs at the moment: so a camera that
//! comes later never changes the size or rate of an encode that is running.
//!
//! | state of an encode | then |
//! |---|---|
//! | (none) | needed and granted → Running |
//! | Running | not needed → (none); another grant → Running with a new epoch; error, or no frame for 5 s → Cooling |
//! | Cooling | not needed → (none); after its wait → Running with a new epoch |
//!
//! An encode whose source puts out nothing is not to blame; that is the source's machine's business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Config, LegConfig, LegTarget, LivekitTarget, Publish};
use crate::device::{BrokenEncoder, Encoder, Encoders};
use crate::encode_plan::{Grant, Plan, RateControl, Wishes, plan};
use crate::ids::{Epoch, SlotId};
use crate::job::EncodeJob;
use crate::overload::Level;
use crate::picture_size::PictureSize;
use crate::rate::Limits;
use crate::status::{EncodeStatus, Severity};
use crate::time::Mono;

use super::backoff::{Backoff, Pace};
use super::context::{Context, Silence};
use super::event::Fact;
use super::rates::Rates;
use super::timers::Reason;
use super::uplink::Road;
use super::wanted::Encode;

/// From starting an encoder to its first frame.
pub(super) const OPENS: Duration = Duration::from_secs(10);
/// An encoder puts out a frame for each that it is given; none for this long means that it hangs.
const STALLS: Duration = Duration::from_secs(5);
/// A small picture beside the program needs no more pictures a second than this; of more, every other one is taken.
const SLOT_STREAM_FPS: u32 = 30;
const FORGIVES: Duration = Duration::from_secs(60);
const PACE: Pace = Pace::ms(500, 10_000);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Encodes {
    encoders: Option<Encoders>,
    planned: Option<Wishes>,
    plan: Plan,
    jobs: BTreeMap<EncodeJob, Work>,
    rates: Rates,
    /// The box crashed in an encoder of the board's: none of them is used.
    #[serde(default)]
    software_only: bool,
    /// What is given up of the slots, because the machine does not keep up.
    #[serde(default)]
    given_up: Level,
    /// Slots that are not encoded at all because of it.
    #[serde(default)]
    shed: Vec<SlotId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Work {
    epoch: Epoch,
    grant: Grant,
    state: State,
    backoff: Backoff,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Running { since: Mono, progressed: Option<Mono> },
    Cooling,
}

impl Encodes {
    /// No hardware encoder is used from here on.
    pub const fn bar_hardware(&mut self) {
        self.software_only = true;
    }

    pub fn probed(&mut self, mut encoders: Encoders) {
        if self.software_only {
            let (barred, working) = encoders.working.into_iter().partition(|encoder| encoder.hardware);
            encoders.working = working;
            let why = "left out, because the box crashed in a hardware encoder; a restart tries it again";
            let broken = |encoder: Encoder| BrokenEncoder { element: encoder.element, why: why.to_owned() };
            encoders.broken.extend(Vec::into_iter(barred).map(broken));
        }
        self.encoders = Some(encoders);
        self.planned = None;
    }

    pub fn encoders(&self) -> Encoders {
        self.encoders.clone().unwrap_or_default()
    }

    /// The encode that gives `job` its frames, with its epoch, when it runs.
    pub fn source(&self, job: EncodeJob) -> Option<(EncodeJob, Epoch)> {
        let from = self.shared(job);
        self.jobs.get(&from).filter(|work| work.is_running()).map(|work| (from, work.epoch))
    }

    /// Whether frames have come out of the encode that `job` uses.
    pub fn is_warm(&self, job: EncodeJob) -> bool {
        let work = self.jobs.get(&self.shared(job));
        work.is_some_and(|work| matches!(work.state, State::Running { progressed: Some(_), .. }))
    }

    pub fn is_current(&self, job: EncodeJob, epoch: Epoch) -> bool {
        self.jobs.get(&job).is_some_and(|work| work.epoch == epoch && work.is_running())
    }

    /// The encode has run for long enough to be judged by its lag: all that came while it started is worked off.
    pub fn has_settled(&self, context: &Context, job: EncodeJob) -> bool {
        let since = self.jobs.get(&job).and_then(|work| match work.state {
            State::Running { since, progressed: Some(_) } => Some(since),
            State::Running { progressed: None, .. } | State::Cooling => None,
        });
        since.is_some_and(|since| context.now.since(since) >= OPENS)
    }

    /// So much is given up, because the machine does not keep up. Which encodes are needed is told apart from it.
    pub fn give_up(&mut self, level: Level, slots: &[SlotId]) {
        self.given_up = level;
        self.shed = slots.to_vec();
    }

    /// Slots with an encode that is needed.
    pub fn slots(&self) -> impl Iterator<Item = SlotId> {
        self.jobs.keys().filter_map(|job| slot_of(*job))
    }

    /// Every other picture of the slots is left out.
    fn halves_slots(&self) -> bool {
        self.given_up >= Level::SlotRates
    }

    /// Makes the running encodes fit to what is needed.
    pub fn follow(&mut self, context: &mut Context, config: &Config, needed: &BTreeSet<EncodeJob>) {
        self.make_plan(context, config);
        let needed: BTreeSet<EncodeJob> = needed.iter().map(|job| self.shared(*job)).collect();
        let idle: Vec<EncodeJob> = self.jobs.keys().filter(|job| !needed.contains(job)).copied().collect();
        for job in idle {
            self.drop_job(context, job);
        }
        for job in needed {
            let Some(grant) = self.plan.grants.get(&job) else {
                self.drop_job(context, job);
                continue;
            };
            match self.jobs.get_mut(&job) {
                Some(work) if work.grant == *grant => {}
                Some(work) => {
                    work.grant = grant.clone();
                    work.start(context, job);
                }
                None => {
                    let mut work = Work {
                        epoch: Epoch::default(),
                        grant: grant.clone(),
                        state: State::Cooling,
                        backoff: Backoff::default(),
                    };
                    work.start(context, job);
                    self.jobs.insert(job, work);
                }
            }
        }
    }

    /// Fits the adaptive encodes to what the legs can carry; `slots`: how many are to be published beside the program.
    pub fn rate(&mut self, context: &mut Context, road: Road, slots: usize) {
        let shared = self.plan.shared.values().any(|from| *from == EncodeJob::Stream);
        let limits = self.jobs.get(&EncodeJob::Stream).and_then(|work| match work.grant.control {
            RateControl::Stream { min_bps, max_bps } => {
                Some(Limits { min_bps, max_bps, full: work.grant.picture(), resizable: !shared })
            }
            RateControl::Steady { .. } => None,
        });
        self.rates.follow(context, limits, road, slots);
    }

    /// Slots that may be published: the plan grants their encodes.
    pub fn grants_slot(&self, slot: SlotId) -> bool {
        self.plan.grants.contains_key(&EncodeJob::SlotStream(slot))
    }

    /// The network is too small for the slots beside the program.
    pub const fn slots_are_shed(&self) -> bool {
        self.rates.slots_are_shed()
    }

    /// Bits per second of the stream's picture, while there is one.
    pub fn stream_bps(&self) -> Option<u64> {
        self.rates.stream().map(|(bps, _)| bps)
    }

    pub fn fact(&mut self, context: &mut Context, job: EncodeJob, fact: &Fact) {
        let Some(work) = self.jobs.get_mut(&job) else { return };
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other facts belong to other jobs")]
        match fact {
            Fact::FirstBuffer => {
                self.progressed(context, job);
            }
            Fact::Failed { detail, .. } => work.fail(context, job, detail),
            Fact::Ended => work.fail(context, job, "it ended"),
            _ => {}
        }
    }

    /// True when anything but a counter changed.
    pub fn progressed(&mut self, context: &mut Context, job: EncodeJob) -> bool {
        let Some(Work { state: State::Running { progressed, .. }, .. }) = self.jobs.get_mut(&job) else { return false };
        context.start_timer(Reason::EncodeStalls(job), STALLS);
        let first = progressed.replace(context.now).is_none();
        if first {
            context.alerts.clear("encode_failed", &job.to_string());
        }
        first
    }

    /// `fed`: since when its source puts out frames, if it does.
    pub fn stall_timer(&mut self, context: &mut Context, job: EncodeJob, fed: Option<Mono>) {
        let Some(work) = self.jobs.get_mut(&job) else { return };
        let State::Running { since, progressed } = work.state else { return };
        let (last, limit) = progressed.map_or((since, OPENS), |at| (at, STALLS));
        let Some(fed) = fed else { return context.start_timer(Reason::EncodeStalls(job), limit) };
        match context.silent(last.max(fed), limit) {
            Silence::NotYet(again) => context.timers.set(Reason::EncodeStalls(job), again),
            Silence::Yes => work.fail(context, job, "it puts out nothing"),
        }
    }

    pub fn retry_timer(&mut self, context: &mut Context, job: EncodeJob) {
        if let Some(work) = self.jobs.get_mut(&job) {
            work.start(context, job);
        }
    }

    pub fn wish(&self) -> BTreeMap<EncodeJob, Encode> {
        let wish = |job: EncodeJob, work: &Work| {
            let (bitrate_bps, picture) = self.moment(job, &work.grant);
            let halved = self.halves_slots() && matches!(job, EncodeJob::Slot(_));
            Encode { epoch: work.epoch, grant: work.grant.clone(), bitrate_bps, picture, halved }
        };
        self.jobs.iter().filter(|(_, work)| work.is_running()).map(|(job, work)| (*job, wish(*job, work))).collect()
    }

    pub fn status(&self) -> Vec<EncodeStatus> {
        let granted = |job: EncodeJob, from: EncodeJob, grant: &Grant, why| {
            let PictureSize { width, height, fps } = self.moment(from, grant).1;
            EncodeStatus { job: job.to_string(), element: Some(grant.element.clone()), width, height, fps, why }
        };
        let own = self.jobs.iter().map(|(job, work)| {
            let smaller = *job == EncodeJob::Stream && self.moment(*job, &work.grant).1 != work.grant.picture();
            let why = match work.state {
                State::Cooling => Some("failed, is tried again".to_owned()),
                State::Running { .. } if smaller => Some("smaller, as the network carries no more".to_owned()),
                State::Running { .. } if self.halves_slots() && is_slot(*job) => {
                    Some("every other picture only, as the machine does not keep up".to_owned())
                }
                State::Running { .. } => None,
            };
            granted(*job, *job, &work.grant, why)
        });
        let shared = self.plan.shared.iter().filter_map(|(job, from)| {
            let work = self.jobs.get(from)?;
            Some(granted(*job, *from, &work.grant, Some(format!("shares the encode of {from}"))))
        });
        let without = |job: EncodeJob, why: &str| EncodeStatus {
            job: job.to_string(),
            element: None,
            width: 0,
            height: 0,
            fps: 0,
            why: Some(why.to_owned()),
        };
        let shed =
            self.plan.grants.keys().filter(|job| {
                slot_of(**job).is_some_and(|slot| self.shed.contains(&slot)) && !self.jobs.contains_key(job)
            });
        let shed = shed.map(|job| without(*job, "given up, as the machine does not keep up"));
        let refused = self.plan.refused.iter().map(|(job, why)| without(*job, why));
        own.chain(shared).chain(shed).chain(refused).collect()
    }

    pub fn check(&self, context: &Context) {
        for (job, work) in &self.jobs {
            assert!(self.plan.grants.get(job) == Some(&work.grant), "{job} runs as it was granted");
            let waits = context.timers.is_set(&Reason::EncodeRetries(*job));
            assert_eq!(waits, !work.is_running(), "a failed encode is tried again: {job}");
            let watched = context.timers.is_set(&Reason::EncodeStalls(*job));
            assert_eq!(watched, work.is_running(), "a running encode is watched: {job}");
        }
    }

    /// Bits per second and picture of the moment.
    fn moment(&self, job: EncodeJob, grant: &Grant) -> (u64, PictureSize) {
        match (job, grant.control, self.rates.stream()) {
            (EncodeJob::Stream, _, Some(moment)) => moment,
            (EncodeJob::SlotStream(_), RateControl::Stream { min_bps, max_bps }, _) => {
                let fps = if grant.fps > SLOT_STREAM_FPS { grant.fps / 2 } else { grant.fps };
                let fps = if self.halves_slots() { fps.div_ceil(2) } else { fps };
                (self.rates.slot_bps().clamp(min_bps, max_bps), PictureSize { fps, ..grant.picture() })
            }
            (_, RateControl::Stream { max_bps, .. }, _) => (max_bps, grant.picture()),
            (_, RateControl::Steady { average_bps }, _) => (average_bps, grant.picture()),
        }
    }

    fn drop_job(&mut self, context: &mut Context, job: EncodeJob) {
        self.jobs.remove(&job);
        context.timers.stop(&Reason::EncodeStalls(job));
        context.timers.stop(&Reason::EncodeRetries(job));
        context.alerts.clear("encode_failed", &job.to_string());
    }

    fn shared(&self, job: EncodeJob) -> EncodeJob {
        self.plan.shared.get(&job).copied().unwrap_or(job)
    }

    fn make_plan(&mut self, context: &mut Context, config: &Config) {
        let Some(encoders) = &self.encoders else { return };
        let program = &config.program;
        let slots: BTreeSet<SlotId> = config.slots.keys().copied().filter(|_| config.record.slots).collect();
        let published = config.slots.keys().copied().filter(|_| config.legs.iter().any(publishes_slots));
        let wishes = Wishes {
            width: program.width,
            height: program.height,
            fps: program.fps,
            video_bitrate_bps: program.video_bitrate_bps,
            min_video_bitrate_bps: program.min_video_bitrate_bps,
            stream: !config.legs.is_empty(),
            program_record: config.record.program,
            slots,
            slot_streams: published.collect(),
        };
        if self.planned.as_ref() == Some(&wishes) {
            return;
        }
        self.plan = plan(encoders, &wishes);
        self.planned = Some(wishes);
        let refused = self.plan.refused.iter().map(|(job, why)| format!("{job} is not encoded: {why}"));
        let text = refused.chain(self.plan.notes.iter().cloned()).collect::<Vec<_>>().join("; ");
        if text.is_empty() {
            context.alerts.clear("encode_plan", "");
        } else {
            context.alerts.raise(context.now, "encode_plan", "", Severity::Warning, text);
        }
    }
}

/// The slot that is encoded; `None`: the program is.
const fn slot_of(job: EncodeJob) -> Option<SlotId> {
    match job {
        EncodeJob::Slot(slot) | EncodeJob::SlotStream(slot) => Some(slot),
        EncodeJob::Stream | EncodeJob::ProgramRecord => None,
    }
}

/// Of a slot, and not of the program.
pub(super) const fn is_slot(job: EncodeJob) -> bool {
    slot_of(job).is_some()
}

/// Whether the leg takes the slots beside the program.
pub(super) const fn publishes_slots(leg: &LegConfig) -> bool {
    matches!(leg.target, LegTarget::Livekit(LivekitTarget { publish: Publish::ProgramAndSlots, .. }))
}

impl Work {
    const fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    fn start(&mut self, context: &mut Context, job: EncodeJob) {
        self.epoch = context.new_epoch();
        self.state = State::Running { since: context.now, progressed: None };
        context.timers.stop(&Reason::EncodeRetries(job));
        context.start_timer(Reason::EncodeStalls(job), OPENS);
    }

    fn fail(&mut self, context: &mut Context, job: EncodeJob, why: &str) {
        let State::Running { since, .. } = self.state else { return };
        context.timers.stop(&Reason::EncodeStalls(job));
        if context.now.since(since) >= FORGIVES {
            self.backoff.reset();
        }
        self.state = State::Cooling;
        let text = format!("the encoder {} for {job} failed: {why}", self.grant.element);
        context.alerts.raise(context.now, "encode_failed", &job.to_string(), Severity::Error, text);
        context.start_retry(Reason::EncodeRetries(job), &mut self.backoff, PACE);
    }
}
