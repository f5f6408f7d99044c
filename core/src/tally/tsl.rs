//! Tally for other people's lamps and multiviewers: TSL UMD protocol 3.1 and 5.0, as their publisher describes them.
//!
//! **3.1** is one packet of 18 bytes for each display: `0x80` + address (0–126), a control byte (bit 0 tally 1, bit 1
//! tally 2, bits 4–5 brightness), 16 characters of ASCII. Tally 1 is preview here and tally 2 is program, as receivers
//! are commonly set.
//!
//! **5.0** is one packet for all displays, little-endian: length of what follows (2), version 0 (1), flags (1, bit 0:
//! text is UTF-16), screen (2), and for each display its index (2), control (2: two bits each for right lamp, text and
//! left lamp, 0 off 1 red 2 green 3 amber; bits 6–7 brightness), length of the text (2), text. On TCP a packet begins
//! with `0xFE 0x02`, and each `0xFE` in it is sent twice.

use cuebox_panel::light::{Colour, Light, Pattern};

use crate::status::Status;

/// Bytes of a packet of version 3.1.
pub const V31_BYTES: usize = 18;
/// Highest address of version 3.1.
pub const V31_ADDRESSES: u16 = 126;

/// One display: a slot's name and lamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Display {
    pub index: u16,
    pub text: String,
    pub lamp: Lamp,
}

/// What these protocols can show. They cannot blink, and *armed* is not on air: it is shown as amber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lamp {
    #[default]
    Off,
    Red,
    Green,
    Amber,
}

impl From<Light> for Lamp {
    fn from(light: Light) -> Self {
        match (light.colour, light.pattern) {
            (Colour::Red, Pattern::Steady) => Self::Red,
            (Colour::Red, Pattern::Slow | Pattern::Fast) | (Colour::Amber, _) => Self::Amber,
            (Colour::Green, _) => Self::Green,
            (Colour::Off | Colour::White | Colour::Blue, _) => Self::Off,
        }
    }
}

/// A display for every slot; slot 1 has the address `first`.
pub fn displays(status: &Status, first: u16, hide_preview: bool) -> Vec<Display> {
    let display = |slot: &crate::status::SlotStatus| Display {
        index: first.saturating_add(u16::from(slot.number.number()) - 1),
        text: slot.name.clone(),
        lamp: super::of_slot(status, slot.number, hide_preview).into(),
    };
    status.slots.iter().map(display).collect()
}

/// A packet of version 3.1.
pub fn v31(display: &Display) -> [u8; V31_BYTES] {
    let mut packet = [b' '; V31_BYTES];
    let address = u8::try_from(display.index.min(V31_ADDRESSES)).unwrap_or(0);
    let (preview, program) = match display.lamp {
        Lamp::Off | Lamp::Amber => (0, 0),
        Lamp::Green => (1, 0),
        Lamp::Red => (0, 1),
    };
    packet[0] = 0x80 + address;
    packet[1] = preview | program << 1 | 0b11 << 4;
    for (place, letter) in packet[2..].iter_mut().zip(display.text.chars()) {
        *place = if (' '..='~').contains(&letter) { u8::try_from(letter).unwrap_or(b'?') } else { b'?' };
    }
    packet
}

/// A packet of version 5.0.
pub fn v50(screen: u16, displays: &[Display]) -> Vec<u8> {
    let wide = displays.iter().any(|display| !display.text.is_ascii());
    let mut body = vec![0, u8::from(wide)];
    body.extend(screen.to_le_bytes());
    for Display { index, text, lamp } in displays {
        let lamp: u16 = match lamp {
            Lamp::Off => 0,
            Lamp::Red => 1,
            Lamp::Green => 2,
            Lamp::Amber => 3,
        };
        let control = lamp | lamp << 2 | lamp << 4 | 0b11 << 6;
        let letters: Vec<u8> =
            if wide { text.encode_utf16().flat_map(u16::to_le_bytes).collect() } else { text.bytes().collect() };
        body.extend(index.to_le_bytes());
        body.extend(control.to_le_bytes());
        // A name has at most 64 characters.
        body.extend(u16::try_from(letters.len()).unwrap_or_default().to_le_bytes());
        body.extend(letters);
    }
    let length = u16::try_from(body.len()).unwrap_or_default();
    length.to_le_bytes().into_iter().chain(body).collect()
}

/// The packet as TCP carries it.
pub fn framed(packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xFE, 0x02];
    for byte in packet {
        bytes.push(*byte);
        if *byte == 0xFE {
            bytes.push(0xFE);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(index: u16, text: &str, lamp: Lamp) -> Display {
        Display { index, text: text.to_owned(), lamp }
    }

    #[test]
    fn version_3_1_is_eighteen_bytes() {
        let table = [
            (display(0, "Altar", Lamp::Red), [0x80, 0x32], b"Altar           "),
            (display(126, "Guests, second row", Lamp::Green), [0xFE, 0x31], b"Guests, second r"),
            (display(5, "Müller", Lamp::Amber), [0x85, 0x30], b"M?ller          "),
        ];
        for (display, head, text) in table {
            let packet = v31(&display);
            assert_eq!((&packet[..2], &packet[2..]), (&head[..], &text[..]), "{display:?}");
        }
    }

    #[test]
    fn version_5_0_carries_every_display_in_one_packet() {
        let packet = v50(0x0102, &[display(1, "A", Lamp::Red), display(0x1FE, "Bc", Lamp::Green)]);
        let expected: &[&[u8]] = &[
            &[19, 0, 0, 0, 0x02, 0x01],
            &[1, 0, 0b1101_0101, 0, 1, 0, b'A'],
            &[0xFE, 1, 0b1110_1010, 0, 2, 0, b'B', b'c'],
        ];
        assert_eq!(packet, expected.concat());
        let wide = v50(0, &[display(1, "ä", Lamp::Off)]);
        assert_eq!(wide, [12, 0, 0, 1, 0, 0, 1, 0, 0b1100_0000, 0, 2, 0, 0xE4, 0]);
        assert_eq!(framed(&[1, 0xFE, 2]), [0xFE, 2, 1, 0xFE, 0xFE, 2]);
    }
}
