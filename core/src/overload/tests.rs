use super::*;

const S: u64 = 1_000_000_000;

#[test]
fn what_counts_as_behind() {
    // waiting, room, lost of each second
    let table = [
        (0, 500, 0, false, "nothing waits"),
        (300, 500, 0, false, "a queue that is half full"),
        (400, 500, 0, true, "a queue that is nearly full"),
        (900, 18_000, 0, false, "small pictures: there is room for many"),
        (1_000, 18_000, 0, true, "a second is long all the same"),
        (133, 133, 0, false, "a live queue is full in a moment"),
        (133, 133, 90, false, "it lost a picture or two"),
        (133, 133, 100, true, "it loses one in ten"),
        (0, 0, 0, false, "nothing is known"),
    ];
    for (waiting_ms, room_ms, lost_ms_per_s, behind, what) in table {
        assert_eq!(Lag { waiting_ms, room_ms, lost_ms_per_s }.is_behind(), behind, "{what}");
    }
}

#[test]
fn each_level_says_what_is_given_up() {
    let mut machine = Machine::new();
    let mut told = vec![(0, machine.overload.words())];
    for _ in 0..40 {
        machine.run(1, 0.4);
        let now = (machine.overload.level().number(), machine.overload.words());
        if told.last() != Some(&now) {
            told.push(now);
        }
    }
    let rates = "no previews, half the pictures of each slot";
    let table = [
        (0, String::new()),
        (1, "no previews".to_owned()),
        (2, rates.to_owned()),
        (3, format!("{rates}, no recording of slot 5")),
        (3, format!("{rates}, no recording of slot 4, no recording of slot 5")),
    ];
    assert_eq!(told[..5], table);
}

/// A machine with so much work for each level, and a queue before its encoders.
struct Machine {
    overload: Overload,
    now: Mono,
    /// Milliseconds of pictures.
    waiting: f64,
    lost_ms: f64,
    /// The program's own work is done first.
    slots_only: bool,
    levels: Vec<(u64, Level)>,
    /// How many slots were recorded.
    recorded: Vec<(u64, usize)>,
}

const ROOM_MS: f64 = 533.0;
const SLOTS: usize = 5;

impl Machine {
    fn new() -> Self {
        let overload = Overload::default();
        let (levels, recorded) = (Vec::new(), Vec::new());
        Self { overload, now: Mono(0), waiting: 0.0, lost_ms: 0.0, slots_only: false, levels, recorded }
    }

    /// What the show needs of a whole machine at this level.
    fn need(&self) -> f64 {
        match self.overload.level() {
            Level::Nothing => 1.0,
            Level::Previews => 0.95,
            Level::SlotRates => 0.75,
            Level::Slots => 0.4 + 0.07 * self.slots() as f64,
        }
    }

    fn slots(&self) -> usize {
        SLOTS - self.overload.slots().len()
    }

    /// Runs for so many seconds on a machine that gives `capacity` of what the whole show needs.
    fn run(&mut self, seconds: u64, capacity: f64) -> &mut Self {
        for _ in 0..seconds * 2 {
            let look_ms = LOOKS.as_millis() as f64;
            self.now = self.now + LOOKS;
            let wants = self.waiting + look_ms * (1.0 - capacity / self.need());
            let lost = (wants - ROOM_MS).max(0.0);
            self.lost_ms += lost;
            self.waiting = wants.clamp(0.0, ROOM_MS);
            let lag = Lag {
                waiting_ms: self.waiting as u32,
                room_ms: ROOM_MS as u32,
                lost_ms_per_s: (lost * 1_000.0 / look_ms) as u32,
            };
            let before = (self.overload.level(), self.slots());
            let program = if self.slots_only { Lag::default() } else { lag };
            let next = u8::try_from(self.slots()).ok().and_then(SlotId::new);
            self.overload.look(self.now, Strain::of([&program, &Lag::default()], [&lag]), next);
            let (level, slots) = (self.overload.level(), self.slots());
            assert_eq!(level == Level::Slots, slots < SLOTS);
            assert!(slots.abs_diff(before.1) <= 1, "one slot at a time");
            if slots != before.1 {
                self.recorded.push((self.now.0 / S, slots));
            }
            if level != before.0 {
                assert_eq!(level.number().abs_diff(before.0.number()), 1, "one step at a time");
                self.levels.push((self.now.0 / S, level));
            }
        }
        self
    }

    fn changes(&self) -> usize {
        self.levels.len()
    }
}

#[test]
fn a_machine_that_keeps_up_gives_nothing_up() {
    let mut machine = Machine::new();
    machine.run(600, 1.05);
    assert_eq!((machine.changes(), machine.overload.is_over()), (0, true));
}

#[test]
fn a_short_load_gives_nothing_up_and_a_backlog_that_shrinks_neither() {
    let mut machine = Machine::new();
    machine.run(1, 0.2).run(2, 2.0);
    assert_eq!(machine.changes(), 0, "{:?}", machine.levels);
    // A stop of the whole machine leaves a full queue, which is worked off slowly.
    machine.waiting = ROOM_MS;
    machine.run(30, 1.15);
    assert_eq!(machine.changes(), 0, "{:?}", machine.levels);
}

