//! What the kernel shows of a machine's heat, power and settings, read from `/sys` and `/proc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cuebox_core::doctor::{Heat, Machine};

/// A firmware's word on power and heat, where boards have it.
const THROTTLED: [&str; 2] =
    ["sys/devices/platform/soc/soc:firmware/get_throttled", "sys/devices/platform/soc@0/soc@0:firmware/get_throttled"];

/// How often it is looked at whether the machine is slowed down. A thermometer may take a while to be read.
pub const LOOKS: Duration = Duration::from_secs(5);

/// Looks each `every` what slows the machine down, and tells when that changes, until nobody listens.
pub async fn watch(root: PathBuf, every: Duration, tell: impl Fn(Option<String>) -> bool) {
    let mut told = None;
    let mut looks = tokio::time::interval(every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let place = root.clone();
        let Ok(slowed) = tokio::task::spawn_blocking(move || read(&place).slowed()).await else { return };
        if slowed != told {
            told.clone_from(&slowed);
            if !tell(slowed) {
                return;
            }
        }
    }
}

/// Reads below `root`, which is `/`.
pub fn read(root: &Path) -> Machine {
    let cpu = "sys/devices/system/cpu/cpu0/cpufreq";
    // These choose the clock by themselves, whatever the governor is called.
    let own = text(root, &format!("{cpu}/scaling_driver")).is_some_and(|driver| driver.contains("pstate"));
    let bits = THROTTLED.iter().find_map(|place| text(root, place));
    Machine {
        heat: entries(&root.join("sys/class/thermal"), "thermal_zone").iter().filter_map(|zone| heat(zone)).collect(),
        throttled: bits.and_then(|bits| u32::from_str_radix(bits.trim_start_matches("0x"), 16).ok()),
        governor: text(root, &format!("{cpu}/scaling_governor")).filter(|_| !own),
        panic_s: text(root, "proc/sys/kernel/panic").and_then(|seconds| seconds.parse().ok()),
        watchdog: !entries(&root.join("sys/class/watchdog"), "watchdog").is_empty(),
    }
}

/// A zone that is switched off has no temperature.
fn heat(zone: &Path) -> Option<Heat> {
    let degrees = |name: &str| text(zone, name)?.parse::<i32>().ok().map(|milli| milli / 1_000);
    let trips = (0..16).filter_map(|number| {
        let kind = text(zone, &format!("trip_point_{number}_type"))?;
        let at = degrees(&format!("trip_point_{number}_temp"))?;
        // "active" only starts a fan; below zero is a trip that is not in use.
        (matches!(kind.as_str(), "passive" | "hot" | "critical") && at > 0).then_some(at)
    });
    let place = text(zone, "type").unwrap_or_else(|| "the machine".to_owned());
    Some(Heat { place, celsius: degrees("temp")?, limit: trips.min() })
}

fn text(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok().map(|text| text.trim().to_owned())
}

fn entries(folder: &Path, beginning: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning));
    let mut found: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_is_read_as_its_kernel_shows_it() {
        let root = std::env::temp_dir().join(format!("cuebox-machine-{}", std::process::id()));
        let put = |place: &str, text: &str| {
            let file = root.join(place);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{text}\n")).unwrap();
        };
        assert_eq!(read(&root), Machine::default());
        let zone = "sys/class/thermal/thermal_zone0";
        put(&format!("{zone}/type"), "cpu-thermal");
        put(&format!("{zone}/temp"), "61230");
        let trips = [("active", "50000"), ("critical", "110000"), ("passive", "85000"), ("hot", "-274000")];
        for (number, (kind, at)) in trips.iter().enumerate() {
            put(&format!("{zone}/trip_point_{number}_type"), kind);
            put(&format!("{zone}/trip_point_{number}_temp"), at);
        }
        put("sys/class/thermal/thermal_zone1/type", "switched-off");
        put(THROTTLED[0], "50005");
        put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave");
        put("proc/sys/kernel/panic", "0");
        put("sys/class/watchdog/watchdog0/identity", "a watchdog");
        let board = Machine {
            heat: vec![Heat { place: "cpu-thermal".to_owned(), celsius: 61, limit: Some(85) }],
            throttled: Some(0x5_0005),
            governor: Some("powersave".to_owned()),
            panic_s: Some(0),
            watchdog: true,
        };
        assert_eq!(read(&root), board);
        put("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate");
        assert_eq!(read(&root).governor, None, "there it is not the kernel that chooses");
        fs::remove_dir_all(&root).unwrap();
    }

    #[tokio::test]
    async fn heat_is_told_when_it_comes_and_when_it_goes() {
        let root = std::env::temp_dir().join(format!("cuebox-heat-{}", std::process::id()));
        let zone = root.join("sys/class/thermal/thermal_zone0");
        fs::create_dir_all(&zone).unwrap();
        let put = |name: &str, text: &str| fs::write(zone.join(name), text).unwrap();
        put("type", "cpu");
        put("temp", "60000");
        put("trip_point_0_type", "passive");
        put("trip_point_0_temp", "80000");
        let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
        let watching = tokio::spawn(watch(root.clone(), Duration::from_millis(1), move |why| sender.send(why).is_ok()));
        put("temp", "81000");
        assert_eq!(told.recv().await.unwrap().unwrap(), "heat: cpu is at 81 °C and slows it down");
        put("temp", "79000");
        assert_eq!(told.recv().await.unwrap(), None);
        watching.abort();
        fs::remove_dir_all(&root).unwrap();
    }
}
