//! The models, and what goes to them and comes from them, in two dialects:
//!
//! | dialect | key picture | reports of it, 1,024 bytes | keys, input report 1 | settings, feature report |
//! |---|---|---|---|---|
//! | second edition | JPEG | head of 8, counts bytes and pages | from byte 4 | 3, 32 bytes |
//! | Mini | BMP | head of 16, counts pages | from byte 1 | 5, 17 bytes |

/// Elgato.
const VENDOR: u16 = 0x0fd9;
/// Bytes of an output report.
const REPORT: usize = 1_024;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Model {
    product: u16,
    pub name: &'static str,
    pub keys: u8,
    /// Pixels of a key's side.
    pub side: u16,
    pub turn: Turn,
    pub dialect: Dialect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Second,
    Mini,
}

/// How a picture lies that a person before the deck sees upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Upright,
    /// On its head.
    Half,
    /// Its top is at the left.
    Left,
    /// Rows are columns.
    Transposed,
}

const fn second(product: u16, name: &'static str, keys: u8, side: u16, turn: Turn) -> Model {
    Model { product, name, keys, side, turn, dialect: Dialect::Second }
}

const fn mini(product: u16) -> Model {
    Model { product, name: "Stream Deck Mini", keys: 6, side: 80, turn: Turn::Transposed, dialect: Dialect::Mini }
}

const MODELS: [Model; 14] = [
    second(0x006d, "Stream Deck", 15, 72, Turn::Half),
    second(0x0080, "Stream Deck MK.2", 15, 72, Turn::Half),
    second(0x00a5, "Stream Deck MK.2", 15, 72, Turn::Half),
    second(0x00b9, "Stream Deck MK.2", 15, 72, Turn::Half),
    second(0x006c, "Stream Deck XL", 32, 96, Turn::Half),
    second(0x008f, "Stream Deck XL", 32, 96, Turn::Half),
    second(0x00ba, "Stream Deck XL", 32, 96, Turn::Half),
    second(0x009a, "Stream Deck Neo", 8, 96, Turn::Half),
    second(0x0084, "Stream Deck +", 8, 120, Turn::Upright),
    second(0x00c6, "Stream Deck + XL", 36, 112, Turn::Left),
    mini(0x0063),
    mini(0x0090),
    mini(0x00b3),
    mini(0x00b8),
];

pub(super) fn find(vendor: u16, product: u16) -> Option<&'static Model> {
    MODELS.iter().find(|model| vendor == VENDOR && model.product == product)
}

impl Model {
    /// Which keys are down, from an input report; `None`: the report is about something else.
    pub fn keys_down(&self, report: &[u8]) -> Option<Vec<bool>> {
        let states = match (self.dialect, report) {
            // Kind 0: keys; the other kinds are dials and touches.
            (Dialect::Second, [1, 0, _, _, states @ ..]) | (Dialect::Mini, [1, states @ ..]) => states,
            _ => return None,
        };
        let states = states.get(..usize::from(self.keys))?;
        Some(states.iter().map(|state| *state == 1).collect())
    }

    /// The reports that put a picture on a key, which counts from 0 here.
    pub fn picture_reports(&self, key: u8, picture: &[u8]) -> Vec<[u8; REPORT]> {
        let head = match self.dialect {
            Dialect::Second => 8,
            Dialect::Mini => 16,
        };
        let parts: Vec<&[u8]> = picture.chunks(REPORT - head).collect();
        let last = parts.len().saturating_sub(1);
        let report = |(page, part): (usize, &&[u8])| {
            let mut report = [0; REPORT];
            let number = |number: usize| u16::try_from(number).unwrap_or_default().to_le_bytes();
            let ([length_low, length_high], [page_low, page_high]) = (number(part.len()), number(page));
            let ends = u8::from(page == last);
            let begins = match self.dialect {
                Dialect::Second => [2, 7, key, ends, length_low, length_high, page_low, page_high],
                Dialect::Mini => [2, 1, page_low, 0, ends, key.saturating_add(1), 0, 0],
            };
            report[..begins.len()].copy_from_slice(&begins);
            report[head..head + part.len()].copy_from_slice(part);
            report
        };
        parts.iter().enumerate().map(report).collect()
    }

