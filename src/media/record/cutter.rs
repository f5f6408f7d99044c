//! Decides, picture by picture, where segments begin and end; pure.
//!
//! | state | picture | then |
//! |---|---|---|
//! | closed | before the recording's begin, or not a key frame | passed over, a key frame is asked for |
//! | closed | key frame at or after the begin | opens a segment with it |
//! | open | the one that is due | written |
//! | open | the one that is due, a key frame at or after a `segment_from` that has grown | ends the segment before it, opens the next with it |
//! | open | later than due (pictures are missing) | ends the segment; opens the next when it is a key frame |
//! | open | earlier than due | passed over |
//!
//! When pictures were missing soon after a segment began, twice in a row, the next one waits a while: opening and sealing
//! files costs a busy machine more than it records, and would keep it busy.
//!
//! Invariants: the pictures of a segment follow each other without a gap, so picture *k* is frame `first + k × step`; a
//! segment begins with a key frame; no picture is in two segments.

use cuebox_core::grid::FrameIndex;

/// Pictures between two requests for a key frame that has not come.
const ASK_AGAIN: u64 = 10;
/// A segment that pictures were missing from within this many is short, and two such are followed by a pause as long.
const SHORT: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The open segment has ended; its last picture is the one before `end`.
    Close { end: FrameIndex },
    /// A segment begins with this picture.
    Open { first: FrameIndex },
    /// This picture belongs to the open segment.
    Write,
    /// The first frame from `from` on should be a key frame.
    AskKey { from: FrameIndex },
}

#[derive(Debug)]
pub struct Cutter {
    /// Nothing is recorded before this frame.
    begin: FrameIndex,
    segment_from: FrameIndex,
    /// Grid frames from one picture to the next: 1, or more for an encode at a lower rate.
    step: u64,
    /// First frame of the open segment, and the frame that is due.
    open: Option<(FrameIndex, FrameIndex)>,
    /// The frame that a key frame was last asked for, and until when that request is given time.
    asked: Option<(FrameIndex, FrameIndex)>,
    /// The segment before was short.
    short: bool,
}

impl Cutter {
    pub const fn new(begin: FrameIndex, step: u64) -> Self {
        Self { begin, segment_from: begin, step, open: None, asked: None, short: false }
    }

    /// The next segment begins at `from`; going back is not possible.
    pub fn cut_at(&mut self, from: FrameIndex) -> Option<Step> {
        if from <= self.segment_from {
            return None;
        }
        self.segment_from = from;
        self.ask(from, from)
    }

    /// What to do with the picture of `frame`, in order.
    pub fn picture(&mut self, frame: FrameIndex, key: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some((first, due)) = self.open {
            let cut = key && first < self.segment_from && self.segment_from <= frame;
            if frame < due {
                return steps;
            }
            if frame == due && !cut {
                self.open = Some((first, FrameIndex(frame.0 + self.step)));
                steps.push(Step::Write);
                if first < self.segment_from && self.segment_from <= frame {
                    steps.extend(self.ask(frame, FrameIndex(frame.0 + 1)));
                }
                return steps;
            }
            self.open = None;
            steps.push(Step::Close { end: due });
            if frame > due {
                self.torn(first, due, frame);
            }
        }
        if key && frame >= self.begin {
            self.open = Some((frame, FrameIndex(frame.0 + self.step)));
            self.asked = None;
            steps.extend([Step::Open { first: frame }, Step::Write]);
        } else {
            steps.extend(self.ask(frame, self.begin.max(FrameIndex(frame.0 + 1))));
        }
        steps
    }

    /// A segment is open, and nothing but its next pictures is waited for.
    pub fn is_calm(&self) -> bool {
        self.open.is_some_and(|(first, _)| first >= self.segment_from)
    }

    /// Ends the open segment, if there is one.
    pub fn end(&mut self) -> Option<Step> {
        self.open.take().map(|(_, end)| Step::Close { end })
    }

    /// Pictures are missing from a segment that began with `first`.
    fn torn(&mut self, first: FrameIndex, end: FrameIndex, frame: FrameIndex) {
        let short = end.0 - first.0 < SHORT * self.step;
        if std::mem::replace(&mut self.short, short) && short {
            self.begin = self.begin.max(FrameIndex(frame.0 + SHORT * self.step));
        }
    }

