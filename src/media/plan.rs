//! Compares what is wanted with what runs and says what to do; pure, so that a table can test it.

use std::collections::BTreeMap;

use cuebox_core::director::{self, Job, Wanted};
use cuebox_core::ids::{Epoch, LegId, SlotId, Track};

/// One job's part of what is wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    Capture(SlotId, director::Capture),
    Sound(SlotId, director::Sound),
    Program(director::Program),
    Encode(director::EncodeJob, director::Encode),
    Record(Track, director::Recording),
    Leg(LegId, Box<director::Leg>),
}

impl Wish {
    pub fn job(&self) -> Job {
        match self {
            Self::Capture(slot, _) => Job::Capture(*slot),
            Self::Sound(slot, _) => Job::Sound(*slot),
            Self::Program(_) => Job::Program,
            Self::Encode(job, _) => Job::Encode(*job),
            Self::Record(track, _) => Job::Record(*track),
            Self::Leg(leg, _) => Job::Leg(leg.clone()),
        }
    }

    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Capture(_, wish) => wish.epoch,
            Self::Sound(_, wish) => wish.epoch,
            Self::Program(wish) => wish.epoch,
            Self::Encode(_, wish) => wish.epoch,
            Self::Record(_, wish) => wish.epoch,
            Self::Leg(_, wish) => wish.epoch,
        }
    }
}

/// What a job is at present.
#[derive(Clone, Debug, PartialEq)]
pub enum Real {
    Running(Wish),
    /// Told to end; its successor waits until it has.
    Ending,
    /// Ended by itself; this epoch is not started again.
    Over(Epoch),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Start(Wish),
    Update(Wish),
    Stop(Job),
    /// Nobody wants the remains of this job any more.
    Forget(Job),
}

/// Steps in the order in which they are to be done: the program first, so that it lets go of an input before that
/// input's pipeline goes; then starts; then stops.
pub fn steps(real: &BTreeMap<Job, Real>, wanted: &Wanted) -> Vec<Step> {
    let wishes: BTreeMap<Job, Wish> = wishes(wanted).map(|wish| (wish.job(), wish)).collect();
    let mut steps: Vec<Step> = wishes.values().filter_map(|wish| towards(real.get(&wish.job()), wish)).collect();
    for (job, state) in real.iter().filter(|(job, _)| !wishes.contains_key(job)) {
        match state {
            Real::Running(_) => steps.push(Step::Stop(job.clone())),
            Real::Ending => {}
            Real::Over(_) => steps.push(Step::Forget(job.clone())),
        }
    }
    steps.sort_by_key(order);
    steps
}

fn towards(real: Option<&Real>, wish: &Wish) -> Option<Step> {
    match real {
        None => Some(Step::Start(wish.clone())),
        Some(Real::Ending) => None,
        Some(Real::Over(epoch)) => (*epoch != wish.epoch()).then(|| Step::Start(wish.clone())),
        Some(Real::Running(running)) if running.epoch() != wish.epoch() => Some(Step::Stop(wish.job())),
        Some(Real::Running(running)) => (running != wish).then(|| Step::Update(wish.clone())),
    }
}

fn order(step: &Step) -> u8 {
    match step {
        Step::Update(Wish::Program(_)) => 0,
        Step::Update(_) => 1,
        Step::Forget(_) => 2,
        Step::Start(_) => 3,
        Step::Stop(_) => 4,
    }
}

fn wishes(wanted: &Wanted) -> impl Iterator<Item = Wish> + '_ {
    let captures = wanted.captures.iter().map(|(slot, wish)| Wish::Capture(*slot, wish.clone()));
    let sounds = wanted.sounds.iter().map(|(slot, wish)| Wish::Sound(*slot, wish.clone()));
    let encodes = wanted.encodes.iter().map(|(job, wish)| Wish::Encode(*job, wish.clone()));
    let recordings = wanted.recordings.iter().map(|(track, wish)| Wish::Record(*track, wish.clone()));
    let legs = wanted.legs.iter().map(|(leg, wish)| Wish::Leg(leg.clone(), Box::new(wish.clone())));
    captures.chain(sounds).chain([Wish::Program(wanted.program.clone())]).chain(encodes).chain(recordings).chain(legs)
}
