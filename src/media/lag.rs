//! How far behind encodes and mixer are. An encode lags behind its pictures: what waits in the queue before it, and what
//! that queue threw away. The mixer has no such queue: what it gives out too late is as good as lost.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cuebox_core::director::Fact;
use cuebox_core::grid::{FrameIndex, Grid};
use cuebox_core::overload::{LOOKS, Lag};
use cuebox_core::time::Mono;
use gst::prelude::*;

use crate::media::context::{Context, Reporter};

/// Less than so much waits at every encoder now and then.
const NOTABLE_MS: u32 = 100;

/// Tells each half second how far the encoder behind this queue lags, while it does.
pub fn watch_queue(source: &gst_app::AppSrc, context: &Context, reporter: &Reporter) {
    let Some(pad) = source.static_pad("src") else { return };
    let (context, reporter, source) = (context.clone(), reporter.clone(), source.downgrade());
    let meter = Mutex::new(Meter::new(context.format.grid));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(source) = source.upgrade() else { return gst::PadProbeReturn::Remove };
        let Some((pts, size)) = info.buffer().and_then(|buffer| Some((buffer.pts()?, buffer.size() as u64))) else {
            return gst::PadProbeReturn::Ok;
        };
        let room = match source.max_buffers() {
            0 => source.max_bytes() / size.max(1),
            buffers => buffers,
        };
        let frame = context.timing.frame_at(context.format.grid, pts);
        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lag) = meter.take(context.timing.now(), frame, source.current_level_buffers(), room) {
            reporter.fact(Fact::Lags(lag));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Tells each half second how many of the pictures that leave here are late by more than `allowed`, while some are.
pub fn watch_output(pad: &gst::Pad, allowed: gst::ClockTime, context: &Context, reporter: &Reporter) {
    let (context, reporter) = (context.clone(), reporter.clone());
    let meter =
        Mutex::new(Punctuality { grid: context.format.grid, allowed: allowed.into(), window: None, told: false });
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(pts) = info.buffer().and_then(|buffer| buffer.pts()) {
            let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(lag) = meter.take(context.timing.now(), context.timing.mono(pts)) {
                reporter.fact(Fact::Lags(lag));
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// Counts pictures that come too late.
struct Punctuality {
    grid: Grid,
    allowed: Duration,
    /// Since when, and how many were.
    window: Option<(Mono, u64)>,
    told: bool,
}

impl Punctuality {
    /// A picture that was `due` comes now. Gives what is to be told.
    fn take(&mut self, now: Mono, due: Mono) -> Option<Lag> {
        let (since, late) = self.window.get_or_insert((now, 0));
        *late += u64::from(now.since(due) > self.allowed);
        let elapsed = now.since(*since);
        if elapsed < LOOKS {
            return None;
        }
        let lost_ms_per_s = per_second(milliseconds(self.grid, *late), elapsed);
        self.window = None;
        let notable = lost_ms_per_s > 0;
        let lag = Lag { waiting_ms: 0, room_ms: 0, lost_ms_per_s };
        (std::mem::replace(&mut self.told, notable) || notable).then_some(lag)
    }
}

/// Counts pictures as they leave a queue.
struct Meter {
    grid: Grid,
    last: Option<FrameIndex>,
    window: Option<Window>,
    /// That it lags was told, and not yet that it no longer does.
    told: bool,
}

struct Window {
    since: Mono,
    least_waiting: u64,
    lost: u64,
}

impl Meter {
    const fn new(grid: Grid) -> Self {
        Self { grid, last: None, window: None, told: false }
    }

    /// This frame leaves the queue, in which `waiting` of at most `room` others stay. Gives what is to be told.
    fn take(&mut self, now: Mono, frame: FrameIndex, waiting: u64, room: u64) -> Option<Lag> {
        let last = self.last.replace(frame);
        let window = self.window.get_or_insert(Window { since: now, least_waiting: waiting, lost: 0 });
        window.least_waiting = window.least_waiting.min(waiting);
        // Frames are also missing where their source was away; then nothing waits.
        if waiting * 2 >= room {
            window.lost += last.and_then(|last| frame.since(last)).map_or(0, |frames| frames.saturating_sub(1));
        }
        let elapsed = now.since(window.since);
        if elapsed < LOOKS {
            return None;
        }
        let grid = self.grid;
        let lag = Lag {
            waiting_ms: milliseconds(grid, window.least_waiting),
            room_ms: milliseconds(grid, room),
            lost_ms_per_s: per_second(milliseconds(grid, window.lost), elapsed),
        };
        self.window = None;
        let notable = lag.waiting_ms >= NOTABLE_MS || lag.lost_ms_per_s > 0;
        (std::mem::replace(&mut self.told, notable) || notable).then_some(lag)
    }
}

fn milliseconds(grid: Grid, frames: u64) -> u32 {
    u32::try_from(frames.saturating_mul(1_000) / u64::from(grid.fps()).max(1)).unwrap_or(u32::MAX)
}

fn per_second(ms: u32, elapsed: Duration) -> u32 {
    let elapsed = elapsed.as_millis().max(1);
    u32::try_from(u128::from(ms) * 1_000 / elapsed).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::links::{Depth, Link};
    use crate::media::testkit::{Stage, pictures};
    use cuebox_core::director::{EncodeJob, Job};
    use cuebox_core::ids::{Epoch, SlotId};

    /// What a second of frames at 20 a second tells; each leaves with `waiting` behind it, every `step`th only.
    fn second(meter: &mut Meter, from: u64, waiting: u64, step: usize) -> Vec<(u32, u32)> {
        let frames = (from..from + 20).step_by(step);
        let told = frames.filter_map(|frame| meter.take(Mono(frame * 50_000_000), FrameIndex(frame), waiting, 16));
        told.map(|lag| (lag.waiting_ms, lag.lost_ms_per_s)).collect()
    }

    #[test]
    fn lag_is_told_while_it_lasts_and_once_when_it_is_over() {
        let mut meter = Meter::new(Grid::new(20));
        assert_eq!(second(&mut meter, 0, 1, 1), [], "one that waits is nothing");
        assert_eq!(second(&mut meter, 20, 0, 2), [], "frames that never came were not lost here");
        meter = Meter::new(Grid::new(20));
        let told = second(&mut meter, 0, 6, 1);
        assert_eq!(told, [(300, 0)]);
        let told = second(&mut meter, 20, 15, 2);
        assert_eq!(told.last(), Some(&(750, 600)));
        let told: Vec<_> = (2..6).flat_map(|at| second(&mut meter, at * 20, 0, 1)).collect();
        assert_eq!(told.last(), Some(&(0, 0)));
        assert!(told.len() <= 2, "{told:?}");
    }

    #[test]
    fn pictures_that_leave_the_mixer_too_late_are_told_while_they_do_and_once_when_they_no_longer_do() {
        const MS: u64 = 1_000_000;
        let allowed = Duration::from_millis(133);
        let mut meter = Punctuality { grid: Grid::new(20), allowed, window: None, told: false };
        let mut second = |from: u64, late_ms: u64| -> Vec<u32> {
            let due = (from * 20..from * 20 + 20).map(|frame| Mono(frame * 50 * MS));
            let told = due.filter_map(|due| meter.take(Mono(due.0 + late_ms * MS), due));
            told.map(|lag| lag.lost_ms_per_s).collect()
        };
        assert!(second(1, 120).is_empty());
        let late = second(2, 140);
        assert!(late.iter().any(|lost_ms_per_s| *lost_ms_per_s > 900), "{late:?}");
        assert_eq!([second(3, 60), second(4, 0), second(5, 0)].concat().last(), Some(&0));
        assert!(second(6, 0).is_empty());
    }

    #[test]
    fn a_queue_before_something_slow_tells_that_it_lags() {
        let mut stage = Stage::new(320, 180, 30, std::path::Path::new("/nonexistent"));
        let link = Link::SlotPicture(SlotId::new(1).unwrap());
        let _feed = pictures(&stage.context, link, |_| false);
        let pipeline = gst::Pipeline::new();
        let caps = stage.context.format.picture_caps();
        let source = gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).is_live(true).build();
        // Ten pictures a second, at the most.
        let slow = gst::ElementFactory::make("identity").property("sleep-time", 100_000_u32).build().unwrap();
        let sink = gst::ElementFactory::make("fakesink").property("sync", false).build().unwrap();
        pipeline.add_many([source.upcast_ref(), &slow, &sink]).unwrap();
        gst::Element::link_many([source.upcast_ref(), &slow, &sink]).unwrap();
        let _subscription = stage.context.links.subscribe(link, &source, Depth::Buffers(16));
        let reporter = stage.context.reporter(Job::Encode(EncodeJob::ProgramRecord), Epoch(1));
        watch_queue(&source, &stage.context, &reporter);
        stage.context.timing.apply(&pipeline);
        pipeline.set_state(gst::State::Playing).unwrap();
        let limit = Duration::from_secs(20);
        let behind = |fact: &Fact| matches!(fact, Fact::Lags(lag) if lag.is_behind() && lag.lost_ms_per_s > 0);
        stage.wait("that it is behind", limit, |_, fact| behind(fact).then_some(()));
        slow.set_property("sleep-time", 0_u32);
        let over = |fact: &Fact| matches!(fact, Fact::Lags(lag) if lag.waiting_ms < NOTABLE_MS);
        stage.wait("that it is not", limit, |_, fact| over(fact).then_some(()));
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
