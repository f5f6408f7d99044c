//! How well a slot does, 0–100, with the reasons that cost it points.
//!
//! | seen | costs |
//! |---|---|
//! | not live | everything |
//! | fewer pictures than its rate | in proportion, in steps of ten, from the first tenth that is missing |
//! | failures since it was last steady for a minute | 10 each, at most 40 |
//! | sound wanted and not there | 20 |

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
    Health { score, reasons }
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
        ];
        for (signs, score, reasons) in cases {
            let health = health(&signs);
            assert_eq!((health.score, health.reasons.len()), (score, reasons), "{signs:?}");
        }
    }
}
