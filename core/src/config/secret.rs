//! Text that must not be printed. `Debug` and `Display` show `***`, so that a log line or a panic cannot leak it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A key, token or password. Its serde form is masked as well: the journal never holds a secret, and a configuration
/// read back from a journal has masked ones, which no decision depends on.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// An address that may hold a user name and a password. `Debug`, `Display` and serde show it without them.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole address, for the one place that connects to it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `rtmp`, `https`, … in lower case; empty when there is none.
    pub fn scheme(&self) -> String {
        self.0.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str(&self.0) };
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        match authority.rsplit_once('@') {
            Some((_, host)) => write!(f, "{scheme}://***@{host}{path}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Url {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_passwords_never_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
        let url = Url::new("rtmps://user:hunter2@example.org/live");
        assert_eq!(url.to_string(), "rtmps://***@example.org/live");
        assert_eq!(format!("{url:?}"), "\"rtmps://***@example.org/live\"");
        assert_eq!(Url::new("rtsp://10.0.0.9/cam").to_string(), "rtsp://10.0.0.9/cam");
    }
}