    /// Asks, unless a request for this frame or an earlier one is on its way.
    fn ask(&mut self, now: FrameIndex, from: FrameIndex) -> Option<Step> {
        if self.asked.is_some_and(|(asked, until)| asked <= from && now < until) {
            return None;
        }
        self.asked = Some((from, FrameIndex(from.0 + ASK_AGAIN * self.step)));
        Some(Step::AskKey { from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn f(frame: u64) -> FrameIndex {
        FrameIndex(frame)
    }

    fn steps(cutter: &mut Cutter, frame: u64, key: bool) -> Vec<Step> {
        cutter.picture(f(frame), key)
    }

    #[test]
    fn a_segment_waits_for_the_first_key_frame_that_is_due() {
        let mut cutter = Cutter::new(f(100), 1);
        assert_eq!(steps(&mut cutter, 98, true), [Step::AskKey { from: f(100) }], "too early");
        assert_eq!(steps(&mut cutter, 99, false), []);
        assert_eq!(steps(&mut cutter, 100, false), [], "asked for already");
        assert_eq!(steps(&mut cutter, 101, true), [Step::Open { first: f(101) }, Step::Write]);
    }

    #[test]
    fn a_rotation_loses_no_picture_and_doubles_none() {
        let mut cutter = Cutter::new(f(0), 1);
        assert_eq!(steps(&mut cutter, 0, true), [Step::Open { first: f(0) }, Step::Write]);
        assert_eq!(cutter.cut_at(f(3)), Some(Step::AskKey { from: f(3) }));
        assert_eq!(cutter.cut_at(f(2)), None, "a cut is never taken back");
        for frame in 1..3 {
            assert_eq!(steps(&mut cutter, frame, false), [Step::Write]);
        }
        let cut = [Step::Close { end: f(3) }, Step::Open { first: f(3) }, Step::Write];
        assert_eq!(steps(&mut cutter, 3, true), cut);
        assert_eq!(steps(&mut cutter, 4, true), [Step::Write], "a key frame alone cuts nothing");
    }

    #[test]
    fn a_rotation_whose_key_frame_is_late_goes_on_writing_and_asks_again() {
        let mut cutter = Cutter::new(f(0), 1);
        steps(&mut cutter, 0, true);
        cutter.cut_at(f(3));
        let mut asked = Vec::new();
        for frame in 1..40 {
            let taken = steps(&mut cutter, frame, false);
            assert_eq!(taken.first(), Some(&Step::Write), "frame {frame}");
            asked.extend(taken.get(1).map(|_| frame));
        }
        assert_eq!(asked, [13, 24, 35]);
        let cut = [Step::Close { end: f(40) }, Step::Open { first: f(40) }, Step::Write];
        assert_eq!(steps(&mut cutter, 40, true), cut);
    }

    #[test]
    fn missing_pictures_end_the_segment_and_the_next_begins_with_a_key_frame() {
        let mut cutter = Cutter::new(f(0), 1);
        steps(&mut cutter, 0, true);
        assert_eq!(steps(&mut cutter, 5, false), [Step::Close { end: f(1) }, Step::AskKey { from: f(6) }]);
        assert_eq!(steps(&mut cutter, 6, true), [Step::Open { first: f(6) }, Step::Write]);
        (7..200).for_each(|frame| assert_eq!(steps(&mut cutter, frame, false), [Step::Write]));
        let again = [Step::Close { end: f(200) }, Step::Open { first: f(209) }, Step::Write];
        assert_eq!(steps(&mut cutter, 209, true), again);
        assert_eq!(steps(&mut cutter, 208, true), [], "a picture from the past");
        assert_eq!(cutter.end(), Some(Step::Close { end: f(210) }));
        assert_eq!(cutter.end(), None);
    }

    #[test]
    fn a_track_that_is_torn_twice_soon_after_it_began_waits_before_it_opens_another_file() {
        let mut cutter = Cutter::new(f(0), 1);
        steps(&mut cutter, 0, true);
        assert!(steps(&mut cutter, 3, true).contains(&Step::Open { first: f(3) }), "once may happen");
        let torn = steps(&mut cutter, 9, true);
        assert_eq!(torn, [Step::Close { end: f(4) }, Step::AskKey { from: f(9 + SHORT) }]);
        (10..9 + SHORT).for_each(|frame| assert!(!steps(&mut cutter, frame, true).contains(&Step::Write)));
        assert_eq!(steps(&mut cutter, 9 + SHORT, true), [Step::Open { first: f(9 + SHORT) }, Step::Write]);
    }

    #[test]
    fn a_key_frame_that_is_needed_now_does_not_wait_for_one_that_was_asked_for_later() {
        let mut cutter = Cutter::new(f(0), 1);
        steps(&mut cutter, 0, true);
        assert_eq!(cutter.cut_at(f(500)), Some(Step::AskKey { from: f(500) }));
        assert_eq!(steps(&mut cutter, 5, false), [Step::Close { end: f(1) }, Step::AskKey { from: f(6) }]);
    }

    #[test]
    fn an_encode_at_half_the_rate_has_no_gaps() {
        let mut cutter = Cutter::new(f(1), 2);
        assert_eq!(steps(&mut cutter, 2, true), [Step::Open { first: f(2) }, Step::Write]);
        assert_eq!(steps(&mut cutter, 4, false), [Step::Write]);
        assert_eq!(steps(&mut cutter, 8, false).first(), Some(&Step::Close { end: f(6) }));
    }
}
