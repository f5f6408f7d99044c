//! The program: what is to be on air, and what a frame has shown.
//!
//! Two things are kept apart. What is *wanted* changes at once: a cut, a failover, the slate. What is *on air* changes
//! only when the fact arrives that a frame showed it; until then the new picture is *armed*. A fact may name a switch
//! that is not the newest: then that older picture is what viewers see, and the newest stays armed. A switch older
//! than one that was seen already says nothing new.
//!
//! | wanted | becomes |
//! |---|---|
//! | Slot(s), live | the operator's cut, take or auto → Slot(t) |
//! | | s is lost → the chosen slot when that is live, else the best live slot by priority, else Slate |
//! | | s is not the chosen slot, and that was live for `steady` → Slot(chosen), when `auto_return` says so |
//! | | the operator asks for the slate → Slate, over whatever goes on beneath it |
//! | | in the first 3 s after the first slot went on air, while nobody chose and nothing was lost: a slot that is better by priority becomes live → Slot(better) |
//! | Slate, nothing live | a slot becomes live → Slot(chosen) or the best |
//! | Held | s is lost → Slate until the operator chooses or lets go |
//!
//! A slot that flaps is taken by itself only where no other is live, until it was live for as long as its hold says.
//!
//! The start slot goes on air when it is first live, unless the operator chose before. Invariants: the picture wanted
//! is the slate or a live slot; the newest switch is the last of those not yet seen; nothing is armed that is on air.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Transition;
use crate::config::{AutoReturn, Config};
use crate::grid::FrameIndex;
use crate::ids::{Epoch, SlotId, SwitchId};
use crate::status::ProgramStatus;
use crate::time::Mono;

use super::backoff::{Backoff, Pace};
use super::context::{Cause, Context, News, Silence};
use super::event::Fact;
use super::field::Field;
use super::timers::Reason;
use super::wanted::{Picture, Slate, Switch};

/// From building the program's pipeline to its first frame.
const OPENS: Duration = Duration::from_secs(15);
/// The program makes a frame at least each 67 ms; none for this long means that it hangs.
const STALLS: Duration = Duration::from_secs(2);
const FORGIVES: Duration = Duration::from_secs(60);
const PACE: Pace = Pace::ms(100, 5_000);
/// Cameras that are there at the start become live one after the other; for so long the program moves to the better ones.
const GATHERS: Duration = Duration::from_secs(3);
/// Switches that may wait for their frame; more than a mixer makes in 4 s can only mean that it is about to be
/// called dead.
const UNSEEN: usize = 256;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Program {
    job: JobState,
    backoff: Backoff,
    /// The operator's choice, or the start slot: where automatic return goes.
    chosen: Option<SlotId>,
    /// The start slot's turn is over: it was on air, or the operator chose.
    started: bool,
    #[serde(default)]
    opening: Opening,
    /// What is wanted beneath the slate.
    current: Option<SlotId>,
    preview: Option<SlotId>,
    slate: bool,
    held: bool,
    /// Why nothing better than the slate is shown, for the operator.
    lost: Option<String>,
    newest: Switch,
    /// Switches that no frame has shown yet, oldest first; the newest is the last.
    unseen: VecDeque<(Switch, Cause, String)>,
    /// The picture of the last switch that a frame showed.
    on_air: Picture,
    /// The frame that showed it first.
    shown_from: FrameIndex,
    /// This life of the pipeline has told of a frame.
    seen: bool,
    /// Who causes the change that the running event makes.
    #[serde(skip)]
    cause: Option<(Cause, Option<(Transition, Duration)>)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum JobState {
    Running { epoch: Epoch, since: Mono, progressed: Option<Mono> },
    Cooling { epoch: Epoch },
}

/// Whether the program still moves to better slots by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Opening {
    /// No slot has been on air.
    Ahead,
    Until(Mono),
    /// Its time is up, somebody chose, or a slot was lost.
    #[default]
    Over,
}

/// What a switching command came to.
pub(super) enum Switched {
    Yes,
    Nothing,
    Refused(String),
}

impl Program {
    pub fn new(context: &mut Context, config: &Config) -> Self {
        let newest = Switch { id: SwitchId(1), picture: Picture::Slate, transition: None };
        let mut program = Self {
            job: JobState::Cooling { epoch: Epoch(0) },
            backoff: Backoff::default(),
            chosen: config.program.start_slot.filter(|slot| config.slots.contains_key(slot)),
            started: false,
            opening: Opening::Ahead,
            current: None,
            preview: None,
            slate: false,
            held: false,
            lost: None,
            newest,
            unseen: VecDeque::from([(newest, Cause::own("start"), "the show is about to begin".to_owned())]),
            on_air: Picture::Slate,
            shown_from: FrameIndex(0),
            seen: false,
            cause: None,
        };
        program.build(context);
        program
    }

