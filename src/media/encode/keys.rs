//! When a key frame that somebody asked for is made; pure.
//!
//! Viewers who lose packets or join ask again and again, and a key frame costs ten times what another frame does: two
//! that were asked for are at least [`APART`] from each other. A request that comes too early is kept, not lost.

/// Between two key frames that were asked for.
pub const APART: gst::ClockTime = gst::ClockTime::from_mseconds(500);

#[derive(Clone, Copy, Debug, Default)]
pub struct KeyFrames {
    asked: bool,
    /// Running time of the newest frame that came out.
    newest: Option<gst::ClockTime>,
    /// Running time of the newest key frame, or of when one was asked for.
    last: Option<gst::ClockTime>,
}

impl KeyFrames {
    /// Somebody asks. True: the encoder must be asked now.
    pub fn ask(&mut self) -> bool {
        self.asked = true;
        self.due()
    }

    /// A frame came out. True: the encoder must be asked now, for somebody who asked too early.
    pub fn came(&mut self, frame: gst::ClockTime, key: bool) -> bool {
        self.newest = Some(frame);
        if key {
            self.last = Some(frame);
        }
        self.due()
    }

    fn due(&mut self) -> bool {
        let early = self.last.is_some_and(|last| self.newest.is_some_and(|newest| newest < last + APART));
        if !self.asked || early {
            return false;
        }
        self.asked = false;
        self.last = self.newest;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_at_once_and_then_at_most_twice_a_second() {
        let mut keys = KeyFrames::default();
        let mut asked = Vec::new();
        for frame in 0_u64..90 {
            // Nobody asks, then everybody all the time, then one who comes too early, then nobody.
            let wants = (20..45).contains(&frame) || frame == 52;
            if wants && keys.ask() {
                asked.push(frame);
            }
            let begins = frame == 0 || asked.last() == Some(&frame);
            if keys.came(gst::ClockTime::from_nseconds(frame * 1_000_000_000 / 30), begins) {
                asked.push(frame + 1);
            }
        }
        assert_eq!(asked, [20, 36, 52, 68]);
    }
}
