//! Sound of a foreign clock → a contiguous stream of samples on the monotonic clock.
//!
//! A sound card's 48 kHz is not the box's: 50–200 ppm apart is usual, which is a frame of picture within minutes. The
//! stream's position is compared with its timestamps, the difference is smoothed, and the stream is stretched by up to
//! [`MAX_STRETCH`] until it fits. So nothing is cut or filled, and no step is heard. Only a difference that stretching
//! would take too long for is a jump.

use cuebox_core::time::Mono;

use super::outlet::sample_at;
use crate::media::timing::SAMPLE_RATE;

/// Stereo.
type Frame = [f32; 2];

/// 0.2 %: 3.5 cents, not heard; twenty times the drift of an ordinary crystal.
const MAX_STRETCH: f64 = 0.002;
/// Stretch per sample of difference: a difference halves in 1.4 s.
const GAIN: f64 = 1e-5;
/// Seconds over which timestamps are averaged; they jitter by some milliseconds.
const SMOOTHING_S: f64 = 0.5;
/// 40 ms: beyond it sound and picture are seen to be apart.
const JUMP: f64 = 0.040 * SAMPLE_RATE as f64;
/// 250 ms: no jitter is that large.
const CERTAIN_JUMP: f64 = 0.250 * SAMPLE_RATE as f64;

#[derive(Default)]
pub struct SoundClock {
    /// Position of the next sample to give.
    next: Option<u64>,
    /// Smoothed difference of timestamps and positions, in samples.
    difference: f64,
    /// The last input frames, and where between them the next output lies.
    history: [Frame; 3],
    phase: f64,
}

impl SoundClock {
    /// Takes interleaved samples whose first is of time `at`; gives them with their place.
    pub fn place(&mut self, at: Mono, samples: &[f32]) -> (u64, Vec<f32>) {
        let target = sample_at(at);
        let frames = (samples.len() / 2) as f64;
        let known = self.next;
        let position = match known {
            Some(next) if !self.jumped(target as f64 - next as f64, frames) => next,
            earlier => {
                *self = Self { phase: 1.0, ..Self::default() };
                target.max(earlier.unwrap_or(0))
            }
        };
        let stretched = self.stretch(samples);
        self.next = Some(position + (stretched.len() / 2) as u64);
        (position, stretched)
    }

    /// Forgets where it is: the next samples go exactly where their time says, though never back.
    pub fn restart(&mut self) {
        self.difference = 2.0 * JUMP;
    }

    fn jumped(&mut self, difference: f64, frames: f64) -> bool {
        let weight = (frames / (SMOOTHING_S * f64::from(SAMPLE_RATE))).min(1.0);
        let restart = self.difference > JUMP;
        self.difference += (difference - self.difference) * weight;
        restart || self.difference.abs() > JUMP || difference.abs() > CERTAIN_JUMP
    }

    /// Catmull-Rom interpolation; exact, two frames late, while nothing is to be stretched.
    fn stretch(&mut self, samples: &[f32]) -> Vec<f32> {
        let step = 1.0 - (self.difference * GAIN).clamp(-MAX_STRETCH, MAX_STRETCH);
        let input: Vec<Frame> =
            self.history.into_iter().chain(samples.chunks_exact(2).map(|frame| [frame[0], frame[1]])).collect();
        let mut output = Vec::with_capacity(samples.len() + 8);
        while (self.phase as usize) + 2 < input.len() {
            let at = self.phase as usize;
            let share = (self.phase - at as f64) as f32;
            let [before, from, to, after] = [input[at - 1], input[at], input[at + 1], input[at + 2]];
            output.extend((0..2).map(|side| between([before[side], from[side], to[side], after[side]], share)));
            self.phase += step;
        }
        let kept = input.len() - 3;
        self.history = [input[kept], input[kept + 1], input[kept + 2]];
        self.phase -= kept as f64;
        output
    }
}

fn between([before, from, to, after]: [f32; 4], share: f32) -> f32 {
    let slope = 0.5 * (to - before);
    let bend = before - 2.5 * from + 2.0 * to - 0.5 * after;
    let twist = 0.5 * (after - before) + 1.5 * (from - to);
    ((twist * share + bend) * share + slope) * share + from
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 480;

    /// Feeds `seconds` of a 1 kHz sine from a card that is `ppm` fast, its timestamps jittering by ± `jitter_ms`; gives
    /// the largest difference of place and time after the first ten seconds in ms, and the output.
    fn record(ppm: f64, jitter_ms: f64, seconds: usize) -> (f64, Vec<f32>) {
        let mut clock = SoundClock::default();
        let (mut worst, mut output, mut expected) = (0.0f64, Vec::new(), None);
        for block in 0..seconds * 100 {
            let sine = |n: usize| (std::f32::consts::TAU * (n % 48) as f32 / 48.0).sin();
            let samples: Vec<f32> = (block * BLOCK..(block + 1) * BLOCK).flat_map(|n| [sine(n); 2]).collect();
            let exact = 5e9 + (block * BLOCK) as f64 / 48_000.0 / (1.0 + ppm / 1e6) * 1e9;
            let jitter = ((block * 7_919) % 101) as f64 / 50.0 - 1.0;
            let (position, samples) = clock.place(Mono((exact + jitter * jitter_ms * 1e6) as u64), &samples);
            assert!(expected.is_none_or(|expected| expected == position), "contiguous");
            expected = Some(position + samples.len() as u64 / 2);
            if block > 1_000 {
                worst = worst.max((position as f64 / 48.0 - exact / 1e6).abs());
            }
            output.extend(samples.chunks_exact(2).map(|frame| frame[0]));
        }
        (worst, output)
    }

    #[test]
    fn a_drifting_card_stays_in_time_without_a_gap_or_a_click() {
        for (ppm, jitter_ms) in [(0.0, 0.0), (200.0, 3.0), (-200.0, 3.0), (1_000.0, 1.0)] {
            let (worst_ms, output) = record(ppm, jitter_ms, 60);
            let bound = 0.5 + ppm.abs() / 300.0 + jitter_ms / 3.0;
            assert!(worst_ms < bound, "{ppm} ppm: {worst_ms} ms apart");
            let steepest = output.windows(2).skip(48_000).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
            assert!(steepest < 0.135, "{ppm} ppm: a step of {steepest}, a sine's own is 0.131");
        }
    }

    #[test]
    fn sound_in_time_passes_unchanged() {
        let mut clock = SoundClock::default();
        let samples: Vec<f32> = (0..960).map(|n| n as f32).collect();
        let (position, first) = clock.place(Mono(1_000_000_000), &samples);
        assert_eq!((position, &first[4..]), (48_000, &samples[..samples.len() - 4]));
    }

    #[test]
    fn a_long_interruption_is_a_jump_and_time_never_runs_back() {
        let mut clock = SoundClock::default();
        let block = [0.0; 2 * BLOCK];
        clock.place(Mono(1_000_000_000), &block);
        assert_eq!(clock.place(Mono(3_000_000_000), &block).0, 144_000);
        assert!(clock.place(Mono(1_000_000_000), &block).0 >= 144_000);
    }
}
