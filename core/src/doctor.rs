//! What is wrong or risky on a machine: facts in, findings out, each with its remedy. Pure; the facts are gathered by
//! whoever asks.

mod machine;

use serde::Serialize;

use crate::config::Config;
use crate::crashes::Part;
use crate::device::Encoders;
use crate::time::Trust;
use crate::usb::Load;

pub use machine::{Heat, Machine};

/// Writing must be this many times as fast as what is recorded: a disk is slower when it is full, old or warm.
const DISK_RESERVE: f64 = 4.0;
/// A sync that takes longer delays answers to commands. Milliseconds.
const SLOW_SYNC_MS: u64 = 500;
/// Recording time below which a show may not fit any more.
const SHORT_MINUTES: u64 = 240;
/// How a machine is.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Why the configuration cannot be used, where it cannot.
    pub config_problem: Option<String>,
    /// What GStreamer lacks, one line each.
    pub missing_elements: Vec<String>,
    /// `None`: they could not be tried.
    pub encoders: Option<Encoders>,
    pub disk: Result<Disk, String>,
    pub clock: Trust,
    /// Devices that are there and cannot be opened, each with the reason.
    pub closed: Vec<(String, String)>,
    /// Ports that the configuration names and where no camera is.
    pub empty_ports: Vec<String>,
    pub machine: Machine,
    /// What cameras will reserve of their USB buses.
    pub buses: Vec<Load>,
    /// What the box leaves out because it crashed there.
    pub left_out: Vec<Part>,
}

/// The file system of the recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    pub written_bytes_per_s: u64,
    pub slowest_sync_ms: u64,
    pub free_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    /// It works, and may not in the middle of a show.
    Risk,
    Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name, for machines.
    pub check: &'static str,
    pub level: Level,
    pub text: String,
    /// What to do; nothing where nothing is to be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, text: text.into(), remedy: None }
    }

    fn risk(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Risk, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn wrong(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Wrong, text: text.into(), remedy: Some(remedy.into()) }
    }
}

/// Bytes a second that a running show writes at most: every recording at the program's bitrate, with its sound.
pub fn need_bytes_per_s(config: &Config) -> u64 {
    let tracks = u64::from(config.record.program)
        + if config.record.slots { u64::try_from(config.slots.len()).unwrap_or_default() } else { 0 };
    tracks * (config.program.video_bitrate_bps + config.program.audio_bitrate_bps) / 8
}

/// Everything that was looked at, what is wrong first.
pub fn findings(config: &Config, facts: &Facts) -> Vec<Finding> {
    let mut found = vec![configuration(facts), elements(facts), encoders(facts)];
    found.extend(disk(config, facts));
    found.push(clock(facts));
    found.extend(devices(facts));
    found.extend(machine::findings(&facts.machine));
    found.extend(facts.buses.iter().map(bus));
    found.extend(facts.left_out.iter().map(left_out));
    found.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    found
}

fn configuration(facts: &Facts) -> Finding {
    match &facts.config_problem {
        None => Finding::ok("config", "the configuration can be used"),
        Some(why) => Finding::wrong("config", why, "correct the file; `cuebox check` shows what is left"),
    }
}

fn elements(facts: &Facts) -> Finding {
    if facts.missing_elements.is_empty() {
        return Finding::ok("gstreamer", "GStreamer has every element that is needed");
    }
    Finding::wrong("gstreamer", facts.missing_elements.join("; "), "install the packages that it names")
}

