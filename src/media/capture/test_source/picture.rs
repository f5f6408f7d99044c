//! The test picture: a background that is painted once, and the few parts that move.
//!
//! Each buffer that is kept holds the background and remembers which rectangles were drawn over it; a new frame takes a
//! buffer that nobody reads any more, restores those rectangles and draws its own. So a frame costs what moves, not what
//! is shown.

use cuebox_core::grid::{FrameIndex, Grid};

use super::{Look, marks};
use crate::media::picture::canvas::line_bounds;
use crate::media::picture::{Canvas, Colour, Kept, Layout, Painting, Rect, TextStyle, Weight, text};
use crate::media::timing::ShowFormat;

pub struct TestPicture {
    scene: Scene,
    background: Painting,
    /// With what was drawn over each.
    kept: Kept<Vec<Rect>>,
}

impl TestPicture {
    pub fn new(format: &ShowFormat, look: &Look) -> Self {
        let scene = Scene::new(format, look);
        let mut background = Painting::new(format.width, format.height);
        scene.paint_background(&mut background.canvas(), look);
        let kept = Kept::of_size(background.data().len());
        Self { scene, background, kept }
    }

    /// The picture of a frame, stamped by `stamp`.
    pub fn frame(
        &mut self,
        index: FrameIndex,
        pushed_ms: u64,
        stamp: impl FnOnce(&mut gst::BufferRef),
    ) -> Option<gst::Buffer> {
        let Self { scene, background, kept } = self;
        let blank = || gst::Buffer::from_mut_slice(background.data().to_vec());
        kept.paint(blank, |buffer, drawn| {
            stamp(buffer);
            let mut map = buffer.map_writable().ok()?;
            let mut canvas = Canvas::over(scene.layout, &mut map)?;
            for rect in drawn.drain(..) {
                canvas.restore(background, rect);
            }
            scene.paint_moving(&mut canvas, index, pushed_ms, drawn);
            Some(())
        })
    }
}

/// Where things are, in pixels.
struct Scene {
    layout: Layout,
    grid: Grid,
    slot: u8,
    marks: bool,
    accent: Colour,
    dial: (f32, f32),
    radius: f32,
    track: (f32, f32, f32),
    unit: f32,
}

impl Scene {
    fn new(format: &ShowFormat, look: &Look) -> Self {
        let (width, height) = (format.width as f32, format.height as f32);
        Self {
            layout: Layout::new(format.width, format.height),
            grid: format.grid,
            slot: look.slot.number(),
            marks: look.marks,
            accent: accent(look.slot.number()),
            dial: (width * 0.745, height * 0.49),
            radius: height * 0.29,
            track: (width * 0.075, width * 0.46, height * 0.70),
            unit: height / 360.0,
        }
    }

    fn paint_background(&self, canvas: &mut Canvas<'_>, look: &Look) {
        let (width, height) = (self.layout.width as f32, self.layout.height as f32);
        let night = Colour::rgb(12, 14, 22);
        canvas.vertical_gradient(self.accent.mix(night, 0.55), self.accent.mix(night, 0.88));
        self.paint_dial(canvas, look);
        let left = (width * 0.075) as i32;
        let name = TextStyle { size: (height * 0.125) as u32, weight: Weight::Bold, max_width: (width * 0.40) as u32 };
        let small =
            TextStyle { size: (height * 0.045) as u32, weight: Weight::Regular, max_width: (width * 0.40) as u32 };
        let name = text::render(&look.name, name);
        let name_at = (height * 0.46) as i32 - name.height as i32 / 2;
        canvas.mask(left, name_at, &name, Colour::WHITE, 0.96);
        let sound = look.tone_hz.map_or("no tone".to_owned(), |hz| format!("{hz} Hz"));
        let about = format!("{} × {}  ·  {} fps  ·  {sound}", self.layout.width, self.layout.height, self.grid.fps());
        canvas.mask(left, (height * 0.565) as i32, &text::render(&about, small), Colour::WHITE, 0.62);
        let kicker = TextStyle { weight: Weight::SemiBold, ..small };
        let kicker = text::render("TEST PICTURE", kicker);
        canvas.mask(left, (height * 0.325) as i32, &kicker, self.accent.mix(Colour::WHITE, 0.45), 0.95);
        let (from, to, y) = self.track;
        let bar = Rect::new(from as i32, (y - self.unit) as i32, (to - from) as i32, (2.0 * self.unit) as i32 + 1);
        canvas.rounded_rect(bar, self.unit, Colour::WHITE, 0.22);
        if self.marks {
            canvas.rect(marks::bounds(self.layout.width, self.layout.height), Colour::BLACK);
            canvas.rect(marks::flash_bounds(self.layout.width, self.layout.height), Colour::BLACK);
        }
    }