    /// The feature report that sets the brightness, percent.
    pub fn brightness(&self, percent: u8) -> Vec<u8> {
        let (begins, length): (&[u8], usize) = match self.dialect {
            Dialect::Second => (&[3, 8, percent], 32),
            Dialect::Mini => (&[5, 0x55, 0xaa, 0xd1, 1, percent], 17),
        };
        let mut report = begins.to_vec();
        report.resize(length, 0);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_their_report_and_from_no_other() {
        let deck = find(VENDOR, 0x0080).unwrap();
        let mut report = vec![1, 0, 15, 0];
        report.extend([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let down = deck.keys_down(&report).unwrap();
        assert_eq!((1..).zip(&down).filter(|(_, down)| **down).map(|(key, _)| key).collect::<Vec<u8>>(), [3, 15]);
        assert_eq!(deck.keys_down(&report[..10]), None, "cut off");
        report[1] = 3;
        assert_eq!(deck.keys_down(&report), None, "a dial");
        assert_eq!(deck.keys_down(&[]), None);
        let mini = find(VENDOR, 0x0063).unwrap();
        assert_eq!(mini.keys_down(&[1, 0, 1, 0, 0, 0, 1, 0]).unwrap(), [false, true, false, false, false, true]);
        assert_eq!(mini.keys_down(&[1, 0, 1]), None, "cut off");
        assert_eq!(find(0x046d, 0x0080), None);
    }

    #[test]
    fn a_picture_is_cut_into_numbered_reports() {
        let jpeg: Vec<u8> = (0..2_500_u32).map(|n| n.to_le_bytes()[0]).collect();
        let reports = find(VENDOR, 0x0080).unwrap().picture_reports(7, &jpeg);
        let heads: Vec<&[u8]> = reports.iter().map(|report| &report[..8]).collect();
        assert_eq!(
            heads,
            [&[2, 7, 7, 0, 0xF8, 3, 0, 0][..], &[2, 7, 7, 0, 0xF8, 3, 1, 0], &[2, 7, 7, 1, 0xD4, 1, 2, 0]]
        );
        let lengths = [1_016, 1_016, 468];
        let joined: Vec<u8> =
            reports.iter().zip(lengths).flat_map(|(report, length)| report[8..8 + length].to_vec()).collect();
        assert_eq!(joined, jpeg);
    }

    #[test]
    fn a_mini_counts_its_keys_from_one_and_has_settings_of_its_own() {
        let mini = find(VENDOR, 0x0090).unwrap();
        let picture: Vec<u8> = (0..2_100_u32).map(|n| n.to_le_bytes()[0]).collect();
        let reports = mini.picture_reports(5, &picture);
        let heads: Vec<&[u8]> = reports.iter().map(|report| &report[..8]).collect();
        assert_eq!(heads, [&[2, 1, 0, 0, 0, 6, 0, 0][..], &[2, 1, 1, 0, 0, 6, 0, 0], &[2, 1, 2, 0, 1, 6, 0, 0]]);
        let joined: Vec<u8> = reports.iter().flat_map(|report| report[16..].to_vec()).collect();
        assert_eq!(joined[..2_100], picture);
        let report = mini.brightness(70);
        assert_eq!((report.len(), &report[..6]), (17, &[5, 0x55, 0xaa, 0xd1, 1, 70][..]));
        let report = find(VENDOR, 0x00c6).unwrap().brightness(70);
        assert_eq!((report.len(), &report[..3]), (32, &[3, 8, 70][..]));
    }

    #[test]
    fn a_product_is_one_model() {
        let products: std::collections::BTreeSet<u16> = MODELS.iter().map(|model| model.product).collect();
        assert_eq!(products.len(), MODELS.len());
    }
}
