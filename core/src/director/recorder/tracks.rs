//! The tracks of the running show: which are recorded, by which run, and what comes of each run.
//!
//! Everything about a single file belongs here; when the show begins, rotates and ends, to the module above.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::ids::{Epoch, SegmentId, SlotId, Track};
use crate::job::EncodeJob;
use crate::status::Severity;

use super::super::backoff::{Backoff, Pace};
use super::super::context::{Context, Silence};
use super::super::effect::VaultOp;
use super::super::encodes::Encodes;
use super::super::event::{Fact, Sealed};
use super::super::library::Library;
use super::super::timers::Reason;
use super::super::words;
use super::run::Run;
use super::show::Show;
use super::{Recorder, State, here};

/// The recorder itself gives up after 4.5 s and says so.
const SEALS: Duration = Duration::from_secs(5);
/// When the process ends: what is left of its five seconds belongs to whoever closes the rest.
const SEALS_IN_HASTE: Duration = Duration::from_millis(3_500);
/// A recording writes each half second.
const STALLS: Duration = Duration::from_secs(10);
const FORGIVES: Duration = Duration::from_secs(60);
const PACE: Pace = Pace::ms(1_000, 30_000);

/// What a track keeps from one run to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lane {
    pub next_number: u32,
    pub active: Option<Epoch>,
    pub cooling: bool,
    backoff: Backoff,
}

impl Recorder {
    /// Encodes that recordings need now.
    pub fn needs(&self, config: &Config, live: impl Fn(SlotId) -> bool) -> BTreeSet<EncodeJob> {
        let about = matches!(self.state, State::Preparing { .. } | State::Running { .. }) && self.recording;
        let allowed = about && self.halted.is_none() && self.unwritable.is_none();
        let wanted = tracks(config, &self.spared, &live).into_iter().filter(|_| allowed);
        // The frames that an encoder still holds belong to the segment that is being sealed.
        let sealing = self.runs.values().filter(|run| !run.open.is_empty()).map(|run| run.track);
        let is_there = |track: &Track| match track {
            Track::Program => true,
            Track::Slot(slot) => live(*slot),
        };
        wanted.chain(sealing.filter(is_there)).map(encode).collect()
    }

    /// Makes the runs fit to what can be recorded now.
    pub(super) fn follow_tracks(
        &mut self,
        context: &mut Context,
        config: &Config,
        encodes: &Encodes,
        live: impl Fn(SlotId) -> bool,
    ) {
        let wanted = if self.may_record() { tracks(config, &self.spared, &live) } else { BTreeSet::new() };
        for (track, lane) in &mut self.tracks {
            let Some(run) = lane.active.and_then(|epoch| self.runs.get_mut(&epoch)) else { continue };
            if !wanted.contains(track) || encodes.source(encode(*track)) != Some(run.from) {
                retire(context, lane, run, self.haste);
            }
        }
        for track in wanted {
            let lane = self.tracks.entry(track).or_default();
            if lane.active.is_some() || lane.cooling {
                continue;
            }
            let (Some(from), State::Running { show, .. }) = (encodes.source(encode(track)), &self.state) else {
                continue;
            };
            let epoch = context.new_epoch();
            lane.active = Some(epoch);
            let run = Run {
                track,
                from,
                first_number: lane.next_number.max(1),
                segment_from: here(context, show).max(show.first()),
                since: context.now,
                retired: None,
                open: BTreeMap::new(),
                wrote_at: context.now,
            };
            self.runs.insert(epoch, run);
            context.start_timer(Reason::RecordStalls(track), STALLS);
        }
    }

    pub fn fact(&mut self, context: &mut Context, library: &mut Library, epoch: Epoch, fact: &Fact) {
        let (Some(run), Some(show)) = (self.runs.get_mut(&epoch), self.state.show()) else { return };
        let track = run.track;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other facts belong to other jobs")]
        match fact {
            Fact::SegmentOpened { number, first_frame } => {
                run.open.insert(*number, *first_frame);
                let lane = self.tracks.entry(track).or_default();
                lane.next_number = lane.next_number.max(number + 1);
                let segment = SegmentId { show: show.new.id.clone(), track, number: *number };
                library.opened(&segment);
                context.vault(VaultOp::SegmentOpened { segment, first_frame: show.frame(*first_frame) });
                context.alerts.clear("recording_failed", &track.folder());
            }
            Fact::SegmentSealed(sealed) => {
                run.open.remove(&sealed.number);
                seal(context, library, show, track, sealed.clone());
            }
            Fact::Failed { class, detail } => self.run_over(context, library, epoch, &words::recording(*class, detail)),
            Fact::Ended => self.run_over(context, library, epoch, "it ended"),
            _ => {}
        }
        self.try_close(context, library, false);
    }