    fn paint_dial(&self, canvas: &mut Canvas<'_>, look: &Look) {
        let ((x, y), radius, unit) = (self.dial, self.radius, self.unit);
        canvas.disc(x, y, radius, Colour::rgb(12, 14, 22), 0.35);
        canvas.ring(x, y, radius, 2.0 * unit, Colour::WHITE, 0.35);
        for minute in 0..60 {
            let (length, share) = if minute % 5 == 0 { (0.07, 0.85) } else { (0.035, 0.5) };
            let colour = self.accent.mix(Colour::WHITE, share);
            let (from, to) = (self.rim(minute as f32 / 60.0, 0.95 - length), self.rim(minute as f32 / 60.0, 0.95));
            canvas.line(from, to, 1.4 * unit, colour);
        }
        let style = TextStyle { size: (radius * 1.05) as u32, weight: Weight::Bold, max_width: (radius * 1.2) as u32 };
        let number = text::render(&look.slot.to_string(), style).trimmed();
        canvas.mask(
            x as i32 - number.width as i32 / 2,
            y as i32 - number.height as i32 / 2,
            &number,
            Colour::WHITE,
            0.97,
        );
    }

    /// A point of the dial: `turn` 0 is up, clockwise; `reach` 1 is the edge.
    fn rim(&self, turn: f32, reach: f32) -> (f32, f32) {
        let angle = turn * std::f32::consts::TAU;
        (self.dial.0 + self.radius * reach * angle.sin(), self.dial.1 - self.radius * reach * angle.cos())
    }

    /// The hand (a turn a minute), the dot on the rim (a turn a second), the ball on its track (there and back in four
    /// seconds), marks and flash.
    fn paint_moving(&self, canvas: &mut Canvas<'_>, index: FrameIndex, pushed_ms: u64, dirty: &mut Vec<Rect>) {
        let fps = u64::from(self.grid.fps());
        let turn = |seconds: u64| (index.0 % (fps * seconds)) as f32 / (fps * seconds) as f32;
        let bright = self.accent.mix(Colour::WHITE, 0.35);
        let hand = (self.rim(turn(60), 0.62), self.rim(turn(60), 0.97));
        canvas.line(hand.0, hand.1, 4.0 * self.unit, bright);
        dirty.push(line_bounds(hand.0, hand.1, 4.0 * self.unit));
        let (x, y) = self.rim(turn(1), 1.0);
        canvas.disc(x, y, 5.0 * self.unit, Colour::WHITE, 1.0);
        dirty.push(Rect::around(x, y, 5.0 * self.unit));
        let (from, to, y) = self.track;
        let x = from + (to - from) * (0.5 - 0.5 * (turn(4) * std::f32::consts::TAU).cos());
        canvas.disc(x, y, 8.0 * self.unit, bright, 1.0);
        dirty.push(Rect::around(x, y, 8.0 * self.unit));
        if self.marks {
            marks::draw(canvas, self.slot, index.0, pushed_ms);
            if index.0.is_multiple_of(fps) {
                let flash = marks::flash_bounds(self.layout.width, self.layout.height);
                canvas.rect(flash, Colour::WHITE);
                dirty.push(flash);
            }
        }
    }
}

/// Each slot has its own, told apart by lightness as well as by hue.
fn accent(slot: u8) -> Colour {
    match slot {
        1 => Colour::rgb(0, 168, 150),
        2 => Colour::rgb(126, 87, 220),
        3 => Colour::rgb(235, 140, 40),
        4 => Colour::rgb(40, 120, 230),
        _ => Colour::rgb(222, 72, 110),
    }
}
