//! The show's frame grid: frame *n* of the machine begins `n / fps` seconds after the monotonic clock's zero.
//!
//! All pictures of a show lie on this grid, so a frame number means the same instant in every file. The monotonic
//! clock's zero is common to all pipelines, and their base time lies on a whole second, so the grid goes on across
//! restarts of any of them.

use serde::{Deserialize, Serialize};

use crate::time::Mono;

const NS_PER_S: u128 = 1_000_000_000;

/// Position of a frame on the grid, counted from the monotonic clock's zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameIndex(pub u64);

impl FrameIndex {
    /// Frames from `origin` to this one; `None` when this lies before it.
    pub fn since(self, origin: Self) -> Option<u64> {
        self.0.checked_sub(origin.0)
    }
}

/// A constant frame rate, in whole frames per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grid {
    fps: u32,
}

impl Grid {
    /// `fps` of zero is taken as one, so that no division here can fail.
    pub const fn new(fps: u32) -> Self {
        Self { fps: if fps == 0 { 1 } else { fps } }
    }

    pub const fn fps(self) -> u32 {
        self.fps
    }

    /// Length of a frame, rounded down to a nanosecond.
    pub const fn frame_ns(self) -> u64 {
        1_000_000_000 / self.fps as u64
    }

    /// When frame `index` begins (rounded down to a nanosecond).
    pub fn time_of(self, index: FrameIndex) -> Mono {
        Mono(clamp(u128::from(index.0) * NS_PER_S / u128::from(self.fps)))
    }

    /// The frame whose beginning is nearest to `at`. Exact for every time that came from [`Grid::time_of`].
    pub fn nearest(self, at: Mono) -> FrameIndex {
        FrameIndex(clamp((u128::from(at.0) * u128::from(self.fps) + NS_PER_S / 2) / NS_PER_S))
    }

    /// The first frame that begins at `at` or later.
    pub fn at_or_after(self, at: Mono) -> FrameIndex {
        let index = self.nearest(at);
        if self.time_of(index) < at { FrameIndex(index.0 + 1) } else { index }
    }
}

fn clamp(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_time_finds_its_frame_again() {
        for fps in [15, 24, 25, 30, 50, 60] {
            let grid = Grid::new(fps);
            for index in (0..5_000).chain(9_000_000_000..9_000_000_100).map(FrameIndex) {
                let at = grid.time_of(index);
                assert_eq!(grid.nearest(at), index, "{fps} fps");
                assert_eq!(grid.at_or_after(at), index, "{fps} fps");
                assert_eq!(grid.at_or_after(Mono(at.0 + 1)), FrameIndex(index.0 + 1), "{fps} fps");
            }
        }
    }

    #[test]
    fn whole_seconds_lie_on_the_grid() {
        for fps in [15, 24, 25, 30, 50, 60] {
            assert_eq!(Grid::new(fps).nearest(Mono(7_000_000_000)), FrameIndex(7 * u64::from(fps)));
        }
    }
}
