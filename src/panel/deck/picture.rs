//! A face → a picture of a key.

use cuebox_panel::light::Colour;
use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts as _};
use jpeg_encoder::{ColorType, Encoder, EncodingError};

use super::face::Face;
use super::model::{Dialect, Model, Turn};

/// Percent; letters stay sharp.
const QUALITY: u8 = 90;
/// Pixels of a letter's side at scale 1.
const LETTER: usize = 8;

struct Canvas {
    side: usize,
    /// Red, green, blue.
    pixels: Vec<u8>,
}

/// The picture as the key takes it.
pub(super) fn encoded(face: &Face, model: &Model) -> Result<Vec<u8>, EncodingError> {
    let pixels = turned(&draw(face, usize::from(model.side)), usize::from(model.side), model.turn);
    match model.dialect {
        Dialect::Second => {
            let mut jpeg = Vec::new();
            Encoder::new(&mut jpeg, QUALITY).encode(&pixels, model.side, model.side, ColorType::Rgb)?;
            Ok(jpeg)
        }
        Dialect::Mini => Ok(bmp(&pixels, model.side)),
    }
}

fn turned(pixels: &[u8], side: usize, turn: Turn) -> Vec<u8> {
    let from = |x: usize, y: usize| match turn {
        Turn::Upright => (x, y),
        Turn::Half => (side - 1 - x, side - 1 - y),
        Turn::Left => (side - 1 - y, x),
        Turn::Transposed => (y, x),
    };
    let places = (0..side).flat_map(|y| (0..side).map(move |x| from(x, y)));
    places.flat_map(|(x, y)| pixels.iter().skip((y * side + x) * 3).take(3).copied()).collect()
}

/// 24 bits a pixel, the lowest row first. Its rows need no padding: every key's side is a multiple of 4.
fn bmp(pixels: &[u8], side: u16) -> Vec<u8> {
    const HEAD: u32 = 54;
    let length = u32::try_from(pixels.len()).unwrap_or_default();
    let mut bmp = b"BM".to_vec();
    for word in
        [HEAD + length, 0, HEAD, 40, u32::from(side), u32::from(side), 24 << 16 | 1, 0, length, 3_780, 3_780, 0, 0]
    {
        bmp.extend(word.to_le_bytes());
    }
    for row in pixels.chunks_exact(usize::from(side) * 3).rev() {
        bmp.extend(row.chunks_exact(3).flat_map(|pixel| pixel.iter().rev()));
    }
    bmp
}

fn draw(face: &Face, side: usize) -> Vec<u8> {
    let (paper, ink) = colours(face.colour);
    let mut canvas = Canvas { side, pixels: paper.repeat(side * side) };
    // Keys are of one size whatever their pixels, so letters grow with those; as far as the words still fit.
    let scale = |text: &str, largest: usize| {
        (1..=largest).rev().find(|scale| text.chars().count() * LETTER * scale <= side).unwrap_or(1)
    };
    if face.name.is_empty() && face.state.is_empty() {
        let scale = scale(&face.title, side / 36);
        canvas.line(&face.title, (side - LETTER * scale) / 2, scale, ink);
        return canvas.pixels;
    }
    let small = side / 48;
    canvas.line(&face.title, side / 12, side / 24, ink);
    canvas.line(&face.name, side * 6 / 10, scale(&face.name, small), ink);
    canvas.line(face.state, side * 8 / 10, scale(face.state, small), ink);
    canvas.pixels
}

/// Of the paper, and of the ink that is read on it.
const fn colours(colour: Colour) -> ([u8; 3], [u8; 3]) {
    const BLACK: [u8; 3] = [0, 0, 0];
    const WHITE: [u8; 3] = [255, 255, 255];
    match colour {
        Colour::Off => ([24, 24, 28], [200, 200, 200]),
        Colour::White => ([235, 235, 235], BLACK),
        Colour::Red => ([190, 0, 0], WHITE),
        Colour::Green => ([0, 130, 40], WHITE),
        Colour::Amber => ([255, 150, 0], BLACK),
        Colour::Blue => ([0, 60, 200], WHITE),
    }
}

