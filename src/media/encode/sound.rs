//! Places the sound of a link on an unbroken line of samples; pure.
//!
//! Sound may be absent, come late, stop and come back. Whoever follows it (a recording, a leg) needs every sample
//! exactly once: what is missing becomes silence, what comes twice is skipped. Small disagreements of timestamps are
//! no gaps: the samples themselves count, until the difference is heard. After silence there are no samples to count
//! from: what follows it is put exactly where it says.
//!
//! Samples are counted from running time zero, at [`SAMPLE_RATE`].

use crate::media::timing::SAMPLE_RATE;

/// Timestamps may be off this far (20 ms) before they are believed more than the count of samples.
const TOLERANCE: u64 = SAMPLE_RATE as u64 / 50;

/// How a piece of sound joins the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Silent samples to put before it.
    pub silence: u64,
    /// Samples at its beginning that are there already.
    pub skip: u64,
    /// Samples of it that are used.
    pub keep: u64,
}

/// Where the line is.
#[derive(Debug)]
pub struct Line {
    next: u64,
    /// The newest samples are sound, not silence.
    sounding: bool,
}

impl Line {
    pub const fn new(from: u64) -> Self {
        Self { next: from, sounding: false }
    }

    /// The first sample that is not there yet.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Takes a piece of `samples` that says it begins at sample `at`.
    pub fn place(&mut self, at: u64, samples: u64) -> Placed {
        let tolerance = if self.sounding { TOLERANCE } else { 0 };
        let placed = if at.abs_diff(self.next) <= tolerance {
            Placed { silence: 0, skip: 0, keep: samples }
        } else if at > self.next {
            Placed { silence: at - self.next, skip: 0, keep: samples }
        } else {
            let skip = (self.next - at).min(samples);
            Placed { silence: 0, skip, keep: samples - skip }
        };
        self.next += placed.silence + placed.keep;
        self.sounding |= placed.keep > 0;
        placed
    }

    /// Goes on to `until` in silence; returns how many samples of it.
    pub fn reach(&mut self, until: u64) -> u64 {
        let silence = until.saturating_sub(self.next);
        self.next += silence;
        self.sounding &= silence == 0;
        silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_there_exactly_once_whatever_the_sound_does() {
        let table = [
            // (what, at, samples, silence, skip, keep), the line stands at 10 000
            ("in time", 10_000, 480, 0, 0, 480),
            ("off by less than is heard", 10_900, 480, 0, 0, 480),
            ("after a gap", 20_000, 480, 10_000, 0, 480),
            ("comes again", 5_000, 480, 0, 480, 0),
            ("overlaps", 8_000, 4_800, 0, 2_000, 2_800),
        ];
        for (what, at, samples, silence, skip, keep) in table {
            let mut line = Line::new(9_000);
            line.place(9_000, 1_000);
            assert_eq!(line.place(at, samples), Placed { silence, skip, keep }, "{what}");
            assert_eq!(line.next(), 10_000 + silence + keep, "{what}");
        }
    }

    #[test]
    fn sound_after_silence_is_put_exactly_where_it_says() {
        let mut line = Line::new(10_000);
        assert_eq!(line.place(10_900, 480), Placed { silence: 900, skip: 0, keep: 480 }, "the first");
        line.reach(20_000);
        assert_eq!(line.place(19_102, 1_600), Placed { silence: 0, skip: 898, keep: 702 }, "late");
        assert_eq!(line.place(20_710, 480), Placed { silence: 0, skip: 0, keep: 480 }, "goes on");
        line.reach(30_000);
        assert_eq!(line.place(29_000, 480), Placed { silence: 0, skip: 480, keep: 0 }, "too late");
        assert_eq!(line.place(30_010, 480), Placed { silence: 10, skip: 0, keep: 480 }, "back in time");
    }

    #[test]
    fn silence_goes_exactly_as_far_as_it_was_asked_and_never_back() {
        let mut line = Line::new(100);
        assert_eq!(line.reach(1_100), 1_000);
        assert_eq!(line.reach(1_000), 0);
        assert_eq!(line.next(), 1_100);
    }
}
