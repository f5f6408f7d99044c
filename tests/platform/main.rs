//! Tokens and ingress addresses, fetched from real little services over real sockets, and shown to a real LiveKit
//! server.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it needs is not there")]

mod answers;
mod bench;
mod livekit;
#[path = "../box/ports.rs"]
mod ports;
mod renewal;
mod tls;
