//! One slot: what is plugged in, and whether its picture can be used.
//!
//! | state | capture wished | leaves it |
//! |---|---|---|
//! | Empty | no | camera plugged in → Settling; a source without a device → Opening |
//! | Settling | no | 300 ms without another change → Opening; unplugged → Empty |
//! | Opening | yes | first picture → Live; none within 10 s, or an error → Cooling; no signal → NoSignal |
//! | Live | yes | no signal → NoSignal; no progress for its limit → Stalled; error → Cooling |
//! | NoSignal | yes | signal for 500 ms → Live, or Opening when it never had a picture or lost it; error → Cooling |
//! | Stalled | yes | progress for 500 ms → Live; none for 2 s, or an error → Cooling |
//! | Cooling | no | after a wait that grows with each failure → Opening |
//!
//! An HDMI input that tells its signal is believed before its pictures are: what it delivers without one is noise.
//! A signal in another mode is another camera: Settling, Opening. Unplugging leads to Empty from everywhere. Leaving
//! Live is immediate, coming back is steady first. Invariants: a
//! capture is wished exactly in the states that say so, each with an epoch of its own; each state has exactly the
//! timers that lead out of it. A slot that is barred stays Empty.

mod opening;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{ProgramConfig, SlotAudio, SlotConfig, Source};
use crate::device::Camera;
use crate::director::backoff::{Backoff, Pace};
use crate::director::context::{Context, News, Silence};
use crate::director::event::Fact;
use crate::director::timers::Reason;
use crate::director::wanted::Capture;
use crate::director::words;
use crate::health::{Look, Signs};
use crate::ids::SlotId;
use crate::status::SlotState;
use crate::time::Mono;

use super::measured::{FORGIVES, Flaps, Measured};
use super::sound::SoundLine;
use super::state::State;

/// A device that is plugged in sends a burst of events, and its node needs a moment.
const SETTLES: Duration = Duration::from_millis(300);
/// From opening a source to its first picture: an RTSP server or an HDMI bridge needs seconds.
const OPENS: Duration = Duration::from_secs(10);
/// A picture that came back must stay this long.
const STEADIES: Duration = Duration::from_millis(500);
/// A stalled source is closed and opened again after this.
const GIVES_UP: Duration = Duration::from_secs(2);
/// So many failures in a row make a replugged device wait as well: it is the plug that flaps.
const FLAPS: u32 = 3;
const PACE: Pace = Pace::ms(500, 30_000);
const BARRED: &str = "left out, because the box crashed in it; a restart tries it again";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::director) struct Slot {
    id: SlotId,
    pub state: State,
    pub since: Mono,
    pub why: Option<String>,
    /// What is plugged in; sources that need no device have none.
    pub camera: Option<Camera>,
    pub capture: Option<Capture>,
    pub sound: SoundLine,
    backoff: Backoff,
    /// Pictures counted in this epoch.
    total: u64,
    progressed_at: Mono,
    measured: Measured,
    #[serde(default)]
    flaps: Flaps,
    #[serde(default)]
    look: Look,
    /// Nothing is opened for it: the box crashed in it.
    #[serde(default)]
    barred: bool,
}

/// What a slot must know to open its source.
#[derive(Clone, Copy, Debug)]
pub(in crate::director) struct Setting<'a> {
    pub slot: &'a SlotConfig,
    pub program: &'a ProgramConfig,
}

impl Slot {
    pub fn new(context: &mut Context, id: SlotId, setting: Setting<'_>) -> Self {
        let mut slot = Self {
            id,
            state: State::Empty,
            since: context.now,
            why: Some("nothing is plugged in".to_owned()),
            camera: None,
            capture: None,
            sound: SoundLine::default(),
            backoff: Backoff::default(),
            total: 0,
            progressed_at: context.now,
            measured: Measured::default(),
            flaps: Flaps::default(),
            look: Look::default(),
            barred: false,
        };
        slot.begin(context, setting);
        slot
    }

    pub const fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    pub const fn progressed_at(&self) -> Mono {
        self.progressed_at
    }

    pub fn shown_state(&self) -> SlotState {
        match self.state {
            State::Empty => SlotState::Empty,
            State::Settling => SlotState::Settling,
            State::Opening => SlotState::Opening,
            State::Live => SlotState::Live,
            State::NoSignal { .. } => SlotState::NoSignal,
            State::Stalled { .. } => SlotState::Stalled,
            // Some inputs refuse to start without a signal.
            State::Cooling if self.signal_trouble().is_some() => SlotState::NoSignal,
            State::Cooling => SlotState::Cooling,
        }
    }

