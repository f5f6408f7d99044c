//! RTMP's chunks: messages cut into pieces and put together again. Adobe's "Real Time Messaging Protocol" 1.0, 5.3.
//!
//! Every message that goes out begins with a full header: nothing then depends on what went before, and times may wrap
//! around. What comes in is bounded: a server has nothing long to say to a publisher.

use std::collections::BTreeMap;

/// Bytes of payload in a piece that goes out.
pub const CHUNK: usize = 4_096;
const LONGEST_MESSAGE: usize = 64 * 1024;
const MOST_STREAMS: usize = 64;
/// Times from here on stand in a field of their own.
const EXTENDED: u32 = 0x00ff_ffff;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: u8,
    pub stream: u32,
    pub time_ms: u32,
    pub body: Vec<u8>,
}

/// What the other side must not send.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("a message of {0} bytes")]
    TooLong(usize),
    #[error("a piece of a message that did not begin")]
    NoBeginning,
    #[error("more chunk streams than {MOST_STREAMS}")]
    TooMany,
    #[error("chunks of no size")]
    NoSize,
}

/// Adds a message to what is sent; `size`: of its pieces.
pub fn write(out: &mut Vec<u8>, lane: u8, message: &Message, size: usize) {
    let extended = (message.time_ms >= EXTENDED).then(|| message.time_ms.to_be_bytes());
    let short = message.time_ms.min(EXTENDED).to_be_bytes();
    let length = u32::try_from(message.body.len()).unwrap_or(EXTENDED).min(EXTENDED).to_be_bytes();
    out.push(lane & 0x3f);
    out.extend_from_slice(&short[1..]);
    out.extend_from_slice(&length[1..]);
    out.push(message.kind);
    out.extend_from_slice(&message.stream.to_le_bytes());
    for (index, piece) in message.body.chunks(size.max(1)).enumerate() {
        if index > 0 {
            out.push(0xc0 | (lane & 0x3f));
        }
        // Repeated before each piece: so do the servers, whatever the document leaves open.
        out.extend(extended.iter().flatten());
        out.extend_from_slice(piece);
    }
}

/// What one chunk stream has said so far.
#[derive(Clone, Debug, Default)]
struct Lane {
    kind: u8,
    stream: u32,
    time_ms: u32,
    length: usize,
    extended: bool,
    body: Vec<u8>,
}

/// Puts messages together.
#[derive(Debug)]
pub struct Reader {
    bytes: Vec<u8>,
    size: usize,
    lanes: BTreeMap<u32, Lane>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { bytes: Vec::new(), size: 128, lanes: BTreeMap::new() }
    }
}

impl Reader {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The other side's pieces have another size from now on.
    pub fn set_size(&mut self, size: u32) -> Result<(), Wrong> {
        self.size = usize::try_from(size & 0x7fff_ffff).unwrap_or(usize::MAX).min(LONGEST_MESSAGE);
        if self.size == 0 { Err(Wrong::NoSize) } else { Ok(()) }
    }

    /// The next message that is complete.
    pub fn next(&mut self) -> Result<Option<Message>, Wrong> {
        loop {
            let Some((taken, message)) = self.piece()? else { return Ok(None) };
            self.bytes.drain(..taken);
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    /// One piece: how many bytes it had, and the message that it completed.
    fn piece(&mut self) -> Result<Option<(usize, Option<Message>)>, Wrong> {
        let mut cursor = Cursor { bytes: &self.bytes, at: 0 };
        let Some(header) = cursor.header(&self.lanes) else { return Ok(None) };
        let Header { id, begins, mut lane } = header?;
        if lane.length > LONGEST_MESSAGE {
            return Err(Wrong::TooLong(lane.length));
        }
        if !begins && !self.lanes.contains_key(&id) {
            return Err(Wrong::NoBeginning);
        }
        if self.lanes.len() >= MOST_STREAMS && !self.lanes.contains_key(&id) {
            return Err(Wrong::TooMany);
        }
        let wanted = (lane.length.saturating_sub(lane.body.len())).min(self.size);
        let Some(payload) = cursor.take(wanted) else { return Ok(None) };
        lane.body.extend_from_slice(payload);
        let taken = cursor.at;
        let done = lane.body.len() >= lane.length;
        let message = done.then(|| Message {
            kind: lane.kind,
            stream: lane.stream,
            time_ms: lane.time_ms,
            body: std::mem::take(&mut lane.body),
        });
        self.lanes.insert(id, lane);
        Ok(Some((taken, message)))
    }
}

struct Header {
    id: u32,
    begins: bool,
    lane: Lane,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    /// A big-endian number of up to four bytes.
    fn number(&mut self, count: usize) -> Option<u32> {
        Some(self.take(count)?.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    /// `None`: not all of it is there yet.
    fn header(&mut self, lanes: &BTreeMap<u32, Lane>) -> Option<Result<Header, Wrong>> {
        let first = self.number(1)?;
        let (format, id) = match (first >> 6, first & 0x3f) {
            (format, 0) => (format, self.number(1)? + 64),
            (format, 1) => {
                let low = self.number(1)?;
                (format, self.number(1)? * 256 + low + 64)
            }
            (format, id) => (format, id),
        };
        let known = lanes.get(&id).cloned();
        if format != 0 && known.is_none() {
            return Some(Err(Wrong::NoBeginning));
        }
        let mut lane = known.unwrap_or_default();
        let mut time = None;
        if format < 3 {
            time = Some(self.number(3)?);
            lane.extended = time == Some(EXTENDED);
            // A message that was not completed is given up.
            lane.body.clear();
        }
        if format < 2 {
            lane.length = usize::try_from(self.number(3)?).unwrap_or(usize::MAX);
            lane.kind = u8::try_from(self.number(1)?).unwrap_or(0);
        }
        if format == 0 {
            lane.stream = self.number(4)?.swap_bytes();
        }
        if lane.extended {
            let whole = self.number(4)?;
            time = time.map(|_| whole);
        }
        if let Some(time) = time {
            lane.time_ms = if format == 0 { time } else { lane.time_ms.wrapping_add(time) };
        }
        Some(Ok(Header { id, begins: format < 3, lane }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(time_ms: u32, length: usize) -> Message {
        Message { kind: 9, stream: 1, time_ms, body: (0..length).map(|at| at as u8).collect() }
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let messages = [message(0, 10), message(40, 10_000), message(0x00ff_ffff, 300), message(u32::MAX, 5_000)];
        let mut bytes = Vec::new();
        for message in &messages {
            write(&mut bytes, 4, message, 128);
        }
        for step in [1, 7, 1_000, bytes.len()] {
            let (mut reader, mut read) = (Reader::default(), Vec::new());
            for piece in bytes.chunks(step) {
                reader.push(piece);
                while let Some(message) = reader.next().unwrap() {
                    read.push(message);
                }
            }
            assert_eq!(read, messages);
        }
    }

    #[test]
    fn nothing_that_a_stranger_sends_is_kept_without_bound_or_does_harm() {
        let mut reader = Reader::default();
        reader.push(&[3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0]);
        assert_eq!(reader.next(), Err(Wrong::TooLong(0x00ff_ffff)));
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..2_000 {
            let mut reader = Reader::default();
            for _ in 0..60 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                reader.push(&seed.to_le_bytes());
                match reader.next() {
                    Ok(Some(message)) => assert!(message.body.len() <= LONGEST_MESSAGE),
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
        }
    }
}
