//! Quantities with their units: `4 Mbit/s`, `2 GB`, `1280x720`.

const BITRATES: &[(&str, f64)] = &[("bit/s", 1.0), ("kbit/s", 1e3), ("Mbit/s", 1e6)];

const BYTES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

/// Bits per second.
///
/// # Errors
/// What is wrong, to be read after the key.
pub fn parse_bitrate(text: &str) -> Result<u64, String> {
    quantity(text, BITRATES)
}

/// Bytes; `kB MB GB TB` are powers of 1000, `KiB MiB GiB TiB` of 1024.
///
/// # Errors
/// What is wrong, to be read after the key.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    quantity(text, BYTES)
}

/// Width and height in pixels.
pub fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    Some((digits(width)?, digits(height)?))
}

/// Bits per second as a person writes them: `4 Mbit/s`, `150 kbit/s`.
pub fn show_bitrate(bps: u64) -> String {
    show(bps, BITRATES)
}

/// Bytes as a person writes them: `2 GB`.
pub fn show_bytes(bytes: u64) -> String {
    show(bytes, &BYTES[..5])
}

fn quantity(text: &str, units: &[(&str, f64)]) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim_start();
    let number: f64 = number.parse().map_err(|_| "does not begin with a number".to_owned())?;
    if unit.is_empty() {
        return Err("has no unit".to_owned());
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let names = units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        return Err(format!("has a unit that is none of {names}"));
    };
    let value = (number * factor).round();
    // Whole numbers up to here are exact in a float; a petabyte is enough.
    if value > 9e15 {
        return Err("is too large".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, not negative, below 2^53")]
    Ok(value as u64)
}

fn digits(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn show(value: u64, units: &[(&str, f64)]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let value = value as f64;
    let (name, factor) = units.iter().rev().find(|(_, factor)| value >= *factor).unwrap_or(&units[0]);
    let scaled = (value / factor * 100.0).round() / 100.0;
    format!("{scaled} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_with_their_units() {
        assert_eq!(parse_bitrate("4 Mbit/s"), Ok(4_000_000));
        assert_eq!(parse_bitrate("150kbit/s"), Ok(150_000));
        assert_eq!(parse_bitrate(" 2.5 Mbit/s "), Ok(2_500_000));
        assert_eq!(parse_bytes("2 GB"), Ok(2_000_000_000));
        assert_eq!(parse_bytes("1.5 GiB"), Ok(1_610_612_736));
        assert_eq!(parse_size("1280x720"), Some((1280, 720)));
    }

    #[test]
    fn what_is_not_a_quantity_is_said() {
        for (text, what) in [
            ("4000000", "has no unit"),
            ("", "does not begin with a number"),
            ("-4 Mbit/s", "does not begin with a number"),
            ("1.2.3 Mbit/s", "does not begin with a number"),
            ("4 mbit/s", "has a unit that is none of bit/s, kbit/s, Mbit/s"),
            ("99999999999999999999 Mbit/s", "is too large"),
        ] {
            assert_eq!(parse_bitrate(text).unwrap_err(), what, "{text}");
        }
        for text in ["1280", "x720", "1280x", "1280 x 720", "+1280x720", "1280x720x3", "99999999999x1", "1280X720"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_are_shown_as_they_are_written() {
        assert_eq!(show_bitrate(4_000_000), "4 Mbit/s");
        assert_eq!(show_bitrate(150_000), "150 kbit/s");
        assert_eq!(show_bytes(2_000_000_000), "2 GB");
        assert_eq!(show_bytes(1_500_000), "1.5 MB");
        assert_eq!(show_bytes(0), "0 B");
    }
}
