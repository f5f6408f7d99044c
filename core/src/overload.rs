//! What the box gives up, step by step, while the machine cannot keep up with its pictures (other load, heat).
//!
//! | level | given up as well |
//! |---|---|
//! | 0 | – |
//! | 1 | previews |
//! | 2 | every other picture of the slots: their recordings repeat the one before, their streams leave it out |
//! | 3 | the slots' recordings and streams |
//!
//! Nothing else is ever given up: the program, its sound, its recording and its stream are not in the table. Time and
//! what the encodes tell come in, the level comes out; whoever asks does so every [`LOOKS`].
//!
//! | state | then |
//! |---|---|
//! | Calm | an encode is behind → Strained; calm for as long as its patience → one level back |
//! | Strained | none is behind → Calm; behind for as long as the level waits, and not catching up → one level on |
//!
//! A step back that does not last doubles the patience before the next, and the next step on comes fast.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Mono;

/// Between two looks at what the encodes tell.
pub const LOOKS: Duration = Duration::from_millis(500);

/// Of a queue that is shorter than this only what it lost is looked at: two slow pictures in a row fill it.
const SHORT_MS: u32 = 250;
/// A queue that holds so much is long whatever its room is.
const LONG_MS: u32 = 1_000;
/// Lost of each second: one picture in ten.
const LOST_MS_PER_S: u32 = 100;
/// How long an encode is behind before each step; what was given up before needs its time to show.
const FALLS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];
/// The same soon after a step back.
const FALLS_AGAIN: Duration = Duration::from_secs(1);
/// A step back that lasted for so long was right.
const LASTED: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_PATIENCE: Duration = Duration::from_secs(120);

/// How far an encode lags behind its pictures.
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
    /// Whether the encoder does not keep up.
    pub const fn is_behind(&self) -> bool {
        let long = self.room_ms / 4 * 3;
        let full = self.room_ms >= SHORT_MS && self.waiting_ms >= if long < LONG_MS { long } else { LONG_MS };
        full || self.is_losing()
    }

    const fn is_losing(&self) -> bool {
        self.lost_ms_per_s >= LOST_MS_PER_S
    }
}

/// All encodes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strain {
    behind: bool,
    losing: bool,
    /// Of the one that waits longest.
    waiting_ms: u32,
}

impl Strain {
    /// What the encodes told last.
    pub fn of<'a>(lags: impl IntoIterator<Item = &'a Lag>) -> Self {
        lags.into_iter().filter(|lag| lag.is_behind()).fold(Self::default(), |worst, lag| Self {
            behind: true,
            losing: worst.losing || lag.is_losing(),
            waiting_ms: worst.waiting_ms.max(lag.waiting_ms),
        })
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
    const ALL: [Self; 4] = [Self::Nothing, Self::Previews, Self::SlotRates, Self::Slots];

    /// 0 to 3.
    pub const fn number(self) -> u8 {
        self as u8
    }

    const fn next(self) -> Self {
        match self {
            Self::Nothing => Self::Previews,
            Self::Previews => Self::SlotRates,
            Self::SlotRates | Self::Slots => Self::Slots,
        }
    }

    const fn before(self) -> Self {
        match self {
            Self::Nothing | Self::Previews => Self::Nothing,
            Self::SlotRates => Self::Previews,
            Self::Slots => Self::SlotRates,
        }
    }

    /// What a technician is told; empty where nothing is given up.
    pub fn words(self) -> String {
        let given_up = |level: &Self| match level {
            Self::Nothing => None,
            Self::Previews => Some("no previews"),
            Self::SlotRates if self == Self::SlotRates => Some("half the pictures of each slot"),
            Self::SlotRates => None,
            Self::Slots => Some("no recordings of slots"),
        };
        let parts: Vec<&str> = Self::ALL.iter().filter(|level| **level <= self).filter_map(given_up).collect();
        parts.join(", ")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    level: Level,
    state: State,
    patience: Duration,
    /// When a level was taken back last.
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
        Self { level: Level::Nothing, state: State::Calm { since: Mono(0) }, patience: PATIENCE, returned: None }
    }
}

impl Overload {
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Nothing is given up, and nobody is behind: there is no need to look again.
    pub const fn is_over(&self) -> bool {
        matches!((self.level, self.state), (Level::Nothing, State::Calm { .. }))
    }

    /// Looks at how the encodes do now.
    pub fn look(&mut self, now: Mono, strain: Strain) {
        let strained = State::Strained { since: now, waiting_ms: strain.waiting_ms };
        match self.state {
            State::Calm { .. } if strain.behind => self.state = strained,
            State::Calm { since } => {
                if self.level != Level::Nothing && now.since(since) >= self.patience {
                    self.level = self.level.before();
                    self.returned = Some(now);
                    self.state = State::Calm { since: now };
                }
            }
            State::Strained { .. } if !strain.behind => self.state = State::Calm { since: now },
            State::Strained { since, waiting_ms } => {
                if now.since(since) >= self.falls_after(now) {
                    let catches_up = !strain.losing && strain.waiting_ms < waiting_ms / 4 * 3;
                    if !catches_up {
                        self.fall(now);
                    }
                    self.state = strained;
                }
            }
        }
    }

    fn relapsed(&self, now: Mono) -> bool {
        self.returned.is_some_and(|at| now.since(at) < LASTED)
    }

    fn falls_after(&self, now: Mono) -> Duration {
        let patient = FALLS.get(usize::from(self.level.number())).copied().unwrap_or(LASTED);
        if self.relapsed(now) { FALLS_AGAIN } else { patient }
    }

    fn fall(&mut self, now: Mono) {
        if self.level == Level::Slots {
            return;
        }
        self.level = self.level.next();
        // Several steps after one that was taken back are one mistake.
        if self.returned.is_some() {
            self.patience = if self.relapsed(now) { (self.patience * 2).min(MOST_PATIENCE) } else { PATIENCE };
        }
        self.returned = None;
    }
}

#[cfg(test)]
mod tests;
