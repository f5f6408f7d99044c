//! A show: its name and id, and the way from the machine's frame grid to its own frames.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::director::backoff::Dice;
use crate::director::context::Cause;
use crate::director::effect::NewShow;
use crate::director::event::FoundShow;
use crate::grid::{FrameIndex, Grid};
use crate::ids::ShowId;
use crate::time::{Correction, Mono, Trust, Wall};
use crate::timeline::{Entry, What};

/// A show that was left this long ago is over: the box was switched off, not restarted.
const LEFT_FOR_GOOD_S: i64 = 4 * 3600;
const NS_PER_S: i64 = 1_000_000_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::director) struct Show {
    pub new: NewShow,
    /// The time since its start had to be guessed.
    pub guessed: bool,
    /// The first frame since it began or went on: nothing is told of an earlier one.
    from: FrameIndex,
    /// How far the present clock is from the one it began with.
    #[serde(default)]
    clock_moved_ns: i64,
}

/// What a show is called in lists when nobody gave it a name.
pub(in crate::director) fn name_of_unnamed(id: &ShowId) -> String {
    format!("Show {id}")
}

impl Show {
    pub fn begin(
        config: &Config,
        name: Option<&str>,
        wall: Wall,
        now: Mono,
        origin: FrameIndex,
        dice: &mut Dice,
    ) -> Self {
        let id = show_id(wall, now, dice.roll());
        let name = name.map_or_else(|| name_of_unnamed(&id), str::to_owned);
        let new = NewShow {
            id,
            name,
            box_id: config.box_id.clone(),
            started: wall,
            width: config.program.width,
            height: config.program.height,
            fps: config.program.fps,
            origin,
            origin_frame: 0,
            clock: None,
        };
        Self { new, guessed: false, from: origin, clock_moved_ns: 0 }
    }

    /// The show goes on. In the same boot its frames still lie where they lay; after another boot the wall clock says
    /// how long it was away, when it can be believed both times, else it goes on behind the last known frame.
    pub fn resume(found: &FoundShow, wall: Wall, from: FrameIndex) -> Self {
        let mut new = found.show.clone();
        let clock_moved_ns = new.clock.map_or(0, |known| known.offset_ns);
        if found.same_boot {
            return Self { new, guessed: false, from, clock_moved_ns };
        }
        let elapsed_ns = wall.unix_ns.saturating_sub(new.begun().unix_ns);
        let by_wall = u64::try_from(i128::from(elapsed_ns) * i128::from(new.fps) / i128::from(NS_PER_S)).ok();
        let believed = believed(new.begun(), wall);
        let known = by_wall.filter(|frame| believed && *frame > found.last_frame);
        new.origin = from;
        new.origin_frame = known.unwrap_or(found.last_frame + 1);
        Self { new, guessed: known.is_none(), from, clock_moved_ns }
    }

    /// The clock moved. What is known of the show's start gets better by it only where this clock can be believed at
    /// least as far as the one before.
    pub fn clock_set(&mut self, offset_ns: i64, trust: Trust) {
        self.clock_moved_ns = self.clock_moved_ns.saturating_add(offset_ns);
        if trust >= self.new.begun().trust {
            self.new.clock = Some(Correction { offset_ns: self.clock_moved_ns, trust });
        }
    }

    /// Nothing of it may lie before this frame: what did would be counted as this one, and move all after it.
    pub const fn first(&self) -> FrameIndex {
        self.from
    }

    /// The show's own frame at a place of the grid; what lies before its first is its first.
    pub fn frame(&self, index: FrameIndex) -> u64 {
        index.max(self.from).since(self.new.origin).unwrap_or(0) + self.new.origin_frame
    }

    pub fn entry(&self, index: FrameIndex, what: What, cause: Option<&Cause>) -> Entry {
        let frame = self.frame(index);
        Entry {
            frame,
            t_ns: Grid::new(self.new.fps).time_of(FrameIndex(frame)).as_nanos(),
            what,
            by: cause.map(|cause| cause.by.clone()),
            id: cause.and_then(|cause| cause.id.as_ref()).map(|id| id.as_str().to_owned()),
            clock: self.guessed.then(|| "untrusted".to_owned()),
        }
    }
}

/// Whether a show that was found may go on: not when it was left long ago, nor when the picture has another size or
/// rate now. In the same boot the monotonic clock says how long, whatever became of the other one; after another boot
/// the wall clock does, where it can be believed both times.
pub(in crate::director) fn goes_on(found: &FoundShow, config: &Config, now: Mono, wall: Wall) -> bool {
    let show = &found.show;
    let fits = (show.width, show.height, show.fps) == (config.program.width, config.program.height, config.program.fps);
    let recorded_s = i64::try_from(found.last_frame / u64::from(show.fps.max(1))).unwrap_or(i64::MAX);
    let passed_s = if found.same_boot {
        let frames = Grid::new(show.fps).at_or_after(now).since(show.origin).unwrap_or(0) + show.origin_frame;
        i64::try_from(frames / u64::from(show.fps.max(1))).ok()
    } else {
        let begun = show.begun();
        believed(begun, wall).then(|| wall.unix_ns.saturating_sub(begun.unix_ns) / NS_PER_S)
    };
    fits && passed_s.is_none_or(|passed_s| passed_s.saturating_sub(recorded_s) <= LEFT_FOR_GOOD_S)
}

