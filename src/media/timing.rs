//! One clock, one base time, one frame grid for all pipelines of the process.

use cuebox_core::grid::{FrameIndex, Grid};
use cuebox_core::time::Mono;
use gst::prelude::*;

/// Sample rate of all sound between pipelines.
pub const SAMPLE_RATE: u32 = 48_000;
pub const CHANNELS: u32 = 2;

/// The sample that is nearest to a time, both counted from one zero.
pub fn sample_at_ns(ns: u64) -> u64 {
    let product = u128::from(ns) * u128::from(SAMPLE_RATE) + 500_000_000;
    u64::try_from(product / 1_000_000_000).unwrap_or(u64::MAX)
}

/// The time of a sample, both counted from one zero, rounded down to a nanosecond.
pub fn ns_of_sample(sample: u64) -> u64 {
    let ns = u128::from(sample) * 1_000_000_000 / u128::from(SAMPLE_RATE);
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// The sample that is due at a running time.
pub fn sample_at(running: gst::ClockTime) -> u64 {
    sample_at_ns(running.nseconds())
}

/// The running time of a sample, rounded down to a nanosecond.
pub fn time_of_sample(sample: u64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(ns_of_sample(sample))
}

/// The show's picture format; every raw picture between pipelines has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShowFormat {
    pub width: u32,
    pub height: u32,
    pub grid: Grid,
}

impl ShowFormat {
    /// NV12, progressive, square pixels, limited range; below 720 lines in BT.601's colours, from there in BT.709's, as
    /// cameras of such sizes deliver and players assume, so that most pictures need no conversion between the two.
    pub fn picture_caps(&self) -> gst::Caps {
        self.scaled_caps(self.width, self.height, self.grid.fps())
    }

    pub fn scaled_caps(&self, width: u32, height: u32, fps: u32) -> gst::Caps {
        gst::Caps::builder("video/x-raw")
            .field("format", "NV12")
            .field("width", i32::try_from(width).unwrap_or(i32::MAX))
            .field("height", i32::try_from(height).unwrap_or(i32::MAX))
            .field("framerate", gst::Fraction::new(i32::try_from(fps).unwrap_or(1), 1))
            .field("interlace-mode", "progressive")
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
            .field("colorimetry", if self.height < 720 { "bt601" } else { "bt709" })
            .build()
    }

    /// 32-bit float, interleaved stereo at [`SAMPLE_RATE`].
    pub fn sound_caps(&self) -> gst::Caps {
        gst::Caps::builder("audio/x-raw")
            .field("format", "F32LE")
            .field("rate", i32::try_from(SAMPLE_RATE).unwrap_or(i32::MAX))
            .field("channels", i32::try_from(CHANNELS).unwrap_or(i32::MAX))
            .field("layout", "interleaved")
            .field("channel-mask", gst::Bitmask::new(3))
            .build()
    }

    pub fn frame(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.grid.frame_ns())
    }
}

/// The system's monotonic clock and the base time that all pipelines share. The base time lies on a whole second, so
/// that second boundaries and the frame grid agree between running time and the monotonic clock.
#[derive(Clone, Debug)]
pub struct Timing {
    clock: gst::Clock,
    base: gst::ClockTime,
}

impl Timing {
    pub fn new() -> Self {
        let clock = gst::SystemClock::obtain();
        let base = gst::ClockTime::from_seconds(clock.time().seconds());
        Self { clock, base }
    }

    pub fn clock(&self) -> &gst::Clock {
        &self.clock
    }

    pub fn now(&self) -> Mono {
        Mono(self.clock.time().nseconds())
    }

    /// Puts a pipeline on the common clock; to be called before it plays.
    pub fn apply(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(self.base);
    }

    /// The monotonic time of a running time (which is every PTS in the box).
    pub fn mono(&self, running: gst::ClockTime) -> Mono {
        Mono(self.base.nseconds().saturating_add(running.nseconds()))
    }

    /// The running time of a monotonic time; zero for a time before the base.
    pub fn running(&self, at: Mono) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(at.0.saturating_sub(self.base.nseconds()))
    }

    pub fn frame_at(&self, grid: Grid, running: gst::ClockTime) -> FrameIndex {
        grid.nearest(self.mono(running))
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_times_agree_for_years() {
        for sample in (0..100_000).chain([48_000 * 86_400 * 365 * 3 + 7]) {
            assert_eq!(sample_at(time_of_sample(sample)), sample);
        }
    }
}
