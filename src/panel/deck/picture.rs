//! A face → a picture of a key.

use cuebox_panel::light::Colour;
use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts as _};
use jpeg_encoder::{ColorType, Encoder, EncodingError};

use super::face::Face;

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
pub(super) fn jpeg(face: &Face, side: u16, turned: bool) -> Result<Vec<u8>, EncodingError> {
    let mut pixels = draw(face, usize::from(side));
    if turned {
        // Half a turn: the pixels from the last to the first.
        pixels = pixels.chunks_exact(3).rev().flatten().copied().collect();
    }
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, QUALITY).encode(&pixels, side, side, ColorType::Rgb)?;
    Ok(jpeg)
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
    use super::*;

    fn face(title: &str, name: &str, state: &'static str, colour: Colour) -> Face {
        Face { title: title.to_owned(), name: name.to_owned(), state, colour }
    }

    #[test]
    fn every_face_fits_every_key() {
        let long = "Ein sehr langer Name über dem Altar ☃";
        for side in [72, 96, 120] {
            for colour in Colour::ALL {
                for face in
                    [face("5", long, "no signal", colour), face("STREAM", "", "", colour), face("", "", "", colour)]
                {
                    let jpeg = jpeg(&face, side, true).unwrap();
                    assert!(jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9]));
                    assert!(jpeg.len() < 20_000, "{}", jpeg.len());
                }
            }
        }
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
