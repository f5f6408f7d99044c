//! The figures of the README, each beside its reference, measured in the same run: `make bench`.
//!
//! Absolute times of a shared machine say little; every figure that can be is a ratio of two measurements that were
//! taken in turn. What is printed is what was measured, also when it is bad.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and stops where it cannot measure"
)]

mod bare;
mod cut;
mod failover;
#[expect(dead_code, reason = "shared with the box's tests, which listen to the sound as well")]
#[path = "../../tests/box/marks.rs"]
mod marks;
mod meter;
mod service;

use std::path::PathBuf;

/// Where the benches keep their recordings while they run.
fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("cuebox-bench-{}", std::process::id()))
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bare", slots, seconds, folder] => bare::run(slots, seconds, folder),
        [] => all(),
        figures => figures.iter().for_each(|figure| one(figure)),
    }
}

fn all() {
    println!("| figure | reach | measured | reference, same run |");
    println!("|---|---|---|---|");
    for figure in ["cpu", "inputs", "cut", "failover", "start"] {
        one(figure);
    }
}

fn one(figure: &str) {
    match figure {
        "cpu" => service::cpu(),
        "inputs" => service::inputs(),
        "cut" => cut::latency(),
        "failover" => failover::gap(),
        "start" => service::start(),
        other => eprintln!("no figure is named {other}: cpu, inputs, cut, failover, start"),
    }
    let _ = std::fs::remove_dir_all(scratch());
}

/// A row of the table.
fn row(figure: &str, reach: &str, measured: &str, reference: &str) {
    println!("| {figure} | {reach} | {measured} | {reference} |");
}
