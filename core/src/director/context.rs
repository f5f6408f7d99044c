//! What the director hands to each of its machines: the time, the timers, the dice, and the baskets for what they
//! have to say. It knows no machine.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Origin;
use crate::grid::FrameIndex;
use crate::ids::{CommandId, Epoch, SlotId};
use crate::status::Severity;
use crate::time::{Mono, Trust, Wall};

use super::alerts::{self, Alerts};
use super::backoff::{Backoff, Dice, Pace};
use super::effect::{Effect, VaultOp};
use super::timers::{Reason, Timers};
use super::wanted::Picture;

/// Counters are sampled each 50 ms; a sample that is older than three of them means that the sampler is late, and
/// then the absence of progress says nothing about a source.
const SAMPLE_LATE: Duration = Duration::from_millis(150);
/// Where nothing else moves either, the box is starved and not the source dead; after this much more, silence is
/// believed all the same.
const BELIEVED_AFTER: Duration = Duration::from_secs(1);
/// A clock that moved by less was read with some delay.
const CLOCK_MOVED_NS: u64 = 1_000_000_000;
/// Until a late sampler is asked again.
const JUDGE_AGAIN: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Context {
    pub now: Mono,
    pub effects: VecDeque<Effect>,
    pub timers: Timers,
    pub alerts: Alerts,
    pub dice: Dice,
    epoch: Epoch,
    /// When counters were sampled last.
    pub sampled: Mono,
    /// Wall time minus monotonic time, as it was read last.
    wall_offset_ns: i64,
    pub trust: Trust,
    /// The clock as it was when it was last told of; `None` before the first reading.
    #[serde(default)]
    clock_told: Option<(i64, Trust)>,
    /// What happened in this event that belongs into the show's timeline.
    #[serde(skip)]
    pub news: Vec<News>,
}

/// Something for the show's timeline.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    Shown {
        picture: Picture,
        why: String,
        frame: FrameIndex,
        cause: Cause,
    },
    SlotLive {
        slot: SlotId,
    },
    SlotLost {
        slot: SlotId,
        why: String,
    },
    /// The wall clock moved by so much against the monotonic one, or is trusted otherwise than before.
    ClockSet {
        offset_ns: i64,
        trust: Trust,
    },
}

/// Who made something happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cause {
    pub by: String,
    pub id: Option<CommandId>,
}

impl Cause {
    /// The box itself: `failover`, `return`, `start`.
    pub fn own(by: &str) -> Self {
        Self { by: by.to_owned(), id: None }
    }

    pub fn command(origin: Origin, id: &CommandId) -> Self {
        let by = match origin {
            Origin::Local => "local",
            Origin::Http => "http",
            Origin::Panel => "panel",
            Origin::Mqtt => "mqtt",
        };
        Self { by: by.to_owned(), id: Some(id.clone()) }
    }
}

impl Context {
    pub fn new(seed: u64, now: Mono) -> Self {
        Self {
            now,
            effects: VecDeque::new(),
            timers: Timers::default(),
            alerts: Alerts::default(),
            dice: Dice::new(seed),
            epoch: Epoch(0),
            sampled: now,
            wall_offset_ns: 0,
            trust: Trust::Unset,
            clock_told: None,
            news: Vec::new(),
        }
    }

    /// An epoch that nothing had before.
    pub const fn new_epoch(&mut self) -> Epoch {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.epoch
    }

    pub fn vault(&mut self, op: VaultOp) {
        self.effects.push_back(Effect::Vault(op));
    }

    /// Raises an alert about something that happened once; it is taken back by itself.
    pub fn alert_once(&mut self, kind: &str, about: &str, severity: Severity, text: impl Into<String>) {
        self.alerts.raise(self.now, kind, about, severity, text);
        self.start_timer(Reason::AlertEnds(alerts::key(kind, about)), alerts::ONCE);
    }

    pub fn start_timer(&mut self, reason: Reason, after: Duration) {
        let at = self.now + after;
        self.timers.set(reason, at);
    }

    /// Starts the timer of the next try, after a wait that grows with each failure.
    pub fn start_retry(&mut self, reason: Reason, backoff: &mut Backoff, pace: Pace) {
        let wait = backoff.next(pace, &mut self.dice);
        self.start_timer(reason, wait);
    }

    pub fn clock_read(&mut self, wall: Wall) {
        let now_ns = i64::try_from(self.now.as_nanos()).unwrap_or(i64::MAX);
        self.wall_offset_ns = wall.unix_ns.saturating_sub(now_ns);
        self.trust = wall.trust;
        let (before_ns, before) = *self.clock_told.get_or_insert((self.wall_offset_ns, wall.trust));
        let moved_ns = self.wall_offset_ns.saturating_sub(before_ns);
        if moved_ns.unsigned_abs() >= CLOCK_MOVED_NS || before != wall.trust {
            self.clock_told = Some((self.wall_offset_ns, wall.trust));
            self.news.push(News::ClockSet { offset_ns: moved_ns, trust: wall.trust });
        }
    }

    pub fn wall(&self) -> Wall {
        let now_ns = i64::try_from(self.now.as_nanos()).unwrap_or(i64::MAX);
        Wall { unix_ns: self.wall_offset_ns.saturating_add(now_ns), trust: self.trust }
    }

    /// Whether something that made no progress since `last` may be called silent after `limit`; if not, when to ask
    /// again.
    pub fn silent(&self, last: Mono, limit: Duration) -> Silence {
        self.judge(last, limit, self.now.since(self.sampled) <= SAMPLE_LATE)
    }

    /// The same where `others` made progress last at that time: two thirds of the limit without any from them as well,
    /// and it is the box that was held up.
    pub fn silent_alone(&self, last: Mono, limit: Duration, others: Mono) -> Silence {
        let others_move = self.now.since(others) < limit * 2 / 3;
        self.judge(last, limit, others_move && self.now.since(self.sampled) <= SAMPLE_LATE)
    }

    fn judge(&self, last: Mono, limit: Duration, sure: bool) -> Silence {
        let idle = self.now.since(last);
        if idle < limit {
            Silence::NotYet(last + limit)
        } else if !sure && idle < limit + BELIEVED_AFTER {
            Silence::NotYet(self.now + JUDGE_AGAIN)
        } else {
            Silence::Yes
        }
    }
}

pub(super) enum Silence {
    Yes,
    NotYet(Mono),
}
