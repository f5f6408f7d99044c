//! Looks at an SRT connection every [`LOOK_EVERY`]: is anybody there, what arrived, how far away they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use cuebox_core::director::Fact;
use cuebox_core::ids::LegId;
use gst::prelude::*;

use super::State;
use super::reach::reach;
use crate::media::context::{Context, Reporter};
use crate::media::part::Mailbox;
use crate::media::publish::rate::Rate;

const LOOK_EVERY: Duration = Duration::from_millis(250);

pub struct Watch {
    pub context: Context,
    pub leg: LegId,
    pub sink: gst::glib::WeakRef<gst::Element>,
    pub reporter: Reporter,
    pub mailbox: Mailbox,
    pub state: Arc<State>,
}

/// What the library counts, summed over all who called.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    sent_bytes: u64,
    sent_packets: u64,
    lost_packets: u64,
    acknowledgements: u64,
    rtt_ms: f64,
}

impl Watch {
    /// Reaches the server where there is one, then looks until the part goes.
    pub fn run(self, caller: Option<(String, u16)>, stopped: &Receiver<()>) {
        if let Some((host, port)) = caller
            && let Err(failure) = reach(&host, port)
        {
            return self.state.outcome.fail(failure, &self.mailbox);
        }
        self.state.reached.store(true, Ordering::Release);
        self.mailbox.nudge();
        let (mut before, mut rate) = (Counts::default(), Rate::default());
        while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let Some(sink) = self.sink.upgrade() else { return };
            let Some(stats) = sink.property::<Option<gst::Structure>>("stats") else { continue };
            let now = counts(&stats);
            if now.acknowledgements != before.acknowledgements {
                self.look(before, now, &mut rate);
                before = now;
            }
        }
    }

    fn look(&self, before: Counts, now: Counts, rate: &mut Rate) {
        if !self.state.connected.swap(true, Ordering::AcqRel) {
            self.reporter.fact(Fact::Connected);
        }
        // Another caller counts from zero.
        self.reporter.progress(now.sent_bytes.saturating_sub(before.sent_bytes));
        let bits_per_second = rate.of(self.reporter.total());
        let sent = now.sent_packets.saturating_sub(before.sent_packets);
        let lost = now.lost_packets.saturating_sub(before.lost_packets);
        let lost_percent = if sent == 0 { 0.0 } else { (lost as f64 * 100.0 / sent as f64).min(100.0) };
        let leg = self.leg.clone();
        self.context.gauge(|gauges| {
            let gauge = gauges.legs.entry(leg).or_default();
            gauge.bitrate_bps = bits_per_second;
            gauge.rtt_ms = Some(now.rtt_ms.round() as u32);
            gauge.lost_percent = lost_percent;
        });
    }
}

/// A caller's numbers stand in the structure itself, a listener's in a list of callers.
fn counts(stats: &gst::Structure) -> Counts {
    let one = |stats: &gst::StructureRef| {
        let whole = |name: &str| -> u64 {
            let small = || stats.get::<i32>(name).ok().and_then(|value| u64::try_from(value).ok());
            let signed = || stats.get::<i64>(name).ok().and_then(|value| u64::try_from(value).ok());
            stats.get::<u64>(name).ok().or_else(signed).or_else(small).unwrap_or(0)
        };
        Counts {
            sent_bytes: whole("bytes-sent"),
            sent_packets: whole("packets-sent"),
            lost_packets: whole("packets-sent-lost"),
            acknowledgements: whole("packet-ack-received"),
            rtt_ms: stats.get::<f64>("rtt-ms").unwrap_or(0.0),
        }
    };
    let Ok(callers) = stats.get::<gst::glib::ValueArray>("callers") else { return one(stats) };
    let each = callers.iter().filter_map(|value| value.get::<gst::Structure>().ok());
    each.map(|caller| one(&caller)).fold(Counts::default(), |sum, it| Counts {
        sent_bytes: sum.sent_bytes + it.sent_bytes,
        sent_packets: sum.sent_packets + it.sent_packets,
        lost_packets: sum.lost_packets + it.lost_packets,
        acknowledgements: sum.acknowledgements + it.acknowledgements,
        rtt_ms: sum.rtt_ms.max(it.rtt_ms),
    })
}
