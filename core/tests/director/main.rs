//! The director against a simulated world: one binary, because linking is what costs.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "where a test cannot go on, it fails")]
#![expect(clippy::wildcard_enum_match_arm, reason = "the world plays a part of each vocabulary, not all of it")]

mod days;
mod random;
mod stories;
mod tally;
mod triples;
mod world;
