//! What is wrong with a configuration file, in words for whoever wrote it.

use std::fmt;

use super::Config;

/// A configuration that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub config: Config,
    /// Things that work and that somebody may regret, for example a secret in plain text. In the order of the file.
    pub warnings: Vec<Problem>,
}

/// One thing that is wrong, or, as a warning, doubtful. Never holds a secret's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counts from 1.
    pub line: usize,
    /// As in the file, with the tables it is in: `slot.source.port`. `syntax` where the file is not TOML.
    pub key: String,
    pub what: String,
    /// Values or range that would be right, where they can be told.
    pub allowed: Option<String>,
}

/// `LINE: key: what is wrong (allowed: …)`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.line, self.key, self.what)?;
        match &self.allowed {
            Some(allowed) => write!(f, " (allowed: {allowed})"),
            None => Ok(()),
        }
    }
}
