//! The program's sound: whose it is, how loud, how late. Recordings of slots are never touched by it.
//!
//! A pure function of the settings here and of the picture that is wanted; the graph ramps to what comes out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::wire::{DELAY_MS, GAIN_DB};
use crate::command::{AudioCommand, AudioMode};
use crate::config::{Config, SlotAudio, SlotConfig};
use crate::ids::SlotId;
use crate::status::{AudioStatus, SlotAudioStatus};

use super::wanted::{Audio, Picture};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct AudioDesk {
    mode: AudioMode,
    slots: BTreeMap<SlotId, SlotAudioStatus>,
}

impl AudioDesk {
    pub fn new(config: &Config) -> Self {
        let mut desk = Self::default();
        desk.reconfigure(config, &BTreeMap::new());
        desk
    }

    /// Takes the delays that the configuration changed; what was set by command stays otherwise.
    pub fn reconfigure(&mut self, config: &Config, old: &BTreeMap<SlotId, SlotConfig>) {
        self.slots.retain(|slot, _| config.slots.contains_key(slot));
        for (id, own) in &config.slots {
            let slot = self.slots.entry(*id).or_default();
            if old.get(id).is_none_or(|old| old.delay_ms != own.delay_ms) {
                slot.delay_ms = own.delay_ms;
            }
        }
        if matches!(self.mode, AudioMode::Slot(slot) if !config.slots.contains_key(&slot)) {
            self.mode = AudioMode::Follow;
        }
    }

    /// `Ok(false)`: it was so already.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn command(&mut self, command: AudioCommand) -> Result<bool, String> {
        let unknown = |slot: SlotId| format!("slot {slot} is not configured");
        let before = (self.mode, self.slots.clone());
        match command {
            AudioCommand::Mode(mode) => {
                if let AudioMode::Slot(slot) = mode
                    && !self.slots.contains_key(&slot)
                {
                    return Err(unknown(slot));
                }
                self.mode = mode;
            }
            AudioCommand::Mute { slot, on } => self.slots.get_mut(&slot).ok_or_else(|| unknown(slot))?.mute = on,
            AudioCommand::Gain { slot, db } => {
                if !GAIN_DB.contains(&db) {
                    return Err(format!("gain {db} dB (allowed: {} to {})", GAIN_DB.start(), GAIN_DB.end()));
                }
                self.slots.get_mut(&slot).ok_or_else(|| unknown(slot))?.gain_db = db;
            }
            AudioCommand::Delay { slot, ms } => {
                if !DELAY_MS.contains(&ms) {
                    return Err(format!("delay {ms} ms (allowed: {} to {})", DELAY_MS.start(), DELAY_MS.end()));
                }
                self.slots.get_mut(&slot).ok_or_else(|| unknown(slot))?.delay_ms = ms;
            }
        }
        Ok(before != (self.mode, self.slots.clone()))
    }

    pub fn mix(&self, config: &Config, picture: Picture, live: impl Fn(SlotId) -> bool) -> Audio {
        let heard = |slot: SlotId| match self.mode {
            AudioMode::Follow => picture == Picture::Slot(slot),
            AudioMode::Slot(chosen) => slot == chosen,
            AudioMode::Mix => true,
        };
        let has_sound = |slot: SlotId| config.slots.get(&slot).is_some_and(|own| own.audio != SlotAudio::None);
        let gains = self
            .slots
            .iter()
            .filter(|(slot, set)| heard(**slot) && live(**slot) && has_sound(**slot) && !set.mute)
            .map(|(slot, set)| (*slot, linear(set.gain_db)))
            .collect();
        Audio { gains, delays_ms: self.slots.iter().map(|(slot, set)| (*slot, set.delay_ms)).collect() }
    }

    pub fn status(&self) -> AudioStatus {
        AudioStatus { mode: self.mode, slots: self.slots.clone() }
    }
}

/// Decibels to a factor of amplitude.
fn linear(db: f64) -> f64 {
    10_f64.powf(db / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_lets_through_whom_it_names() {
        let config = Config::default();
        let [one, two, three] = [1, 2, 3].map(|n| SlotId::new(n).unwrap());
        let live = |slot| slot == one || slot == two;
        let on_two = Picture::Slot(two);
        let cases = [
            (AudioMode::Follow, on_two, vec![two]),
            (AudioMode::Follow, Picture::Slate, vec![]),
            (AudioMode::Slot(one), on_two, vec![one]),
            (AudioMode::Slot(three), on_two, vec![]),
            (AudioMode::Slot(one), Picture::Slate, vec![one]),
            (AudioMode::Mix, on_two, vec![one, two]),
        ];
        for (mode, picture, heard) in cases {
            let mut desk = AudioDesk::new(&config);
            desk.command(AudioCommand::Mode(mode)).unwrap();
            let mix = desk.mix(&config, picture, live);
            assert_eq!(mix.gains.keys().copied().collect::<Vec<_>>(), heard, "{mode:?} {picture:?}");
        }
    }

    #[test]
    fn mute_silences_and_gain_is_linear_amplitude() {
        let config = Config::default();
        let one = SlotId::new(1).unwrap();
        let mut desk = AudioDesk::new(&config);
        assert_eq!(desk.command(AudioCommand::Gain { slot: one, db: -20.0 }), Ok(true));
        assert_eq!(desk.command(AudioCommand::Gain { slot: one, db: -20.0 }), Ok(false));
        let gain = desk.mix(&config, Picture::Slot(one), |_| true).gains[&one];
        assert!((gain - 0.1).abs() < 1e-9, "{gain}");
        assert_eq!(desk.command(AudioCommand::Mute { slot: one, on: true }), Ok(true));
        assert!(desk.mix(&config, Picture::Slot(one), |_| true).gains.is_empty());
        assert!(desk.command(AudioCommand::Gain { slot: one, db: f64::NAN }).is_err());
        assert!(desk.command(AudioCommand::Delay { slot: one, ms: 1_001 }).is_err());
    }
}
