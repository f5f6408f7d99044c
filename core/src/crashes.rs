//! Which parts of the box are left out because it crashed in them again and again.
//!
//! A process that ends badly (a fault inside a library, a panic of the director, a loop that stands still) leaves a
//! mark: the name of the thread that did it, which is the part's name, or what the loop was busy with. The next start
//! reads it here. Knows neither files nor signals; whoever starts the box carries both.
//!
//! | the process before | then |
//! |---|---|
//! | ended in order | no bad end counts any more; what was left out is *on trial* |
//! | ended badly, the third time in a minute, and two marks name one part | that part is *left out* |
//! | ended badly, and its mark names a part on trial | that part is *left out* at once |
//! | ended badly, the third time in a minute, with nothing to leave out | that is told |
//! | belongs to another run of the machine | all is forgotten |
//!
//! A process that has run for [`STEADY`] forgets the bad ends before it, and what was on trial has passed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::ids::{LegId, SlotId};
use crate::job::Job;
use crate::time::Mono;

/// So many bad ends within [`WITHIN`] are a loop.
const LOOP: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);
/// A process that ran for so long came up well.
pub const STEADY: Duration = Duration::from_secs(60);
/// Linux keeps so many bytes of a thread's name.
const THREAD_NAME: usize = 15;

/// What the box can do without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A slot's source: its device and driver, or what decodes it.
    Slot(SlotId),
    /// A slot's sound card.
    Sound(SlotId),
    /// The recording of a slot.
    SlotRecording(SlotId),
    Leg(LegId),
    /// Every encoder that is not the processor itself.
    HardwareEncoders,
    Snapshots,
    Panels,
    Mqtt,
}

impl Part {
    /// The part that a mark names; `None`: nothing that the box can do without.
    pub fn named(mark: &str, config: &Config) -> Option<Self> {
        let slot = |text: &str| text.parse().ok().and_then(SlotId::new);
        if let Some(number) = mark.strip_prefix("capture-") {
            return slot(number).map(Self::Slot);
        }
        if let Some(number) = mark.strip_prefix("sound-") {
            return slot(number).map(Self::Sound);
        }
        if let Some(name) = mark.strip_prefix("enc-").or_else(|| mark.strip_prefix("rec-")) {
            return SlotId::from_job_name(name).map(Self::SlotRecording);
        }
        if let Some(name) = mark.strip_prefix("leg-") {
            let cut_off = mark.len() >= THREAD_NAME;
            let is_meant = |leg: &str| leg == name || cut_off && leg.starts_with(name);
            let leg = config.legs.iter().find(|leg| is_meant(leg.name.as_str()))?;
            return Some(Self::Leg(leg.name.clone()));
        }
        match mark {
            "preview" => Some(Self::Snapshots),
            "panel" => Some(Self::Panels),
            "mqtt" => Some(Self::Mqtt),
            // An encoder of the board's, at work or being tried.
            _ if mark.starts_with("hw-") => Some(Self::HardwareEncoders),
            _ => None,
        }
    }

    /// Its name for machines.
    pub fn key(&self) -> String {
        match self {
            Self::Slot(slot) => format!("slot-{slot}"),
            Self::Sound(slot) => format!("sound-{slot}"),
            Self::SlotRecording(slot) => format!("recording-{slot}"),
            Self::Leg(leg) => format!("leg-{leg}"),
            Self::HardwareEncoders => "hardware-encoders".to_owned(),
            Self::Snapshots => "snapshots".to_owned(),
            Self::Panels => "panels".to_owned(),
            Self::Mqtt => "mqtt".to_owned(),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slot(slot) => write!(f, "slot {slot}"),
            Self::Sound(slot) => write!(f, "the sound card of slot {slot}"),
            Self::SlotRecording(slot) => write!(f, "the recording of slot {slot}"),
            Self::Leg(leg) => write!(f, "leg {leg}"),
            Self::HardwareEncoders => f.write_str("every hardware encoder"),
            Self::Snapshots => f.write_str("every snapshot"),
            Self::Panels => f.write_str("every panel"),
            Self::Mqtt => f.write_str("MQTT"),
        }
    }
}

