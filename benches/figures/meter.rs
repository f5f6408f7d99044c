//! What the kernel says of a process, and order statistics.

use std::time::{Duration, Instant};

/// CPU seconds that a process has used, user and system, all its threads.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Resident memory in MB.
pub fn rss_mb(pid: u32) -> f64 {
    memory_mb(pid, &["VmRSS:"])
}

/// Resident memory in MB without the pages of programs and libraries, which the kernel drops and reads again as it likes.
pub fn own_mb(pid: u32) -> f64 {
    memory_mb(pid, &["RssAnon:", "RssShmem:"])
}

fn memory_mb(pid: u32, names: &[&str]) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let lines = status.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum::<f64>() / 1024.0
}

/// Cores used by a process over a span.
pub fn cores(pid: u32, span: Duration) -> f64 {
    let (began, before) = (Instant::now(), cpu_seconds(pid));
    wait(span);
    (cpu_seconds(pid) - before) / began.elapsed().as_secs_f64()
}

/// Share of the machine that was idle over a span, 0–1: tells whether the machine itself was the limit.
pub fn idle(work: impl FnOnce()) -> f64 {
    let read = || -> Vec<f64> {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect()
    };
    let before = read();
    work();
    let spent: Vec<f64> = read().iter().zip(&before).map(|(after, before)| after - before).collect();
    spent.get(3).copied().unwrap_or(0.0) / spent.iter().sum::<f64>().max(1.0)
}

#[expect(clippy::disallowed_methods, reason = "a measurement lasts as long as it is asked to last")]
pub fn wait(span: Duration) {
    std::thread::sleep(span);
}

/// The value that this share of the values does not exceed.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(index).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &[f64]) -> f64 {
    percentile(&mut values.to_vec(), 0.5)
}