    pub const fn epoch(&self) -> Epoch {
        match self.job {
            JobState::Running { epoch, .. } | JobState::Cooling { epoch } => epoch,
        }
    }

    /// A program that was called dead is not believed any more, whatever it still says.
    pub fn is_current(&self, epoch: Epoch) -> bool {
        matches!(self.job, JobState::Running { epoch: current, .. } if current == epoch)
    }

    /// Since when its pipeline runs, once frames come out.
    pub const fn running_since(&self) -> Option<Mono> {
        match self.job {
            JobState::Running { since, progressed: Some(_), .. } => Some(since),
            JobState::Running { .. } | JobState::Cooling { .. } => None,
        }
    }

    /// When it made a frame last.
    pub fn progressed_at(&self) -> Mono {
        match self.job {
            JobState::Running { progressed, .. } => progressed.unwrap_or_default(),
            JobState::Cooling { .. } => Mono::default(),
        }
    }

    pub const fn switch(&self) -> Switch {
        self.newest
    }

    pub const fn on_air(&self) -> Picture {
        self.on_air
    }

    /// First frame of the program that showed what is on air.
    pub const fn shown_from(&self) -> FrameIndex {
        self.shown_from
    }

    /// `show`: the name that somebody gave it. Viewers have no use for any other.
    pub fn slate(&self, show: Option<&str>) -> Slate {
        let reason = if self.slate {
            "Please wait a moment"
        } else if self.lost.is_some() {
            "We will be right back"
        } else {
            "We will begin shortly"
        };
        match show {
            Some(show) => Slate { title: show.to_owned(), reason: reason.to_owned() },
            None => Slate { title: reason.to_owned(), reason: String::new() },
        }
    }

    /// Why the slate is what is wanted, for the operator.
    pub fn slate_why(&self) -> String {
        if self.slate {
            "asked for".to_owned()
        } else {
            self.lost.clone().unwrap_or_else(|| "no slot is live yet".to_owned())
        }
    }

    pub fn status(&self) -> ProgramStatus {
        let slot = |picture| match picture {
            Picture::Slate => None,
            Picture::Slot(slot) => Some(slot),
        };
        ProgramStatus {
            on_air: slot(self.on_air),
            armed: slot(self.newest.picture).filter(|_| self.newest.picture != self.on_air),
            preview: self.preview,
            slate: self.slate,
            held: self.held,
            seen: self.seen,
            why: (self.newest.picture == Picture::Slate).then(|| self.slate_why()),
        }
    }

    pub fn cut(&mut self, field: &Field<'_>, slot: SlotId, cause: Cause) -> Switched {
        self.choose(field, slot, cause, None)
    }

    pub fn preview(&mut self, slot: SlotId) -> Switched {
        if self.preview.replace(slot) == Some(slot) { Switched::Nothing } else { Switched::Yes }
    }

    /// Swaps preview and program.
    pub fn take(&mut self, field: &Field<'_>, cause: Cause, transition: Option<(Transition, Duration)>) -> Switched {
        let Some(next) = self.preview else { return Switched::Refused("no slot is in preview".to_owned()) };
        let before = self.current;
        let switched = self.choose(field, next, cause, transition);
        if matches!(switched, Switched::Yes) {
            self.preview = before;
        }
        switched
    }

    pub fn set_slate(&mut self, on: bool, cause: Cause) -> Switched {
        if std::mem::replace(&mut self.slate, on) == on {
            return Switched::Nothing;
        }
        self.cause = Some((cause, None));
        Switched::Yes
    }

    pub fn set_hold(&mut self, on: bool, cause: Cause) -> Switched {
        if std::mem::replace(&mut self.held, on) == on {
            return Switched::Nothing;
        }
        self.cause = Some((cause, None));
        Switched::Yes
    }

    /// The operator's choice, or the start slot.
    pub const fn chosen(&self) -> Option<SlotId> {
        self.chosen
    }

    /// Takes up the choice of the process before, unless somebody has chosen already.
    pub fn restore(&mut self, chosen: Option<SlotId>, slate: bool) {
        if !self.started {
            self.chosen = chosen.or(self.chosen);
        }
        self.slate |= slate;
    }

