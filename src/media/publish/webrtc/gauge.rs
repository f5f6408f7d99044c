//! What is measured of a connection, and told: progress, estimate, rate, delay, loss, quality.

use std::time::{Duration, Instant};

use cuebox_core::director::Fact;
use cuebox_core::ids::LegId;
use cuebox_core::status::LinkQuality;

use super::feedback::{Counters, Loss};
use crate::media::context::{Context, Reporter};
use crate::media::publish::rate::Rate;

/// Estimates that rise are told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(200);

pub struct Gauge {
    context: Context,
    leg: LegId,
    reporter: Reporter,
    loss: Loss,
    rate: Rate,
    bytes: u64,
    received: u64,
    moved_at: Instant,
    rtt_ms: Option<u32>,
    estimate: Option<u64>,
    told: Option<(Instant, u64)>,
}

impl Gauge {
    pub fn new(context: &Context, leg: &LegId, reporter: &Reporter) -> Self {
        Self {
            context: context.clone(),
            leg: leg.clone(),
            reporter: reporter.clone(),
            loss: Loss::default(),
            rate: Rate::default(),
            bytes: 0,
            received: 0,
            moved_at: Instant::now(),
            rtt_ms: None,
            estimate: None,
            told: None,
        }
    }

    pub fn rtt_ms(&self) -> Option<u32> {
        self.rtt_ms
    }

    /// Since when nothing was acknowledged.
    pub fn silent_for(&self) -> Duration {
        self.moved_at.elapsed()
    }

    /// The other side was heard.
    pub fn heard(&mut self) {
        self.moved_at = Instant::now();
    }

    /// Takes what the other side told; `blind`: no pictures are sent that it could acknowledge.
    pub fn measured(&mut self, counters: &Counters, blind: bool) {
        let (bytes, received) = (counters.acknowledged_bytes(), counters.received());
        let (arrived, said) = (bytes.saturating_sub(self.bytes), received.saturating_sub(self.received));
        (self.bytes, self.received) = (bytes, received);
        let moved = if blind { arrived + said } else { arrived };
        if moved > 0 {
            self.heard();
            self.reporter.progress(moved);
        }
        let (rate, rtt_ms) = (self.rate.of(self.bytes), self.rtt_ms);
        let lost_percent = counters.lost_percent(&mut self.loss);
        let leg = self.leg.clone();
        self.context.gauge(|gauges| {
            let shown = gauges.legs.entry(leg).or_default();
            shown.bitrate_bps = rate;
            shown.rtt_ms = rtt_ms;
            shown.lost_percent = lost_percent;
        });
    }

    /// The server answered a ping of that time.
    pub fn ponged(&mut self, ms: i64) {
        self.rtt_ms = u32::try_from(ms).ok().filter(|ms| *ms < 60_000).or(self.rtt_ms);
    }

    pub fn judged(&self, quality: LinkQuality) {
        let leg = self.leg.clone();
        self.context.gauge(|gauges| gauges.legs.entry(leg).or_default().quality = Some(quality));
    }

    pub fn estimated(&mut self, bps: u64) {
        self.estimate = Some(bps);
        self.look();
    }

    /// Tells the newest estimate, when it is time.
    pub fn look(&mut self) {
        let Some(bps) = self.estimate else { return };
        // A line that has become narrow waits for nobody.
        let due = self.told.is_none_or(|(at, told)| told != bps && (bps < told || at.elapsed() >= TELL_EVERY));
        if due {
            self.told = Some((Instant::now(), bps));
            self.reporter.fact(Fact::Estimated { bits_per_second: bps });
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.context.gauge(|gauges| {
            gauges.legs.remove(&self.leg);
        });
    }
}
