//! The models, and what goes to them and comes from them. These all share one dialect: pictures are JPEG in output
//! reports of 1,024 bytes, keys come in input report 1, settings go in feature report 3.

/// Elgato.
const VENDOR: u16 = 0x0fd9;
/// Bytes of an output report, and of its head.
const REPORT: usize = 1_024;
const HEAD: usize = 8;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Model {
    product: u16,
    pub name: &'static str,
    pub keys: u8,
    /// Pixels of a key's side.
    pub side: u16,
    /// Its pictures stand on their heads.
    pub turned: bool,
}

const MODELS: [Model; 9] = [
    Model { product: 0x006d, name: "Stream Deck", keys: 15, side: 72, turned: true },
    Model { product: 0x0080, name: "Stream Deck MK.2", keys: 15, side: 72, turned: true },
    Model { product: 0x00a5, name: "Stream Deck MK.2", keys: 15, side: 72, turned: true },
    Model { product: 0x00b9, name: "Stream Deck MK.2", keys: 15, side: 72, turned: true },
    Model { product: 0x006c, name: "Stream Deck XL", keys: 32, side: 96, turned: true },
    Model { product: 0x008f, name: "Stream Deck XL", keys: 32, side: 96, turned: true },
    Model { product: 0x00ba, name: "Stream Deck XL", keys: 32, side: 96, turned: true },
    Model { product: 0x009a, name: "Stream Deck Neo", keys: 8, side: 96, turned: true },
    Model { product: 0x0084, name: "Stream Deck +", keys: 8, side: 120, turned: false },
];

pub(super) fn find(vendor: u16, product: u16) -> Option<&'static Model> {
    MODELS.iter().find(|model| vendor == VENDOR && model.product == product)
}

impl Model {
    /// Which keys are down, from an input report; `None`: the report is about something else.
    pub fn keys_down(&self, report: &[u8]) -> Option<Vec<bool>> {
        // Report 1, kind 0: keys; the other kinds are dials and touches.
        let [1, 0, _, _, states @ ..] = report else { return None };
        let states = states.get(..usize::from(self.keys))?;
        Some(states.iter().map(|state| *state == 1).collect())
    }
}

/// The reports that put a picture on a key, which counts from 0 here.
pub(super) fn picture_reports(key: u8, jpeg: &[u8]) -> Vec<[u8; REPORT]> {
    let parts: Vec<&[u8]> = jpeg.chunks(REPORT - HEAD).collect();
    let last = parts.len().saturating_sub(1);
    let report = |(page, part): (usize, &&[u8])| {
        let mut report = [0; REPORT];
        let number = |number: usize| u16::try_from(number).unwrap_or_default().to_le_bytes();
        let ([length_low, length_high], [page_low, page_high]) = (number(part.len()), number(page));
        let head = [2, 7, key, u8::from(page == last), length_low, length_high, page_low, page_high];
        report[..HEAD].copy_from_slice(&head);
        report[HEAD..HEAD + part.len()].copy_from_slice(part);
        report
    };
    parts.iter().enumerate().map(report).collect()
}

/// The feature report that sets the brightness, percent.
pub(super) fn brightness(percent: u8) -> [u8; 32] {
    let mut report = [0; 32];
    report[..3].copy_from_slice(&[3, 8, percent]);
    report
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
        assert_eq!(find(0x046d, 0x0080), None);
    }

    #[test]
    fn a_picture_is_cut_into_numbered_reports() {
        let jpeg: Vec<u8> = (0..2_500_u32).map(|n| n.to_le_bytes()[0]).collect();
        let reports = picture_reports(7, &jpeg);
        let heads: Vec<&[u8]> = reports.iter().map(|report| &report[..HEAD]).collect();
        assert_eq!(
            heads,
            [&[2, 7, 7, 0, 0xF8, 3, 0, 0][..], &[2, 7, 7, 0, 0xF8, 3, 1, 0], &[2, 7, 7, 1, 0xD4, 1, 2, 0]]
        );
        let lengths = [1_016, 1_016, 468];
        let joined: Vec<u8> =
            reports.iter().zip(lengths).flat_map(|(report, length)| report[HEAD..HEAD + length].to_vec()).collect();
        assert_eq!(joined, jpeg);
    }
}
