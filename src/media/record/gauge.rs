//! What recordings write, counted: each recording's progress, and the sums that the status document shows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::file::Ledger;
use crate::media::context::{Context, Reporter};

/// Rates are taken over this long: a few fragments.
const WINDOW: Duration = Duration::from_secs(2);

pub struct RateGauge {
    context: Context,
    reporter: Reporter,
    /// Files that may still grow, with what was counted of them.
    files: Vec<(Arc<Ledger>, u64)>,
    began: Instant,
    in_window: u64,
    /// This recording's part of the common rate, bytes per second.
    rate: u64,
}

impl RateGauge {
    pub fn new(context: &Context, reporter: &Reporter) -> Self {
        Self {
            context: context.clone(),
            reporter: reporter.clone(),
            files: Vec::new(),
            began: Instant::now(),
            in_window: 0,
            rate: 0,
        }
    }

    /// Counts what is written to this file as well, for as long as somebody else holds its ledger.
    pub fn watch(&mut self, ledger: &Arc<Ledger>) {
        self.files.push((ledger.clone(), 0));
    }

    pub fn count(&mut self) {
        let mut grown = 0;
        self.files.retain_mut(|(ledger, counted)| {
            let now = ledger.bytes.load(Ordering::Acquire);
            grown += now.saturating_sub(std::mem::replace(counted, now));
            Arc::strong_count(ledger) > 1
        });
        if grown > 0 {
            self.reporter.progress(grown);
            self.in_window += grown;
            self.context.gauge(|gauges| gauges.recording_bytes += grown);
        }
        let elapsed = self.began.elapsed();
        if elapsed >= WINDOW {
            let rate = u128::from(self.in_window) * 1000 / elapsed.as_millis().max(1);
            self.set_rate(u64::try_from(rate).unwrap_or(u64::MAX));
            self.began = Instant::now();
            self.in_window = 0;
        }
    }

    fn set_rate(&mut self, rate: u64) {
        let before = std::mem::replace(&mut self.rate, rate);
        self.context.gauge(|gauges| {
            gauges.recording_rate = gauges.recording_rate.saturating_sub(before).saturating_add(rate);
        });
    }
}

impl Drop for RateGauge {
    fn drop(&mut self) {
        self.set_rate(0);
    }
}
