//! How much this world's machine can do: where that is less than what is wanted of it, its encodes lag.

use std::collections::BTreeSet;

use cuebox_core::director::{EncodeJob, Fact, Job};
use cuebox_core::overload::{LOOKS, Lag};

use super::{Act, Mood, World};

/// Parts of what a show with all its slots, streams and previews takes.
const PROGRAM: f64 = 0.24;
const PROGRAM_ENCODE: f64 = 0.07;
const SLOT: f64 = 0.09;
const SLOT_STREAM: f64 = 0.03;
const PREVIEWS: f64 = 0.02;

/// Milliseconds of pictures that can wait for an encoder.
const ROOM_MS: f64 = 533.0;

#[derive(Clone)]
pub struct Load {
    /// What the machine does of all that a whole show needs.
    power: f64,
    /// The program's encodes get what they need before the slots'.
    program_first: bool,
    /// Milliseconds of pictures that wait, for each of the program's encodes, and each of the slots'.
    waiting: [f64; 2],
    told: BTreeSet<EncodeJob>,
    planned: bool,
    /// Pictures of the program are being lost.
    pub costs_the_program: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            power: 2.0,
            program_first: false,
            waiting: [0.0; 2],
            told: BTreeSet::new(),
            planned: false,
            costs_the_program: false,
        }
    }
}

const fn is_slot(job: EncodeJob) -> bool {
    matches!(job, EncodeJob::Slot(_) | EncodeJob::SlotStream(_))
}

impl World {
    /// From now on the machine does so much of what the whole show needs; 0.38 is enough for the program alone.
    pub fn power(&mut self, power: f64, program_first: bool) {
        (self.load.power, self.load.program_first) = (power, program_first);
        if !self.load.planned {
            self.load.planned = true;
            self.plan(LOOKS, Act::Work);
        }
    }

    /// What is wanted of the machine at present.
    fn needs(&self) -> f64 {
        let wanted = self.wanted();
        let encode = |job: &EncodeJob| match job {
            EncodeJob::Stream | EncodeJob::ProgramRecord => PROGRAM_ENCODE,
            EncodeJob::Slot(_) if wanted.encodes[job].halved => SLOT * 0.75,
            EncodeJob::Slot(_) => SLOT,
            EncodeJob::SlotStream(_) => SLOT_STREAM,
        };
        let previews = if wanted.no_snapshots { 0.0 } else { PREVIEWS };
        PROGRAM + previews + wanted.encodes.keys().map(encode).sum::<f64>()
    }

    /// Half a second of work.
    pub(super) fn work(&mut self) {
        let behind = 1.0 - self.load.power / self.needs();
        let mut lags = [Lag::default(); 2];
        for (slots, lag) in lags.iter_mut().enumerate() {
            let behind = if slots == 0 && self.load.program_first { behind.min(0.0) } else { behind };
            let wants = self.load.waiting[slots] + LOOKS.as_millis() as f64 * behind;
            let lost_ms = (wants - ROOM_MS).max(0.0);
            self.load.waiting[slots] = wants.clamp(0.0, ROOM_MS);
            let lost_ms_per_s = (lost_ms / LOOKS.as_secs_f64()) as u32;
            *lag = Lag { waiting_ms: self.load.waiting[slots] as u32, room_ms: ROOM_MS as u32, lost_ms_per_s };
        }
        self.load.costs_the_program = lags[0].lost_ms_per_s > 0;
        self.load.planned = behind > 0.0 || self.load.waiting != [0.0; 2] || !self.load.told.is_empty();
        if self.load.planned {
            self.plan(LOOKS, Act::Work);
        }
        let running = self.running.iter().filter(|(job, life)| life.first_told && self.mood_of(job) == Mood::Good);
        let jobs = running.filter_map(|(job, _)| if let Job::Encode(job) = job { Some(*job) } else { None });
        for job in jobs.collect::<Vec<_>>() {
            let lag = lags[usize::from(is_slot(job))];
            let told = if lag.waiting_ms >= 100 { self.load.told.insert(job) } else { self.load.told.remove(&job) };
            if told || lag.waiting_ms >= 100 {
                self.fact(Job::Encode(job), Fact::Lags(lag));
            }
        }
        let running = &self.running;
        self.load.told.retain(|job| running.contains_key(&Job::Encode(*job)));
    }
}
