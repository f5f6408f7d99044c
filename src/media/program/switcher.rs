//! Which layer is how visible in which frame. Pure: frame times in, layers out.
//!
//! | state | the program shows |
//! |---|---|
//! | settled | one picture |
//! | armed | still the old one: the new picture has no frame yet |
//! | moving | a transition that began with a known frame |
//!
//! The top of the stack is the newest picture; what lies under it stays as it was when the transition began, so a
//! transition that is interrupted by another never jumps.

use std::time::Duration;

use cuebox_core::command::Transition;
use cuebox_core::director::{Picture, Switch};
use cuebox_core::ids::SwitchId;

/// A picture and how opaque it is, 0–1. Later ones lie above earlier ones.
pub type Layer = (Picture, f64);

#[derive(Debug)]
pub struct Switcher {
    target: Switch,
    layers: Vec<Layer>,
    /// The target waits for a frame of its picture.
    armed: bool,
    motion: Option<Motion>,
}

#[derive(Clone, Copy, Debug)]
struct Motion {
    kind: Transition,
    began_ns: u64,
    length_ns: u64,
    reported: bool,
}

/// What a frame looks like.
#[derive(Debug, PartialEq)]
pub struct Frame {
    pub layers: Vec<Layer>,
    /// This frame is the first that shows the result of this switch.
    pub first_of: Option<SwitchId>,
}

impl Switcher {
    pub fn new() -> Self {
        let target = Switch { id: SwitchId(0), picture: Picture::Slate, transition: None };
        Self { target, layers: vec![(Picture::Slate, 1.0)], armed: false, motion: None }
    }

    /// A new goal; the same id changes nothing.
    pub fn aim(&mut self, switch: &Switch) {
        if switch.id != self.target.id {
            self.target = *switch;
            self.armed = true;
        }
    }

    /// Whether this picture is in a frame now or will be as soon as it can.
    pub fn needs(&self, picture: Picture) -> bool {
        self.target.picture == picture || self.layers.iter().any(|(layer, _)| *layer == picture)
    }

    /// The next frame, which begins at `at_ns` and is `frame_ns` long. `has_frame` tells whether a picture can be
    /// shown at all: a switch waits for it, and the old picture stays meanwhile.
    pub fn frame(&mut self, at_ns: u64, frame_ns: u64, has_frame: impl Fn(Picture) -> bool) -> Frame {
        if self.armed && has_frame(self.target.picture) {
            self.armed = false;
            self.begin(at_ns);
            if self.motion.is_none() {
                return Frame { layers: self.layers.clone(), first_of: Some(self.target.id) };
            }
        }
        let Some(mut motion) = self.motion else {
            return Frame { layers: self.layers.clone(), first_of: None };
        };
        // Counted to the frame's end, so that the first frame has something of the new picture and the last has all.
        let elapsed = at_ns.saturating_add(frame_ns).saturating_sub(motion.began_ns);
        let part = (elapsed as f64 / motion.length_ns as f64).min(1.0);
        let layers = self.mixed(motion.kind, part);
        let shows = layers.last().is_some_and(|(_, alpha)| *alpha > 0.0);
        let first_of = (shows && !motion.reported).then_some(self.target.id);
        motion.reported |= shows;
        self.motion = Some(motion);
        if part >= 1.0 {
            self.settle();
        }
        Frame { layers, first_of }
    }

    fn begin(&mut self, at_ns: u64) {
        let picture = self.target.picture;
        match self.target.transition {
            Some((kind, length)) if length > Duration::ZERO && self.layers.last() != Some(&(picture, 1.0)) => {
                if let Some(motion) = self.motion {
                    self.freeze(motion, at_ns);
                }
                self.layers.retain(|(layer, _)| *layer != picture);
                self.layers.push((picture, 0.0));
                let length_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1);
                self.motion = Some(Motion { kind, began_ns: at_ns, length_ns, reported: false });
            }
            Some(_) | None => self.settle(),
        }
    }

    /// The layers of an interrupted transition stay as they are.
    fn freeze(&mut self, motion: Motion, at_ns: u64) {
        let part = at_ns.saturating_sub(motion.began_ns) as f64 / motion.length_ns as f64;
        self.layers = self.mixed(motion.kind, part.min(1.0));
    }

    fn mixed(&self, kind: Transition, part: f64) -> Vec<Layer> {
        let mut layers = self.layers.clone();
        let Some((top, under)) = layers.split_last_mut() else { return layers };
        match kind {
            Transition::Fade => top.1 = part,
            Transition::Dip => {
                for layer in under {
                    layer.1 *= (1.0 - 2.0 * part).max(0.0);
                }
                top.1 = (2.0 * part - 1.0).max(0.0);
            }
        }
        layers
    }

    fn settle(&mut self) {
        self.motion = None;
        self.layers = vec![(self.target.picture, 1.0)];
    }
}

