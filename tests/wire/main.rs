//! The real program on real networks, judged by what its viewers get: LiveKit's server with LiveKit's own client library
//! as the viewer, nginx with its RTMP module that records, SRT's own tool, TLS by nginx with an authority of the bench.
//!
//! | module | what it is |
//! |---|---|
//! | [`lab`] | two network namespaces, the box's and the world's, and the line between them: rate, loss, delay, cut |
//! | [`servers`] · [`proxy`] | what runs in the world, and a TCP proxy that fails as asked |
//! | [`viewer`] · [`seen`] | an independent LiveKit subscriber, and what it saw |
//! | [`stage`] | all of them together with a box, and the search for secrets when it ends |
//!
//! Every test stands alone: its namespaces are its own, so are all addresses and ports in them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops where what it needs is not there, and prints what it measured"
)]

#[path = "../box/harness.rs"]
#[allow(dead_code, reason = "the harness of both binaries; each uses its part of it")]
mod harness;
#[path = "../box/marks.rs"]
#[allow(dead_code, reason = "the harness of both binaries; each uses its part of it")]
mod marks;
#[path = "../box/nginx.rs"]
#[allow(dead_code, reason = "the harness of both binaries; each uses its part of it")]
mod nginx;

mod bench;
mod lab;
mod proxy;
mod seen;
mod servers;
mod stage;
mod viewer;

mod destinations;
mod firewall;
mod late;
mod network;
mod outage;
mod program;
mod refusals;
mod slots;
