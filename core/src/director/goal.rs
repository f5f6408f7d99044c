//! Gathers what the machines wish into the goal.

use std::collections::BTreeMap;

use crate::ids::{Epoch, SlotId};
use crate::job::EncodeJob;

use super::{Director, OnAir, Picture, Program, Wanted, input, recorder};

impl Director {
    /// The camera that viewers see, as they are told of it.
    fn shown(&self) -> Option<OnAir> {
        let Picture::Slot(slot) = self.program.on_air() else { return None };
        let own = self.config.slots.get(&slot)?;
        Some(OnAir { slot, name: own.name.clone(), frame: self.program.shown_from() })
    }

    /// Slots whose pictures are there for the legs, with their names.
    fn published_slots(&self) -> BTreeMap<SlotId, String> {
        let encoded = |slot: SlotId| self.encodes.source(EncodeJob::SlotStream(slot)).is_some();
        let slots = self.config.slots.iter().filter(|(slot, _)| encoded(**slot));
        slots.map(|(slot, own)| (*slot, own.name.clone())).collect()
    }

    /// Makes the goal fit to what the machines wish.
    pub(super) fn make_goal(&mut self) {
        let live = self.inputs.live();
        let switch = self.program.switch();
        let show = self.recorder.show_status();
        let named = show.filter(|show| show.name != recorder::name_of_unnamed(&show.id)).map(|show| show.name);
        let capture = |(id, slot): (_, &input::Slot)| slot.capture.clone().map(|capture| (id, capture));
        let sound = |(id, slot): (_, &input::Slot)| slot.sound.wish().cloned().map(|sound| (id, sound));
        let goal = Wanted {
            epoch: self.wanted.epoch,
            captures: self.inputs.iter().filter_map(capture).collect(),
            sounds: self.inputs.iter().filter_map(sound).collect(),
            program: Program {
                epoch: self.program.epoch(),
                inputs: live.keys().copied().collect(),
                switch,
                slate: self.program.slate(named.as_deref()),
                audio: self.audio.mix(&self.config, switch.picture, |slot| live.contains_key(&slot)),
            },
            encodes: self.encodes.wish(),
            recordings: self.recorder.wish(),
            legs: self.uplink.wish(self.shown().as_ref(), &self.published_slots()),
            no_snapshots: self.snapshots_off().is_some(),
        };
        if goal != self.wanted {
            self.wanted = Wanted { epoch: Epoch(self.wanted.epoch.0 + 1), ..goal };
        }
    }
}
