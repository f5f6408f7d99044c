//! What a panel and its box say to each other. Keys and lamps count from 1.
//!
//! | line | from | means |
//! |---|---|---|
//! | `$H,1,6,6,hall*hh` | panel | hello: protocol, keys, lamps, name |
//! | `$K,3,1*hh` | panel | key 3 is down (`0`: up), debounced |
//! | `$P,7*hh` | panel | answer to ping 7 |
//! | `$L,3,red,steady*hh` | box | lamp 3 shows this |
//! | `$Q,7*hh` | box | ping 7, each [`PING_MS`] |
//! | `$W*hh` | box | who are you? a hello is wanted |

use core::fmt;

use crate::light::{Colour, Light, Pattern};
use crate::line::Line;

/// The protocol that is written here.
pub const PROTOCOL: u8 = 1;
/// Milliseconds between two pings.
pub const PING_MS: u32 = 500;
/// Milliseconds without any good line after which either end calls the other lost: three pings.
pub const LOST_MS: u32 = 1_500;
/// Bytes of a panel's name.
pub const MAX_NAME: usize = 32;

/// A panel's name: printable ASCII without `$`, `*` and `,`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl Name {
    /// `None` for an empty name, one that is too long, and one that could not stand on a line.
    pub fn new(text: &[u8]) -> Option<Self> {
        let fits = |byte: &u8| (b' '..=b'~').contains(byte) && !b"$*,".contains(byte);
        if text.is_empty() || !text.iter().all(fits) {
            return None;
        }
        let mut bytes = [0; MAX_NAME];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() })
    }

    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// `panel`.
impl Default for Name {
    fn default() -> Self {
        let mut name = Self { bytes: [0; MAX_NAME], len: 5 };
        name.bytes[..5].copy_from_slice(b"panel");
        name
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    pub protocol: u8,
    pub keys: u8,
    pub lamps: u8,
    pub name: Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromPanel {
    Hello(Hello),
    Key { key: u8, down: bool },
    Pong { number: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToPanel {
    Lamp { lamp: u8, light: Light },
    Ping { number: u32 },
    Who,
}

impl FromPanel {
    pub fn line(&self) -> Line {
        Line::new(self)
    }

    /// Reads a line's body; `None` when it is none of ours.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = body.split(|byte| *byte == b',');
        let message = match fields.next()? {
            b"H" => Self::Hello(Hello {
                protocol: small(fields.next()?)?,
                keys: small(fields.next()?)?,
                lamps: small(fields.next()?)?,
                name: Name::new(fields.next()?)?,
            }),
            b"K" => Self::Key {
                key: small(fields.next()?).filter(|key| *key > 0)?,
                down: match fields.next()? {
                    b"1" => true,
                    b"0" => false,
                    _ => return None,
                },
            },
            b"P" => Self::Pong { number: number(fields.next()?)? },
            _ => return None,
        };
        fields.next().is_none().then_some(message)
    }
}

impl ToPanel {
    pub fn line(&self) -> Line {
        Line::new(self)
    }

    /// Reads a line's body; `None` when it is none of ours.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = body.split(|byte| *byte == b',');
        let message = match fields.next()? {
            b"L" => Self::Lamp {
                lamp: small(fields.next()?).filter(|lamp| *lamp > 0)?,
                light: Light::new(Colour::from_word(fields.next()?)?, Pattern::from_word(fields.next()?)?),
            },
            b"Q" => Self::Ping { number: number(fields.next()?)? },
            b"W" => Self::Who,
            _ => return None,
        };
        fields.next().is_none().then_some(message)
    }
}

impl fmt::Display for FromPanel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(Hello { protocol, keys, lamps, name }) => {
                write!(f, "H,{protocol},{keys},{lamps},{}", name.as_str())
            }
            Self::Key { key, down } => write!(f, "K,{key},{}", u8::from(*down)),
            Self::Pong { number } => write!(f, "P,{number}"),
        }
    }
}

impl fmt::Display for ToPanel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lamp { lamp, light } => write!(f, "L,{lamp},{light}"),
            Self::Ping { number } => write!(f, "Q,{number}"),
            Self::Who => f.write_str("W"),
        }
    }
}

/// Digits only, at most ten of them.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 10 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn small(text: &[u8]) -> Option<u8> {
    number(text).and_then(|number| u8::try_from(number).ok())
}
