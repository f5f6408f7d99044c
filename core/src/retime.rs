//! Places a source's pictures on the show's frame grid.
//!
//! A camera's clock is not the box's: its pictures come with a phase of their own, jitter around it, and drift. Plain
//! rounding doubles and drops pictures whenever the phase lies near the half-frame. So the phase is tracked, and a
//! picture follows its predecessor in the next frame until the phase has clearly left the frame.
//!
//! All distances below are in frames of the grid. `interval` is the source's mean distance of two pictures over the
//! last [`WINDOW`], without those that hold a lost picture: a camera that loses every fifth picture is not a slow one.
//! It decides how a source is treated:
//!
//! | source | `interval` | a picture's frame | phase |
//! |---|---|---|---|
//! | fast (60 → 30) | < 0.9 | the nearest to each frame is taken, the others dropped | fixed |
//! | matched (30, 29.97) | 0.9–1.1 | the one after its predecessor's, or the number of lost pictures later | tracked; past ± [`SLIP`] one is dropped, or one repeated |
//! | slow (25, 24, 15 → 30) | > 1.1 | the nearest | fixed; the frames until the next picture is due are given to this one at once |
//!
//! Invariants: indexes only grow. Frames between two pictures are filled as long as no more than one picture was lost;
//! only frames of a lost picture count as `lost`, those of a conversion do not. A longer absence stays a gap.

use std::collections::VecDeque;

use crate::grid::{FrameIndex, Grid};
use crate::time::Mono;

/// Intervals that the source's rate is judged by: jitter of half a frame moves the mean by 0.04.
const WINDOW: usize = 12;
const FAST: f64 = 0.9;
const SLOW: f64 = 1.1;
/// Two pictures that are early and late by 8 ms each way change an interval at 60 frames per second by this much.
const JITTER: f64 = 0.96;
/// How far the phase may go before a matched source slips by a frame: half a frame and a quarter of hysteresis.
const SLIP: f64 = 0.75;
/// Weight of a picture in the tracked phase; jitter of ± 8 ms moves it by a few ms, 200 ppm are followed at once.
const TRACKING: f64 = 1.0 / 16.0;
/// An interval this many times the usual one holds one lost picture …
const ONE_LOST: f64 = 1.5;
/// … and this many times, more than one.
const MORE_LOST: f64 = 2.5;

/// What becomes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Its frame has a picture already.
    Drop,
    Show(Show),
}

/// The frames that a picture fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Show {
    pub index: FrameIndex,
    /// So many frames just before `index` show the picture before this one again.
    pub before: u64,
    /// So many frames just after `index` show this picture again.
    pub after: u64,
    /// So many of `before` stand for a picture that the source lost.
    pub lost: u64,
}

/// Follows one source from its first picture on.
#[derive(Clone, Debug)]
pub struct Retimer {
    grid: Grid,
    /// Where the pictures lie against the frames they were given, in frames.
    phase: f64,
    /// Last frame that was given away.
    last: Option<FrameIndex>,
    /// Times of the newest pictures, dropped ones included, as positions on the grid.
    recent: VecDeque<f64>,
}

impl Retimer {
    pub fn new(grid: Grid) -> Self {
        Self { grid, phase: 0.0, last: None, recent: VecDeque::with_capacity(WINDOW + 2) }
    }

    /// The source's mean distance of two pictures, in frames; `None` before its second picture.
    ///
    /// A mean above [`SLOW`] comes of a slow source or of lost pictures: what a quarter of the intervals, the shortest, show to be
    /// a loss is left out then. Jitter alone never moves the mean so far, and must not be trimmed from one side.
    pub fn interval(&self) -> Option<f64> {
        let (first, last) = (self.recent.front()?, self.recent.back()?);
        let count = self.recent.len() - 1;
        let mean = (count > 0).then(|| (last - first) / count as f64)?;
        if mean <= SLOW {
            return Some(mean);
        }
        let mut intervals: Vec<f64> = self.recent.iter().zip(self.recent.iter().skip(1)).map(|(a, b)| b - a).collect();
        intervals.sort_by(f64::total_cmp);
        let longest = ONE_LOST * intervals.get(count / 4)?;
        let whole = intervals.partition_point(|interval| *interval < longest);
        let sum: f64 = intervals.iter().take(whole).sum();
        Some(if whole > 0 { sum / whole as f64 } else { mean })
    }

