//! Click-free gain: every change is a straight ramp over ten milliseconds.

use super::super::timing::{CHANNELS, SAMPLE_RATE};

/// Length of a ramp between any two gains, in samples per channel.
const RAMP: f32 = (SAMPLE_RATE / 100) as f32;
const FRAME_BYTES: usize = CHANNELS as usize * size_of::<f32>();

/// A gain on its way to its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    now: f32,
    target: f32,
    step: f32,
}

impl Gain {
    pub fn silent() -> Self {
        Self { now: 0.0, target: 0.0, step: 0.0 }
    }

    pub fn aim(&mut self, target: f32) {
        if target != self.target {
            self.target = target;
            self.step = (target - self.now) / RAMP;
        }
    }

    /// Nothing to do to the samples.
    pub fn is_unity(&self) -> bool {
        self.now == 1.0 && self.target == 1.0
    }

    /// Applies the gain to interleaved little-endian 32-bit float samples, sample by sample while it moves.
    pub fn apply(&mut self, samples: &mut [u8]) {
        for frame in samples.chunks_exact_mut(FRAME_BYTES) {
            if self.now != self.target {
                self.now += self.step;
                if (self.target - self.now) * self.step <= 0.0 {
                    self.now = self.target;
                }
            }
            for sample in frame.as_chunks_mut::<4>().0 {
                *sample = (f32::from_le_bytes(*sample) * self.now).to_le_bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(gain: &mut Gain, frames: usize) -> Vec<f32> {
        let mut bytes: Vec<u8> = 1.0f32.to_le_bytes().repeat(frames * CHANNELS as usize);
        gain.apply(&mut bytes);
        bytes.as_chunks::<4>().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
    }

    #[test]
    fn a_ramp_takes_ten_milliseconds_and_never_steps() {
        let mut gain = Gain::silent();
        gain.aim(1.0);
        let samples = applied(&mut gain, 600);
        let left: Vec<f32> = samples.iter().step_by(2).copied().collect();
        assert!(left.windows(2).all(|pair| (0.0..=1.01 / RAMP).contains(&(pair[1] - pair[0]))));
        assert!(left[470] < 1.0 && left[481] == 1.0 && gain.is_unity());
        assert_eq!(samples[100], samples[101], "both channels move together");
    }

    #[test]
    fn a_ramp_that_is_turned_around_goes_on_from_where_it_is() {
        let mut gain = Gain::silent();
        gain.aim(2.0);
        let top = applied(&mut gain, 100)[198];
        gain.aim(0.0);
        let next = applied(&mut gain, 1)[0];
        assert!(next < top && top - next < 1.01 * top / RAMP);
        assert_eq!(applied(&mut gain, 481).last(), Some(&0.0));
    }
}
