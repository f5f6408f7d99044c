//! Drawing into NV12. Shapes are anti-aliased by coverage: a pixel takes as much of the colour as the shape covers of
//! it, judged from the distance of the pixel's centre to the shape's edge; chroma takes the mean of its four pixels.

use super::{Colour, Layout, Mask};

/// A rectangle in pixels; parts outside the picture are left out when drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
}

impl Rect {
    pub const fn new(x: i32, y: i32, width: i32, height: i32) -> Self {
        Self { x, y, width, height }
    }

    /// Around a circle.
    pub fn around(x: f32, y: f32, radius: f32) -> Self {
        let reach = radius.ceil() as i32 + 1;
        Self::new(x as i32 - reach, y as i32 - reach, 2 * reach + 1, 2 * reach + 1)
    }

    /// The part inside the picture, widened to whole chroma pixels: columns and lines.
    fn inside(self, layout: &Layout) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let clip = |from: i32, length: i32, limit: usize| {
            let limit = limit as i64;
            let start = i64::from(from).clamp(0, limit) & !1;
            let end = (i64::from(from) + i64::from(length)).clamp(start, limit);
            (start as usize)..(((end + 1) & !1).min(limit) as usize)
        };
        (clip(self.x, self.width, layout.width), clip(self.y, self.height, layout.height))
    }
}

/// A picture of our own.
pub struct Painting {
    layout: Layout,
    data: Vec<u8>,
}

impl Painting {
    /// All black.
    pub fn new(width: u32, height: u32) -> Self {
        let layout = Layout::new(width, height);
        let mut painting = Self { layout, data: vec![0; layout.size] };
        painting.canvas().fill(Colour::BLACK);
        painting
    }

    pub fn canvas(&mut self) -> Canvas<'_> {
        Canvas { layout: self.layout, data: &mut self.data }
    }

    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub fn into_memory(self) -> gst::Memory {
        gst::Memory::from_mut_slice(self.data)
    }
}

/// Draws into one picture.
pub struct Canvas<'a> {
    layout: Layout,
    data: &'a mut [u8],
}

impl<'a> Canvas<'a> {
    /// `None` when the bytes are too few for the layout.
    pub fn over(layout: Layout, data: &'a mut [u8]) -> Option<Self> {
        (data.len() >= layout.size).then_some(Self { layout, data })
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    pub fn fill(&mut self, colour: Colour) {
        self.vertical_gradient(colour, colour);
    }

    /// From `top` to `bottom`, dithered by line so that no bands are seen.
    pub fn vertical_gradient(&mut self, top: Colour, bottom: Colour) {
        let layout = self.layout;
        let share = |line: usize, of: usize| line as f32 / (of.max(2) - 1) as f32;
        let exact = |a: u8, b: u8, share: f32| f32::from(a) + (f32::from(b) - f32::from(a)) * share;
        let (luma, chroma) = self.data.split_at_mut(layout.chroma);
        for (line, row) in luma.chunks_exact_mut(layout.stride).enumerate() {
            let value = exact(top.y, bottom.y, share(line, layout.height).min(1.0));
            // Ordered dither, 4 × 4, below one step of luma.
            let pattern: [u8; 4] = std::array::from_fn(|x| (value + DITHER[line % 4][x]) as u8);
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = pattern[x % 4];
            }
        }
        for (line, row) in chroma.chunks_exact_mut(layout.stride).enumerate() {
            let colour = top.mix(bottom, share(line, layout.height / 2).min(1.0));
            for pair in row.chunks_exact_mut(2) {
                pair.copy_from_slice(&[colour.u, colour.v]);
            }
        }
    }

    /// Exactly these pixels, without any smoothing; chroma where the rectangle holds a chroma pixel's corner.
    pub fn rect(&mut self, rect: Rect, colour: Colour) {
        let (columns, _) = rect.inside(&self.layout);
        let clip = |from: i32, length: i32, limit: usize| {
            (from.clamp(0, limit as i32) as usize)..((from + length).clamp(0, limit as i32) as usize)
        };
        let (exact, lines) =
            (clip(rect.x, rect.width, self.layout.width), clip(rect.y, rect.height, self.layout.height));
        if exact.is_empty() {
            return;
        }
        for line in lines {
            let at = line * self.layout.stride;
            self.data[at + exact.start..at + exact.end].fill(colour.y);
            if line % 2 == 0 {
                let at = self.layout.chroma + line / 2 * self.layout.stride;
                for pair in self.data[at + columns.start..at + columns.end].chunks_exact_mut(2) {
                    pair.copy_from_slice(&[colour.u, colour.v]);
                }
            }
        }
    }

