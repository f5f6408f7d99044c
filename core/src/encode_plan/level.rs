//! The H.264 level that a stream has to declare: Rec. ITU-T H.264 (08/2021), annex A, table A-1.

/// What a level admits, in the standard's units.
struct Level {
    /// `level_idc`: the level × 10.
    idc: u32,
    /// MaxMBPS: macroblocks per second.
    max_mb_per_s: u64,
    /// MaxFS: macroblocks per picture.
    max_mb: u64,
    /// MaxBR for the baseline and main profiles: 1000 bits per second.
    max_kbit_per_s: u64,
}

const fn level(idc: u32, max_mb_per_s: u64, max_mb: u64, max_kbit_per_s: u64) -> Level {
    Level { idc, max_mb_per_s, max_mb, max_kbit_per_s }
}

/// Table A-1 without 1b, which exists for the old profiles only and has a code of its own.
const LEVELS: [Level; 16] = [
    level(10, 1_485, 99, 64),
    level(11, 3_000, 396, 192),
    level(12, 6_000, 396, 384),
    level(13, 11_880, 396, 768),
    level(20, 11_880, 396, 2_000),
    level(21, 19_800, 792, 4_000),
    level(22, 20_250, 1_620, 4_000),
    level(30, 40_500, 1_620, 10_000),
    level(31, 108_000, 3_600, 14_000),
    level(32, 216_000, 5_120, 20_000),
    level(40, 245_760, 8_192, 20_000),
    level(41, 245_760, 8_192, 50_000),
    level(42, 522_240, 8_704, 50_000),
    level(50, 589_824, 22_080, 135_000),
    level(51, 983_040, 36_864, 240_000),
    level(52, 2_073_600, 36_864, 240_000),
];

/// The lowest level (× 10) that admits this size, rate and bitrate; `None` above level 5.2.
pub(super) fn lowest(width: u32, height: u32, fps: u32, bitrate_bps: u64) -> Option<u32> {
    let (across, down) = (u64::from(width.div_ceil(16)), u64::from(height.div_ceil(16)));
    let mb = across * down;
    LEVELS
        .iter()
        .find(|level| {
            // A side has at most √(8 × MaxFS) macroblocks (A.3.1), so that a picture cannot be a strip.
            let longest_squared = 8 * level.max_mb;
            mb <= level.max_mb
                && across * across <= longest_squared
                && down * down <= longest_squared
                && mb * u64::from(fps) <= level.max_mb_per_s
                && bitrate_bps <= level.max_kbit_per_s * 1000
        })
        .map(|level| level.idc)
}

#[cfg(test)]
mod tests {
    use super::lowest;

    #[test]
    fn sizes_rates_and_bitrates_find_their_level() {
        for ((width, height, fps, bps), idc) in [
            ((176, 144, 15, 64_000), Some(10)),
            ((352, 288, 30, 2_000_000), Some(20)),
            ((640, 360, 15, 1_000_000), Some(22)),
            ((640, 360, 30, 1_000_000), Some(30)),
            ((640, 360, 30, 11_000_000), Some(31)),
            ((1280, 720, 30, 4_000_000), Some(31)),
            ((1280, 720, 60, 4_000_000), Some(32)),
            ((1920, 1080, 30, 6_000_000), Some(40)),
            ((1920, 1080, 30, 25_000_000), Some(41)),
            ((1920, 1080, 60, 8_000_000), Some(42)),
            ((3840, 2160, 30, 30_000_000), Some(51)),
            ((3840, 2160, 60, 50_000_000), Some(52)),
            ((3840, 90, 15, 1_000_000), Some(40)),
            ((7680, 4320, 30, 50_000_000), None),
        ] {
            assert_eq!(lowest(width, height, fps, bps), idc, "{width}x{height} at {fps}, {bps} bit/s");
        }
    }
}
