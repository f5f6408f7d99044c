//! Ports for the servers that tests start.
//!
//! A port that the kernel hands out (`bind` to 0) can be taken again by any outgoing connection before the server
//! listens on it, and stay taken in a restart. These lie below the range that outgoing connections come from, and
//! a test process gives none of them twice.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
/// Linux takes the ports of outgoing connections from 32768 on.
const COUNT: u32 = 22_000;

static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A port on which nobody listens, TCP or UDP.
pub fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(131);
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        assert!(given < COUNT, "no port from {FIRST} on is free");
        let port = u16::try_from(FIRST + start.wrapping_add(given) % COUNT).unwrap();
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
