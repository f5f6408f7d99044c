//! The show and its recordings. Independent of every network event.
//!
//! | state | recordings wished | then |
//! |---|---|---|
//! | Idle | none | show or record start, or the show that recovery found → Preparing |
//! | Preparing: encoders warm up | none | program encode warm, or 3 s → Running, frame 0 two frames ahead |
//! | Running | program and live slots, while recording is on | each segment time → all tracks rotate at one frame; stop → Sealing |
//! | Sealing | none | every segment sealed, 5 s at most → Idle, the show is closed (or left open for a restart) |
//!
//! While Running, each track that can be recorded has one run ([`run`], [`tracks`]); a slot that is lost retires its run, and when
//! it is live again a new one goes on with the next number. A run that fails is tried again after a growing wait.
//! A start that finds the last show still Sealing waits for it. Invariants: runs are wished only while Running and
//! allowed; at most one wished run a track; every retired run has its deadline; no number is used twice.

mod run;
mod show;
mod tracks;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::grid::{FrameIndex, Grid};
use crate::ids::{Epoch, ShowId, SlotId, Track};
use crate::job::EncodeJob;
use crate::status::Severity;
use crate::timeline::What;

use super::backoff::{Backoff, Pace};
use super::context::{Cause, Context, News};
use super::effect::VaultOp;
use super::encodes::Encodes;
use super::event::FoundShow;
use super::library::Library;
use super::timers::Reason;
use super::wanted::Picture;

use run::Run;
pub(super) use show::{Show, goes_on, name_of_unnamed};
use tracks::Lane;

/// Encoders need about a second for their first frame.
const PREPARES: Duration = Duration::from_secs(3);
/// Frames from a decision to the frame that it holds for: the wish must reach every pipeline before.
const AHEAD: u64 = 2;
/// A rotation is told this long before its frame, so that the encoders can begin a key frame there.
const ROTATES_BEFORE: Duration = Duration::from_millis(250);
/// After the last seal, facts that are still under way arrive within this.
const CLOSES: Duration = Duration::from_millis(300);
const SHOW_PACE: Pace = Pace::ms(2_000, 30_000);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recorder {
    state: State,
    /// Recording is on, in the running show or in the one that is about to begin.
    recording: bool,
    runs: BTreeMap<Epoch, Run>,
    tracks: BTreeMap<Track, Lane>,
    /// Why the data folder cannot be written.
    unwritable: Option<String>,
    /// Where recordings go; `None`: `data_dir`.
    #[serde(default)]
    folder: Option<String>,
    /// Why recording is stopped although it is on: no space.
    halted: Option<String>,
    show_backoff: Backoff,
    /// Slots that are not recorded although they could be.
    #[serde(default)]
    spared: BTreeSet<SlotId>,
    /// The process is about to end.
    haste: bool,
    /// Where the running show's tracks rotate next.
    next_cut: FrameIndex,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Idle,
    Preparing { start: Start },
    Running { show: Show, folder: Folder },
    Sealing { show: Show, close: bool, next: Option<Start> },
}

impl State {
    const fn show(&self) -> Option<&Show> {
        match self {
            Self::Running { show, .. } | Self::Sealing { show, .. } => Some(show),
            Self::Idle | Self::Preparing { .. } => None,
        }
    }
}

/// What a show begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Start {
    pub name: Option<String>,
    pub cause: Cause,
    pub found: Option<FoundShow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Folder {
    Asked,
    Made,
    Failed,
}

impl Recorder {
    pub fn new() -> Self {
        Self {
            state: State::Idle,
            recording: false,
            runs: BTreeMap::new(),
            tracks: BTreeMap::new(),
            unwritable: None,
            folder: None,
            halted: None,
            spared: BTreeSet::new(),
            show_backoff: Backoff::default(),
            haste: false,
            next_cut: FrameIndex(0),
        }
    }

    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// A show runs or is about to.
    pub const fn has_show(&self) -> bool {
        match &self.state {
            State::Preparing { .. } | State::Running { .. } => true,
            State::Sealing { next, .. } => next.is_some(),
            State::Idle => false,
        }
    }

