//! Sound of a foreign clock → a contiguous stream of samples on the monotonic clock.
//!
//! A sound card's 48 kHz is not the box's: 50–200 ppm apart is usual, which is a frame of picture within minutes. The
//! stream's position is compared with its timestamps, the difference is smoothed, and the stream is stretched by up to
//! [`MAX_STRETCH`] until it fits: by what the card drifts, which is learnt, and a little more while a difference is left.
//! So nothing is cut or filled, and no step is heard. Only a difference that stretching would take too long for is a jump.

use cuebox_core::time::Mono;

use super::outlet::sample_at;
use super::stretch::Stretch;
use crate::media::timing::SAMPLE_RATE;

/// 1.5 %: a hundred times the drift of an ordinary crystal; some sticks deliver 47.6 kHz and call it 48.
const MAX_STRETCH: f64 = 0.015;
/// Stretch per sample of difference: a difference halves in 0.6 s.
const GAIN: f64 = 2.5e-5;
/// Of it, what is learnt as drift in each second. With it a card that is 1 % off is 9 ms apart at most, and 0.4 ms later.
const LEARNS: f64 = 5e-6;
/// By then the drift is learnt.
const SETTLED_S: f64 = 20.0;
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
    servo: Servo,
    stretch: Stretch,
}

impl SoundClock {
    /// Takes interleaved samples whose first is of time `at`; gives them with their place.
    pub fn place(&mut self, at: Mono, samples: &[f32]) -> (u64, Vec<f32>) {
        let target = sample_at(at);
        let frames = (samples.len() / 2) as f64;
        let (position, stretch) = self.position(target, frames);
        let stretched = self.stretch.take(samples, 1.0 / (1.0 + stretch));
        self.next = Some(position + (stretched.len() / 2) as u64);
        (position, stretched)
    }

    /// Forgets where it is: the next samples go exactly where their time says, though never back.
    pub fn restart(&mut self) {
        self.servo.difference = 2.0 * JUMP;
    }

    /// How much faster the card runs than the box, parts in a million; `None` until it is settled.
    pub fn drift_ppm(&self) -> Option<f64> {
        (self.servo.heard_s > SETTLED_S).then_some(-self.servo.drift * 1e6)
    }

    fn position(&mut self, target: u64, frames: f64) -> (u64, f64) {
        if let Some(next) = self.next
            && let Some(stretch) = self.servo.follow(target as f64 - next as f64, frames)
        {
            return (next, stretch);
        }
        self.servo.jump();
        self.stretch = Stretch::default();
        (target.max(self.next.unwrap_or(0)), self.servo.drift)
    }
}

/// What stretch brings the stream to where its timestamps are.
#[derive(Default)]
struct Servo {
    /// Smoothed difference of timestamps and positions, in samples.
    difference: f64,
    /// Stretch that the card's drift needs.
    drift: f64,
    /// Since the last jump.
    heard_s: f64,
}

impl Servo {
    /// The stretch for the next `frames`, which are `difference` samples late; `None`: they are so far off that a jump is
    /// better.
    fn follow(&mut self, difference: f64, frames: f64) -> Option<f64> {
        let seconds = frames / f64::from(SAMPLE_RATE);
        let restart = self.difference > JUMP;
        self.difference += (difference - self.difference) * (seconds / SMOOTHING_S).min(1.0);
        if restart || self.difference.abs() > JUMP || difference.abs() > CERTAIN_JUMP {
            return None;
        }
        self.heard_s += seconds;
        self.drift = (self.drift + self.difference * LEARNS * seconds).clamp(-MAX_STRETCH, MAX_STRETCH);
        Some((self.difference * GAIN + self.drift).clamp(-MAX_STRETCH, MAX_STRETCH))
    }

    /// Wherever it goes on, the card's crystal is the same.
    fn jump(&mut self) {
        *self = Self { drift: self.drift, ..Self::default() };
    }
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
        for (ppm, jitter_ms) in
            [(0.0, 0.0), (200.0, 3.0), (-200.0, 3.0), (1_000.0, 1.0), (10_000.0, 1.0), (-10_000.0, 3.0)]
        {
            let (worst_ms, output) = record(ppm, jitter_ms, 60);
            let bound = 0.5 + ppm.abs() / 1_000.0 + jitter_ms / 3.0;
            assert!(worst_ms < bound, "{ppm} ppm: {worst_ms} ms apart");
            let steepest = output.windows(2).skip(48_000).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
            assert!(steepest < 0.134, "{ppm} ppm: a step of {steepest}, a sine's own is 0.131");
        }
    }

    #[test]
    fn sound_in_time_passes_unchanged() {
        let mut clock = SoundClock::default();
        let samples: Vec<f32> = (0..960).map(|n| n as f32).collect();
        let (position, first) = clock.place(Mono(1_000_000_000), &samples);
        let later = 2 * super::super::stretch::HALF;
        assert_eq!((position, &first[later..]), (48_000, &samples[..samples.len() - later]));
    }

    #[test]
    fn a_long_interruption_is_a_jump_and_time_never_runs_back() {
        let mut clock = SoundClock::default();
        let block = [0.0; 2 * BLOCK];
        clock.place(Mono(1_000_000_000), &block);
        assert_eq!(clock.place(Mono(3_000_000_000), &block).0, 144_000);
        assert!(clock.place(Mono(1_000_000_000), &block).0 >= 144_000);
    }

    /// A day of a card whose crystal warms and cools, without its samples: ± 60 ppm around 120 in four hours, timestamps
    /// that jitter by ± 5 ms, and now and then one that is 30 ms late.
    #[test]
    fn over_a_day_sound_stays_within_20_ms() {
        const FRAMES: f64 = 4_800.0;
        let mut servo = Servo::default();
        // Of the card's samples: when they were heard, and where they were put.
        let (mut exact, mut placed, mut worst) = (5.0 * 48_000.0_f64, 5.0 * 48_000.0, 0.0_f64);
        for tenth in 0..864_000_u64 {
            let hours = tenth as f64 / 36_000.0;
            let ppm = 120.0 + 60.0 * (hours * std::f64::consts::TAU / 4.0).sin();
            let late_ms = if tenth % 997 == 0 { 30.0 } else { ((tenth * 7_919) % 101) as f64 / 10.0 - 5.0 };
            let stretch = servo.follow(exact + late_ms * 48.0 - placed, FRAMES).expect("no jump");
            worst = worst.max((placed - exact).abs() / 48.0);
            placed += FRAMES * (1.0 + stretch);
            exact += FRAMES / (1.0 + ppm / 1e6);
        }
        assert!(worst < 20.0, "{worst} ms apart");
        assert!((-220e-6..-20e-6).contains(&servo.drift), "{} of drift learnt", servo.drift);
    }
}
