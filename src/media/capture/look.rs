//! What a camera's pictures look like: whether they change, and whether anything is on them.
//!
//! A stick that has lost its source may go on delivering the same picture, or a black one, at its full rate. So four times
//! a second some hundred points of a picture are compared with those before. A real camera's picture always has noise;
//! one that is the same to the last bit for [`STILL`] stands still.

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use cuebox_core::director::Look;
use cuebox_core::time::Mono;

const EVERY: Duration = Duration::from_millis(250);
const STILL: Duration = Duration::from_secs(5);
const BLACK: Duration = Duration::from_secs(2);
const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// Black is 16; noise lies a little above it.
const BRIGHTEST_BLACK: u8 = 26;

#[derive(Default)]
pub struct Watcher {
    looked: Option<Mono>,
    seen: Option<u64>,
    /// Since when it has been so.
    same_since: Mono,
    black_since: Option<Mono>,
    told: Look,
}

impl Watcher {
    /// Whether the next picture is to be looked at.
    pub fn is_due(&self, at: Mono) -> bool {
        self.looked.is_none_or(|looked| at.since(looked) >= EVERY)
    }

    /// Looks at a picture of `width` columns whose luma lines lie `stride` bytes apart; tells what it looks like when that
    /// changed. Most pictures are not looked at.
    pub fn see(&mut self, luma: &[u8], (width, height, stride): (usize, usize, usize), at: Mono) -> Option<Look> {
        if !self.is_due(at) {
            return None;
        }
        self.looked = Some(at);
        let mut points = [0; COLUMNS * ROWS];
        for (n, point) in points.iter_mut().enumerate() {
            let (column, row) = (n % COLUMNS, n / COLUMNS);
            // In the middle of each of the parts that the picture is cut into.
            let x = (2 * column + 1) * width / (2 * COLUMNS);
            let y = (2 * row + 1) * height / (2 * ROWS);
            *point = *luma.get(y * stride + x)?;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(&points);
        let seen = Some(hasher.finish());
        if self.seen != seen {
            (self.seen, self.same_since) = (seen, at);
        }
        if points.iter().any(|point| *point > BRIGHTEST_BLACK) {
            self.black_since = None;
        } else if self.black_since.is_none() {
            self.black_since = Some(at);
        }
        let look = if self.black_since.is_some_and(|since| at.since(since) >= BLACK) {
            Look::Black
        } else if at.since(self.same_since) >= STILL {
            Look::Still
        } else {
            Look::Moving
        };
        (std::mem::replace(&mut self.told, look) != look).then_some(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize, usize) = (320, 180, 320);

    /// What is told of pictures at 30 a second, `seconds` of each kind, with the second in which it is told.
    fn told(kinds: &[(&str, u64)]) -> Vec<(Look, u64)> {
        let mut watcher = Watcher::default();
        let (mut told, mut frame) = (Vec::new(), 0_u64);
        for (kind, seconds) in kinds {
            for _ in 0..seconds * 30 {
                let value = |n: usize| match *kind {
                    "black" => 16 + ((n as u64 * 7 + frame) % 3) as u8,
                    "still" => (n % 200) as u8,
                    _ => ((n as u64 * 31 + frame * 17) % 220) as u8,
                };
                let luma: Vec<u8> = (0..320 * 180).map(value).collect();
                let look = watcher.see(&luma, SIZE, Mono(frame * 1_000_000_000 / 30));
                told.extend(look.map(|look| (look, frame / 30)));
                frame += 1;
            }
        }
        told
    }

    #[test]
    fn still_and_black_pictures_are_told_after_seconds_and_moving_ones_at_once() {
        assert_eq!(told(&[("moving", 8)]), []);
        let expected = [(Look::Still, 6), (Look::Moving, 9), (Look::Black, 13), (Look::Moving, 15)];
        assert_eq!(told(&[("moving", 1), ("still", 8), ("moving", 2), ("black", 4), ("moving", 3)]), expected);
        assert_eq!(told(&[("still", 4), ("moving", 1), ("black", 1), ("moving", 1)]), [], "a short one is nothing");
    }

    #[test]
    fn a_picture_shorter_than_it_says_is_left_alone() {
        assert_eq!(Watcher::default().see(&[0; 100], SIZE, Mono(0)), None);
    }
}