#[test]
fn as_much_is_given_up_as_the_machine_lacks_and_no_more() {
    for (capacity, level) in
        [(0.97, Level::Previews), (0.8, Level::SlotRates), (0.5, Level::Slots), (0.1, Level::Slots)]
    {
        let mut machine = Machine::new();
        machine.run(60, capacity);
        let deepest = machine.levels.iter().map(|(_, level)| *level).max();
        assert_eq!(deepest, Some(level), "{capacity}: {:?}", machine.levels);
    }
}

#[test]
fn as_many_slots_are_given_up_as_it_takes_and_the_last_of_them_comes_back_first() {
    for (capacity, kept) in [(0.7, 4), (0.57, 2), (0.42, 0), (0.1, 0)] {
        for slots_only in [false, true] {
            let mut machine = Machine::new();
            machine.slots_only = slots_only;
            machine.run(120, capacity);
            let fewest = machine.recorded.iter().map(|(_, slots)| *slots).min();
            assert_eq!(fewest, Some(kept), "{capacity}: {:?}", machine.recorded);
            let began = machine.now.0 / S;
            machine.run(900, 1.2);
            assert!(machine.overload.is_over() && machine.slots() == SLOTS, "{:?}", machine.recorded);
            let back = machine.recorded.iter().filter(|(at, _)| *at > began).map(|(_, slots)| *slots);
            let slots: Vec<usize> = back.collect();
            assert!(slots.is_sorted(), "{slots:?}");
        }
    }
}

#[test]
fn slots_go_one_after_the_other_slowly_and_fast_where_the_program_is_behind() {
    let took = |slots_only| {
        let mut machine = Machine::new();
        machine.slots_only = slots_only;
        machine.run(60, 0.1);
        let at: Vec<u64> = machine.recorded.iter().map(|(at, _)| *at).collect();
        (at.len(), at[4] - at[0])
    };
    assert_eq!(took(true), (SLOTS, 20));
    assert_eq!(took(false), (SLOTS, 4));
}

#[test]
fn a_slot_that_there_is_no_longer_is_forgotten() {
    let mut machine = Machine::new();
    machine.run(20, 0.5);
    let given_up = machine.overload.slots().to_vec();
    assert!(given_up.len() > 1);
    machine.overload.forget(|slot| slot == given_up[0]);
    assert_eq!((machine.overload.level(), machine.overload.slots()), (Level::Slots, &given_up[1..]));
    machine.overload.forget(|_| true);
    assert_eq!((machine.overload.level(), machine.overload.slots()), (Level::SlotRates, [].as_slice()));
}

#[test]
fn a_backlog_that_is_worked_off_costs_no_recording() {
    let lag = |waiting_ms, lost_ms_per_s| Lag { waiting_ms, room_ms: 4_600, lost_ms_per_s };
    let mut overload = Overload::default();
    let mut looks = (0..).map(|look| Mono(look * 500_000_000));
    for now in looks.by_ref().take(10) {
        overload.look(now, Strain::of([], [&lag(4_000, 300)]), SlotId::new(5));
    }
    assert_eq!(overload.level(), Level::SlotRates);
    for (waiting_ms, now) in (0..20).map(|look| 4_000 - look * 150).zip(looks.by_ref()) {
        overload.look(now, Strain::of([], [&lag(waiting_ms, 0)]), SlotId::new(5));
    }
    assert_eq!(overload.level(), Level::SlotRates);
    for now in looks.take(20) {
        overload.look(now, Strain::of([], [&lag(1_100, 0)]), SlotId::new(5));
    }
    assert_eq!(overload.level(), Level::Slots, "it is no longer");
}

#[test]
fn little_is_lost_before_the_load_is_shed() {
    let mut machine = Machine::new();
    machine.run(30, 0.5);
    assert_eq!(machine.overload.level(), Level::Slots);
    assert!(machine.lost_ms < 5_000.0, "{} ms of pictures", machine.lost_ms);
}

#[test]
fn a_lasting_load_does_not_make_it_swing() {
    let mut machine = Machine::new();
    machine.run(3_600, 0.8);
    let early = machine.levels.iter().filter(|(at, _)| *at < 300).count();
    assert!(early <= 14, "{:?}", machine.levels);
    let late = machine.levels.iter().filter(|(at, _)| (1_800..3_600).contains(at)).count();
    assert!(late <= 2 * 1_800 / 120 + 2, "a try in two minutes: {:?}", machine.levels);
    assert!(machine.levels.iter().all(|(_, level)| *level <= Level::SlotRates), "never more than it takes");
}

#[test]
fn everything_comes_back_when_the_load_has_gone() {
    let mut machine = Machine::new();
    machine.run(60, 0.5).run(600, 1.2);
    assert!(machine.overload.is_over(), "{:?}", machine.levels);
    let steps: Vec<Level> = machine.levels.iter().rev().take(3).map(|(_, level)| *level).collect();
    assert_eq!(steps, [Level::Nothing, Level::Previews, Level::SlotRates], "in the order in which it went");
}

#[test]
fn heat_that_comes_and_goes_is_followed_slowly() {
    let mut machine = Machine::new();
    // The clock is cut as the chip gets hot, and less heat is made while less is encoded.
    for _ in 0..20 {
        machine.run(40, 0.7).run(40, 1.1);
    }
    assert!(machine.changes() <= 30, "{:?}", machine.levels);
    machine.run(600, 1.1);
    assert!(machine.overload.is_over());
}
