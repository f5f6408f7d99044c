//! What keeps the box running and understandable: its log, the journal's files, the clock's trust, which board this is.

pub mod board;
pub mod clock;
pub mod doctor;
pub mod journal;
pub mod logging;
