//! EDIDs: what an HDMI input tells the camera that it can take. A camera sends the mode that is preferred here.
//!
//! Made, not copied from a monitor: a base block (EDID 1.4) whose preferred timing is the mode, and a CTA-861 block that
//! names the same mode, stereo sound and the HDMI vendor block, without which many cameras send no sound. The only
//! other modes are smaller ones, for cameras that cannot do the preferred one.

/// Bytes of an EDID of two blocks.
pub const EDID_BYTES: usize = 256;

const BLOCK: usize = 128;

/// A mode that the box asks cameras for: 1920×1080 at so many progressive frames per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preferred {
    P30,
    P50,
    P60,
}

impl Preferred {
    /// The mode for a show of this rate: the slowest that has a picture for each frame without a beat.
    pub const fn for_show(fps: u32) -> Self {
        match fps {
            25 | 50 => Self::P50,
            60 => Self::P60,
            _ => Self::P30,
        }
    }

    /// CTA-861 timing: its code, pixel clock in 10 kHz, columns of blanking, of front porch and of sync.
    const fn timing(self) -> (u8, u16, u16, u16, u16) {
        match self {
            Self::P30 => (34, 7_425, 280, 88, 44),
            Self::P50 => (31, 14_850, 720, 528, 44),
            Self::P60 => (16, 14_850, 280, 88, 44),
        }
    }

    pub const fn fps(self) -> u32 {
        match self {
            Self::P30 => 30,
            Self::P50 => 50,
            Self::P60 => 60,
        }
    }
}

/// The EDID that prefers `mode`.
pub fn edid(mode: Preferred) -> [u8; EDID_BYTES] {
    let mut edid = [0; EDID_BYTES];
    let (base, extension) = edid.split_at_mut(BLOCK);
    write_base(base, mode);
    write_extension(extension, mode);
    for block in [base, extension] {
        let sum = block.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        block[BLOCK - 1] = sum.wrapping_neg();
    }
    edid
}

/// Whether each block has its header and adds up to zero.
pub fn is_sound(edid: &[u8]) -> bool {
    edid.len() >= BLOCK
        && edid.len().is_multiple_of(BLOCK)
        && edid.starts_with(&HEADER)
        && edid.chunks(BLOCK).all(|block| block.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0)
}

const HEADER: [u8; 8] = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
/// "CUE", five bits a letter.
const MAKER: u16 = (3 << 10) | (21 << 5) | 5;

fn write_base(block: &mut [u8], mode: Preferred) {
    block[..8].copy_from_slice(&HEADER);
    block[8..10].copy_from_slice(&MAKER.to_be_bytes());
    // Product, serial number; made in week 1 of 2026; EDID 1.4.
    block[10..18].copy_from_slice(&[1, 0, 1, 0, 0, 0, 1, 36]);
    block[18..20].copy_from_slice(&[1, 4]);
    // Digital, 8 bits a colour, HDMI-a; 16:9; gamma 2.2; sRGB, the first detailed timing is the preferred one.
    block[20..25].copy_from_slice(&[0xa2, 0x4f, 0x00, 0x78, 0x0e]);
    // Chromaticities of sRGB and BT.709.
    block[25..35].copy_from_slice(&[0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54]);
    // No established and no standard timings.
    block[38..54].fill(1);
    write_detailed(&mut block[54..72], mode);
    block[72..90].copy_from_slice(&text(0xfc, b"Cuebox"));
    // Range: 24–61 Hz, 26–68 kHz, 150 MHz at most; no formula.
    block[90..108]
        .copy_from_slice(&[0, 0, 0, 0xfd, 0, 24, 61, 26, 68, 15, 1, 0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20]);
    block[108..126].copy_from_slice(&text(0xfe, b"1080p"));
    block[126] = 1;
}