    /// Places the picture that was taken at `at`.
    pub fn place(&mut self, at: Mono) -> Placement {
        let position = at.0 as f64 * f64::from(self.grid.fps()) / 1e9;
        let Some(last) = self.last else {
            let index = self.grid.nearest(at);
            self.phase = position - index.0 as f64;
            self.recent.push_back(position);
            self.last = Some(index);
            return Placement::Show(Show { index, before: 0, after: 0, lost: 0 });
        };
        let usual = self.interval();
        let passed = self.recent.back().map_or(0.0, |before| position - before);
        if passed <= 0.0 {
            return Placement::Drop;
        }
        self.note(position, passed, usual);
        let interval = self.judged_interval();
        let usual = usual.unwrap_or(passed);
        let Some(step) = self.step(position - last.0 as f64, interval) else { return Placement::Drop };
        let index = FrameIndex(last.0 + step);
        let (before, lost) = filling(step - 1, passed / usual);
        let after = if interval > SLOW { self.until_next(position, index, interval) } else { 0 };
        self.last = Some(FrameIndex(index.0 + after));
        Placement::Show(Show { index, before, after, lost })
    }

    /// The interval, taken as matched while there are too few pictures to tell a rate from jitter of half a frame.
    fn judged_interval(&self) -> f64 {
        let known = (self.recent.len() - 1).max(1) as f64;
        let doubt = JITTER / known - JITTER / WINDOW as f64;
        let interval = self.interval().unwrap_or(1.0);
        if (FAST - doubt..=SLOW + doubt).contains(&interval) { 1.0 } else { interval }
    }

    /// A gap says nothing about the rate: what was known before it is kept.
    fn note(&mut self, position: f64, passed: f64, usual: Option<f64>) {
        if usual.is_some_and(|usual| passed > MORE_LOST * usual && passed > 4.0) {
            let shift = passed - usual.unwrap_or(0.0);
            self.recent.iter_mut().for_each(|at| *at += shift);
        }
        self.recent.push_back(position);
        if self.recent.len() > WINDOW + 1 {
            self.recent.pop_front();
        }
    }

    /// How many frames after the last one this picture goes; `ahead` is its distance to that one.
    fn step(&mut self, ahead: f64, interval: f64) -> Option<u64> {
        let distance = ahead - self.phase;
        if interval < FAST {
            return (distance >= 1.0 - interval / 2.0).then(|| whole(distance).max(1));
        }
        if interval > SLOW {
            return (distance > 0.25).then(|| whole(distance).max(1));
        }
        if distance <= 0.5 && distance + self.phase <= 0.5 {
            return None;
        }
        let mut step = whole(distance).max(1);
        self.phase += (ahead - step as f64 - self.phase) * TRACKING;
        if self.phase > SLIP {
            step += 1;
            self.phase -= 1.0;
        } else if self.phase < -SLIP {
            step -= 1;
            self.phase += 1.0;
        }
        (step > 0).then_some(step)
    }

    /// Frames of a slow source until its next picture is due.
    fn until_next(&self, position: f64, index: FrameIndex, interval: f64) -> u64 {
        let next = whole(position + interval - self.phase);
        next.saturating_sub(index.0 + 1).min(interval.ceil() as u64 - 1)
    }
}

/// How many of the `missing` frames are filled, and how many of those count as lost. `ratio` is the time since the
/// picture before, in the source's usual intervals.
fn filling(missing: u64, ratio: f64) -> (u64, u64) {
    if ratio >= MORE_LOST {
        (0, 0)
    } else if ratio >= ONE_LOST {
        (missing, missing)
    } else {
        (missing, 0)
    }
}

fn whole(distance: f64) -> u64 {
    distance.round().max(0.0) as u64
}

#[cfg(test)]
mod tests;
