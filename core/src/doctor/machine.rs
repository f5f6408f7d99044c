//! Heat, power and the kernel's settings: what makes a machine slow in the middle of a show, or leaves it dead after it.

use super::Finding;

/// Degrees below its limit at which a machine is too warm for a long show.
const WARM: i32 = 10;

/// What the kernel says of the machine; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub heat: Vec<Heat>,
    /// The board's own word on power and heat, bits as a Raspberry Pi's firmware has them.
    pub throttled: Option<u32>,
    /// How the processor's clock is chosen, where the driver leaves that to the kernel.
    pub governor: Option<String>,
    /// Seconds after which a kernel that has panicked starts anew; 0: never.
    pub panic_s: Option<i64>,
    /// There is a watchdog that restarts a machine that hangs.
    pub watchdog: bool,
}

/// One thermometer, degrees Celsius.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heat {
    pub place: String,
    pub celsius: i32,
    /// From here on the machine slows itself down, or goes off.
    pub limit: Option<i32>,
}

impl Machine {
    /// What slows it down at this moment, in words; the board's own word before the thermometers'.
    pub fn slowed(&self) -> Option<String> {
        let told = self.throttled.map(|bits| named(bits, 0)).filter(|told| !told.is_empty());
        let told = told.map(|told| format!("the board says: {}", told.join(", ")));
        let hot = self.heat.iter().find(|it| it.limit.is_some_and(|limit| it.celsius >= limit));
        told.or_else(|| hot.map(|it| format!("heat: {} is at {} °C and slows it down", it.place, it.celsius)))
    }
}

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let mut found = vec![heat(&machine.heat)];
    found.extend(machine.throttled.map(throttled));
    found.extend(kernel(machine));
    found
}

fn heat(heat: &[Heat]) -> Finding {
    const CHECK: &str = "temperature";
    let air = "give it air: a larger case, a heat sink, a fan, and no sun";
    // The one that is nearest to its limit; those that have none are told by their degrees.
    let nearest = heat.iter().filter_map(|it| Some((it.limit? - it.celsius, it))).min_by_key(|(left, _)| *left);
    let Some((left, warmest)) = nearest else {
        let text = heat.iter().max_by_key(|it| it.celsius).map_or_else(
            || "the machine tells no temperature".to_owned(),
            |it| format!("{} is at {} °C, and tells no limit", it.place, it.celsius),
        );
        return Finding::ok(CHECK, text);
    };
    let text = format!("{} is at {} °C, its limit is {} °C", warmest.place, warmest.celsius, warmest.celsius + left);
    match left {
        ..=0 => Finding::wrong(CHECK, format!("{text}: the machine is being slowed down"), air),
        1..=WARM => Finding::risk(CHECK, text, air),
        _ => Finding::ok(CHECK, text),
    }
}

/// What the bits from this one on say. Bits 0 to 3: now; 16 to 19: since it was switched on.
fn named(bits: u32, from: u32) -> Vec<&'static str> {
    const WORDS: [&str; 4] =
        ["its voltage is too low", "its clock is capped", "it is throttled", "it is at its soft limit of temperature"];
    (0_u32..).zip(WORDS).filter(|(bit, _)| bits >> (bit + from) & 1 == 1).map(|(_, word)| word).collect()
}

fn throttled(bits: u32) -> Finding {
    const CHECK: &str = "throttling";
    let (now, before) = (named(bits, 0), named(bits, 16));
    let remedy = if bits & 0x1_0001 == 0 {
        "give it air: a heat sink, a fan, and no sun"
    } else {
        "use the board's own power supply, with a short cable"
    };
    if !now.is_empty() {
        return Finding::wrong(CHECK, format!("the board says: {}", now.join(", ")), remedy);
    }
    if !before.is_empty() {
        let text = format!("the board says that since it was switched on: {}", before.join(", "));
        return Finding::risk(CHECK, text, remedy);
    }
    Finding::ok(CHECK, "the board has enough power, and was never slowed down")
}

