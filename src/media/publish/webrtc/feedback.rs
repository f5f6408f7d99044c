//! What the other side tells of what it got.
//!
//! Every RTP packet of pictures carries a transport-wide number; the receiver acknowledges them many times a second:
//! that is progress. Sound is not acknowledged so; while no pictures are sent, that the other side says anything at all
//! (it reports on sound about once a second) has to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;

/// Loss is taken over at least this many packets.
const LOSS_WINDOW: u64 = 100;

/// Counters of one connection; written on GStreamer's threads.
#[derive(Debug, Default)]
pub struct Counters {
    acknowledged_bytes: AtomicU64,
    /// Packets.
    acknowledged: AtomicU64,
    lost: AtomicU64,
    received: AtomicU64,
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

    /// Counts packets of the other side.
    pub fn receive(self: &Arc<Self>, pad: &gst::Pad) {
        let counters = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, _| {
            counters.received.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }

    /// Packets of the other side, of whatever kind.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes of pictures that arrived.
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
