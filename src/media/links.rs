//! Named meeting places of pipelines: one producer (an appsink) to any number of consumers (appsrcs).
//!
//! Producer and consumers come and go in any order; a consumer that was there first gets its data when the producer
//! comes, and again when it comes back after a restart. Each consumer's queue is bounded and drops its oldest buffer
//! when it overflows: a slow consumer never holds anybody else. After a drop on an encoded link nothing passes until
//! the next key frame, which is asked for at once.
//!
//! Who only hands buffers on, into a queue of its own, listens instead ([`Links::listen`]): that costs no thread and
//! nothing is dropped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuebox_core::director::EncodeJob;
use cuebox_core::ids::SlotId;
use gst::prelude::*;
use gst_utils::{ConsumptionLink, StreamProducer};

use super::part::Mailbox;
use super::repeats::Repeats;

/// What flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Raw pictures of a slot, in the show's format, on the grid.
    SlotPicture(SlotId),
    /// Raw sound of a slot.
    SlotSound(SlotId),
    ProgramPicture,
    ProgramSound,
    /// H.264 byte-stream of one encode, access units, in-band parameter sets.
    Encoded(EncodeJob),
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SlotPicture(slot) => write!(f, "slot-{slot}-picture"),
            Self::SlotSound(slot) => write!(f, "slot-{slot}-sound"),
            Self::ProgramPicture => f.write_str("program-picture"),
            Self::ProgramSound => f.write_str("program-sound"),
            Self::Encoded(job) => write!(f, "encoded-{job}"),
        }
    }
}

/// How much a consumer may have waiting before its oldest buffer is dropped.
#[derive(Clone, Copy, Debug)]
pub enum Depth {
    Buffers(u64),
    Time(gst::ClockTime),
    Bytes(u64),
}

#[derive(Clone, Default)]
pub struct Links(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    next_id: u64,
    /// Told when a link gets a producer or loses it.
    watchers: Vec<Mailbox>,
    places: BTreeMap<Link, Place>,
    repeats: Repeats,
}

#[derive(Default)]
struct Place {
    producer: Option<Producer>,
    consumers: BTreeMap<u64, Consumer>,
    listeners: BTreeMap<u64, Listener>,
    /// Drops of consumers that have gone.
    dropped_before: u64,
}

struct Producer {
    /// Of its publication.
    id: u64,
    stream: StreamProducer,
    /// Where its buffers arrive.
    pad: Option<gst::Pad>,
}

/// What a listener does with a buffer and its caps.
type Hear = Arc<dyn Fn(&gst::Buffer, gst::Caps) + Send + Sync>;

struct Listener {
    hear: Hear,
    /// Its place at the producer of the moment.
    probe: Option<(gst::Pad, gst::PadProbeId)>,
}

struct Consumer {
    link: ConsumptionLink,
    passed: Arc<AtomicU64>,
}

/// A producer's place; dropping it takes the producer out and leaves the consumers waiting.
#[must_use]
pub struct Publication {
    links: Links,
    link: Link,
    id: u64,
}

/// A consumer's or a listener's place; dropping it takes it out.
#[must_use]
pub struct Subscription {
    links: Links,
    link: Link,
    id: u64,
}

impl Links {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `sink` the producer of `link`, in place of whoever was before.
    pub fn publish(&self, link: Link, sink: &gst_app::AppSink) -> Publication {
        let producer = StreamProducer::with(sink, gst_utils::streamproducer::ProducerSettings { sync: false });
        let mut table = self.table();
        let id = table.new_id();
        let place = table.places.entry(link).or_default();
        for consumer in place.consumers.values_mut() {
            // Fails only for a consumer that this new producer has already.
            let _ = consumer.link.change_producer(&producer, false);
        }
        let pad = sink.static_pad("sink");
        place.listeners.values_mut().for_each(|listener| listener.attach(pad.as_ref()));
        place.producer = Some(Producer { id, stream: producer, pad });
        table.tell_watchers();
        Publication { links: self.clone(), link, id }
    }

    /// Feeds `source` from `link`, now or as soon as somebody produces.
    pub fn subscribe(&self, link: Link, source: &gst_app::AppSrc, depth: Depth) -> Subscription {
        let settings = match depth {
            Depth::Buffers(max_buffer) => gst_utils::streamproducer::ConsumerSettings {
                max_buffer,
                max_time: gst::ClockTime::ZERO,
                ..Default::default()
            },
            Depth::Bytes(bytes) => gst_utils::streamproducer::ConsumerSettings {
                max_bytes: gst::format::Bytes::from_u64(bytes),
                max_time: gst::ClockTime::ZERO,
                ..Default::default()
            },
            Depth::Time(max_time) => gst_utils::streamproducer::ConsumerSettings { max_time, ..Default::default() },
        };
        let mut consumption = ConsumptionLink::disconnected_with(source.clone(), settings.clone());
        StreamProducer::configure_consumer_with(source, settings);
        let passed = Arc::new(AtomicU64::new(0));
        watch_output(source, matches!(link, Link::Encoded(_)), &passed);
        let mut table = self.table();
        let id = table.new_id();
        let place = table.places.entry(link).or_default();
        if let Some(producer) = &place.producer {
            let _ = consumption.change_producer(&producer.stream, false);
        }
        place.consumers.insert(id, Consumer { link: consumption, passed });
        Subscription { links: self.clone(), link, id }
    }

