//! The media graph: starts and stops pipelines until they are what is wanted, and tells what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use cuebox_core::director::{ErrorClass, Event, Fact, Job, Picture, Progress, Sealed, Wanted};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{Epoch, SegmentId, ShowId, SlotId, Track};

use super::{Act, World, ms};

/// How one part of the world behaves at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// Everything that starts fails after a moment.
    Fails(ErrorClass),
    /// Starts, but nothing ever comes, and no error either.
    Silent,
}

/// A pipeline that runs in this world.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub epoch: Epoch,
    pub first_told: bool,
    pub total: u64,
    /// The open segment of a recording.
    pub open: Option<(u32, FrameIndex)>,
    pub next_number: u32,
    pub segment_from: FrameIndex,
    pub show: Option<ShowId>,
}

impl World {
    /// Whether the program really puts out frames.
    pub fn program_runs(&self) -> bool {
        let runs = self.running.get(&Job::Program).is_some_and(|life| life.first_told);
        runs && self.mood_of(&Job::Program) == Mood::Good
    }

    /// Whether nothing in this world keeps the program from running.
    pub fn program_can_run(&self) -> bool {
        self.mood_of(&Job::Program) == Mood::Good
    }

    pub fn epoch_of(&self, job: &Job) -> Option<Epoch> {
        self.running.get(job).map(|life| life.epoch)
    }

    /// Whether a slot's picture really comes.
    pub fn delivers(&self, slot: SlotId) -> bool {
        let job = Job::Capture(slot);
        self.running.get(&job).is_some_and(|life| life.first_told) && self.mood_of(&job) == Mood::Good
    }

    pub fn mood_of(&self, job: &Job) -> Mood {
        self.moods.get(job).copied().unwrap_or(Mood::Good)
    }

    pub(super) fn act_fact(&mut self, job: Job, epoch: Epoch, fact: Fact) {
        let current = self.running.get(&job).is_some_and(|life| life.epoch == epoch);
        if current {
            match &fact {
                Fact::FirstBuffer => {
                    if let Some(life) = self.running.get_mut(&job) {
                        life.first_told = true;
                    }
                }
                Fact::Failed { .. } | Fact::Ended => {
                    self.running.remove(&job);
                    self.over.insert(job.clone(), epoch);
                    if job == Job::Program {
                        self.output = Picture::Slate;
                        self.told = Picture::Slate;
                    }
                }
                _ => {}
            }
        }
        // What is late is told all the same: the director must drop it.
        self.tell(Event::Media { job, epoch, fact });
    }

    pub(super) fn sample(&mut self) {
        let moods = &self.moods;
        let mut sample = Vec::new();
        for (job, life) in self.running.iter_mut().filter(|(_, life)| life.first_told) {
            if moods.get(job).copied().unwrap_or(Mood::Good) == Mood::Good {
                life.total += 5;
                sample.push(Progress { job: job.clone(), epoch: life.epoch, total: life.total });
            }
        }
        let after = self.sample_every;
        self.plan(after, Act::Sample);
        self.tell(Event::Progressed(sample));
    }

    /// Starts and stops pipelines until they are what is wanted.
    pub(super) fn converge(&mut self) {
        let wanted = self.director.wanted().clone();
        if wanted.epoch == self.goal {
            return;
        }
        self.goal = wanted.epoch;
        let mut jobs: BTreeMap<Job, Epoch> = BTreeMap::from([(Job::Program, wanted.program.epoch)]);
        jobs.extend(wanted.captures.iter().map(|(id, wish)| (Job::Capture(*id), wish.epoch)));
        jobs.extend(wanted.sounds.iter().map(|(id, wish)| (Job::Sound(*id), wish.epoch)));
        jobs.extend(wanted.encodes.iter().map(|(job, wish)| (Job::Encode(*job), wish.epoch)));
        jobs.extend(wanted.recordings.iter().map(|(track, wish)| (Job::Record(*track), wish.epoch)));
        jobs.extend(wanted.legs.iter().map(|(name, wish)| (Job::Leg(name.clone()), wish.epoch)));
        let gone: BTreeSet<Job> = self
            .running
            .iter()
            .filter(|(job, life)| jobs.get(job) != Some(&life.epoch))
            .map(|(job, _)| job.clone())
            .collect();
        for job in gone {
            self.stop(&job);
        }
        for (job, epoch) in jobs {
            if !self.running.contains_key(&job) {
                self.start(job, epoch, &wanted);
            }
        }
        self.rotate(&wanted);
        self.show(&wanted);
    }

