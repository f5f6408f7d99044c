//! Settings that outlive the process: what they are now, and how they are taken up again.

use std::collections::BTreeMap;

use crate::command::AudioCommand;
use crate::config::Config;
use crate::ids::SlotId;
use crate::settings::{Set, Settings, ShowSettings, SlotSettings};

use super::Director;

/// The names that the configuration itself gives.
pub(super) fn names(config: &Config) -> BTreeMap<SlotId, String> {
    config.slots.iter().map(|(slot, own)| (*slot, own.name.clone())).collect()
}

impl Director {
    /// What is to be kept; `None` while the box ends, which stops streams and recordings by itself.
    pub fn settings(&self) -> Option<Settings> {
        if self.ending.is_some() {
            return None;
        }
        let audio = self.audio.status();
        let slots = self.config.slots.iter().filter_map(|(slot, own)| {
            let configured = self.configured_names.get(slot)?.clone();
            let name = Set { configured, now: own.name.clone() };
            let set = audio.slots.get(slot)?;
            let delay_ms = Set { configured: own.delay_ms, now: set.delay_ms };
            Some((*slot, SlotSettings { name, delay_ms, gain_db: set.gain_db }))
        });
        let muted = audio.slots.iter().filter(|(_, set)| set.mute).map(|(slot, _)| *slot).collect();
        let show = self.recorder.show_status().map(|show| ShowSettings {
            id: show.id,
            chosen: self.program.chosen(),
            slate: self.program.status().slate,
            sound: audio.mode,
            muted,
            streaming: self.uplink.streaming,
            recording: self.recorder.is_wanted(),
        });
        Some(Settings { slots: slots.collect(), cameras: self.inputs.known(), show })
    }

    /// Takes up what the process before left; to be called before the first event. What belongs to a show waits for it
    /// to go on.
    pub fn restore(&mut self, settings: Settings) {
        for (slot, set) in settings.slots {
            let Some(own) = self.config.slots.get(&slot) else { continue };
            let (same_name, same_delay) = (own.name == set.name.configured, own.delay_ms == set.delay_ms.configured);
            // Values that are not allowed any more are left out.
            let _ = self.audio.command(AudioCommand::Gain { slot, db: set.gain_db });
            if same_delay {
                let _ = self.audio.command(AudioCommand::Delay { slot, ms: set.delay_ms.now });
            }
            if same_name {
                let _ = self.rename(slot, &set.name.now);
            }
        }
        self.inputs.restore(&mut self.context, &self.config, settings.cameras);
        self.returning = settings.show;
        self.follow();
    }

    /// The show goes on: so does what was set for it.
    pub(super) fn restore_show(&mut self, show: &ShowSettings) {
        let configured = |slot: &SlotId| self.config.slots.contains_key(slot);
        self.program.restore(show.chosen.filter(configured), show.slate);
        let _ = self.audio.command(AudioCommand::Mode(show.sound));
        for slot in &show.muted {
            let _ = self.audio.command(AudioCommand::Mute { slot: *slot, on: true });
        }
        self.uplink.streaming = show.streaming;
        self.recorder.set_recording(show.recording);
    }

    /// Names that were set by command stay where the new configuration gives the same as the old one did.
    pub(super) fn keep_names(&mut self, new: &mut Config) {
        let configured = names(new);
        for (slot, own) in &mut new.slots {
            if self.configured_names.get(slot) == Some(&own.name)
                && let Some(old) = self.config.slots.get(slot)
            {
                own.name.clone_from(&old.name);
            }
        }
        self.configured_names = configured;
    }
}