    pub const fn show(&self) -> Option<&Show> {
        self.state.show()
    }

    pub fn is_current(&self, track: Track, epoch: Epoch) -> bool {
        self.runs.get(&epoch).is_some_and(|run| run.track == track)
    }

    /// Begins a show, when the last one is sealed. Recording is on or off as it was set.
    pub fn start(&mut self, context: &mut Context, start: Start) {
        match &mut self.state {
            State::Idle => self.prepare(context, start),
            State::Sealing { next, .. } => *next = Some(start),
            State::Preparing { .. } | State::Running { .. } => {}
        }
    }

    /// From here on segments must be sealed sooner.
    pub const fn hurry(&mut self) {
        self.haste = true;
    }

    /// Whether recording is asked for.
    pub const fn is_wanted(&self) -> bool {
        self.recording
    }

    pub const fn set_recording(&mut self, on: bool) -> bool {
        let before = self.recording;
        self.recording = on;
        before != on
    }

    /// Ends the show; `close` false leaves it open for the process that comes after.
    pub fn stop(&mut self, context: &mut Context, close: bool, cause: &Cause) {
        self.recording = false;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Preparing { start } => {
                context.timers.stop(&Reason::ShowPrepared);
                // A show that was found must not stay open for ever.
                if let Some(found) = start.found.filter(|_| close) {
                    context
                        .vault(VaultOp::CloseShow { ended: found.show.time_of(found.last_frame), show: found.show.id });
                }
            }
            State::Running { show, .. } => {
                context.timers.stop(&Reason::Rotate);
                context.timers.stop(&Reason::ShowRetries);
                if close {
                    let at = here(context, &show);
                    note(context, &show, at, What::ShowStopped, Some(cause));
                }
                self.state = State::Sealing { show, close, next: None };
                context.start_timer(Reason::ShowCloses, CLOSES);
            }
            State::Sealing { show, close: before, .. } => {
                self.state = State::Sealing { show, close: close && before, next: None };
            }
        }
    }

    /// Notes what the other machines reported.
    pub fn report(&mut self, context: &mut Context) {
        let news = std::mem::take(&mut context.news);
        let State::Running { show, folder } = &mut self.state else { return };
        for item in news {
            let now = here(context, show);
            match item {
                News::Shown { picture: Picture::Slot(slot), frame, cause, .. } => {
                    note(context, show, frame, What::OnAir { slot }, Some(&cause));
                }
                News::Shown { picture: Picture::Slate, why, frame, cause } => {
                    note(context, show, frame, What::Slate { why }, Some(&cause));
                }
                News::SlotLive { slot } => note(context, show, now, What::SlotLive { slot }, None),
                News::SlotLost { slot, why } => note(context, show, now, What::SlotLost { slot, why }, None),
                News::ClockSet { offset_ns, trust } => {
                    show.clock_set(offset_ns, trust);
                    if *folder == Folder::Made {
                        context.vault(VaultOp::OpenShow(show.new.clone()));
                    }
                    note(context, show, now, What::ClockSet { offset_ns, trust }, None);
                    let moved_s = offset_ns / 1_000_000_000;
                    if moved_s != 0 {
                        let text = format!("the clock was set by {moved_s} s in the middle of the show");
                        context.alert_once("clock_set", "", Severity::Warning, text);
                    }
                }
            }
        }
    }

    /// # Errors
    /// Why it is refused.
    pub fn marker(&self, context: &mut Context, text: &str, cause: &Cause) -> Result<(), String> {
        let State::Running { show, .. } = &self.state else { return Err("no show is running".to_owned()) };
        let at = here(context, show);
        note(context, show, at, What::Marker { text: text.to_owned() }, Some(cause));
        Ok(())
    }

    /// Makes the show and its runs fit to what can be recorded now.
    pub fn follow(
        &mut self,
        context: &mut Context,
        config: &Config,
        encodes: &Encodes,
        library: &mut Library,
        live: impl Fn(SlotId) -> bool,
        on_air: Picture,
    ) {
        let waits = matches!(self.state, State::Preparing { .. }) && self.recording;
        if waits && config.record.program && encodes.is_warm(EncodeJob::ProgramRecord) {
            self.begin(context, config, library, on_air);
        }
        self.follow_tracks(context, config, encodes, live);
    }

    pub fn show_made(&mut self, context: &mut Context, id: &ShowId, made: Result<(), &str>) {
        let State::Running { show, folder } = &mut self.state else { return };
        if show.new.id != *id {
            return;
        }
        match made {
            Ok(()) => {
                *folder = Folder::Made;
                self.show_backoff.reset();
                context.timers.stop(&Reason::ShowRetries);
                context.alerts.clear("show_failed", "");
            }
            Err(why) => {
                *folder = Folder::Failed;
                let text = format!("the show's folder cannot be made: {why}");
                context.alerts.raise(context.now, "show_failed", "", Severity::Error, text);
                context.start_retry(Reason::ShowRetries, &mut self.show_backoff, SHOW_PACE);
            }
        }
    }

    pub fn set_unwritable(&mut self, context: &mut Context, why: Option<String>) {
        match &why {
            Some(why) => {
                let text = format!("the data folder cannot be written, nothing is recorded: {why}");
                context.alerts.raise(context.now, "data_unwritable", "", Severity::Error, text);
            }
            None => {
                context.alerts.clear("data_unwritable", "");
                self.open_folder(context);
            }
        }
        self.unwritable = why;
    }

    /// Recordings go to another folder from here on; told while none is open. The show goes on there.
    pub fn moved(&mut self, context: &mut Context, folder: Option<String>) {
        match &folder {
            Some(folder) => {
                let text = format!("data_dir cannot be used: recordings go to the second disk, {folder}");
                context.alerts.raise(context.now, "second_disk", "", Severity::Error, text);
            }
            None => context.alerts.clear("second_disk", ""),
        }
        self.folder = folder;
        if let State::Running { folder: made, .. } = &mut self.state {
            *made = Folder::Failed;
        }
    }

    pub const fn is_halted(&self) -> bool {
        self.halted.is_some()
    }

    pub fn halt(&mut self, why: Option<String>) {
        self.halted = why;
    }

    /// These slots are not recorded; what is open of them is sealed.
    pub fn spare(&mut self, slots: BTreeSet<SlotId>) {
        self.spared = slots;
    }

    /// Fires a timer of the recorder; `false` when it is somebody else's.
    pub fn fire(
        &mut self,
        context: &mut Context,
        config: &Config,
        library: &mut Library,
        on_air: Picture,
        reason: &Reason,
    ) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other timers belong to other machines")]
        match reason {
            Reason::ShowPrepared => self.begin(context, config, library, on_air),
            Reason::ShowRetries => self.open_folder(context),
            Reason::ShowCloses => self.try_close(context, library, true),
            Reason::Rotate => self.rotate(context, config),
            Reason::RecordStalls(track) => self.stall_timer(context, library, *track),
            Reason::RecordRetries(track) => {
                if let Some(lane) = self.tracks.get_mut(track) {
                    lane.cooling = false;
                }
            }
            Reason::SealLate(epoch) => {
                self.run_over(context, library, *epoch, "its last file was not finished in time");
                self.try_close(context, library, false);
            }
            _ => return false,
        }
        true
    }

    fn may_record(&self) -> bool {
        let running = matches!(self.state, State::Running { folder: Folder::Asked | Folder::Made, .. });
        running && self.recording && self.unwritable.is_none() && self.halted.is_none()
    }

    fn prepare(&mut self, context: &mut Context, start: Start) {
        let numbers = start.found.as_ref().map(|found| found.next_numbers.clone()).unwrap_or_default();
        for lane in self.tracks.values_mut() {
            lane.next_number = 1;
        }
        for (track, number) in numbers {
            self.tracks.entry(track).or_default().next_number = number;
        }
        self.state = State::Preparing { start };
        let wait = if self.recording { PREPARES } else { Duration::ZERO };
        context.start_timer(Reason::ShowPrepared, wait);
    }

    /// Frame 0 lies two frames ahead; a show that was found goes on at its own count.
    fn begin(&mut self, context: &mut Context, config: &Config, library: &mut Library, on_air: Picture) {
        let State::Preparing { start } = std::mem::replace(&mut self.state, State::Idle) else { return };
        context.timers.stop(&Reason::ShowPrepared);
        let grid = Grid::new(config.program.fps);
        let first = FrameIndex(grid.at_or_after(context.now).0 + AHEAD);
        let wall = context.wall();
        let show = match &start.found {
            Some(found) => Show::resume(found, wall, first),
            None => Show::begin(config, start.name.as_deref(), wall, context.now, first, &mut context.dice),
        };
        let what = match start.found {
            Some(_) => What::Resumed,
            None => What::ShowStarted { name: show.new.name.clone() },
        };
        library.set_running(Some(show.new.id.clone()));
        self.show_backoff.reset();
        self.state = State::Running { show: show.clone(), folder: Folder::Failed };
        self.open_folder(context);
        note(context, &show, first, what, Some(&start.cause));
        let picture = match on_air {
            Picture::Slot(slot) => What::OnAir { slot },
            Picture::Slate => What::Slate { why: "at the start".to_owned() },
        };
        note(context, &show, first, picture, Some(&start.cause));
        self.plan_rotation(context, config, first);
    }

    /// Asks for the show's folder, when it is not there and may be made.
    fn open_folder(&mut self, context: &mut Context) {
        let State::Running { show, folder } = &mut self.state else { return };
        if *folder != Folder::Made {
            *folder = Folder::Asked;
            context.timers.stop(&Reason::ShowRetries);
            context.vault(VaultOp::OpenShow(show.new.clone()));
        }
    }

    fn rotate(&mut self, context: &mut Context, config: &Config) {
        let State::Running { show, .. } = &self.state else { return };
        let cut = self.next_cut.max(FrameIndex(here(context, show).0 + AHEAD));
        for run in self.runs.values_mut().filter(|run| run.retired.is_none()) {
            run.segment_from = run.segment_from.max(cut);
        }
        self.plan_rotation(context, config, cut);
    }

    /// The next rotation is one segment's length after `from`, to the frame; it is told a little before.
    fn plan_rotation(&mut self, context: &mut Context, config: &Config, from: FrameIndex) {
        let grid = Grid::new(config.program.fps);
        self.next_cut = grid.nearest(grid.time_of(from) + config.record.segment);
        context.timers.set(Reason::Rotate, grid.time_of(self.next_cut) - ROTATES_BEFORE);
    }

    /// Closes a show that is sealed. `waited`: facts that were under way had their time.
    fn try_close(&mut self, context: &mut Context, library: &mut Library, waited: bool) {
        let State::Sealing { show, close, next } = &self.state else { return };
        if self.owes() || (!waited && context.timers.is_set(&Reason::ShowCloses)) {
            return;
        }
        context.timers.stop(&Reason::ShowCloses);
        // A show that is left open goes on after the restart: it is still the running one.
        if *close {
            let ended = show.new.time_of(show.frame(here(context, show)));
            context.vault(VaultOp::CloseShow { show: show.new.id.clone(), ended });
            library.set_running(None);
        }
        for epoch in std::mem::take(&mut self.runs).into_keys() {
            context.timers.stop(&Reason::SealLate(epoch));
        }
        for (track, lane) in std::mem::take(&mut self.tracks) {
            context.timers.stop(&Reason::RecordRetries(track));
            context.alerts.clear("recording_failed", &track.folder());
            debug_assert!(lane.active.is_none(), "a sealed show has no wished run");
        }
        context.alerts.clear("show_failed", "");
        let next = next.clone();
        self.state = State::Idle;
        if let Some(start) = next {
            self.prepare(context, start);
        }
    }
}

/// The frame of the present.
fn here(context: &Context, show: &Show) -> FrameIndex {
    Grid::new(show.new.fps).at_or_after(context.now)
}

fn note(context: &mut Context, show: &Show, at: FrameIndex, what: What, cause: Option<&Cause>) {
    let entry = show.entry(at, what, cause);
    context.vault(VaultOp::Timeline { show: show.new.id.clone(), entry });
}
