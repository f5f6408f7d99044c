//! What a network carries → what the stream's encoder makes of the picture, and what is left for the sound.
//!
//! Pure: estimates and time go in, a bitrate and a picture size come out. It knows no leg and no encoder.
//!
//! | | |
//! |---|---|
//! | start | 70 % of the target: a full rate into an unknown network blurs the first seconds |
//! | fall | at once, to what is offered; not twice within 200 ms |
//! | rise | 8 % each 500 ms (doubled in 5 s), not within 1 s of a fall |
//! | smaller picture | as soon as the bitrate is below what the size needs |
//! | larger picture | when the bitrate was 30 % above what the next size needs for 5 s; when that did not last for 30 s, twice as long the next time, at most 60 s |
//!
//! Estimators probe, so what they tell swings: changes below 3 % downwards and 5 % upwards are let pass.

mod ladder;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::picture_size::PictureSize;
use crate::time::Mono;

use ladder::Rung;

/// Between two falls.
const FALLS_EVERY: Duration = Duration::from_millis(200);
/// Between two rises.
const RISES_EVERY: Duration = Duration::from_millis(500);
/// From a fall to the next rise.
const HOLDS: Duration = Duration::from_secs(1);
/// A larger picture must have been affordable for this long.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST_PATIENCE: Duration = Duration::from_secs(60);
/// A larger picture that was kept for so long was no mistake.
const SETTLED: Duration = Duration::from_secs(30);

/// Of an estimate, per cent that is used: packet headers, retransmissions and an encoder's overshoot need the rest.
const USED_PERCENT: u64 = 90;

/// What the encoder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bits per second; never less.
    pub min_bps: u64,
    /// Bits per second; the target on a good network.
    pub max_bps: u64,
    pub full: PictureSize,
    /// Whether the picture may become smaller. Where a recording shares the encode it may not.
    pub resizable: bool,
}

/// Decides the bitrate and the picture of one encode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Governor {
    limits: Limits,
    bitrate_bps: u64,
    goal_bps: u64,
    fell: Option<Mono>,
    rose: Option<Mono>,
    /// Place on the ladder, 0: the full picture.
    rung: usize,
    /// Since when the next larger picture could be afforded.
    affordable: Option<Mono>,
    grew: Option<Mono>,
    patience: Duration,
}

/// Bits per second of an estimate that may be used for picture and sound together.
pub const fn usable(estimate_bps: u64) -> u64 {
    estimate_bps.saturating_mul(USED_PERCENT) / 100
}

/// Bits per second that an encode starts with.
pub const fn start(limits: &Limits) -> u64 {
    let start = limits.max_bps.saturating_mul(7) / 10;
    if start > limits.min_bps { start } else { limits.min_bps }
}

impl Governor {
    pub fn new(limits: Limits) -> Self {
        let bitrate_bps = start(&limits);
        Self {
            limits,
            bitrate_bps,
            goal_bps: bitrate_bps,
            fell: None,
            rose: None,
            rung: 0,
            affordable: None,
            grew: None,
            patience: PATIENCE,
        }
    }

    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub const fn bitrate_bps(&self) -> u64 {
        self.bitrate_bps
    }

    /// Picture of the moment.
    pub fn picture(&self) -> PictureSize {
        let rungs = ladder::rungs(&self.limits);
        rungs.get(self.rung).map_or(self.limits.full, |rung| rung.picture)
    }

    /// Bits per second that there are for the picture now; `None`: as many as it can use.
    pub fn offer(&mut self, now: Mono, picture_bps: Option<u64>) {
        let most = self.limits.max_bps.max(self.limits.min_bps);
        self.goal_bps = picture_bps.unwrap_or(most).clamp(self.limits.min_bps, most);
        self.decide(now);
    }

