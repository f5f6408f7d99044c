//! Drawn pictures: the test picture and the slate; and the buffers that pictures lie in.
//!
//! A [`Canvas`] draws into the bytes of one NV12 picture in GStreamer's default layout; [`text::render`] turns words
//! into a [`Mask`] that a canvas lays over in any colour. [`kept`] has what is painted over again. Nothing here knows
//! pipelines' parts or time.

pub mod canvas;
pub mod kept;
pub mod text;

pub use canvas::{Canvas, Painting, Rect};
pub use kept::{Kept, let_pool_shrink};
pub use text::{Mask, TextStyle, Weight};

/// Where the planes of an NV12 picture lie: as GStreamer lays out a picture that carries no layout of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub width: usize,
    pub height: usize,
    /// Bytes from one line to the next, of both planes.
    pub stride: usize,
    /// Where the chroma plane begins.
    pub chroma: usize,
    /// Bytes in all.
    pub size: usize,
}

impl Layout {
    pub const fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        let stride = width.next_multiple_of(4);
        let lines = height.next_multiple_of(2);
        Self { width, height, stride, chroma: stride * lines, size: stride * lines + stride * lines / 2 }
    }
}

/// A colour as a picture stores it: BT.709, limited range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    pub y: u8,
    pub u: u8,
    pub v: u8,
}

impl Colour {
    pub const BLACK: Self = Self { y: 16, u: 128, v: 128 };
    pub const WHITE: Self = Self { y: 235, u: 128, v: 128 };

    /// From full-range R'G'B' by BT.709's matrix (Kr = 0.2126, Kb = 0.0722).
    pub fn rgb(red: u8, green: u8, blue: u8) -> Self {
        let (r, g, b) = (f32::from(red) / 255.0, f32::from(green) / 255.0, f32::from(blue) / 255.0);
        let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        Self {
            y: (16.0 + 219.0 * luma).round() as u8,
            u: (128.0 + 224.0 * (b - luma) / 1.8556).round() as u8,
            v: (128.0 + 224.0 * (r - luma) / 1.5748).round() as u8,
        }
    }

    /// `share` of 0 gives this colour, 1 gives the other.
    pub fn mix(self, other: Self, share: f32) -> Self {
        let between = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * share).round() as u8;
        Self { y: between(self.y, other.y), u: between(self.u, other.u), v: between(self.v, other.v) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_gstreamers_own() {
        gst::init().unwrap();
        for (width, height) in [(1920, 1080), (1280, 720), (854, 480), (640, 360), (426, 240)] {
            let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Nv12, width, height).build().unwrap();
            let layout = Layout::new(width, height);
            assert_eq!((layout.size, layout.chroma), (info.size(), info.offset()[1]), "{width}x{height}");
            assert_eq!(vec![layout.stride as i32; 2], info.stride(), "{width}x{height}");
        }
    }

    #[test]
    fn colours_follow_bt709() {
        let table = [
            ((0, 0, 0), Colour::BLACK),
            ((255, 255, 255), Colour::WHITE),
            ((255, 0, 0), Colour { y: 63, u: 102, v: 240 }),
            ((0, 255, 0), Colour { y: 173, u: 42, v: 26 }),
            ((0, 0, 255), Colour { y: 32, u: 240, v: 118 }),
        ];
        for ((r, g, b), colour) in table {
            assert_eq!(Colour::rgb(r, g, b), colour, "{r} {g} {b}");
        }
    }
}
