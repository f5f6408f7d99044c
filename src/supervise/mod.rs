//! What keeps the box running and understandable: what is known of its crashes, its log, the journal's files, the clock's trust, which board this is,
//! and what the service manager is told.

pub mod board;
pub mod clock;
pub mod crash;
pub mod doctor;
pub mod journal;
pub mod logging;
pub mod machine;
pub mod service;