    /// A slot left the configuration.
    pub fn forget(&mut self, slot: SlotId) {
        self.preview = self.preview.filter(|preview| *preview != slot);
        self.chosen = self.chosen.filter(|chosen| *chosen != slot);
    }

    pub fn fact(&mut self, context: &mut Context, fact: &Fact) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other facts belong to other jobs")]
        match fact {
            Fact::FirstBuffer => {
                self.progressed(context);
            }
            Fact::Shown { switch, frame } => {
                self.progressed(context);
                self.shown(context, *switch, *frame);
            }
            Fact::Failed { .. } | Fact::Ended => self.fail(context),
            _ => {}
        }
    }

    /// True when anything but a counter changed.
    pub fn progressed(&mut self, context: &mut Context) -> bool {
        let JobState::Running { progressed, .. } = &mut self.job else { return false };
        context.timers.set(Reason::ProgramStalls, context.now + STALLS);
        progressed.replace(context.now).is_none()
    }

    pub fn stall_timer(&mut self, context: &mut Context) {
        let JobState::Running { since, progressed, .. } = &self.job else { return };
        let (last, limit) = progressed.map_or((*since, OPENS), |at| (at, STALLS));
        match context.silent(last, limit) {
            Silence::NotYet(again) => context.timers.set(Reason::ProgramStalls, again),
            Silence::Yes => self.fail(context),
        }
    }

    pub fn retry_timer(&mut self, context: &mut Context) {
        if matches!(self.job, JobState::Cooling { .. }) {
            self.build(context);
            // A new pipeline has shown nothing: what it shows first is told under a new name.
            self.unseen.clear();
            self.arm(self.newest.picture, Cause::own("start"), None);
        }
    }

    pub fn return_timer(&mut self, field: &Field<'_>) {
        if self.return_due(field).is_some() {
            self.current = self.chosen;
            self.cause = Some((Cause::own("return"), None));
        }
    }

    /// Makes what is wanted fit to which slots are live.
    pub fn follow(&mut self, context: &mut Context, field: &Field<'_>) {
        let (cause, transition) = self.cause.take().map_or((None, None), |(cause, how)| (Some(cause), how));
        let own = self.follow_slots(context.now, field);
        let picture = match self.current {
            Some(slot) if !self.slate => Picture::Slot(slot),
            _ => Picture::Slate,
        };
        if picture != self.newest.picture {
            let cause = own.map(Cause::own).or(cause).unwrap_or_else(|| Cause::own("start"));
            self.arm(picture, cause, transition);
        }
        match self.return_due(field) {
            Some(at) => context.timers.set(Reason::ProgramReturns, at),
            None => context.timers.stop(&Reason::ProgramReturns),
        }
    }

    /// The automatic part; says by what name, when it changed anything.
    fn follow_slots(&mut self, now: Mono, field: &Field<'_>) -> Option<&'static str> {
        let lost = self.current.filter(|slot| !field.is_live(*slot));
        if let Some(slot) = lost {
            self.lost = Some(format!("slot {slot} was lost: {}", (field.why)(slot)));
            self.current = None;
            self.opening = Opening::Over;
        }
        if self.held {
            return lost.map(|_| "failover");
        }
        if !self.started && self.chosen.is_some_and(|slot| field.is_live(slot)) {
            self.started = true;
            self.opening = Opening::Over;
            let before = std::mem::replace(&mut self.current, self.chosen);
            return (before != self.chosen).then_some("start");
        }
        if self.current.is_some() {
            return self.improve(now, field).then_some("start");
        }
        let Some(next) = self.chosen.filter(|slot| field.is_trusted(*slot)).or_else(|| field.best()) else {
            return lost.map(|_| "failover");
        };
        if self.opening == Opening::Ahead {
            self.opening = Opening::Until(now + GATHERS);
        }
        let ever_lost = self.lost.is_some();
        let returns = self.chosen == Some(next);
        self.current = Some(next);
        let stays = self.started && field.config.program.auto_return == AutoReturn::Off;
        if self.chosen.is_none() || stays {
            self.chosen = Some(next);
            self.started = true;
        }
        Some(match (lost.is_some(), ever_lost) {
            (true, _) => "failover",
            (false, true) if returns => "return",
            (false, true) => "failover",
            (false, false) => "start",
        })
    }

    /// Moves to the best slot while the program opens; a start slot that is not live yet stays the chosen one.
    fn improve(&mut self, now: Mono, field: &Field<'_>) -> bool {
        if !matches!(self.opening, Opening::Until(end) if now <= end) {
            return false;
        }
        let better = field.best().filter(|best| self.current != Some(*best));
        if better.is_some() {
            if self.chosen == self.current {
                self.chosen = better;
            }
            self.current = better;
        }
        better.is_some()
    }

    /// When automatic return is due; `None`: there is nothing to return to.
    fn return_due(&self, field: &Field<'_>) -> Option<Mono> {
        let away = self.current.is_some() && self.current != self.chosen;
        let allowed = !self.held && field.config.program.auto_return == AutoReturn::Steady;
        let since = self.chosen.and_then(|slot| field.live.get(&slot))?;
        let kept_off = self.chosen.and_then(|slot| field.kept_off.get(&slot)).copied().unwrap_or_default();
        (away && allowed).then(|| (*since + field.config.program.steady).max(kept_off))
    }

    fn choose(
        &mut self,
        field: &Field<'_>,
        slot: SlotId,
        cause: Cause,
        transition: Option<(Transition, Duration)>,
    ) -> Switched {
        if !field.is_live(slot) {
            return Switched::Refused(format!("slot {slot} is not live: {}", (field.why)(slot)));
        }
        let nothing = self.current == Some(slot) && self.chosen == Some(slot) && self.started;
        self.chosen = Some(slot);
        self.started = true;
        self.opening = Opening::Over;
        self.current = Some(slot);
        if nothing {
            return Switched::Nothing;
        }
        self.cause = Some((cause, transition));
        Switched::Yes
    }

    fn arm(&mut self, picture: Picture, cause: Cause, transition: Option<(Transition, Duration)>) {
        self.newest = Switch { id: SwitchId(self.newest.id.0 + 1), picture, transition };
        let why = match picture {
            Picture::Slate => self.slate_why(),
            Picture::Slot(_) => String::new(),
        };
        if self.unseen.len() >= UNSEEN {
            self.unseen.pop_front();
        }
        self.unseen.push_back((self.newest, cause, why));
    }

    fn shown(&mut self, context: &mut Context, id: SwitchId, frame: FrameIndex) {
        let Some(place) = self.unseen.iter().position(|(switch, ..)| switch.id == id) else { return };
        let seen = self.unseen.drain(..=place).next_back();
        let Some((switch, cause, why)) = seen else { return };
        self.on_air = switch.picture;
        self.shown_from = frame;
        self.seen = true;
        context.news.push(News::Shown { picture: switch.picture, why, frame, cause });
    }

    fn build(&mut self, context: &mut Context) {
        self.job = JobState::Running { epoch: context.new_epoch(), since: context.now, progressed: None };
        context.start_timer(Reason::ProgramStalls, OPENS);
    }

    fn fail(&mut self, context: &mut Context) {
        let JobState::Running { epoch, since, .. } = self.job else { return };
        if context.now.since(since) >= FORGIVES {
            self.backoff.reset();
        }
        self.job = JobState::Cooling { epoch };
        // Nothing is put out: no slot may claim to be on air.
        self.on_air = Picture::Slate;
        self.seen = false;
        context.timers.stop(&Reason::ProgramStalls);
        context.start_retry(Reason::ProgramRetries, &mut self.backoff, PACE);
    }

    pub fn check(&self, context: &Context, field: &Field<'_>) {
        if let Picture::Slot(slot) = self.newest.picture {
            assert!(field.is_live(slot), "{slot:?} is wanted on air and live");
            assert!(!self.slate, "no slot is wanted while the slate is asked for");
        }
        assert_eq!(self.current.is_some() && !self.slate, self.newest.picture != Picture::Slate, "picture fits choice");
        assert!(
            self.held || self.current.is_some() || field.live.is_empty(),
            "the slate is only shown when nothing better is there"
        );
        if let Some((last, ..)) = self.unseen.back() {
            assert_eq!(last.id, self.newest.id, "the newest switch is the last one not yet seen");
        }
        assert!(self.unseen.iter().zip(self.unseen.iter().skip(1)).all(|(a, b)| a.0.id < b.0.id), "in order");
        let running = matches!(self.job, JobState::Running { .. });
        assert_eq!(context.timers.is_set(&Reason::ProgramStalls), running, "a running program is watched");
        assert_eq!(context.timers.is_set(&Reason::ProgramRetries), !running, "a failed program is tried again");
        assert_eq!(context.timers.get(&Reason::ProgramReturns), self.return_due(field), "return is due when it is");
        assert!(self.cause.is_none(), "every change that was caused was made");
    }
}
