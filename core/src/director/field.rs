//! What the program knows of the slots.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::ids::SlotId;
use crate::time::Mono;

pub(super) struct Field<'a> {
    /// Live slots, with the time since which they are.
    pub live: BTreeMap<SlotId, Mono>,
    /// Live slots that flapped: nothing but a cut puts them on air before this time where another can be.
    pub kept_off: BTreeMap<SlotId, Mono>,
    pub now: Mono,
    pub config: &'a Config,
    /// Why a slot is not live, in words.
    pub why: &'a dyn Fn(SlotId) -> String,
}

impl Field<'_> {
    pub fn is_live(&self, slot: SlotId) -> bool {
        self.live.contains_key(&slot)
    }

    fn is_kept_off(&self, slot: SlotId) -> bool {
        self.kept_off.get(&slot).is_some_and(|until| self.now < *until)
    }

    /// Live, and not kept off the air.
    pub fn is_trusted(&self, slot: SlotId) -> bool {
        self.is_live(slot) && !self.is_kept_off(slot)
    }

    /// The best slot by priority; one that flapped only where there is no other.
    pub fn best(&self) -> Option<SlotId> {
        let priority = |slot: &SlotId| self.config.slots.get(slot).map_or(u32::MAX, |own| own.priority);
        self.live.keys().copied().min_by_key(|slot| (self.is_kept_off(*slot), priority(slot), *slot))
    }
}
