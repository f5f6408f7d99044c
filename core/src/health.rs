//! How well a slot does, 0–100, with the reasons that cost it points.
//!
//! | seen | costs |
//! |---|---|
//! | not live | everything |
//! | fewer pictures than its rate | in proportion, in steps of ten, from the first tenth that is missing |
//! | failures since it was last steady for a minute | 10 each, at most 40 |
//! | sound wanted and not there | 20 |
//! | the very same picture for seconds | 20 |
//! | nothing but black | 40 |
//! | lost several times in a row, and therefore kept off the air | 20 |
//!
//! [`connection_quality`] is another number: what the platforms that show cameras count.

use serde::{Deserialize, Serialize};

/// What a source's pictures look like, whatever its counters say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    #[default]
    Moving,
    /// The very same picture for seconds: a real camera's has noise.
    Still,
    /// Nothing but black.
    Black,
}

/// What the director knows of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    pub live: bool,
    /// Frames per thousand seconds that arrive, when they were measured.
    pub measured_mfps: Option<u64>,
    /// Frames per thousand seconds that should arrive.
    pub nominal_mfps: u64,
    /// Failures in a row, not yet forgotten.
    pub failures: u32,
    pub sound_missing: bool,
    pub look: Look,
    /// In a row, when they keep it off the air; else none.
    pub losses: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub score: u8,
    pub reasons: Vec<String>,
}

pub fn health(signs: &Signs) -> Health {
    if !signs.live {
        return Health { score: 0, reasons: Vec::new() };
    }
    let mut score = 100_u8;
    let mut reasons = Vec::new();
    let missing = missing_tenths(signs);
    if let Some(measured) = signs.measured_mfps.filter(|_| missing > 0) {
        score = score.saturating_sub(missing * 10);
        // Rounded to whole frames: a reason that changes with every measurement helps nobody.
        let (measured, nominal) = ((measured + 500) / 1000, (signs.nominal_mfps + 500) / 1000);
        reasons.push(format!("only {measured} of {nominal} pictures per second"));
    }
    if signs.failures > 0 {
        score = score.saturating_sub(10 * u8::try_from(signs.failures).unwrap_or(u8::MAX).min(4));
        reasons.push("failed within the last minute".to_owned());
    }
    if signs.sound_missing {
        score = score.saturating_sub(20);
        reasons.push("no sound".to_owned());
    }
    let (cost, seen) = match signs.look {
        Look::Moving => (0, None),
        Look::Still => (20, Some("its picture does not change")),
        Look::Black => (40, Some("its picture is black")),
    };
    score = score.saturating_sub(cost);
    reasons.extend(seen.map(str::to_owned));
    if signs.losses > 0 {
        score = score.saturating_sub(20);
        reasons
            .push(format!("lost {} times in a row: kept off the air for a while, a cut does not wait", signs.losses));
    }
    Health { score, reasons }
}

/// A camera's quality as the platforms count it, 0–100: 30 less when more than 5 % of it is lost (15 less from 2 % on), 20
/// less below 20 pictures a second (10 less below 25), 30 less below 1000 kbit/s.
pub fn connection_quality(lost_percent: f64, fps: f64, bitrate_bps: u64) -> u8 {
    let lost = if lost_percent > 5.0 {
        30
    } else if lost_percent > 2.0 {
        15
    } else {
        0
    };
    let slow = if fps < 20.0 {
        20
    } else if fps < 25.0 {
        10
    } else {
        0
    };
    let thin = if bitrate_bps < 1_000_000 { 30 } else { 0 };
    100 - lost - slow - thin
}

/// Whole tenths of the nominal rate that do not arrive.
fn missing_tenths(signs: &Signs) -> u8 {
    let Some(measured) = signs.measured_mfps else { return 0 };
    let missing = signs.nominal_mfps.saturating_sub(measured);
    (missing * 10).checked_div(signs.nominal_mfps).and_then(|tenths| u8::try_from(tenths).ok()).unwrap_or(0).min(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_costs_what_the_table_says() {
        let good = Signs { live: true, nominal_mfps: 30_000, measured_mfps: Some(30_000), ..Signs::default() };
        let cases = [
            (good, 100, 0),
            (Signs { live: false, ..good }, 0, 0),
            (Signs { measured_mfps: None, ..good }, 100, 0),
            (Signs { measured_mfps: Some(29_970), ..good }, 100, 0),
            (Signs { measured_mfps: Some(27_100), ..good }, 100, 0),
            (Signs { measured_mfps: Some(15_000), ..good }, 50, 1),
            (Signs { measured_mfps: Some(60_000), ..good }, 100, 0),
            (Signs { measured_mfps: Some(0), ..good }, 0, 1),
            (Signs { failures: 2, ..good }, 80, 1),
            (Signs { failures: 9, sound_missing: true, ..good }, 40, 2),
            (Signs { measured_mfps: Some(5_000), failures: 9, sound_missing: true, ..good }, 0, 3),
            (Signs { nominal_mfps: 0, ..good }, 100, 0),
            (Signs { look: Look::Still, ..good }, 80, 1),
            (Signs { look: Look::Black, ..good }, 60, 1),
            (Signs { losses: 3, look: Look::Black, ..good }, 40, 2),
        ];
        for (signs, score, reasons) in cases {
            let health = health(&signs);
            assert_eq!((health.score, health.reasons.len()), (score, reasons), "{signs:?}");
        }
    }

    #[test]
    fn the_platforms_own_number_is_counted_as_they_do() {
        let cases = [
            ((0.0, 30.0, 4_000_000), 100),
            ((2.0, 25.0, 1_000_000), 100),
            ((2.1, 24.9, 1_000_000), 75),
            ((5.1, 19.9, 999_999), 20),
            ((100.0, 0.0, 0), 20),
        ];
        for ((lost, fps, bps), expected) in cases {
            assert_eq!(connection_quality(lost, fps, bps), expected, "{lost} % {fps} fps {bps} bit/s");
        }
    }
}
