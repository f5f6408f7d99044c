//! Lines that wait until the serial line takes them.

use embedded_io::{Write, WriteReady};

use crate::message::FromPanel;

/// Some twenty lines: more than ten fingers make before a line at 115200 baud has taken them.
const BYTES: usize = 256;

pub(super) struct Outbox {
    bytes: [u8; BYTES],
    len: usize,
}

impl Outbox {
    pub const fn new() -> Self {
        Self { bytes: [0; BYTES], len: 0 }
    }

    /// A line that does not fit is dropped whole: nobody reads the other end.
    pub fn put(&mut self, message: FromPanel) {
        let line = message.line();
        let end = self.len + line.as_bytes().len();
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(line.as_bytes());
            self.len = end;
        }
    }

    /// Writes what the line takes without waiting.
    pub fn send<S: Write + WriteReady>(&mut self, serial: &mut S) -> Result<(), S::Error> {
        while self.len > 0 && serial.write_ready()? {
            let count = serial.write(self.bytes.get(..self.len).unwrap_or_default())?.min(self.len);
            self.bytes.copy_within(count..self.len, 0);
            self.len -= count;
        }
        Ok(())
    }
}