#[cfg(test)]
mod tests {
    use cuebox_core::ids::SlotId;

    use super::*;

    const FRAME: u64 = 40_000_000;

    fn slot(number: u8) -> Picture {
        Picture::Slot(SlotId::new(number).unwrap())
    }

    fn aim(switcher: &mut Switcher, id: u64, picture: Picture, transition: Option<(Transition, u64)>) {
        let transition = transition.map(|(kind, ms)| (kind, Duration::from_millis(ms)));
        switcher.aim(&Switch { id: SwitchId(id), picture, transition });
    }

    #[test]
    fn a_cut_is_whole_in_the_first_frame_that_can_show_it() {
        let mut switcher = Switcher::new();
        aim(&mut switcher, 1, slot(2), None);
        let waiting = switcher.frame(0, FRAME, |picture| picture == Picture::Slate);
        assert_eq!(waiting, Frame { layers: vec![(Picture::Slate, 1.0)], first_of: None });
        let shown = switcher.frame(FRAME, FRAME, |_| true);
        assert_eq!(shown, Frame { layers: vec![(slot(2), 1.0)], first_of: Some(SwitchId(1)) });
        assert_eq!(switcher.frame(2 * FRAME, FRAME, |_| true).first_of, None);
    }

    #[test]
    fn a_fade_shows_the_new_picture_in_its_first_frame_and_all_of_it_in_its_last() {
        let mut switcher = Switcher::new();
        aim(&mut switcher, 1, slot(1), Some((Transition::Fade, 160)));
        let frames: Vec<Frame> = (0..5).map(|n| switcher.frame(n * FRAME, FRAME, |_| true)).collect();
        let tops: Vec<f64> = frames.iter().map(|frame| frame.layers.last().unwrap().1).collect();
        assert_eq!(tops, [0.25, 0.5, 0.75, 1.0, 1.0]);
        assert_eq!(frames[0].first_of, Some(SwitchId(1)));
        assert!(frames[1..].iter().all(|frame| frame.first_of.is_none()));
        assert_eq!(frames[4].layers, [(slot(1), 1.0)]);
    }

    #[test]
    fn a_dip_goes_through_black_and_is_on_air_when_the_new_picture_appears() {
        let mut switcher = Switcher::new();
        aim(&mut switcher, 1, slot(1), Some((Transition::Dip, 160)));
        let frames: Vec<Frame> = (0..4).map(|n| switcher.frame(n * FRAME, FRAME, |_| true)).collect();
        assert_eq!(frames[0].layers, [(Picture::Slate, 0.5), (slot(1), 0.0)]);
        assert_eq!(frames[1].layers, [(Picture::Slate, 0.0), (slot(1), 0.0)]);
        assert_eq!(frames[2].layers, [(Picture::Slate, 0.0), (slot(1), 0.5)]);
        assert_eq!(frames[3].layers, [(Picture::Slate, 0.0), (slot(1), 1.0)]);
        let firsts: Vec<bool> = frames.iter().map(|frame| frame.first_of.is_some()).collect();
        assert_eq!(firsts, [false, false, true, false]);
    }

    #[test]
    fn a_fade_over_a_fade_goes_on_from_what_is_seen() {
        let mut switcher = Switcher::new();
        aim(&mut switcher, 1, slot(1), Some((Transition::Fade, 160)));
        switcher.frame(0, FRAME, |_| true);
        switcher.frame(FRAME, FRAME, |_| true);
        aim(&mut switcher, 2, slot(2), Some((Transition::Fade, 160)));
        let frame = switcher.frame(2 * FRAME, FRAME, |_| true);
        assert_eq!(frame.layers, [(Picture::Slate, 1.0), (slot(1), 0.5), (slot(2), 0.25)]);
        assert!(switcher.needs(slot(1)) && switcher.needs(Picture::Slate));
    }

    #[test]
    fn a_cut_into_a_fade_is_a_cut() {
        let mut switcher = Switcher::new();
        aim(&mut switcher, 1, slot(1), Some((Transition::Fade, 400)));
        switcher.frame(0, FRAME, |_| true);
        aim(&mut switcher, 2, slot(3), None);
        let frame = switcher.frame(FRAME, FRAME, |_| true);
        assert_eq!(frame, Frame { layers: vec![(slot(3), 1.0)], first_of: Some(SwitchId(2)) });
        assert!(!switcher.needs(slot(1)));
    }

    #[test]
    fn a_switch_to_what_is_shown_is_told_at_once() {
        let mut switcher = Switcher::new();
        aim(&mut switcher, 1, Picture::Slate, Some((Transition::Fade, 400)));
        let frame = switcher.frame(0, FRAME, |_| true);
        assert_eq!(frame, Frame { layers: vec![(Picture::Slate, 1.0)], first_of: Some(SwitchId(1)) });
    }
}