    /// Does what the time has come for.
    pub fn decide(&mut self, now: Mono) {
        if self.falls_at().is_some_and(|at| at <= now) {
            self.bitrate_bps = self.goal_bps;
            self.fell = Some(now);
        } else if self.rises_at(now).is_some_and(|at| at <= now) {
            // A fixed part as well, so that a rise from very little does not take for ever.
            let step = (self.bitrate_bps / 100 * 8).max(25_000);
            self.bitrate_bps = self.goal_bps.min(self.bitrate_bps + step);
            self.rose = Some(now);
        }
        self.fit_picture(now);
    }

    /// When [`Governor::decide`] is due next.
    pub fn deadline(&self, now: Mono) -> Option<Mono> {
        let grows = self.affordable.map(|since| since + self.patience);
        [self.falls_at(), self.rises_at(now), grows].into_iter().flatten().min()
    }

    fn falls_at(&self) -> Option<Mono> {
        let falls = self.goal_bps < self.bitrate_bps - self.bitrate_bps / 100 * 3;
        let lowest = self.goal_bps == self.limits.min_bps && self.bitrate_bps > self.goal_bps;
        (falls || lowest).then(|| self.fell.map_or(Mono::default(), |fell| fell + FALLS_EVERY))
    }

    fn rises_at(&self, now: Mono) -> Option<Mono> {
        let rises = self.goal_bps > self.bitrate_bps + self.bitrate_bps / 100 * 5;
        let highest = self.goal_bps == self.limits.max_bps && self.bitrate_bps < self.goal_bps;
        let after_fall = self.fell.map(|fell| fell + HOLDS);
        let after_rise = self.rose.map(|rose| rose + RISES_EVERY);
        (rises || highest).then(|| after_fall.max(after_rise).unwrap_or(now))
    }

    fn fit_picture(&mut self, now: Mono) {
        let rungs = ladder::rungs(&self.limits);
        let needs = |rung: usize| rungs.get(rung).map_or(0, |rung: &Rung| rung.needs_bps);
        let before = self.rung;
        while self.rung + 1 < rungs.len() && self.bitrate_bps < needs(self.rung) {
            self.rung += 1;
        }
        if self.rung > before {
            let too_early = self.grew.is_some_and(|grew| now.since(grew) < SETTLED);
            self.patience = if too_early { (self.patience * 2).min(MOST_PATIENCE) } else { PATIENCE };
            self.affordable = None;
            return;
        }
        let enough = |rung: usize| self.bitrate_bps >= needs(rung) / 10 * 13;
        if self.rung == 0 || !enough(self.rung - 1) {
            self.affordable = None;
            return;
        }
        let since = *self.affordable.get_or_insert(now);
        if now.since(since) >= self.patience {
            self.rung -= 1;
            self.grew = Some(now);
            self.affordable = (self.rung > 0 && enough(self.rung - 1)).then_some(now);
        }
    }
}

/// The sound's rate steps down on a small network, so that it never breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundStep {
    /// 32 kbit/s: speech is still clear in Opus, and music bearable.
    Least,
    /// 64 kbit/s.
    Less,
    /// As configured.
    #[default]
    Full,
}

impl SoundStep {
    /// Usable bits per second from which on each step is taken; a quarter more is needed to come back to it.
    const NEEDS: [(Self, u64); 2] = [(Self::Full, 700_000), (Self::Less, 350_000)];

    /// The step for so many usable bits per second.
    #[must_use]
    pub fn follow(self, usable_bps: u64) -> Self {
        let fits = |(step, needs): &&(Self, u64)| usable_bps >= if *step > self { needs / 4 * 5 } else { *needs };
        Self::NEEDS.iter().find(fits).map_or(Self::Least, |(step, _)| *step)
    }

    /// Bits per second; `full_bps` is the configured rate.
    pub fn bps(self, full_bps: u64) -> u64 {
        match self {
            Self::Least => full_bps.min(32_000),
            Self::Less => full_bps.min(64_000),
            Self::Full => full_bps,
        }
    }
}

#[cfg(test)]
mod tests;
