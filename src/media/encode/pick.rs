//! Which frames of the show's grid an encode with a lower rate takes; pure.
//!
//! The choice hangs on the frame's number alone, so it does not depend on when the encode began or was changed: of
//! every `n` frames always the same ones, evenly spread.

use cuebox_core::grid::FrameIndex;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    fps: u32,
    of: u32,
}

impl Pick {
    /// `fps` frames of every `of`; all of them when it is not less.
    pub const fn new(fps: u32, of: u32) -> Self {
        Self { fps: if fps < of { fps } else { of }, of }
    }

    pub const fn fps(self) -> u32 {
        self.fps
    }

    pub fn takes(self, frame: FrameIndex) -> bool {
        let second = u64::from(self.of.max(1));
        (frame.0 % second) * u64::from(self.fps) % second < u64::from(self.fps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_every_second_as_many_frames_are_taken_as_the_rate_says_evenly_spread() {
        for (fps, of) in [(30, 30), (15, 30), (20, 30), (12, 25), (15, 60), (60, 30), (1, 30), (24, 25)] {
            let pick = Pick::new(fps, of);
            let taken: Vec<u64> = (300..300 + u64::from(of) * 3).filter(|at| pick.takes(FrameIndex(*at))).collect();
            assert_eq!(taken.len() as u32, pick.fps() * 3, "{fps} of {of}");
            let gaps: Vec<u64> = taken.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
            assert!(most - least <= 1, "{fps} of {of}: {taken:?}");
        }
    }
}
