//! What is measured of a session, and told: progress, estimate, rate, delay, loss, quality.

use std::time::{Duration, Instant};

use cuebox_core::director::Fact;
use cuebox_core::ids::LegId;
use cuebox_core::status::LinkQuality;

use crate::media::publish::rate::Rate;
use crate::media::publish::webrtc::feedback::Loss;
use crate::media::publish::webrtc::{Feedback, Peer};
use crate::media::{Context, Reporter};

/// Estimates are told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(200);

pub struct Gauge {
    context: Context,
    leg: LegId,
    reporter: Reporter,
    loss: Loss,
    rate: Rate,
    bytes: u64,
    packets: Option<u64>,
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
            packets: None,
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

    pub fn measured(&mut self, feedback: Feedback, peer: &Peer) {
        let bytes = feedback.acknowledged_bytes.saturating_sub(self.bytes);
        let packets = self.packets.map_or(0, |before| feedback.reported_packets.saturating_sub(before));
        self.bytes = feedback.acknowledged_bytes;
        self.packets = Some(feedback.reported_packets);
        if bytes + packets > 0 {
            self.heard();
            // A packet of sound that was reported is worth a byte: that it arrived is what counts.
            self.reporter.progress(bytes + packets);
        }
        self.rtt_ms = feedback.rtt_ms.or(self.rtt_ms);
        let (rate, rtt_ms) = (self.rate.of(self.bytes), self.rtt_ms);
        let lost_percent = peer.counters().lost_percent(&mut self.loss);
        let leg = self.leg.clone();
        self.context.gauge(|gauges| {
            let shown = gauges.legs.entry(leg).or_default();
            shown.bitrate_bps = rate;
            shown.rtt_ms = rtt_ms;
            shown.lost_percent = lost_percent;
        });
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
        let due = self.told.is_none_or(|(at, told)| at.elapsed() >= TELL_EVERY && told != bps);
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