    pub(super) fn start(&mut self, job: Job, epoch: Epoch, wanted: &Wanted) {
        // A pipeline that is over is not started again in the same life.
        if self.over.get(&job) == Some(&epoch) {
            return;
        }
        let mut life = Life {
            epoch,
            first_told: false,
            total: 0,
            open: None,
            next_number: 1,
            segment_from: FrameIndex(0),
            show: None,
        };
        if let Job::Record(track) = &job {
            let wish = &wanted.recordings[track];
            life.next_number = wish.first_number;
            life.segment_from = wish.segment_from;
            life.show = Some(wish.show.clone());
        }
        let known = self.moods.get(&job).copied().unwrap_or(Mood::Good);
        self.running.insert(job.clone(), life);
        let delay = match job {
            Job::Program => self.jitter(40, 120),
            Job::Capture(_) | Job::Sound(_) => self.jitter(80, 400),
            Job::Encode(_) | Job::Record(_) => self.jitter(100, 300),
            Job::Leg(_) => self.jitter(150, 600),
        };
        match known {
            Mood::Good => {
                if let Job::Record(track) = job {
                    self.plan(delay, Act::OpenSegment(track, epoch));
                }
                self.plan(delay, Act::Fact(job, epoch, Fact::FirstBuffer));
            }
            Mood::Fails(class) => {
                let fact = Fact::Failed { class, detail: "it does not work".to_owned() };
                self.plan(delay, Act::Fact(job, epoch, fact));
            }
            Mood::Silent => {}
        }
    }

    pub(super) fn stop(&mut self, job: &Job) {
        let Some(life) = self.running.remove(job) else { return };
        if *job == Job::Program {
            self.output = Picture::Slate;
            self.told = Picture::Slate;
        }
        if let (Job::Record(_), Some((number, first_frame))) = (job, life.open) {
            let sealed = self.sealed(number, first_frame);
            let fact = Event::Media { job: job.clone(), epoch: life.epoch, fact: Fact::SegmentSealed(sealed) };
            let after = self.seal_delay;
            self.plan(after, Act::Tell(fact));
        }
    }

    pub(super) fn sealed(&self, number: u32, first_frame: FrameIndex) -> Sealed {
        let frames = self.grid.nearest(self.now).since(first_frame).unwrap_or(0);
        Sealed { number, first_frame, frames, repeated: 0, bytes: frames * 20_000, clean: true }
    }

    pub(super) fn open_segment(&mut self, track: Track, epoch: Epoch) {
        let job = Job::Record(track);
        let now = self.grid.at_or_after(self.now);
        let Some(life) = self.running.get_mut(&job).filter(|life| life.epoch == epoch && life.open.is_none()) else {
            return;
        };
        let show = life.show.clone().unwrap();
        let exists = |number| self.disk.files.contains_key(&SegmentId { show: show.clone(), track, number });
        while exists(life.next_number) {
            life.next_number += 1;
        }
        let (number, first_frame) = (life.next_number, now.max(life.segment_from));
        life.open = Some((number, first_frame));
        life.next_number += 1;
        self.tell(Event::Media { job, epoch, fact: Fact::SegmentOpened { number, first_frame } });
    }

    pub(super) fn rotate(&mut self, wanted: &Wanted) {
        for (track, wish) in &wanted.recordings {
            let job = Job::Record(*track);
            let Some(life) = self.running.get_mut(&job) else { continue };
            if wish.segment_from <= life.segment_from {
                continue;
            }
            life.segment_from = wish.segment_from;
            let (epoch, open) = (life.epoch, life.open.take());
            if let Some((number, first_frame)) = open {
                let mut sealed = self.sealed(number, first_frame);
                sealed.frames = wish.segment_from.since(first_frame).unwrap_or(0);
                self.plan(ms(66), Act::OpenSegment(*track, epoch));
                let fact = Fact::SegmentSealed(sealed);
                self.plan(ms(160), Act::Tell(Event::Media { job, epoch, fact }));
            }
        }
    }

    pub(super) fn show(&mut self, wanted: &Wanted) {
        let switch = wanted.program.switch;
        if switch.id != self.seen_switch && self.running.contains_key(&Job::Program) {
            self.seen_switch = switch.id;
            let delay = self.jitter(15, 60);
            self.plan(delay, Act::Show(switch.id, switch.picture, wanted.program.epoch));
        }
    }
}
