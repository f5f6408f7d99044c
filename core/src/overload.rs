//! What the box gives up, step by step, while the machine cannot keep up with its pictures (other load, heat).
//!
//! | level | given up as well |
//! |---|---|
//! | 0 | – |
//! | 1 | previews |
//! | 2 | every other picture of the slots: their recordings repeat the one before, their streams leave it out |
//! | 3 | the recording and stream of one slot, and of another with each step on: whole angles of some are worth more than pieces of all |
//!
//! Nothing else is ever given up: the program, its sound, its recording and its stream are not in the table. Time and
//! what is told of lags come in, what is given up comes out; whoever asks does so every [`LOOKS`], and says which slot
//! would be the next.
//!
//! | state | then |
//! |---|---|
//! | Calm | something is behind → Strained; calm for as long as its patience → one step back |
//! | Strained | nothing is behind → Calm; behind for as long as the step waits, and not catching up → one step on |
//!
//! The slots come back in the reverse order. A step back that does not last doubles the patience before the next, and
//! the next step on comes fast.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::SlotId;
use crate::time::Mono;

/// Between two looks at what the encodes tell.
pub const LOOKS: Duration = Duration::from_millis(500);

/// Of a queue that is shorter than this only what it lost is looked at: two slow pictures in a row fill it.
const SHORT_MS: u32 = 250;
/// A queue that holds so much is long whatever its room is.
const LONG_MS: u32 = 1_000;
/// Lost of each second: one picture in ten.
const LOST_MS_PER_S: u32 = 100;
/// How long something is behind before the first three steps; what was given up before needs its time to show.
const FALLS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];
/// The same for each slot after the first.
const NEXT_SLOT: Duration = Duration::from_secs(5);
/// And where the program itself loses pictures.
const NEXT_SLOT_FOR_PROGRAM: Duration = Duration::from_secs(1);
/// The same for any step, soon after a step back.
const FALLS_AGAIN: Duration = Duration::from_secs(1);
/// A step back that lasted for so long was right.
const LASTED: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_PATIENCE: Duration = Duration::from_secs(120);

/// How far an encode lags behind its pictures, or the mixer behind its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Milliseconds of pictures that wait for the encoder, at the least since this was told last.
    pub waiting_ms: u32,
    /// Milliseconds of pictures that can wait before one is lost.
    pub room_ms: u32,
    /// Milliseconds of pictures that were lost, of each second.
    pub lost_ms_per_s: u32,
}

impl Lag {
    /// Whether it does not keep up.
    pub const fn is_behind(&self) -> bool {
        let long = self.room_ms / 4 * 3;
        let full = self.room_ms >= SHORT_MS && self.waiting_ms >= if long < LONG_MS { long } else { LONG_MS };
        full || self.is_losing()
    }

    const fn is_losing(&self) -> bool {
        self.lost_ms_per_s >= LOST_MS_PER_S
    }
}

/// All that lags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strain {
    program_is_losing: bool,
    all: Behind,
}

/// Some of what lags, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Behind {
    is_behind: bool,
    is_losing: bool,
    /// Of the one that waits longest.
    waiting_ms: u32,
}

impl Strain {
    /// What was told last: of the program's mixer and encodes, and of the slots' encodes.
    pub fn of<'a>(program: impl IntoIterator<Item = &'a Lag>, slots: impl IntoIterator<Item = &'a Lag>) -> Self {
        let program = program.into_iter().fold(Behind::default(), Behind::and);
        Self { program_is_losing: program.is_losing, all: slots.into_iter().fold(program, Behind::and) }
    }
}

impl Behind {
    fn and(self, lag: &Lag) -> Self {
        if !lag.is_behind() {
            return self;
        }
        Self {
            is_behind: true,
            is_losing: self.is_losing || lag.is_losing(),
            waiting_ms: self.waiting_ms.max(lag.waiting_ms),
        }
    }
}

/// How much is given up; each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    #[default]
    Nothing,
    Previews,
    SlotRates,
    Slots,
}