fn encoders(facts: &Facts) -> Finding {
    let Some(encoders) = &facts.encoders else {
        return Finding::wrong("encoders", "no encoder could be tried", "mend GStreamer first");
    };
    let broken: Vec<String> =
        encoders.broken.iter().map(|broken| format!("{} ({})", broken.element, broken.why)).collect();
    let skipped = if broken.is_empty() { String::new() } else { format!("; skipped: {}", broken.join(", ")) };
    let Some(best) = encoders.working.first() else {
        let remedy = "install gstreamer1.0-plugins-ugly (x264enc), or the board's driver";
        return Finding::wrong("encoders", format!("no encoder works{skipped}"), remedy);
    };
    let text = format!("{} encodes on this {}{skipped}", best.element, encoders.board);
    if !best.hardware && encoders.board != "generic-x86" {
        let remedy = "install the board's encoder driver, and let its user into its devices' groups";
        return Finding::risk("encoders", format!("{text}: by the processor alone"), remedy);
    }
    Finding::ok("encoders", text)
}

fn disk(config: &Config, facts: &Facts) -> Vec<Finding> {
    let disk = match &facts.disk {
        Ok(disk) => disk,
        Err(why) => {
            let remedy = format!("make {} a folder that the service's user may write", config.data_dir);
            return vec![Finding::wrong("disk", why, remedy)];
        }
    };
    let need = need_bytes_per_s(config).max(1);
    let mb = |bytes: u64| as_float(bytes) / 1e6;
    let speed = format!(
        "{} takes {:.1} MB/s, recordings need {:.1} MB/s at most; slowest sync {} ms",
        config.data_dir,
        mb(disk.written_bytes_per_s),
        mb(need),
        disk.slowest_sync_ms
    );
    let faster = "use a faster disk, record fewer slots, or lower program.video_bitrate";
    let speed = if disk.written_bytes_per_s < need {
        Finding::wrong("disk_speed", speed, faster)
    } else if as_float(disk.written_bytes_per_s) < DISK_RESERVE * as_float(need) || disk.slowest_sync_ms > SLOW_SYNC_MS
    {
        Finding::risk("disk_speed", speed, faster)
    } else {
        Finding::ok("disk_speed", speed)
    };
    let minutes = disk.free_bytes.saturating_sub(config.record.keep_free_bytes) / need / 60;
    let text = format!("{minutes} minutes of recording are left");
    let room = "remove old shows, or use a larger disk";
    let space = match minutes {
        0 => Finding::wrong("disk_space", text, room),
        1..SHORT_MINUTES => Finding::risk("disk_space", text, room),
        SHORT_MINUTES.. => Finding::ok("disk_space", text),
    };
    vec![speed, space]
}

fn clock(facts: &Facts) -> Finding {
    match facts.clock {
        Trust::Ntp => Finding::ok("clock", "the clock is set by the network"),
        Trust::Rtc => Finding::ok("clock", "the clock is the machine's own, not set by the network"),
        Trust::Unset => Finding::risk(
            "clock",
            "nobody has set the clock: names and times of recordings may be wrong, TLS may fail",
            "let the box reach a time server, or fit a clock with a battery",
        ),
    }
}

/// Half of a bus is what experience says is safe; beyond all of it the last camera does not start.
fn bus(load: &Load) -> Finding {
    let ports: Vec<&str> = load.cameras.iter().map(|(port, _)| port.as_str()).collect();
    let percent = load.percent();
    let text = format!("the cameras on the USB bus {} reserve {percent} % of it: {}", load.bus, ports.join(", "));
    let remedy = "move one to a connector whose port begins otherwise, or give the show a smaller size";
    match (percent, load.cameras.len()) {
        (101.., _) => Finding::wrong("usb_bus", text, remedy),
        (51.., 2..) => Finding::risk("usb_bus", text, remedy),
        _ => Finding::ok("usb_bus", text),
    }
}

fn left_out(part: &Part) -> Finding {
    let text = format!("{part} is left out: the box crashed in it again and again");
    let remedy = "look at the log for what crashed, mend or replace it, then `cuebox ctl restart`";
    Finding::wrong("crashes", text, remedy)
}

