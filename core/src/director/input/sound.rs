//! A slot's own sound card. Its failing never touches the slot's picture.
//!
//! | state | then |
//! |---|---|
//! | Off: none is wanted | a device is wanted → On |
//! | On: wished, and waited for | nothing delivered within its limit, or an error → Cooling |
//! | Cooling: failed, waits | timer → On with a new epoch |
//!
//! A card that delivers nothing is taken out like a stalled picture, because a silent input makes the mixer wait.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::director::backoff::{Backoff, Pace};
use crate::director::context::{Context, Silence};
use crate::director::event::Fact;
use crate::director::timers::Reason;
use crate::director::wanted::Sound;
use crate::director::words;
use crate::ids::{Epoch, SlotId};
use crate::status::Severity;
use crate::time::Mono;

/// From opening a card to its first buffer.
const OPENS: Duration = Duration::from_secs(10);
/// A card delivers each 10–100 ms; nothing for this long means that it hangs.
const STALLS: Duration = Duration::from_secs(1);
/// Delivering for this long, it is trusted again.
const STEADY: Duration = Duration::from_secs(60);
/// A card that is plugged in again is heard within seconds.
const PACE: Pace = Pace::ms(1_000, 5_000);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::director) struct SoundLine {
    state: State,
    backoff: Backoff,
    /// No card is opened: the box crashed in it.
    #[serde(default)]
    barred: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Off,
    On {
        sound: Sound,
        since: Mono,
        /// When it delivered last; `None`: not yet.
        delivered: Option<Mono>,
    },
    Cooling {
        device: String,
    },
}

impl SoundLine {
    pub fn wish(&self) -> Option<&Sound> {
        match &self.state {
            State::On { sound, .. } => Some(sound),
            State::Off | State::Cooling { .. } => None,
        }
    }

    pub fn epoch(&self) -> Option<Epoch> {
        self.wish().map(|sound| sound.epoch)
    }

    pub const fn is_missing(&self) -> bool {
        self.barred || matches!(self.state, State::Cooling { .. })
    }

    /// No card is opened from here on.
    pub const fn bar(&mut self) {
        self.barred = true;
    }

    /// Follows what is wanted: `None` when the slot has no capture or no card.
    pub fn follow(&mut self, context: &mut Context, slot: SlotId, wanted: Option<&str>) {
        let wanted = wanted.filter(|_| !self.barred);
        let present = match &self.state {
            State::Off => None,
            State::On { sound, .. } => Some(sound.device.as_str()),
            State::Cooling { device } => Some(device.as_str()),
        };
        if present == wanted {
            return;
        }
        context.timers.stop(&Reason::SoundStalls(slot));
        context.timers.stop(&Reason::SoundRetries(slot));
        context.alerts.clear("sound_lost", &slot.to_string());
        self.state = State::Off;
        if let Some(device) = wanted {
            self.open(context, slot, device.to_owned());
        }
    }

    pub fn fact(&mut self, context: &mut Context, slot: SlotId, fact: &Fact) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other facts belong to other jobs")]
        match fact {
            Fact::FirstBuffer => {
                self.progressed(context, slot);
            }
            Fact::Failed { class, detail } => self.fail(context, slot, &words::source(*class, detail, "")),
            Fact::Ended => self.fail(context, slot, "it ended"),
            _ => {}
        }
    }

    /// True when anything but a counter changed.
    pub fn progressed(&mut self, context: &mut Context, slot: SlotId) -> bool {
        let State::On { delivered, .. } = &mut self.state else { return false };
        let first = delivered.is_none();
        *delivered = Some(context.now);
        context.start_timer(Reason::SoundStalls(slot), STALLS);
        if first {
            context.alerts.clear("sound_lost", &slot.to_string());
        }
        first
    }

    pub fn stall_timer(&mut self, context: &mut Context, slot: SlotId) {
        let State::On { since, delivered, .. } = &self.state else { return };
        let (last, limit) = delivered.map_or((*since, OPENS), |at| (at, STALLS));
        match context.silent(last, limit) {
            Silence::NotYet(again) => context.timers.set(Reason::SoundStalls(slot), again),
            Silence::Yes => self.fail(context, slot, "it delivers nothing"),
        }
    }

    pub fn retry_timer(&mut self, context: &mut Context, slot: SlotId) {
        if let State::Cooling { device } = &self.state {
            let device = device.clone();
            self.open(context, slot, device);
        }
    }

    pub fn check(&self, context: &Context, slot: SlotId) {
        let (stalls, retries) =
            (context.timers.is_set(&Reason::SoundStalls(slot)), context.timers.is_set(&Reason::SoundRetries(slot)));
        let expected = match self.state {
            State::Off => (false, false),
            State::On { .. } => (true, false),
            State::Cooling { .. } => (false, true),
        };
        assert_eq!((stalls, retries), expected, "timers of the sound of {slot:?}: {:?}", self.state);
    }

    fn open(&mut self, context: &mut Context, slot: SlotId, device: String) {
        let sound = Sound { epoch: context.new_epoch(), device };
        self.state = State::On { sound, since: context.now, delivered: None };
        context.start_timer(Reason::SoundStalls(slot), OPENS);
    }

    fn fail(&mut self, context: &mut Context, slot: SlotId, why: &str) {
        let State::On { sound, since, delivered } = &self.state else { return };
        if delivered.is_some() && context.now.since(*since) >= STEADY {
            self.backoff.reset();
        }
        let text = format!("slot {slot} has no sound: {}: {why}", sound.device);
        context.alerts.raise(context.now, "sound_lost", &slot.to_string(), Severity::Warning, text);
        self.state = State::Cooling { device: sound.device.clone() };
        context.timers.stop(&Reason::SoundStalls(slot));
        context.start_retry(Reason::SoundRetries(slot), &mut self.backoff, PACE);
    }
}