    /// Writes luma from the left edge of a line.
    pub fn luma_line(&mut self, y: usize, pixels: &[u8]) {
        let length = pixels.len().min(self.layout.width);
        if y < self.layout.height {
            let at = y * self.layout.stride;
            self.data[at..at + length].copy_from_slice(&pixels[..length]);
        }
    }

    /// `opacity` 0–1.
    pub fn rounded_rect(&mut self, rect: Rect, radius: f32, colour: Colour, opacity: f32) {
        let (half_width, half_height) = (rect.width as f32 / 2.0, rect.height as f32 / 2.0);
        let (x, y) = (rect.x as f32 + half_width, rect.y as f32 + half_height);
        self.paint(rect, colour, |px, py| {
            let (dx, dy) = ((px - x).abs() - half_width + radius, (py - y).abs() - half_height + radius);
            let distance = dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius;
            (0.5 - distance).clamp(0.0, 1.0) * opacity
        });
    }

    pub fn disc(&mut self, x: f32, y: f32, radius: f32, colour: Colour, opacity: f32) {
        self.paint(Rect::around(x, y, radius), colour, |px, py| {
            (radius + 0.5 - (px - x).hypot(py - y)).clamp(0.0, 1.0) * opacity
        });
    }

    /// A circle's line of `thickness` pixels, centred on `radius`.
    pub fn ring(&mut self, x: f32, y: f32, radius: f32, thickness: f32, colour: Colour, opacity: f32) {
        self.paint(Rect::around(x, y, radius + thickness), colour, |px, py| {
            let distance = ((px - x).hypot(py - y) - radius).abs() - thickness / 2.0;
            (0.5 - distance).clamp(0.0, 1.0) * opacity
        });
    }

    /// A line with round ends.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), thickness: f32, colour: Colour) {
        self.paint(line_bounds(from, to, thickness), colour, |px, py| {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = (dx * dx + dy * dy).max(f32::EPSILON);
            let along = (((px - from.0) * dx + (py - from.1) * dy) / length).clamp(0.0, 1.0);
            let distance = (px - from.0 - along * dx).hypot(py - from.1 - along * dy) - thickness / 2.0;
            (0.5 - distance).clamp(0.0, 1.0)
        });
    }

    /// Lays a mask over with its top left corner at `x`, `y`.
    pub fn mask(&mut self, x: i32, y: i32, mask: &Mask, colour: Colour, opacity: f32) {
        let bounds = Rect::new(x, y, mask.width as i32, mask.height as i32);
        self.paint(bounds, colour, |px, py| {
            f32::from(mask.at(px.floor() as i32 - x, py.floor() as i32 - y)) / 255.0 * opacity
        });
    }

    /// Copies a part of another picture of the same layout to the same place.
    pub fn restore(&mut self, from: &Painting, rect: Rect) {
        if from.layout != self.layout {
            return;
        }
        let (columns, lines) = rect.inside(&self.layout);
        for line in lines {
            let at = line * self.layout.stride;
            let span = at + columns.start..at + columns.end;
            self.data[span.clone()].copy_from_slice(&from.data[span]);
            if line % 2 == 0 {
                let at = self.layout.chroma + line / 2 * self.layout.stride;
                let span = at + columns.start..at + columns.end;
                self.data[span.clone()].copy_from_slice(&from.data[span]);
            }
        }
    }

    /// Blends `colour` by the coverage (0–1) that is given for each pixel's centre.
    pub fn paint(&mut self, bounds: Rect, colour: Colour, coverage: impl Fn(f32, f32) -> f32) {
        let (columns, lines) = bounds.inside(&self.layout);
        for line in lines.clone().step_by(2) {
            for column in columns.clone().step_by(2) {
                let mut sum = 0.0;
                for (x, y) in [(column, line), (column + 1, line), (column, line + 1), (column + 1, line + 1)] {
                    if x >= columns.end || y >= lines.end {
                        continue;
                    }
                    let covered = coverage(x as f32 + 0.5, y as f32 + 0.5);
                    if covered > 0.0 {
                        sum += covered;
                        blend(&mut self.data[y * self.layout.stride + x], colour.y, covered);
                    }
                }
                if sum > 0.0 {
                    let at = self.layout.chroma + line / 2 * self.layout.stride + column;
                    blend(&mut self.data[at], colour.u, sum / 4.0);
                    blend(&mut self.data[at + 1], colour.v, sum / 4.0);
                }
            }
        }
    }
}

