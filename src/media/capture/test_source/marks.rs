//! Frame marks: numbers written into a picture as black and white cells, so that a test can read back, anywhere
//! downstream, which frame it sees and when it was made.
//!
//! Two rows of 40 cells at the top left; a cell is width/40 × height/45 pixels; a one is Y = 235, a zero Y = 16, most
//! significant bit first.
//! Row 1: `1010` · slot (4 bits) · frame number modulo 2^24 · CRC-8 of the four bytes before.
//! Row 2: monotonic time in ms when the frame was pushed, modulo 2^32 · CRC-8 of the four bytes before.
//! Beside them, the lower right width/8 × height/8 is white in the one frame that begins at a whole second, else black.

use crate::media::picture::{Canvas, Colour, Rect};

const CELLS: usize = 40;

/// Draws both rows; their chroma is neutral already.
pub fn draw(canvas: &mut Canvas<'_>, slot: u8, frame: u64, pushed_ms: u64) {
    let [.., high, mid, low] = frame.to_be_bytes();
    draw_row(canvas, 0, checked([0xA0 | (slot & 0x0F), high, mid, low]));
    let [.., b3, b2, b1, b0] = pushed_ms.to_be_bytes();
    draw_row(canvas, 1, checked([b3, b2, b1, b0]));
}

/// Where the marks are.
pub fn bounds(width: usize, height: usize) -> Rect {
    Rect::new(0, 0, (width / CELLS * CELLS) as i32, (height / 45 * 2) as i32)
}

pub fn flash_bounds(width: usize, height: usize) -> Rect {
    let (flash_width, flash_height) = (width / 8, height / 8);
    Rect::new((width - flash_width) as i32, (height - flash_height) as i32, flash_width as i32, flash_height as i32)
}

fn checked([a, b, c, d]: [u8; 4]) -> [u8; 5] {
    [a, b, c, d, crc8(&[a, b, c, d])]
}

fn draw_row(canvas: &mut Canvas<'_>, row: usize, bytes: [u8; 5]) {
    let (width, height) = (canvas.layout().width / CELLS, canvas.layout().height / 45);
    let mut line = vec![Colour::BLACK.y; width * CELLS];
    for (cell, pixels) in line.chunks_exact_mut(width.max(1)).enumerate() {
        if bytes[cell / 8] >> (7 - cell % 8) & 1 == 1 {
            pixels.fill(Colour::WHITE.y);
        }
    }
    for y in row * height..(row + 1) * height {
        canvas.luma_line(y, &line);
    }
}

/// Polynomial 0x07, start 0.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { (crc << 1) ^ 0x07 })
    })
}

/// What a picture's marks say.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    pub slot: u8,
    /// Modulo 2^24.
    pub frame: u32,
    /// Modulo 2^32.
    pub pushed_ms: u32,
}

/// Reads the marks from a picture's luma plane; `None` when a check does not match.
#[cfg(test)]
pub fn read(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<Marks> {
    let (cell_width, cell_height) = (width / CELLS, height / 45);
    let row = |row: usize| {
        let mut bytes = [0u8; 5];
        for cell in 0..CELLS {
            let at = (row * cell_height + cell_height / 2) * stride + cell * cell_width + cell_width / 2;
            bytes[cell / 8] = bytes[cell / 8] << 1 | u8::from(luma[at] > 125);
        }
        (crc8(&bytes[..4]) == bytes[4]).then(|| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let (first, pushed_ms) = (row(0)?, row(1)?);
    (first >> 28 == 0b1010).then_some(Marks { slot: (first >> 24 & 15) as u8, frame: first & 0xFF_FFFF, pushed_ms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::picture::Painting;

    #[test]
    fn marks_are_read_back_at_every_usual_size() {
        for (width, height) in [(1920, 1080), (1280, 720), (640, 360), (320, 180)] {
            let mut painting = Painting::new(width, height);
            draw(&mut painting.canvas(), 3, 0x0512_3456_789A, 0x1_8000_0001);
            let (width, height) = (width as usize, height as usize);
            let marks = read(painting.data(), width, width, height);
            assert_eq!(marks, Some(Marks { slot: 3, frame: 0x56_789A, pushed_ms: 0x8000_0001 }), "{width}x{height}");
        }
    }

    #[test]
    fn the_check_is_the_known_one() {
        assert_eq!(crc8(b"123456789"), 0xF4);
    }
}
