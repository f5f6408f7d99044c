//! Sound made a little longer or shorter: a windowed sinc between the samples.
//!
//! Of 32 samples around each place, by a table of 256 places between two of them and straight lines between those: for
//! the small stretches that clocks need, what it adds lies more than 80 dB below the sound up to 16 kHz. Where nothing is
//! to be stretched samples pass unchanged, [`HALF`] later.

use std::sync::OnceLock;

/// Stereo.
type Frame = [f32; 2];

/// Samples before a place, and after it.
pub const HALF: usize = 16;
const TAPS: usize = 2 * HALF;
const PLACES: usize = 256;
/// Of the Kaiser window.
const BETA: f64 = 9.0;

pub struct Stretch {
    /// The last input frames, as many as a place needs around it.
    history: Vec<Frame>,
    /// Where the next output lies, in frames after the first of the history that has all its neighbours.
    phase: f64,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { history: vec![[0.0; 2]; TAPS - 1], phase: 0.0 }
    }
}

impl Stretch {
    /// Takes interleaved samples; `step`: input frames for each output frame.
    pub fn take(&mut self, samples: &[f32], step: f64) -> Vec<f32> {
        let table = table();
        self.history.extend(samples.chunks_exact(2).map(|frame| [frame[0], frame[1]]));
        let mut output = Vec::with_capacity(samples.len() + 16);
        while (self.phase as usize) + TAPS <= self.history.len() {
            let at = self.phase as usize;
            let place = (self.phase - at as f64) * PLACES as f64;
            let low = (place as usize).min(PLACES - 1);
            let share = (place - low as f64) as f32;
            let mut sum = [0.0_f32; 2];
            for ((frame, a), b) in self.history[at..at + TAPS].iter().zip(&table[low]).zip(&table[low + 1]) {
                let weight = a + (b - a) * share;
                sum[0] += frame[0] * weight;
                sum[1] += frame[1] * weight;
            }
            output.extend(sum);
            self.phase += step;
        }
        let done = (self.phase as usize).min(self.history.len().saturating_sub(TAPS - 1));
        self.history.drain(..done);
        self.phase -= done as f64;
        output
    }
}

fn table() -> &'static [[f32; TAPS]] {
    static TABLE: OnceLock<Vec<[f32; TAPS]>> = OnceLock::new();
    TABLE.get_or_init(|| (0..=PLACES).map(|place| weights(place as f64 / PLACES as f64)).collect())
}

/// The weights of the samples around a place that lies `share` after the sample in the middle.
fn weights(share: f64) -> [f32; TAPS] {
    let raw: [f64; TAPS] = std::array::from_fn(|tap| {
        let x = tap as f64 - (HALF - 1) as f64 - share;
        let sinc = if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let edge = (x / HALF as f64).clamp(-1.0, 1.0);
        // At a whole sample the sine is zero but for rounding.
        if share.fract() == 0.0 && x != 0.0 {
            0.0
        } else {
            sinc * bessel(BETA * (1.0 - edge * edge).sqrt()) / bessel(BETA)
        }
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|weight| (weight / sum) as f32)
}

/// The modified Bessel function of order zero.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, frames: usize) -> Vec<f32> {
        (0..frames).flat_map(|n| [(std::f64::consts::TAU * hz * n as f64 / 48_000.0).sin() as f32; 2]).collect()
    }

    #[test]
    fn what_is_not_stretched_passes_unchanged() {
        let samples = sine(997.0, 4_800);
        let out: Vec<f32> = samples.chunks(960).flat_map(|block| Stretch::default().take(block, 1.0)).collect();
        assert_eq!(out.len(), samples.len());
        let mut stretch = Stretch::default();
        let out: Vec<f32> = samples.chunks(960).flat_map(|block| stretch.take(block, 1.0)).collect();
        assert_eq!(out[2 * HALF..], samples[..samples.len() - 2 * HALF]);
    }

    /// How far the stretched sine is from a sine of the stretched frequency, dB below it.
    fn error_db(hz: f64, step: f64) -> f64 {
        let samples = sine(hz, 24_000);
        let mut stretch = Stretch::default();
        let out: Vec<f32> = samples.chunks(960).flat_map(|block| stretch.take(block, step)).collect();
        let turn = std::f64::consts::TAU * hz * step / 48_000.0;
        let place = |n: usize| turn * n as f64 - std::f64::consts::TAU * hz * HALF as f64 / 48_000.0;
        let left: Vec<f64> = out.chunks_exact(2).map(|frame| f64::from(frame[0])).collect();
        let wrong: f64 = (200..left.len() - 200).map(|n| (left[n] - place(n).sin()).powi(2)).sum();
        let power = (left.len() - 400) as f64 / 2.0;
        10.0 * (wrong / power).log10()
    }

    #[test]
    fn a_stretched_sine_stays_a_sine() {
        for (hz, limit_db) in [(100.0, -80.0), (1_000.0, -80.0), (10_000.0, -80.0), (16_000.0, -60.0)] {
            for step in [0.99, 0.9999, 1.0001, 1.01] {
                let error = error_db(hz, step);
                assert!(error < limit_db, "{hz} Hz by {step}: {error} dB");
            }
        }
    }
}