impl Canvas {
    /// A line of text in the middle, its top at `top`; what does not fit is left out.
    fn line(&mut self, text: &str, top: usize, scale: usize, ink: [u8; 3]) {
        let fits = self.side / (LETTER * scale);
        let letters: Vec<char> = text.chars().take(fits).collect();
        let left = (self.side - letters.len() * LETTER * scale) / 2;
        for (place, letter) in letters.into_iter().enumerate() {
            let rows = BASIC_FONTS.get(letter).or_else(|| LATIN_FONTS.get(letter)).or_else(|| BASIC_FONTS.get('?'));
            for (y, row) in rows.unwrap_or_default().into_iter().enumerate() {
                for x in (0..LETTER).filter(|x| row >> x & 1 == 1) {
                    self.fill(left + (place * LETTER + x) * scale, top + y * scale, scale, ink);
                }
            }
        }
    }

    fn fill(&mut self, left: usize, top: usize, size: usize, ink: [u8; 3]) {
        for y in top..top + size {
            for x in left..left + size {
                let at = (y * self.side + x) * 3;
                if let Some(pixel) = self.pixels.get_mut(at..at + 3) {
                    pixel.copy_from_slice(&ink);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;

    fn face(title: &str, name: &str, state: &'static str, colour: Colour) -> Face {
        Face { title: title.to_owned(), name: name.to_owned(), state, colour }
    }

    #[test]
    fn every_face_fits_every_key() {
        let long = "Ein sehr langer Name über dem Altar ☃";
        for product in [0x0080, 0x009a, 0x0084, 0x00c6] {
            let model = model::find(0x0fd9, product).unwrap();
            for colour in Colour::ALL {
                for face in
                    [face("5", long, "no signal", colour), face("STREAM", "", "", colour), face("", "", "", colour)]
                {
                    let jpeg = encoded(&face, model).unwrap();
                    assert!(jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9]));
                    assert!(jpeg.len() < 20_000, "{}", jpeg.len());
                }
            }
        }
    }

    #[test]
    fn a_picture_is_turned_as_the_key_lies() {
        // Upper left, upper right, lower left, lower right.
        let pixels: Vec<u8> = [1, 2, 3, 4].iter().flat_map(|n| [*n; 3]).collect();
        let table = [
            (Turn::Upright, [1, 2, 3, 4]),
            (Turn::Half, [4, 3, 2, 1]),
            (Turn::Left, [2, 4, 1, 3]),
            (Turn::Transposed, [1, 3, 2, 4]),
        ];
        for (turn, expected) in table {
            let seen: Vec<u8> = turned(&pixels, 2, turn).chunks(3).map(|pixel| pixel[0]).collect();
            assert_eq!(seen, expected, "{turn:?}");
        }
    }

    #[test]
    fn a_mini_gets_a_bitmap_of_its_size() {
        let model = model::find(0x0fd9, 0x0063).unwrap();
        let bmp = encoded(&face("3", "Guests", "ON AIR", Colour::Red), model).unwrap();
        let word = |at: usize| u32::from_le_bytes(bmp[at..at + 4].try_into().unwrap());
        assert_eq!((&bmp[..2], word(2), word(10), word(18), word(22)), (&b"BM"[..], 19_254, 54, 80, 80));
        assert_eq!(bmp.len(), 19_254);
        assert_eq!(bmp[54..57], [0, 0, 190], "blue, green, red");
    }

    #[test]
    fn the_tally_colour_is_behind_and_the_words_are_before_it() {
        let pixels = draw(&face("3", "Guests", "ON AIR", Colour::Red), 72);
        let count = |colour: [u8; 3]| pixels.chunks_exact(3).filter(|pixel| *pixel == colour).count();
        let (paper, ink) = colours(Colour::Red);
        assert_eq!(count(paper) + count(ink), 72 * 72);
        assert!((300..1_500).contains(&count(ink)), "{}", count(ink));
        assert_eq!(pixels[..3], paper);
    }
}