/// What a line touches.
pub fn line_bounds(from: (f32, f32), to: (f32, f32), thickness: f32) -> Rect {
    let reach = thickness / 2.0 + 1.0;
    let (left, right) = (from.0.min(to.0) - reach, from.0.max(to.0) + reach);
    let (top, bottom) = (from.1.min(to.1) - reach, from.1.max(to.1) + reach);
    Rect::new(left as i32, top as i32, (right - left).ceil() as i32 + 1, (bottom - top).ceil() as i32 + 1)
}

fn blend(pixel: &mut u8, value: u8, share: f32) {
    let old = f32::from(*pixel);
    *pixel = (old + (f32::from(value) - old) * share + 0.5) as u8;
}

/// Bayer's 4 × 4 matrix, (n + ½) / 16.
const DITHER: [[f32; 4]; 4] = [
    [0.031, 0.531, 0.156, 0.656],
    [0.781, 0.281, 0.906, 0.406],
    [0.219, 0.719, 0.094, 0.594],
    [0.969, 0.469, 0.844, 0.344],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_outside_the_picture_are_left_out() {
        let mut painting = Painting::new(64, 36);
        let mut canvas = painting.canvas();
        canvas.rect(Rect::new(-20, -20, 10, 10), Colour::WHITE);
        canvas.disc(-50.0, 20.0, 10.0, Colour::WHITE, 1.0);
        canvas.line((-10.0, -10.0), (-5.0, 100.0), 3.0, Colour::WHITE);
        canvas.rounded_rect(Rect::new(100, 0, 10, 10), 3.0, Colour::WHITE, 1.0);
        assert!(painting.data()[..64 * 36].iter().all(|pixel| *pixel == 16));
    }

    #[test]
    fn a_rectangle_covers_exactly_its_pixels() {
        let mut painting = Painting::new(64, 36);
        painting.canvas().rect(Rect::new(3, 5, 4, 2), Colour::WHITE);
        let lit: Vec<(usize, usize)> =
            (0..64 * 36).filter(|at| painting.data()[*at] == 235).map(|at| (at % 64, at / 64)).collect();
        assert_eq!(lit, [(3, 5), (4, 5), (5, 5), (6, 5), (3, 6), (4, 6), (5, 6), (6, 6)]);
    }

    #[test]
    fn a_disc_covers_its_area() {
        let mut painting = Painting::new(64, 64);
        painting.canvas().disc(32.0, 32.0, 10.0, Colour::WHITE, 1.0);
        let covered: f32 = painting.data()[..64 * 64].iter().map(|y| (f32::from(*y) - 16.0) / 219.0).sum();
        assert!((covered - 314.2).abs() < 4.0, "{covered}");
    }

    #[test]
    fn restoring_brings_the_background_back() {
        let mut background = Painting::new(64, 36);
        background.canvas().vertical_gradient(Colour::rgb(90, 20, 40), Colour::rgb(10, 20, 80));
        let mut painting = Painting::new(64, 36);
        painting.canvas().restore(&background, Rect::new(0, 0, 64, 36));
        let hand = ((10.0, 10.0), (40.0, 30.0));
        painting.canvas().line(hand.0, hand.1, 4.0, Colour::WHITE);
        assert_ne!(painting.data(), background.data());
        painting.canvas().restore(&background, line_bounds(hand.0, hand.1, 4.0));
        assert_eq!(painting.data(), background.data());
    }
}
