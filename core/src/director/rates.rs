//! How much each adaptive encode may make, from what the legs that lead can carry: first the sound, then the slots that
//! are published beside the program, then the program's picture. Recordings' encodes never feel any of it.
//!
//! The slots are the first to give: they share 30 % of what is left after the sound, or all that the program cannot use,
//! and are shed altogether when that is less than 100 kbit/s for each; they come back when there were 150 kbit/s for each
//! for 10 s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::encode_plan::SLOT_STREAM_BPS;
use crate::picture_size::PictureSize;
use crate::rate::{Governor, Limits, start, usable};
use crate::time::Mono;

use super::context::Context;
use super::timers::Reason;
use super::uplink::Road;

/// Part of what is left after the program's sound that the slots share, per cent.
const SLOTS_PERCENT: u64 = 30;
/// Bits per second of the sound of a slot that is published.
const SLOT_SOUND_BPS: u64 = 32_000;
/// The slots' rates change in steps, so that not every estimate is a change.
const SLOT_STEP_BPS: u64 = 25_000;
/// Bits per second for the picture of each slot at which shed slots come back, when they were there for so long.
const RETURN_BPS: u64 = 150_000;
const RETURNS: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Rates {
    stream: Option<Governor>,
    /// The stream's rate comes from what a leg's network was said to carry.
    #[serde(default)]
    limited: bool,
    slot_bps: Option<u64>,
    shed: bool,
    roomy: Option<Mono>,
}

impl Rates {
    /// `stream`: what the stream's encode may do, where there is one. `slots`: how many are to be published.
    pub fn follow(&mut self, context: &mut Context, stream: Option<Limits>, road: Road, slots: usize) {
        let Some(limits) = stream else {
            *self = Self::default();
            context.timers.stop(&Reason::RateDecides);
            return;
        };
        let mut governor = match self.stream.take() {
            Some(governor) if *governor.limits() == limits => governor,
            Some(_) | None => Governor::new(limits),
        };
        match road {
            Road::Unknown => governor.decide(context.now),
            Road::Open => {
                (self.slot_bps, self.shed, self.roomy) = (None, false, None);
                // What a leg fell to while it failed says nothing of the next one's network.
                if std::mem::take(&mut self.limited) && governor.bitrate_bps() < start(&limits) {
                    governor = Governor::new(limits);
                }
                governor.offer(context.now, None);
            }
            Road::Limited { estimate_bps, sound_bps } => {
                self.limited = true;
                let left = usable(estimate_bps).saturating_sub(sound_bps);
                let unused = left.saturating_sub(limits.max_bps);
                let slots_bps = self.share(context.now, unused.max(left / 100 * SLOTS_PERCENT), slots);
                governor.offer(context.now, Some(left.saturating_sub(slots_bps)));
            }
        }
        let returns = self.roomy.map(|since| since + RETURNS);
        match governor.deadline(context.now).into_iter().chain(returns).min() {
            Some(at) => context.timers.set(Reason::RateDecides, at),
            None => context.timers.stop(&Reason::RateDecides),
        }
        self.stream = Some(governor);
    }

    /// Bits per second of the program's picture, and its size.
    pub fn stream(&self) -> Option<(u64, PictureSize)> {
        self.stream.as_ref().map(|governor| (governor.bitrate_bps(), governor.picture()))
    }

    /// Bits per second of each slot's picture.
    pub fn slot_bps(&self) -> u64 {
        self.slot_bps.unwrap_or(*SLOT_STREAM_BPS.end())
    }

    /// The network is too small for the slots.
    pub const fn slots_are_shed(&self) -> bool {
        self.shed
    }

    /// Bits per second for all slots together, of those that there are for them.
    fn share(&mut self, now: Mono, theirs_bps: u64, slots: usize) -> u64 {
        let slots = u64::try_from(slots).unwrap_or(u64::MAX);
        if slots == 0 {
            (self.shed, self.roomy) = (false, None);
            return 0;
        }
        let each = (theirs_bps / slots).saturating_sub(SLOT_SOUND_BPS);
        if self.shed {
            self.roomy = (each >= RETURN_BPS).then(|| self.roomy.unwrap_or(now));
            self.shed = self.roomy.is_none_or(|since| now.since(since) < RETURNS);
        } else {
            self.shed = each < *SLOT_STREAM_BPS.start();
        }
        if self.shed {
            return 0;
        }
        self.roomy = None;
        let each = (each / SLOT_STEP_BPS * SLOT_STEP_BPS).clamp(*SLOT_STREAM_BPS.start(), *SLOT_STREAM_BPS.end());
        self.slot_bps = Some(each);
        slots * (each + SLOT_SOUND_BPS)
    }
}
