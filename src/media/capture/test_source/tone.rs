//! The test source's sound. Every sample is computed from its absolute position, so that it goes on in phase across
//! restarts.

use crate::media::timing::{CHANNELS, SAMPLE_RATE};

/// −20 dBFS and −8 dBFS, as peaks of a sine.
const TONE: f32 = 0.1;
const BURST: f32 = 0.398_107_17;
const BURST_HZ: u64 = 1_000;
/// 20 ms.
const BURST_SAMPLES: u64 = SAMPLE_RATE as u64 / 50;

pub struct Tone {
    hz: Option<u32>,
    /// A 1 kHz burst takes the tone's place at each whole second.
    bursts: bool,
    /// A second of 1 Hz; a whole number of Hz is a whole number of steps through it.
    sine: Vec<f32>,
}

impl Tone {
    pub fn new(hz: Option<u32>, bursts: bool) -> Self {
        let step = std::f64::consts::TAU / f64::from(SAMPLE_RATE);
        Self { hz, bursts, sine: (0..SAMPLE_RATE).map(|n| (step * f64::from(n)).sin() as f32).collect() }
    }

    /// Interleaved samples from `from` up to `to`, as positions since the monotonic clock's zero.
    pub fn samples(&self, from: u64, to: u64) -> Vec<f32> {
        (from..to).flat_map(|position| [self.sample(position); CHANNELS as usize]).collect()
    }

    fn sample(&self, position: u64) -> f32 {
        let second = u64::from(SAMPLE_RATE);
        let at = position % second;
        if self.bursts && at < BURST_SAMPLES {
            return BURST * self.sine[(at * BURST_HZ % second) as usize];
        }
        self.hz.map_or(0.0, |hz| TONE * self.sine[(at * u64::from(hz) % second) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak(samples: &[f32]) -> f32 {
        samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
    }

    #[test]
    fn the_burst_takes_the_tones_place_for_20_ms_of_each_second() {
        let tone = Tone::new(Some(440), true);
        let second = 5 * u64::from(SAMPLE_RATE);
        assert!((peak(&tone.samples(second, second + 960)) - BURST).abs() < 1e-3);
        assert!((peak(&tone.samples(second + 960, second + 48_000)) - TONE).abs() < 1e-3);
    }

    #[test]
    fn the_tone_runs_in_phase_over_seconds_and_blocks() {
        let tone = Tone::new(Some(440), false);
        let whole = tone.samples(1_000_000, 1_200_000);
        let parts = [tone.samples(1_000_000, 1_048_123), tone.samples(1_048_123, 1_200_000)].concat();
        assert_eq!(whole, parts);
        let largest_step = whole.chunks(2).zip(whole.chunks(2).skip(1)).map(|(a, b)| (a[0] - b[0]).abs());
        assert!(largest_step.fold(0.0, f32::max) < 0.1 * std::f32::consts::TAU * 440.0 / 48_000.0 * 1.01);
    }

    #[test]
    fn without_tone_and_bursts_there_is_silence() {
        assert_eq!(peak(&Tone::new(None, false).samples(0, 96_000)), 0.0);
    }
}