fn devices(facts: &Facts) -> Vec<Finding> {
    let closed = facts.closed.iter().map(|(device, why)| {
        let remedy = "let the service's user into the device's group, then start the service anew";
        Finding::wrong("permission", format!("{device}: {why}"), remedy)
    });
    let empty = facts.empty_ports.iter().map(|port| {
        let remedy = "plug it in, or correct the slot's port (`cuebox devices` lists them)";
        Finding::risk("camera", format!("no camera is at {port}, which a slot is for"), remedy)
    });
    let mut found: Vec<Finding> = closed.chain(empty).collect();
    if found.is_empty() {
        found.push(Finding::ok("devices", "every device that is there may be opened"));
    }
    found
}

#[expect(clippy::cast_precision_loss, reason = "for people and for ratios")]
const fn as_float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::ids::Port;

    fn well() -> Facts {
        let board = Board::built_in("generic-x86").unwrap();
        let working = board.encoder_candidates().to_vec();
        Facts {
            config_problem: None,
            missing_elements: Vec::new(),
            encoders: Some(Encoders { board: board.id, working, broken: Vec::new() }),
            disk: Ok(Disk { written_bytes_per_s: 100_000_000, slowest_sync_ms: 8, free_bytes: 500_000_000_000 }),
            clock: Trust::Ntp,
            closed: Vec::new(),
            empty_ports: Vec::new(),
            machine: Machine { watchdog: true, ..Machine::default() },
            buses: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn a_machine_that_is_well_has_nothing_to_remedy() {
        let found = findings(&Config::default(), &well());
        assert!(found.iter().all(|finding| finding.level == Level::Ok && finding.remedy.is_none()), "{found:?}");
        assert!(found.len() >= 7);
    }

    #[test]
    fn each_thing_that_can_be_wrong_is_told_with_its_remedy() {
        // Six recordings of 4.128 Mbit/s: 3.1 MB/s.
        let disk = |mb_per_s: u64, slowest_sync_ms: u64, free_gb: u64| {
            Ok(Disk { written_bytes_per_s: mb_per_s * 1_000_000, slowest_sync_ms, free_bytes: free_gb * 1_000_000_000 })
        };
        type Change<'a> = &'a dyn Fn(&mut Facts);
        let load = |bytes: [u32; 2]| Load {
            bus: "usb-a".to_owned(),
            cameras: (["usb-a-1", "usb-a-2"].map(Port::new)).into_iter().zip(bytes).collect(),
        };
        let table: [(&str, Level, Change<'_>); 13] = [
            ("crashes", Level::Wrong, &|facts| facts.left_out = vec![Part::Snapshots]),
            ("usb_bus", Level::Wrong, &|facts| facts.buses = vec![load([3_174, 3_186])]),
            ("usb_bus", Level::Risk, &|facts| facts.buses = vec![load([1_600, 1_600])]),
            ("config", Level::Wrong, &|facts| facts.config_problem = Some("line 3".to_owned())),
            ("gstreamer", Level::Wrong, &|facts| facts.missing_elements = vec!["compositor".to_owned()]),
            ("encoders", Level::Wrong, &|facts| facts.encoders = Some(Encoders::default())),
            ("encoders", Level::Wrong, &|facts| facts.encoders = None),
            ("disk", Level::Wrong, &|facts| facts.disk = Err("read only".to_owned())),
            ("disk_speed", Level::Wrong, &|facts| facts.disk = disk(3, 8, 500)),
            ("disk_speed", Level::Risk, &|facts| facts.disk = disk(100, 900, 500)),
            ("disk_space", Level::Wrong, &|facts| facts.disk = disk(100, 8, 2)),
            ("permission", Level::Wrong, &|facts| facts.closed = vec![("/dev/video0".into(), "group video".into())]),
            ("clock", Level::Risk, &|facts| facts.clock = Trust::Unset),
        ];
        for (check, level, change) in table {
            let mut facts = well();
            change(&mut facts);
            let worst = findings(&Config::default(), &facts).remove(0);
            assert_eq!((worst.check, worst.level), (check, level), "{worst:?}");
            assert!(worst.remedy.is_some_and(|remedy| !remedy.is_empty()));
        }
    }
}