    pub fn progressed(&mut self, context: &mut Context, epoch: Epoch) {
        if let Some(run) = self.runs.get_mut(&epoch) {
            run.wrote_at = context.now;
            if run.retired.is_none() {
                context.start_timer(Reason::RecordStalls(run.track), STALLS);
            }
        }
    }

    /// Segments are open that will be told about, or given up on.
    pub(super) fn owes(&self) -> bool {
        self.runs.values().any(|run| !run.open.is_empty())
    }

    pub(super) fn stall_timer(&mut self, context: &mut Context, library: &mut Library, track: Track) {
        let Some(epoch) = self.tracks.get(&track).and_then(|lane| lane.active) else { return };
        let Some(run) = self.runs.get_mut(&epoch) else { return };
        match context.silent(run.wrote_at, STALLS) {
            Silence::NotYet(again) => context.timers.set(Reason::RecordStalls(track), again),
            Silence::Yes => {
                if let Some(lane) = self.tracks.get_mut(&track) {
                    retire(context, lane, run, self.haste);
                    fail(context, lane, track, "nothing was written for 10 s");
                }
                self.try_close(context, library, false);
            }
        }
    }

    /// Nothing more comes from this run.
    pub(super) fn run_over(&mut self, context: &mut Context, library: &mut Library, epoch: Epoch, why: &str) {
        let Some(run) = self.runs.remove(&epoch) else { return };
        context.timers.stop(&Reason::SealLate(epoch));
        let track = run.track;
        if let Some(show) = self.state.show() {
            for (number, first_frame) in &run.open {
                seal(context, library, show, track, Run::unclean(*number, *first_frame));
            }
        }
        if !run.open.is_empty() {
            let text = format!("a file of {} was not finished in order: {why}", track.folder());
            context.alert_once("seal_unclean", &track.folder(), Severity::Warning, text);
        }
        if let Some(lane) = self.tracks.get_mut(&track)
            && lane.active == Some(epoch)
        {
            lane.active = None;
            context.timers.stop(&Reason::RecordStalls(track));
            if context.now.since(run.since) >= FORGIVES {
                lane.backoff.reset();
            }
            fail(context, lane, track, why);
        }
    }
}

/// The tracks that can be recorded now.
fn tracks(config: &Config, spared: &BTreeSet<SlotId>, live: &impl Fn(SlotId) -> bool) -> BTreeSet<Track> {
    let program = config.record.program.then_some(Track::Program);
    let is_recorded = |slot: &&SlotId| config.record.slots && live(**slot) && !spared.contains(slot);
    let slots = config.slots.keys().filter(is_recorded).map(|slot| Track::Slot(*slot));
    program.into_iter().chain(slots).collect()
}

const fn encode(track: Track) -> EncodeJob {
    match track {
        Track::Program => EncodeJob::ProgramRecord,
        Track::Slot(slot) => EncodeJob::Slot(slot),
    }
}

fn seal(context: &mut Context, library: &mut Library, show: &Show, track: Track, sealed: Sealed) {
    let segment = SegmentId { show: show.new.id.clone(), track, number: sealed.number };
    library.sealed(&segment, sealed.bytes);
    let first_frame = show.frame(sealed.first_frame);
    context.vault(VaultOp::SegmentSealed { segment, first_frame, sealed });
}

fn retire(context: &mut Context, lane: &mut Lane, run: &mut Run, haste: bool) {
    let Some(epoch) = lane.active.take() else { return };
    run.retired = Some(context.now);
    context.timers.stop(&Reason::RecordStalls(run.track));
    context.start_timer(Reason::SealLate(epoch), if haste { SEALS_IN_HASTE } else { SEALS });
}

fn fail(context: &mut Context, lane: &mut Lane, track: Track, why: &str) {
    let text = format!("recording of {} failed: {why}", track.folder());
    context.alerts.raise(context.now, "recording_failed", &track.folder(), Severity::Error, text);
    lane.cooling = true;
    context.start_retry(Reason::RecordRetries(track), &mut lane.backoff, PACE);
}
