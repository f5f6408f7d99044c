//! What a camera is set to, from what the configuration wishes and what the camera offers.

use std::collections::BTreeMap;

use crate::device::Control;

/// Numbers and values in the order in which they are to be set, and what cannot be set, in words. A control that decides
/// whether others count (automatic exposure) comes before them.
pub fn resolve(offered: &[Control], wished: &BTreeMap<String, i64>) -> (Vec<(u32, i64)>, Vec<String>) {
    let mut found: Vec<(&Control, i64)> = Vec::new();
    let mut wrong = Vec::new();
    for (name, value) in wished {
        match offered.iter().find(|control| control.name == *name) {
            Some(control) => match refusal(control, *value) {
                None => found.push((control, *value)),
                Some(why) => wrong.push(why),
            },
            None => wrong.push(format!("it has no control `{name}`")),
        }
    }
    found.sort_by_key(|(control, _)| !control.leads);
    (found.into_iter().map(|(control, value)| (control.id, value)).collect(), wrong)
}

fn refusal(control: &Control, value: i64) -> Option<String> {
    let Control { name, min, max, menu, .. } = control;
    if !menu.is_empty() && !menu.iter().any(|(known, _)| *known == value) {
        let choices: Vec<String> = menu.iter().map(|(value, name)| format!("{value} {name}")).collect();
        return Some(format!("`{name}` cannot be {value} (allowed: {})", choices.join(", ")));
    }
    (!(*min..=*max).contains(&value)).then(|| format!("`{name}` cannot be {value} (allowed: {min} to {max})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(id: u32, name: &str, range: (i64, i64), menu: &[i64], leads: bool) -> Control {
        let menu = menu.iter().map(|value| (*value, format!("choice {value}"))).collect();
        Control { id, name: name.to_owned(), min: range.0, max: range.1, step: 1, default: 0, value: 0, menu, leads }
    }

    #[test]
    fn what_leads_is_set_first_and_what_cannot_be_set_is_told() {
        let offered = [
            control(10, "a_exposure_time", (3, 2_047), &[], false),
            control(11, "auto_exposure", (0, 3), &[1, 3], true),
            control(12, "power_line_frequency", (0, 2), &[0, 1, 2], false),
        ];
        let wished = |pairs: &[(&str, i64)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let (set, wrong) = resolve(&offered, &wished(&[("a_exposure_time", 157), ("auto_exposure", 1)]));
        assert_eq!((set, wrong), (vec![(11, 1), (10, 157)], Vec::new()));
        let bad = [("auto_exposure", 2), ("a_exposure_time", 9_999), ("zoom", 1), ("power_line_frequency", 1)];
        let (set, wrong) = resolve(&offered, &wished(&bad));
        assert_eq!(set, [(12, 1)]);
        let expected = [
            "`a_exposure_time` cannot be 9999 (allowed: 3 to 2047)",
            "`auto_exposure` cannot be 2 (allowed: 1 choice 1, 3 choice 3)",
            "it has no control `zoom`",
        ];
        assert_eq!(wrong, expected);
    }
}