impl Level {
    /// 0 to 3.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    level: Level,
    /// What is given up of them as well, in the order in which it was: none below [`Level::Slots`], and one at least there.
    #[serde(default)]
    slots: Vec<SlotId>,
    state: State,
    patience: Duration,
    /// When a step was taken back last.
    returned: Option<Mono>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Calm { since: Mono },
    Strained { since: Mono, waiting_ms: u32 },
}

impl Default for Overload {
    fn default() -> Self {
        let state = State::Calm { since: Mono(0) };
        Self { level: Level::Nothing, slots: Vec::new(), state, patience: PATIENCE, returned: None }
    }
}

impl Overload {
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Slots whose recording and stream are given up.
    pub fn slots(&self) -> &[SlotId] {
        &self.slots
    }

    /// Nothing is given up, and nothing is behind: there is no need to look again.
    pub const fn is_over(&self) -> bool {
        matches!((self.level, self.state), (Level::Nothing, State::Calm { .. }))
    }

    /// Slots that there are no longer.
    pub fn forget(&mut self, gone: impl Fn(SlotId) -> bool) {
        self.slots.retain(|slot| !gone(*slot));
        if self.slots.is_empty() {
            self.level = self.level.min(Level::SlotRates);
        }
    }

    /// What a technician is told; empty where nothing is given up.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        if self.level >= Level::Previews {
            parts.push("no previews".to_owned());
        }
        if self.level >= Level::SlotRates {
            parts.push("half the pictures of each slot".to_owned());
        }
        let mut slots = self.slots.clone();
        slots.sort_unstable();
        parts.extend(slots.iter().map(|slot| format!("no recording of slot {slot}")));
        parts.join(", ")
    }

    /// Looks at what lags now. `next`: of which slot the recording is given up next, if of any.
    pub fn look(&mut self, now: Mono, strain: Strain, next: Option<SlotId>) {
        let strained = State::Strained { since: now, waiting_ms: strain.all.waiting_ms };
        match self.state {
            State::Calm { since } if !strain.all.is_behind => {
                if self.level != Level::Nothing && now.since(since) >= self.patience {
                    self.rise();
                    self.returned = Some(now);
                    self.state = State::Calm { since: now };
                }
            }
            State::Strained { .. } if !strain.all.is_behind => self.state = State::Calm { since: now },
            State::Calm { .. } => self.state = strained,
            State::Strained { since, waiting_ms } => {
                if now.since(since) >= self.falls_after(now, strain) {
                    let catches_up = !strain.all.is_losing && strain.all.waiting_ms < waiting_ms / 4 * 3;
                    if !catches_up {
                        self.fall(now, next);
                    }
                    self.state = strained;
                }
            }
        }
    }

    fn relapsed(&self, now: Mono) -> bool {
        self.returned.is_some_and(|at| now.since(at) < LASTED)
    }

    fn falls_after(&self, now: Mono, strain: Strain) -> Duration {
        match FALLS.get(usize::from(self.level.number())) {
            _ if self.relapsed(now) => FALLS_AGAIN,
            Some(first) => *first,
            None if strain.program_is_losing => NEXT_SLOT_FOR_PROGRAM,
            None => NEXT_SLOT,
        }
    }

    fn fall(&mut self, now: Mono, next: Option<SlotId>) {
        self.level = match (self.level, next) {
            (Level::Nothing, _) => Level::Previews,
            (Level::Previews, _) => Level::SlotRates,
            (Level::SlotRates | Level::Slots, Some(slot)) => {
                self.slots.push(slot);
                Level::Slots
            }
            (Level::SlotRates | Level::Slots, None) => return,
        };
        // Several steps after one that was taken back are one mistake.
        if self.returned.is_some() {
            self.patience = if self.relapsed(now) { (self.patience * 2).min(MOST_PATIENCE) } else { PATIENCE };
        }
        self.returned = None;
    }

    fn rise(&mut self) {
        self.slots.pop();
        self.level = match self.level {
            Level::Nothing | Level::Previews => Level::Nothing,
            Level::SlotRates => Level::Previews,
            Level::Slots if self.slots.is_empty() => Level::SlotRates,
            Level::Slots => Level::Slots,
        };
    }
}

#[cfg(test)]
mod tests;