/// A detailed timing descriptor of 1920×1080, both syncs positive.
fn write_detailed(bytes: &mut [u8], mode: Preferred) {
    const LINES: [u16; 4] = [1_080, 45, 4, 5];
    let (_, clock, blank, porch, sync) = mode.timing();
    let high = |upper: u16, lower: u16| ((upper >> 8) << 4 | lower >> 8).to_le_bytes()[0];
    let low = |value: u16| value.to_le_bytes()[0];
    let [lines, blank_lines, porch_lines, sync_lines] = LINES;
    bytes[..2].copy_from_slice(&clock.to_le_bytes());
    bytes[2..5].copy_from_slice(&[low(1_920), low(blank), high(1_920, blank)]);
    bytes[5..8].copy_from_slice(&[low(lines), low(blank_lines), high(lines, blank_lines)]);
    bytes[8..10].copy_from_slice(&[low(porch), low(sync)]);
    bytes[10] = low(porch_lines << 4 | sync_lines);
    bytes[11] = low((porch >> 8) << 6 | (sync >> 8) << 4);
    // 160 cm × 90 cm: a shape, not a size.
    bytes[12..15].copy_from_slice(&[0x40, 0x84, 0x63]);
    bytes[17] = 0x1e;
}

/// A text descriptor of up to 13 letters.
fn text(kind: u8, letters: &[u8]) -> [u8; 18] {
    let mut bytes = [0x20; 18];
    bytes[..5].copy_from_slice(&[0, 0, 0, kind, 0]);
    let end = 5 + letters.len().min(12);
    bytes[5..end].copy_from_slice(&letters[..end - 5]);
    bytes[end] = 0x0a;
    bytes
}

fn write_extension(block: &mut [u8], mode: Preferred) {
    let (code, ..) = mode.timing();
    // The mode itself, 720p60, 720p50, 480p60, 576p50.
    let codes = [code | 0x80, 4, 19, 3, 18];
    let mut data = Vec::with_capacity(24);
    data.push(0x40 | 5);
    data.extend(codes);
    // Linear PCM, two channels, 48 kHz, 16 bits.
    data.extend([0x23, 0x09, 0x04, 0x01]);
    // Front left and right.
    data.extend([0x83, 0x01, 0, 0]);
    // HDMI, physical address 1.0.0.0.
    data.extend([0x65, 0x03, 0x0c, 0x00, 0x10, 0x00]);
    let end = 4 + data.len();
    block[0] = 2;
    block[1] = 3;
    block[2] = u8::try_from(end).unwrap_or(4);
    // Basic audio, YCbCr 4:4:4 and 4:2:2, one native mode.
    block[3] = 0x71;
    block[4..end].copy_from_slice(&data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_edid_adds_up_and_prefers_its_mode() {
        for mode in [Preferred::P30, Preferred::P50, Preferred::P60] {
            let edid = edid(mode);
            assert!(is_sound(&edid), "{mode:?}");
            let timing = &edid[54..72];
            let number = |low: u8, high: u8| u32::from(low) | u32::from(high) << 8;
            let clock_hz = number(timing[0], timing[1]) * 10_000;
            let (columns, blank) = (number(timing[2], timing[4] >> 4), number(timing[3], timing[4] & 15));
            let (lines, blank_lines) = (number(timing[5], timing[7] >> 4), number(timing[6], timing[7] & 15));
            assert_eq!((columns, lines), (1920, 1080));
            assert_eq!(clock_hz / (columns + blank) / (lines + blank_lines), mode.fps(), "{mode:?}");
            let porch = number(timing[8], timing[11] >> 6);
            let sync = number(timing[9], timing[11] >> 4 & 3);
            assert!(porch + sync < blank, "{mode:?}: {porch} + {sync} of {blank}");
            let codes = &edid[BLOCK + 5..BLOCK + 10];
            assert_eq!(codes[0] & 0x80, 0x80, "the native mode");
        }
        let mut broken = edid(Preferred::P60);
        broken[60] ^= 1;
        assert!(!is_sound(&broken) && !is_sound(&broken[..100]) && !is_sound(&[]));
    }

    #[test]
    fn a_show_is_offered_a_mode_without_a_beat() {
        for (fps, mode) in [(15, 30), (24, 30), (25, 50), (30, 30), (50, 50), (60, 60)] {
            assert_eq!(Preferred::for_show(fps).fps(), mode, "{fps}");
        }
    }
}