    pub fn signs(&self) -> Signs {
        Signs {
            live: self.is_live(),
            measured_mfps: self.measured.mfps,
            nominal_mfps: self.measured.nominal_mfps,
            failures: self.backoff.failures(),
            sound_missing: self.sound.is_missing(),
            look: self.look,
            losses: if self.kept_off().is_some() { self.flaps.losses() } else { 0 },
        }
    }

    /// Until when nothing but a cut should put it on air; `None`: it did not flap, or is not live.
    pub fn kept_off(&self) -> Option<Mono> {
        let hold = self.flaps.hold();
        (self.is_live() && !hold.is_zero()).then(|| self.since + hold)
    }

    /// Somebody asks for this very slot: what was held against it is forgotten, and it is tried at once.
    pub fn insist(&mut self, context: &mut Context) {
        self.flaps.forget();
        if self.state == State::Cooling {
            context.start_timer(Reason::SlotRetries(self.id), Duration::ZERO);
        }
    }

    pub const fn is_barred(&self) -> bool {
        self.barred
    }

    /// Nothing is opened for it from here on, until its source is described anew.
    pub fn bar(&mut self, context: &mut Context) {
        self.barred = true;
        self.enter(context, State::Empty, None);
    }

    fn signal_trouble(&self) -> Option<&'static str> {
        self.camera.as_ref()?.signal.trouble()
    }

    /// The source's description changed, or the slot is new: from the start.
    pub fn begin(&mut self, context: &mut Context, setting: Setting<'_>) {
        self.backoff.reset();
        self.barred = false;
        match (&setting.slot.source, &self.camera) {
            (Source::V4l2 { .. }, None) => self.enter(context, State::Empty, Some("nothing is plugged in")),
            (Source::V4l2 { .. }, Some(_)) => self.enter(context, State::Settling, None),
            (Source::Test { .. } | Source::File { .. } | Source::Network { .. }, _) => {
                self.camera = None;
                self.open(context, setting);
            }
        }
        self.flaps.forget();
    }

    pub fn plugged(&mut self, context: &mut Context, camera: Camera) {
        let signal = camera.signal;
        let Some(known) = self.camera.replace(camera) else { return self.enter(context, State::Settling, None) };
        let same = |a: &Camera, b: &Camera| a.node == b.node && a.modes == b.modes && a.serial == b.serial;
        let unchanged = self.camera.as_ref().is_some_and(|camera| same(&known, camera));
        let came_back = known.signal.trouble().is_some() && signal.trouble().is_none();
        if came_back {
            // It was the signal that failed.
            self.backoff.reset();
        }
        // A storm of identical events must not cut a wait short, nor touch a picture that runs.
        if !unchanged
            || matches!(self.state, State::Empty | State::Settling)
            || came_back && self.state == State::Cooling
        {
            self.enter(context, State::Settling, None);
        } else if let Some(why) = signal.trouble().filter(|_| known.signal != signal) {
            self.signal_lost(context, why);
        } else if came_back {
            self.signal_found(context);
        }
    }

    pub fn unplugged(&mut self, context: &mut Context) {
        if self.is_live() && context.now.since(self.since) < FORGIVES {
            let _ = self.backoff.next(PACE, &mut context.dice);
        }
        self.camera = None;
        self.enter(context, State::Empty, Some("unplugged"));
    }

    /// `crowded`: what to say when its bus has no bandwidth left.
    pub fn fact(&mut self, context: &mut Context, setting: Setting<'_>, fact: &Fact, crowded: &str) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other facts belong to other jobs")]
        match fact {
            Fact::FirstBuffer => self.first_picture(context),
            // The input itself says more, where it tells its signal.
            Fact::SignalLost { why } => self.signal_lost(context, self.signal_trouble().unwrap_or(why)),
            Fact::SignalFound if self.signal_trouble().is_none() => self.signal_found(context),
            Fact::Looked(look) => self.look = *look,
            Fact::Ended if matches!(setting.slot.source, Source::File { repeat: false, .. }) => {
                self.enter(context, State::Empty, Some("the file has ended"));
            }
            Fact::Ended => self.fail(context, "it ended"),
            Fact::Failed { class, detail } => {
                let why = words::source(*class, detail, crowded);
                self.fail(context, self.signal_trouble().unwrap_or(&why));
            }
            _ => {}
        }
    }

    /// True when anything but a counter changed.
    pub fn progressed(&mut self, context: &mut Context, total: u64) -> bool {
        self.total = total;
        self.progressed_at = context.now;
        match &mut self.state {
            State::Live => {
                context.start_timer(Reason::SlotStalls(self.id), self.measured.stall_limit());
                false
            }
            State::Stalled { returning } if !*returning => {
                *returning = true;
                context.start_timer(Reason::SlotSteadies(self.id), STEADIES);
                true
            }
            State::Empty
            | State::Settling
            | State::Opening
            | State::NoSignal { .. }
            | State::Stalled { .. }
            | State::Cooling => false,
        }
    }

    pub fn settle_timer(&mut self, context: &mut Context, setting: Setting<'_>) {
        if self.state == State::Settling {
            self.open(context, setting);
        }
    }

    pub fn open_timer(&mut self, context: &mut Context) {
        if self.state == State::Opening {
            self.fail(context, "no picture within 10 s");
        }
    }

    /// `others`: when anything comparable made progress last.
    pub fn stall_timer(&mut self, context: &mut Context, others: Mono) {
        if !self.is_live() {
            return;
        }
        match context.silent_alone(self.progressed_at, self.measured.stall_limit(), others) {
            Silence::NotYet(again) => context.timers.set(Reason::SlotStalls(self.id), again),
            Silence::Yes => self.enter(context, State::Stalled { returning: false }, Some("its picture stopped")),
        }
    }

    pub fn steady_timer(&mut self, context: &mut Context, setting: Setting<'_>) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only two states wait to be steady")]
        match self.state {
            State::NoSignal { returning: true, had_picture: true } => {
                match context.silent(self.progressed_at, self.measured.stall_limit()) {
                    Silence::NotYet(_) => self.enter(context, State::Live, None),
                    // Bridges stop with their signal and have to be started anew.
                    Silence::Yes => self.open(context, setting),
                }
            }
            State::NoSignal { returning: true, had_picture: false } => self.enter(context, State::Opening, None),
            State::Stalled { returning: true } => {
                match context.silent(self.progressed_at, self.measured.stall_limit()) {
                    Silence::NotYet(_) => self.enter(context, State::Live, None),
                    Silence::Yes => self.state = State::Stalled { returning: false },
                }
            }
            _ => {}
        }
    }

    pub fn give_up_timer(&mut self, context: &mut Context) {
        match self.state {
            // The steady timer is under way; when it says no, the next stutter is awaited for as long again.
            State::Stalled { returning: true } => context.start_timer(Reason::SlotGivesUp(self.id), GIVES_UP),
            State::Stalled { returning: false } => self.fail(context, "its picture stopped"),
            State::Empty | State::Settling | State::Opening | State::Live | State::NoSignal { .. } | State::Cooling => {
            }
        }
    }

    pub fn retry_timer(&mut self, context: &mut Context, setting: Setting<'_>) {
        if self.state == State::Cooling {
            self.open(context, setting);
        }
    }

    /// Each measurement sets the source's frame rate anew, and forgives what is long past.
    pub fn measure(&mut self, context: &Context) {
        if !self.is_live() {
            return;
        }
        if let Some((from, total)) = self.measured.from {
            let ms = u64::try_from(self.progressed_at.since(from).as_millis()).unwrap_or(u64::MAX);
            self.measured.mfps = self.total.saturating_sub(total).saturating_mul(1_000_000).checked_div(ms);
        }
        self.measured.from = Some((self.progressed_at, self.total));
        let live_for = context.now.since(self.since);
        if live_for >= FORGIVES {
            self.backoff.reset();
        }
        if live_for >= self.flaps.forgives() {
            self.flaps.forget();
        }
    }

    /// The sound card that the slot wants now.
    pub fn sound_device<'a>(&'a self, setting: Setting<'a>) -> Option<&'a str> {
        self.capture.as_ref()?;
        match &setting.slot.audio {
            SlotAudio::None => None,
            SlotAudio::Alsa(name) => Some(name),
            SlotAudio::Auto => self.camera.as_ref()?.card.as_deref(),
        }
    }

    pub fn rename(&mut self, name: &str) {
        if let Some(capture) = &mut self.capture {
            name.clone_into(&mut capture.name);
        }
    }

    /// Takes the slot out of use.
    pub fn close(&mut self, context: &mut Context) {
        self.camera = None;
        self.enter(context, State::Empty, Some("taken out of the configuration"));
        self.sound.follow(context, self.id, None);
    }

    fn signal_found(&mut self, context: &mut Context) {
        if let State::NoSignal { returning, .. } = &mut self.state
            && !*returning
        {
            *returning = true;
            context.start_timer(Reason::SlotSteadies(self.id), STEADIES);
        }
    }

    fn first_picture(&mut self, context: &mut Context) {
        match &mut self.state {
            State::Opening => self.enter(context, State::Live, None),
            State::NoSignal { had_picture, .. } => *had_picture = true,
            State::Empty | State::Settling | State::Live | State::Stalled { .. } | State::Cooling => {}
        }
    }

    fn signal_lost(&mut self, context: &mut Context, why: &str) {
        let had_picture = match self.state {
            State::Opening => false,
            State::Live | State::Stalled { .. } => true,
            State::NoSignal { had_picture, .. } => had_picture,
            State::Empty | State::Settling | State::Cooling => return,
        };
        let why = if why.is_empty() { "no signal" } else { why };
        self.enter(context, State::NoSignal { had_picture, returning: false }, Some(why));
    }

    fn fail(&mut self, context: &mut Context, why: &str) {
        self.enter(context, State::Cooling, Some(why));
    }

    /// The one way into a state: leaves the old one, with its timers, and sets those of the new one.
    fn enter(&mut self, context: &mut Context, state: State, why: Option<&str>) {
        let id = self.id;
        let (state, why) = if self.barred { (State::Empty, Some(BARRED)) } else { (state, why) };
        for reason in [
            Reason::SlotSettles(id),
            Reason::SlotOpens(id),
            Reason::SlotStalls(id),
            Reason::SlotSteadies(id),
            Reason::SlotGivesUp(id),
            Reason::SlotRetries(id),
        ] {
            context.timers.stop(&reason);
        }
        let (was_live, was_since) = (self.is_live(), self.since);
        if was_live && state != State::Live {
            self.flaps.lost(context.now.since(was_since));
            let why = why.unwrap_or("reopened").to_owned();
            context.news.push(News::SlotLost { slot: id, why });
        }
        if self.state != state {
            self.since = context.now;
        }
        self.state = state;
        self.why = why.map(str::to_owned);
        if !state.is_open() {
            self.capture = None;
        }
        match state {
            State::Empty => {}
            State::Settling => {
                let flapping = self.backoff.failures() >= FLAPS;
                let wait = if flapping { self.backoff.next(PACE, &mut context.dice) } else { SETTLES };
                context.start_timer(Reason::SlotSettles(id), wait.max(SETTLES));
            }
            State::Opening => context.start_timer(Reason::SlotOpens(id), OPENS),
            State::Live => {
                self.progressed_at = context.now;
                self.measured.from = None;
                context.news.push(News::SlotLive { slot: id });
                context.start_timer(Reason::SlotStalls(id), self.measured.stall_limit());
            }
            State::NoSignal { .. } => {}
            State::Stalled { .. } => context.start_timer(Reason::SlotGivesUp(id), GIVES_UP),
            State::Cooling => {
                if was_live && context.now.since(was_since) >= FORGIVES {
                    self.backoff.reset();
                }
                context.start_retry(Reason::SlotRetries(id), &mut self.backoff, PACE);
            }
        }
    }

    pub fn check(&self, context: &Context) {
        assert_eq!(self.capture.is_some(), self.state.is_open(), "capture of {:?} in {:?}", self.id, self.state);
        let set = |reason| context.timers.is_set(&reason);
        let id = self.id;
        let present = [
            set(Reason::SlotSettles(id)),
            set(Reason::SlotOpens(id)),
            set(Reason::SlotStalls(id)),
            set(Reason::SlotSteadies(id)),
            set(Reason::SlotGivesUp(id)),
            set(Reason::SlotRetries(id)),
        ];
        let expected = match self.state {
            State::Empty => [false; 6],
            State::Settling => [true, false, false, false, false, false],
            State::Opening => [false, true, false, false, false, false],
            State::Live => [false, false, true, false, false, false],
            State::NoSignal { returning, .. } => [false, false, false, returning, false, false],
            State::Stalled { returning } => [false, false, false, returning, true, false],
            State::Cooling => [false, false, false, false, false, true],
        };
        assert_eq!(present, expected, "timers of {id:?} in {:?}", self.state);
        self.sound.check(context, id);
    }
}