    /// Calls `hear` with every buffer of `link`, now or as soon as somebody produces, on the producer's thread: it must
    /// not wait for anything. Of an encode, the first may be in the middle of a group of pictures.
    pub fn listen(&self, link: Link, hear: impl Fn(&gst::Buffer, gst::Caps) + Send + Sync + 'static) -> Subscription {
        let mut listener = Listener { hear: Arc::new(hear), probe: None };
        let mut table = self.table();
        let id = table.new_id();
        let place = table.places.entry(link).or_default();
        listener.attach(place.producer.as_ref().and_then(|producer| producer.pad.as_ref()));
        place.listeners.insert(id, listener);
        Subscription { links: self.clone(), link, id }
    }

    /// Sends an event up to whoever produces; lost when nobody does.
    pub fn send_up(&self, link: Link, event: gst::Event) {
        let pad = self.table().places.get(&link).and_then(|place| place.producer.as_ref()?.pad.clone());
        if let Some(pad) = pad {
            pad.push_event(event);
        }
    }

    /// Nudges an actor whenever some link gets a producer or loses it.
    pub fn watch(&self, mailbox: &Mailbox) {
        self.table().watchers.push(mailbox.clone());
    }

    /// Whether anybody produces on this link at present.
    pub fn is_produced(&self, link: Link) -> bool {
        self.table().places.get(&link).is_some_and(|place| place.producer.is_some())
    }

    /// The newest buffer of a link, with its caps.
    pub fn last_sample(&self, link: Link) -> Option<gst::Sample> {
        let producer = self.table().places.get(&link)?.producer.as_ref().map(|producer| producer.stream.clone())?;
        producer.last_sample()
    }

    /// Frames that stand for a picture that there was not.
    pub fn repeats(&self) -> Repeats {
        self.table().repeats.clone()
    }

    /// Buffers thrown away so far, per link.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        let table = self.table();
        let sums = table.places.iter().map(|(link, place)| {
            let now: u64 = place.consumers.values().map(Consumer::dropped).sum();
            (link.to_string(), place.dropped_before + now)
        });
        sums.filter(|(_, dropped)| *dropped > 0).collect()
    }
}

impl Table {
    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Watchers whose actor has ended are forgotten.
    fn tell_watchers(&mut self) {
        self.watchers.retain(Mailbox::nudge);
    }
}

impl Listener {
    fn attach(&mut self, pad: Option<&gst::Pad>) {
        self.detach();
        let hear = self.hear.clone();
        self.probe = pad.and_then(|pad| {
            let probe = pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                if let (Some(buffer), Some(caps)) = (info.buffer(), pad.current_caps()) {
                    hear(buffer, caps);
                }
                gst::PadProbeReturn::Ok
            })?;
            Some((pad.clone(), probe))
        });
    }

    fn detach(&mut self) {
        if let Some((pad, probe)) = self.probe.take() {
            pad.remove_probe(probe);
        }
    }
}

impl Consumer {
    fn dropped(&self) -> u64 {
        let source = self.link.appsrc();
        let waiting = source.current_level_buffers();
        let lost = self.link.pushed().saturating_sub(self.passed.load(Ordering::Relaxed)).saturating_sub(waiting);
        // One buffer may be between the queue and the pad while this is read.
        if lost <= 1 { 0 } else { lost }
    }
}

/// Counts what leaves the consumer's queue; on an encoded link holds everything back between a drop and the next key
/// frame.
fn watch_output(source: &gst_app::AppSrc, encoded: bool, passed: &Arc<AtomicU64>) {
    let Some(pad) = source.static_pad("src") else { return };
    let passed = passed.clone();
    let broken = AtomicBool::new(true);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        passed.fetch_add(1, Ordering::Relaxed);
        let Some(buffer) = info.buffer().filter(|_| encoded) else { return gst::PadProbeReturn::Ok };
        let flags = buffer.flags();
        if !flags.contains(gst::BufferFlags::DELTA_UNIT) {
            broken.store(false, Ordering::Relaxed);
        } else if flags.contains(gst::BufferFlags::DISCONT) {
            broken.store(true, Ordering::Relaxed);
            request_key_frame(pad);
        }
        if broken.load(Ordering::Relaxed) { gst::PadProbeReturn::Drop } else { gst::PadProbeReturn::Ok }
    });
}

/// Asks whoever feeds this source pad for a key frame.
fn request_key_frame(pad: &gst::Pad) {
    let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
    pad.send_event(event);
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut table = self.links.table();
        let Some(place) = table.places.get_mut(&self.link) else { return };
        if place.producer.as_ref().is_some_and(|producer| producer.id == self.id) {
            place.producer = None;
            place.listeners.values_mut().for_each(Listener::detach);
            for consumer in place.consumers.values_mut() {
                consumer.link.disconnect();
            }
            table.tell_watchers();
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let gone = {
            let mut table = self.links.table();
            let Some(place) = table.places.get_mut(&self.link) else { return };
            if let Some(mut listener) = place.listeners.remove(&self.id) {
                listener.detach();
            }
            let gone = place.consumers.remove(&self.id);
            place.dropped_before += gone.as_ref().map_or(0, Consumer::dropped);
            gone
        };
        drop(gone);
    }
}
