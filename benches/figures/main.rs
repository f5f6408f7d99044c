//! The figures of the README, each beside its reference, measured in the same run: `make bench`.
//!
//! Absolute times of a shared machine say little; every figure that can be is a ratio of two measurements that were
//! taken in turn. What is printed is what was measured, also when it is bad.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and stops where it cannot measure"
)]

mod air;
mod bare;
mod bare_air;
mod cut;
mod failover;
mod hands;
mod legs;
mod meter;
mod mix;
mod mqtt;
mod outside;
mod peers;
mod recovery;
mod service;
mod soak;

// The bench of the wire tests, of which the figures use a part.
#[path = "../../tests/wire/bench.rs"]
mod bench;
#[allow(dead_code, reason = "shared with the tests of the box")]
#[path = "../../tests/box/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the wire tests")]
#[path = "../../tests/wire/lab.rs"]
mod lab;
#[allow(dead_code, reason = "shared with the tests of the box")]
#[path = "../../tests/box/marks.rs"]
mod marks;
#[allow(dead_code, reason = "shared with the tests of the box")]
#[path = "../../tests/box/nginx.rs"]
mod nginx;
#[path = "../../tests/box/ports.rs"]
mod ports;
#[allow(dead_code, reason = "shared with the wire tests")]
#[path = "../../tests/wire/seen.rs"]
mod seen;
#[allow(dead_code, reason = "shared with the wire tests")]
#[path = "../../tests/wire/servers.rs"]
mod servers;
#[allow(dead_code, reason = "shared with the wire tests")]
#[path = "../../tests/wire/stage.rs"]
mod stage;
#[allow(dead_code, reason = "shared with the wire tests")]
#[path = "../../tests/wire/viewer.rs"]
mod viewer;

use std::path::PathBuf;

/// Where the benches keep their recordings while they run.
fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("cuebox-bench-{}", std::process::id()))
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bare", slots, recordings, seconds, folder] => bare::run(slots, recordings, seconds, folder),
        ["feed", seconds] => mix::feed(seconds),
        ["peers", program] => peers::run(program),
        ["soak", minutes] => soak::run(minutes),
        ["bare-air", host, token, seconds] => bare_air::run(host, token, seconds),
        [] => all(),
        figures => figures.iter().for_each(|figure| one(figure)),
    }
}

const FIGURES: &[&str] = &[
    "cpu",
    "program",
    "inputs",
    "cut",
    "failover",
    "serial",
    "mqtt",
    "repeated",
    "start",
    "resume",
    "recovery",
    "latency",
    "join",
    "legs",
    "outages",
    "reconnects",
];

fn all() {
    println!("| figure | reach | measured | reference, same run |");
    println!("|---|---|---|---|");
    FIGURES.iter().for_each(|figure| one(figure));
}

fn one(figure: &str) {
    match figure {
        "cpu" => service::cpu(),
        "program" => mix::program(),
        "inputs" => service::inputs(),
        "cut" => cut::latency(),
        "failover" => failover::gap(),
        "serial" => hands::serial(),
        "mqtt" => hands::mqtt(),
        "repeated" => mqtt::repeated(),
        "start" => service::start(),
        "resume" => service::resume(),
        "recovery" => recovery::time(),
        "latency" => air::latency(),
        "join" => air::join(),
        "legs" => legs::legs(),
        "outages" => air::outages(),
        "reconnects" => air::reconnects(),
        other => eprintln!("no figure is named {other}: {}", FIGURES.join(", ")),
    }
    let _ = std::fs::remove_dir_all(scratch());
}

/// A row of the table.
fn row(figure: &str, reach: &str, measured: &str, reference: &str) {
    println!("| {figure} | {reach} | {measured} | {reference} |");
}