fn kernel(machine: &Machine) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(governor) = machine.governor.as_ref().filter(|governor| *governor == "powersave") {
        let text = format!("the processor stays at its lowest clock (governor `{governor}`)");
        let remedy = "choose `schedutil` or `performance`: cpupower frequency-set -g schedutil";
        found.push(Finding::risk("kernel_governor", text, remedy));
    }
    if machine.panic_s == Some(0) {
        let text = "a kernel that panics stays dead until somebody comes";
        let remedy = "write `kernel.panic = 10` into /etc/sysctl.d/50-cuebox.conf";
        found.push(Finding::risk("kernel_panic", text, remedy));
    }
    if !machine.watchdog {
        let text = "no watchdog would restart a machine that hangs";
        let remedy = "load the board's watchdog driver (or softdog), and set RuntimeWatchdogSec=30 in \
                      /etc/systemd/system.conf";
        found.push(Finding::risk("kernel_watchdog", text, remedy));
    }
    if found.is_empty() {
        found.push(Finding::ok("kernel", "the kernel restarts itself when it must"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn well() -> Machine {
        Machine { watchdog: true, panic_s: Some(10), governor: Some("schedutil".to_owned()), ..Machine::default() }
    }

    #[test]
    fn what_a_machine_says_of_itself_is_judged() {
        type Change<'a> = &'a dyn Fn(&mut Machine);
        let at = |celsius, limit| Heat { place: "cpu-thermal".to_owned(), celsius, limit };
        let table: [(&str, Level, Change<'_>, &str); 12] = [
            ("temperature", Level::Ok, &|_| {}, "no temperature"),
            ("temperature", Level::Ok, &|it| it.heat = vec![at(95, None)], "95 °C"),
            ("temperature", Level::Ok, &|it| it.heat = vec![at(69, Some(80))], "69 °C, its limit is 80 °C"),
            ("temperature", Level::Risk, &|it| it.heat = vec![at(40, Some(80)), at(70, Some(80))], "70 °C"),
            ("temperature", Level::Wrong, &|it| it.heat = vec![at(80, Some(80))], "slowed down"),
            ("throttling", Level::Ok, &|it| it.throttled = Some(0), "enough power"),
            ("throttling", Level::Risk, &|it| it.throttled = Some(0x5_0000), "voltage is too low, it is throttled"),
            ("throttling", Level::Wrong, &|it| it.throttled = Some(0x8_0008), "soft limit"),
            ("kernel", Level::Ok, &|_| {}, "restarts itself"),
            ("kernel_governor", Level::Risk, &|it| it.governor = Some("powersave".to_owned()), "powersave"),
            ("kernel_panic", Level::Risk, &|it| it.panic_s = Some(0), "stays dead"),
            ("kernel_watchdog", Level::Risk, &|it| it.watchdog = false, "hangs"),
        ];
        for (check, level, change, words) in table {
            let mut machine = well();
            change(&mut machine);
            let found = findings(&machine);
            let finding = found.iter().find(|finding| finding.check == check).unwrap();
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.text.contains(words), "{finding:?}");
            assert_eq!(finding.remedy.is_some(), level != Level::Ok, "{finding:?}");
        }
    }

    #[test]
    fn too_little_power_is_told_apart_from_too_much_heat() {
        let remedy = |bits| throttled(bits).remedy.unwrap_or_default();
        assert!(remedy(0x1_0000).contains("power supply"));
        assert!(remedy(0x4).contains("air"));
    }

    #[test]
    fn what_slows_it_down_is_told_where_it_says_so() {
        let heat = |celsius, limit| vec![Heat { place: "cpu-thermal".to_owned(), celsius, limit }];
        let table = [
            (heat(84, Some(85)), Some(0x5_0000), None),
            (heat(95, None), None, None),
            (heat(85, Some(85)), Some(0), Some("heat: cpu-thermal is at 85 °C and slows it down")),
            (
                heat(85, Some(85)),
                Some(0xe),
                Some("the board says: its clock is capped, it is throttled, it is at its soft limit of temperature"),
            ),
        ];
        for (heat, throttled, told) in table {
            let machine = Machine { heat, throttled, ..well() };
            assert_eq!(machine.slowed().as_deref(), told, "{machine:?}");
        }
    }
}