/// The mark of whatever works for this job: its threads' name, of which Linux keeps fifteen bytes.
pub fn mark_of(job: &Job) -> String {
    match job {
        Job::Capture(slot) => format!("capture-{slot}"),
        Job::Sound(slot) => format!("sound-{slot}"),
        Job::Program => "program".to_owned(),
        Job::Encode(job) => format!("enc-{job}"),
        Job::Record(track) => format!("rec-{}", track.folder()),
        Job::Leg(leg) => format!("leg-{leg}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    LeftOut,
    OnTrial,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BadEnd {
    /// When the next process found it.
    at: Mono,
    mark: Option<String>,
}

/// What is kept from one process to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crashes {
    /// The machine's run that it belongs to.
    boot: String,
    /// A process has begun and not ended in order.
    runs: bool,
    bad: Vec<BadEnd>,
    parts: Vec<(Part, Standing)>,
    /// Crashed again and again, with nothing to leave out: what the marks say.
    #[serde(default)]
    unexplained: Option<String>,
}

impl Crashes {
    /// A process begins. `mark`: what the one before has left.
    pub fn begin(&mut self, boot: &str, now: Mono, mark: Option<&str>, config: &Config) {
        if self.boot != boot {
            *self = Self { boot: boot.to_owned(), ..Self::default() };
        } else if self.runs {
            self.ended_badly(now, mark.filter(|mark| !mark.is_empty()), config);
        }
        self.runs = true;
    }

    fn ended_badly(&mut self, now: Mono, mark: Option<&str>, config: &Config) {
        self.bad.push(BadEnd { at: now, mark: mark.map(str::to_owned) });
        self.bad.retain(|end| now.since(end.at) <= WITHIN);
        let part = |mark: &str| Part::named(mark, config);
        let tried = mark.and_then(part).filter(|part| self.parts.contains(&(part.clone(), Standing::OnTrial)));
        let blamed = tried.or_else(|| {
            let named = self.bad.iter().filter_map(|end| end.mark.as_deref().and_then(part));
            let named: Vec<Part> = named.filter(|part| !self.is_left_out(part)).collect();
            let count = |part: &&Part| named.iter().filter(|other| other == part).count();
            let most = named.iter().rev().max_by_key(count).filter(|part| count(part) >= 2)?;
            (self.bad.len() >= LOOP).then(|| most.clone())
        });
        if let Some(part) = blamed {
            self.parts.retain(|(known, _)| *known != part);
            self.parts.push((part, Standing::LeftOut));
            self.bad.clear();
            self.unexplained = None;
        } else if self.bad.len() >= LOOP {
            let mark = |end: &BadEnd| end.mark.clone().unwrap_or_else(|| "no mark".to_owned());
            self.unexplained = Some(self.bad.iter().map(mark).collect::<Vec<_>>().join(", "));
        }
    }

    /// The process has run for [`STEADY`]. True when that changes anything.
    pub fn came_up(&mut self) -> bool {
        let before = (self.bad.len(), self.parts.len());
        self.bad.clear();
        self.parts.retain(|(_, standing)| *standing == Standing::LeftOut);
        before != (self.bad.len(), self.parts.len())
    }

    /// The process ends in order.
    pub fn ended(&mut self) {
        self.runs = false;
        self.bad.clear();
        self.unexplained = None;
        self.parts.iter_mut().for_each(|(_, standing)| *standing = Standing::OnTrial);
    }

    pub fn left_out(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|(_, standing)| *standing == Standing::LeftOut).map(|(part, _)| part)
    }

    /// It crashes again and again, and there is nothing to leave out: what the marks say.
    pub fn unexplained(&self) -> Option<&str> {
        self.unexplained.as_deref()
    }

    fn is_left_out(&self, part: &Part) -> bool {
        self.left_out().any(|other| other == part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u8) -> Part {
        Part::Slot(SlotId::new(number).unwrap())
    }

    /// Starts at these seconds, each after a bad end with this mark; gives what is left out in the end.
    fn after(crashes: &mut Crashes, ends: &[(u64, &str)]) -> Vec<Part> {
        let config = Config::default();
        for (at_s, mark) in ends {
            crashes.begin("boot", Mono(at_s * 1_000_000_000), Some(mark), &config);
        }
        crashes.left_out().cloned().collect()
    }

    fn begun() -> Crashes {
        let mut crashes = Crashes::default();
        crashes.begin("boot", Mono(1), None, &Config::default());
        crashes
    }

    #[test]
    fn marks_name_parts() {
        let config = crate::config::parse(
            "[[slot]]\nnumber = 1\nsource = { kind = \"test\" }\n[[leg]]\nname = \"the-other-destination\"\nkind = \
             \"srt\"\nurl = \"srt://127.0.0.1:1\"\n[[leg]]\nname = \"far\"\nkind = \"srt\"\nurl = \"srt://127.0.0.1:2\"\n",
            "/",
            &|_| Ok(String::new()),
        );
        let config = config.unwrap().config;
        let two = SlotId::new(2).unwrap();
        let table = [
            ("capture-2", Some(Part::Slot(two))),
            ("sound-2", Some(Part::Sound(two))),
            ("enc-slot-2", Some(Part::SlotRecording(two))),
            ("rec-slot-2", Some(Part::SlotRecording(two))),
            ("hw-slot-2", Some(Part::HardwareEncoders)),
            ("hw-probe", Some(Part::HardwareEncoders)),
            ("probe", None),
            ("leg-far", Some(Part::Leg(LegId::new("far")))),
            ("leg-the-other-d", Some(Part::Leg(LegId::new("the-other-destination")))),
            ("leg-the", None),
            ("preview", Some(Part::Snapshots)),
            ("panel", Some(Part::Panels)),
            ("mqtt", Some(Part::Mqtt)),
            ("surface", None),
            ("capture-9", None),
            ("program", None),
            ("rec-program", None),
            ("enc-stream", None),
            ("", None),
        ];
        for (mark, part) in table {
            assert_eq!(Part::named(mark, &config), part, "{mark}");
        }
    }

    #[test]
    fn three_bad_ends_in_a_minute_leave_out_the_part_that_two_of_them_name() {
        type Ends = &'static [(u64, &'static str)];
        let table: [(Ends, Option<Part>); 7] = [
            (&[(1, "capture-3"), (2, "capture-3")], None),
            (&[(1, "capture-3"), (2, "capture-3"), (3, "capture-3")], Some(slot(3))),
            (&[(1, "capture-3"), (2, ""), (3, "capture-3")], Some(slot(3))),
            (&[(1, "capture-3"), (2, "capture-2"), (3, "capture-1")], None),
            (&[(1, "capture-3"), (40, "capture-3"), (62, "capture-3")], None),
            (&[(1, "program"), (2, "program"), (3, "program")], None),
            (&[(1, "capture-3"), (30, "capture-3"), (61, "capture-3")], Some(slot(3))),
        ];
        for (ends, part) in table {
            assert_eq!(after(&mut begun(), ends), part.into_iter().collect::<Vec<_>>(), "{ends:?}");
        }
        let mut crashes = begun();
        assert_eq!(after(&mut crashes, &[(1, "program"), (2, ""), (3, "program")]), []);
        assert_eq!(crashes.unexplained(), Some("program, no mark, program"));
    }

    #[test]
    fn one_part_after_another_is_left_out() {
        let mut crashes = begun();
        let first = [(1, "capture-3"), (2, "capture-3"), (3, "capture-3")];
        assert_eq!(after(&mut crashes, &first), [slot(3)]);
        assert_eq!(after(&mut crashes, &[(4, "capture-5"), (5, "capture-5")]), [slot(3)]);
        assert_eq!(after(&mut crashes, &[(6, "capture-5")]), [slot(3), slot(5)]);
    }

    #[test]
    fn after_an_end_in_order_everything_is_tried_and_one_more_crash_is_enough() {
        let crash = [(1, "capture-3"), (2, "capture-3"), (3, "capture-3")];
        let mut crashes = begun();
        after(&mut crashes, &crash);
        crashes.ended();
        assert_eq!(after(&mut crashes, &[(4, "")]), [], "tried again");
        let mut passed = crashes.clone();
        assert_eq!(after(&mut crashes, &[(5, "capture-3")]), [slot(3)], "and left out at once");
        assert!(passed.came_up(), "or it runs for a minute, and nothing is held against it");
        assert_eq!(after(&mut passed, &[(70, "capture-3"), (71, "capture-3")]), []);
        assert_eq!(after(&mut passed, &[(72, "capture-3")]), [slot(3)]);
        assert!(!passed.came_up(), "what is left out stays so");
        assert_eq!(passed.left_out().count(), 1);
        passed.begin("another boot", Mono(5), Some("capture-3"), &Config::default());
        assert_eq!(passed.left_out().count(), 0);
    }
}
