//! MP4's box syntax (ISO/IEC 14496-12 §4.2): headers in a file, children in memory, numbers in a body.

use std::io::{self, Read, Seek, SeekFrom};

/// A box at a file's top level that lies wholly in the file.
#[derive(Debug, PartialEq, Eq)]
pub struct TopBox {
    pub kind: [u8; 4],
    pub start: u64,
    /// Where its content begins.
    pub body: u64,
    pub end: u64,
}

impl TopBox {
    /// The box at `at`; `None` at the end of the file, and when what is there is torn, open-ended (size 0: the muxer
    /// has yet to fill in the size) or no box at all.
    pub fn read(file: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Option<Self>> {
        let left = length.saturating_sub(at);
        if left < 8 {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(at))?;
        let (size, kind) = read_words(file)?;
        let (size, header) = match u32::from_be_bytes(size) {
            1 if left >= 16 => {
                let (high, low) = read_words(file)?;
                ((u64::from(u32::from_be_bytes(high)) << 32) | u64::from(u32::from_be_bytes(low)), 16)
            }
            size => (u64::from(size), 8),
        };
        if size < header || size > left || !kind.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            return Ok(None);
        }
        Ok(Some(Self { kind, start: at, body: at + header, end: at + size }))
    }
}

fn read_words(file: &mut impl Read) -> io::Result<([u8; 4], [u8; 4])> {
    let mut words = [0; 8];
    file.read_exact(&mut words)?;
    let [a, b, c, d, e, f, g, h] = words;
    Ok(([a, b, c, d], [e, f, g, h]))
}

/// The boxes inside a body, in order; ends at the first that does not fit.
pub fn children(body: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let size = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
        let kind = *rest.get(4..)?.first_chunk()?;
        let inner = rest.get(8..size)?;
        rest = rest.get(size..)?;
        Some((kind, inner))
    })
}

/// The first child of that kind.
pub fn child<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(body).find(|(found, _)| found == kind).map(|(_, inner)| inner)
}

/// Reads big-endian numbers off a body's front. Every read beyond its end is `None`.
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    pub fn u32(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*word))
    }

    pub fn u64(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*word))
    }

    pub fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
}
