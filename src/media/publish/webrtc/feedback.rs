//! What the other side tells of what it got.
//!
//! Every RTP packet of pictures carries a transport-wide number; the receiver acknowledges them many times a second.
//! Sound is acknowledged by its receiver reports, about once a second. Both count as progress: a connection whose other
//! side has gone shows neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;

/// Loss is taken over at least this many packets.
const LOSS_WINDOW: u64 = 100;

/// Counters of one connection; written on GStreamer's threads.
#[derive(Debug, Default)]
pub struct Counters {
    acknowledged_bytes: AtomicU64,
    acknowledged: AtomicU64,
    lost: AtomicU64,
}

/// A look at a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Feedback {
    /// Bytes of pictures that arrived.
    pub acknowledged_bytes: u64,
    pub rtt_ms: Option<u32>,
    /// Highest packet that any receiver report named, summed over tracks.
    pub reported_packets: u64,
}

/// Loss between two looks, in percent.
#[derive(Debug, Default)]
pub struct Loss {
    acknowledged: u64,
    lost: u64,
    percent: f64,
}

impl Counters {
    /// Listens to the acknowledgements that pass `pad` on their way to whoever estimates.
    pub fn watch(self: &Arc<Self>, pad: &gst::Pad) {
        let counters = self.clone();
        pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            if let Some(structure) = info.event().and_then(|event| event.structure())
                && structure.name() == "RTPTWCCPackets"
                && let Ok(packets) = structure.get::<gst::glib::ValueArray>("packets")
            {
                packets.iter().filter_map(|it| it.get::<gst::Structure>().ok()).for_each(|it| counters.count(&it));
            }
            gst::PadProbeReturn::Ok
        });
    }

    fn count(&self, packet: &gst::StructureRef) {
        if packet.get::<bool>("lost").unwrap_or(false) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            let size = packet.get::<u32>("size").unwrap_or(0);
            self.acknowledged_bytes.fetch_add(u64::from(size), Ordering::Relaxed);
        }
    }

    pub fn acknowledged_bytes(&self) -> u64 {
        self.acknowledged_bytes.load(Ordering::Relaxed)
    }

    /// Percent of packets that were lost lately.
    pub fn lost_percent(&self, loss: &mut Loss) -> f64 {
        let (acknowledged, lost) = (self.acknowledged.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        let all = (acknowledged - loss.acknowledged) + (lost - loss.lost);
        if all >= LOSS_WINDOW {
            let percent = (lost - loss.lost) as f64 * 100.0 / all as f64;
            *loss = Loss { acknowledged, lost, percent };
        }
        loss.percent
    }
}

/// Reads the connection's own statistics.
pub fn read(stats: &gst::StructureRef, acknowledged_bytes: u64) -> Feedback {
    let mut feedback = Feedback { acknowledged_bytes, ..Feedback::default() };
    for (_, value) in stats.iter() {
        let Ok(entry) = value.get::<gst::Structure>() else { continue };
        if std::env::var_os("DUMP_STATS").is_some() {
            eprintln!("STAT {entry}");
        }
        if entry.get::<gst_webrtc::WebRTCStatsType>("type") != Ok(gst_webrtc::WebRTCStatsType::RemoteInboundRtp) {
            continue;
        }
        if let Ok(seconds) = entry.get::<f64>("round-trip-time")
            && seconds > 0.0
        {
            let ms = (seconds * 1_000.0).round() as u32;
            feedback.rtt_ms = Some(feedback.rtt_ms.map_or(ms, |it| it.max(ms)));
        }
        if let Ok(source) = entry.get::<gst::Structure>("gst-rtpsource-stats")
            && let Ok(highest) = source.get::<u32>("rb-exthighestseq")
        {
            feedback.reported_packets += u64::from(highest);
        }
    }
    feedback
}
