//! The real program as a black box: started with a configuration, commanded with `cuebox ctl`, judged by its files.
//!
//! One test binary, because linking is what costs. Tests run one after the other where they measure frames (see
//! [`harness::alone`]), because a machine with two cores cannot run two boxes in real time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops where what it needs is not there, and prints what it measured"
)]

mod bad_input;
mod control;
mod crashes;
mod disk;
mod faults;
mod frames;
mod harness;
mod inputs;
mod kill;
mod marks;
mod mqtt;
mod nginx;
mod overload;
mod panel;
mod ports;
mod rtmp;
mod servers;
mod service;
mod shows;
mod tsl;