fn believed(started: Wall, wall: Wall) -> bool {
    started.trust > Trust::Unset && wall.trust > Trust::Unset
}

/// `20261121-183005-3f2a` (UTC), or `boot-0000000042-3f2a` when nobody knows the date. Sorts by time, safe as a name.
fn show_id(wall: Wall, now: Mono, salt: u64) -> ShowId {
    let salt = salt & 0xffff;
    if wall.trust == Trust::Unset {
        return ShowId::new(format!("boot-{:010}-{salt:04x}", now.as_nanos() / 1_000_000_000));
    }
    let digits: String = wall.rfc3339().chars().filter(char::is_ascii_digit).collect();
    let (date, time) = digits.split_at(digits.len().min(8));
    ShowId::new(format!("{date}-{time}-{salt:04x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(same_boot: bool, trust: Trust) -> FoundShow {
        let wall = Wall { unix_ns: 1_795_285_805 * NS_PER_S, trust };
        let config = Config::default();
        let show = Show::begin(&config, None, wall, Mono(0), FrameIndex(900), &mut Dice::new(1));
        FoundShow { show: show.new, same_boot, last_frame: 3_000, next_numbers: Default::default() }
    }

    fn later(seconds: i64, trust: Trust) -> Wall {
        Wall { unix_ns: (1_795_285_805 + seconds) * NS_PER_S, trust }
    }

    #[test]
    fn ids_carry_the_date_only_when_somebody_knows_it() {
        let wall = later(0, Trust::Ntp);
        assert_eq!(show_id(wall, Mono(0), 0xa_3f2a).as_str(), "20261121-183005-3f2a");
        let unset = Wall { trust: Trust::Unset, ..wall };
        assert_eq!(show_id(unset, Mono(42_900_000_000), 7).as_str(), "boot-0000000042-0007");
    }

    #[test]
    fn a_show_goes_on_at_the_right_frame_after_a_restart_and_after_a_reboot() {
        let at = FrameIndex(600);
        let cases = [
            // same boot: the grid itself tells
            (found(true, Trust::Ntp), later(200, Trust::Ntp), FrameIndex(6_900), 6_000, false),
            // another boot, both clocks known: 200 s at 30 fps
            (found(false, Trust::Ntp), later(200, Trust::Rtc), at, 6_000, false),
            // another boot, a clock is not known, or runs backwards: behind the last known frame
            (found(false, Trust::Unset), later(200, Trust::Ntp), at, 3_001, true),
            (found(false, Trust::Ntp), later(200, Trust::Unset), at, 3_001, true),
            (found(false, Trust::Ntp), later(-5, Trust::Ntp), at, 3_001, true),
            (found(false, Trust::Ntp), later(60, Trust::Ntp), at, 3_001, true),
        ];
        for (found, wall, index, frame, guessed) in cases {
            let show = Show::resume(&found, wall, at);
            assert_eq!((show.frame(index), show.guessed), (frame, guessed), "{found:?} {wall:?}");
            assert_eq!(show.entry(index, What::Resumed, None).clock.is_some(), guessed);
        }
    }

    #[test]
    fn a_show_left_for_hours_or_of_another_size_does_not_go_on() {
        let config = Config::default();
        let soon = Mono(200 * NS_PER_S.unsigned_abs());
        assert!(goes_on(&found(false, Trust::Ntp), &config, soon, later(3600, Trust::Ntp)));
        assert!(goes_on(&found(false, Trust::Ntp), &config, soon, later(360_000, Trust::Unset)), "nobody knows");
        assert!(!goes_on(&found(false, Trust::Ntp), &config, soon, later(5 * 3600, Trust::Ntp)));
        let mut other = config;
        other.program.fps = 25;
        assert!(!goes_on(&found(true, Trust::Ntp), &other, soon, later(1, Trust::Ntp)));
    }

    #[test]
    fn in_one_boot_a_clock_that_jumped_ends_no_show() {
        let config = Config::default();
        let second = NS_PER_S.unsigned_abs();
        for jump_s in [-20 * 365 * 86_400, -3600, 3600, 20 * 365 * 86_400] {
            assert!(goes_on(&found(true, Trust::Ntp), &config, Mono(200 * second), later(jump_s, Trust::Ntp)));
            assert!(!goes_on(&found(true, Trust::Ntp), &config, Mono(20_000 * second), later(jump_s, Trust::Ntp)));
        }
    }

    #[test]
    fn what_is_known_of_the_start_grows_with_the_clocks_trust_alone() {
        let begun = |trust| Show::resume(&found(true, trust), later(0, trust), FrameIndex(900));
        let mut show = begun(Trust::Unset);
        show.clock_set(3600 * NS_PER_S, Trust::Ntp);
        assert_eq!(show.new.begun(), later(3600, Trust::Ntp));
        assert_eq!(show.new.started, later(0, Trust::Unset), "nothing is renamed");
        show.clock_set(-7200 * NS_PER_S, Trust::Unset);
        assert_eq!(show.new.begun(), later(3600, Trust::Ntp), "a clock that nobody believes says nothing");
        show.clock_set(7201 * NS_PER_S, Trust::Ntp);
        assert_eq!(show.new.begun(), later(3601, Trust::Ntp), "all moves count");
        assert_eq!(show.new.time_of(900), later(30, Trust::Unset), "lengths are those of the frames");
    }
}
