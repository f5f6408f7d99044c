//! Framing on the serial line: 115200 baud, 8N1, ASCII.
//!
//! A line is `$`, a body, `*`, two hexadecimal digits and a line feed; the digits are the XOR of the body's bytes. What
//! is not such a line is thrown away and counted. Every `$` begins a line anew, so one that was cut off costs itself
//! and nothing after it. No sequence of bytes, however long, takes more memory than one line.

use core::fmt::{self, Write as _};

/// Bytes of the longest line, `$` and line feed included.
pub const MAX_LINE: usize = 64;
/// Bytes of the longest body: without `$`, `*hh` and the line feed.
pub const MAX_BODY: usize = MAX_LINE - 5;

/// XOR of the bytes.
pub fn checksum(body: &[u8]) -> u8 {
    body.iter().fold(0, |sum, byte| sum ^ byte)
}

/// A line that is written, with its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    bytes: [u8; MAX_LINE],
    len: usize,
}

impl Line {
    /// Frames a body. A body that is too long is cut, and then none of ours.
    pub fn new(body: impl fmt::Display) -> Self {
        let mut line = Self { bytes: [0; MAX_LINE], len: 0 };
        line.push(b'$');
        let mut writer = Body(&mut line);
        // Never fails: what does not fit is cut.
        let _ = write!(writer, "{body}");
        let sum = checksum(&line.bytes[1..line.len]);
        for byte in [b'*', hex(sum >> 4), hex(sum & 15), b'\n'] {
            line.push(byte);
        }
        line
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}

/// Leaves room for what closes a line.
struct Body<'a>(&'a mut Line);

impl fmt::Write for Body<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.0.len <= MAX_BODY {
                self.0.push(byte);
            }
        }
        Ok(())
    }
}

const fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

fn unhex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// What came in and what of it was thrown away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Good lines.
    pub lines: u32,
    /// Bytes outside of any line.
    pub garbage: u32,
    /// Lines that were cut off, too long, or without a checksum.
    pub broken: u32,
    /// Lines whose checksum is wrong.
    pub checksum: u32,
    /// Lines that are whole and mean nothing here.
    pub unknown: u32,
}

impl Counts {
    /// Lines and bytes that were thrown away.
    pub const fn bad(&self) -> u32 {
        self.garbage.saturating_add(self.broken).saturating_add(self.checksum).saturating_add(self.unknown)
    }
}

/// Bytes → bodies of good lines.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    body: [u8; MAX_LINE],
    len: usize,
    /// A `$` was seen, and what follows may still become a line.
    inside: bool,
    counts: Counts,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    pub const fn new() -> Self {
        let counts = Counts { lines: 0, garbage: 0, broken: 0, checksum: 0, unknown: 0 };
        Self { body: [0; MAX_LINE], len: 0, inside: false, counts }
    }

    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes a byte; gives a message when it ends a good line that `decode` understands.
    pub fn push<T>(&mut self, byte: u8, decode: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        match byte {
            b'$' => {
                if self.inside {
                    add(&mut self.counts.broken);
                }
                (self.inside, self.len) = (true, 0);
                None
            }
            b'\n' if self.inside => {
                self.inside = false;
                self.end(decode)
            }
            // The ends of lines that were given up already.
            b'\n' | b'\r' if !self.inside => None,
            _ if !self.inside => {
                add(&mut self.counts.garbage);
                None
            }
            _ => {
                match self.body.get_mut(self.len) {
                    Some(place) => {
                        *place = byte;
                        self.len += 1;
                    }
                    None => {
                        self.inside = false;
                        add(&mut self.counts.broken);
                    }
                }
                None
            }
        }
    }

    fn end<T>(&mut self, decode: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let line = self.body.get(..self.len).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((body, [b'*', high, low])) = line.split_last_chunk::<3>() else {
            add(&mut self.counts.broken);
            return None;
        };
        let given = unhex(*high).zip(unhex(*low)).map(|(high, low)| high << 4 | low);
        if given != Some(checksum(body)) {
            add(&mut self.counts.checksum);
            return None;
        }
        let message = decode(body);
        add(if message.is_some() { &mut self.counts.lines } else { &mut self.counts.unknown });
        message
    }
}

const fn add(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
