//! What a leg that packs the stream itself is fed with: the stream encode's pictures from a key frame on, and the
//! program's sound beside them, both counted from the leg's first picture.
//!
//! ```text
//! stream encode → appsrc → [h264parse] → appsink ─┐
//!                                                 ├ Taker
//! program sound → AAC ────────────────────────────┘
//! ```
//!
//! Nothing in here waits: when more than [`BACKLOG`] waits for the server, pictures are dropped up to the next key
//! frame, and sound with them. There always is sound: silence where the program has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cuebox_core::director::EncodeJob;
use gst::prelude::*;

use crate::media::context::Context;
use crate::media::encode::aac::{AacTrack, Packet};
use crate::media::encode::make;
use crate::media::links::{Depth, Link, Subscription};
use crate::media::part::Failure;
use crate::media::timing::{sample_at, time_of_sample};

/// More than this waiting for the server is dropped.
pub const BACKLOG: gst::ClockTime = gst::ClockTime::from_mseconds(1_500);

/// Packs and sends; called on streaming threads, must not block.
pub trait Taker: Send + Sync + 'static {
    /// How much waits to be sent.
    fn waiting(&self) -> gst::ClockTime;

    /// One access unit, decoded at `at`.
    fn picture(&self, caps: &gst::Caps, unit: gst::Buffer, at: gst::ClockTime);

    /// One AAC packet, heard at `at`; `caps` with codec data.
    fn sound(&self, caps: &gst::Caps, packet: gst::Buffer, at: gst::ClockTime);
}

/// The feeding side of a leg's pipeline.
pub struct Stream {
    context: Context,
    source: gst_app::AppSrc,
    pictures: Option<Subscription>,
    _sound: Arc<AacTrack>,
}

impl Stream {
    /// Adds the elements to `pipeline`; `units`: how access units are wanted. Nothing flows before [`Stream::start`].
    pub fn build(
        context: &Context,
        pipeline: &gst::Pipeline,
        units: &gst::Caps,
        sound_bps: u64,
        taker: &Arc<impl Taker>,
    ) -> Result<Self, Failure> {
        let origin = Origin::default();
        let sound = Arc::new(sound(context, pipeline, sound_bps, &origin, taker)?);
        // Live from the beginning: it is subscribed while it runs, and would not become live then.
        let source = gst_app::AppSrc::builder().format(gst::Format::Time).is_live(true).build();
        let parser = make("h264parse")?;
        let heard = gst_app::AppSink::builder().sync(false).async_(false).caps(units).build();
        pipeline.add_many([source.upcast_ref::<gst::Element>(), &parser, heard.upcast_ref()])?;
        gst::Element::link_many([source.upcast_ref::<gst::Element>(), &parser, heard.upcast_ref()])?;
        let pad = source.static_pad("src").ok_or_else(|| Failure::internal("an appsrc without a pad"))?;
        heard.set_callbacks(pictures(pad, sound.clone(), origin, taker.clone()));
        Ok(Self { context: context.clone(), source, pictures: None, _sound: sound })
    }

    /// Where a key frame can be asked for.
    pub fn key_frames(&self) -> Option<gst::Pad> {
        self.source.static_pad("src")
    }

    /// Lets the pictures flow; again does nothing.
    pub fn start(&mut self) {
        let link = Link::Encoded(EncodeJob::Stream);
        self.pictures.get_or_insert_with(|| self.context.links.subscribe(link, &self.source, Depth::Time(BACKLOG)));
    }
}

/// Asks whoever feeds this source pad.
pub fn ask_for_key_frame(pad: &gst::Pad) {
    pad.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
}

/// Running time of the leg's first picture in nanoseconds, which becomes zero; `u64::MAX` before it.
#[derive(Clone)]
struct Origin(Arc<AtomicU64>);

impl Default for Origin {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Origin {
    fn set_once(&self, running: gst::ClockTime) -> gst::ClockTime {
        let new = running.nseconds();
        let set = self.0.compare_exchange(u64::MAX, new, Ordering::AcqRel, Ordering::Acquire);
        gst::ClockTime::from_nseconds(set.err().unwrap_or(new))
    }

    fn get(&self) -> Option<gst::ClockTime> {
        Some(self.0.load(Ordering::Acquire)).filter(|ns| *ns != u64::MAX).map(gst::ClockTime::from_nseconds)
    }
}

fn sound(
    context: &Context,
    pipeline: &gst::Pipeline,
    bits_per_second: u64,
    origin: &Origin,
    taker: &Arc<impl Taker>,
) -> Result<AacTrack, Failure> {
    let bits_per_second = u32::try_from(bits_per_second).unwrap_or(u32::MAX);
    let (origin, taker) = (origin.clone(), taker.clone());
    AacTrack::build(pipeline, context, Link::ProgramSound, bits_per_second, move |packet: Packet| {
        let first = origin.get().map(sample_at);
        let Some(at) = first.and_then(|first| packet.start.checked_sub(first)) else { return };
        if taker.waiting() <= BACKLOG {
            taker.sound(&packet.caps, packet.buffer, time_of_sample(at));
        }
    })
}

fn pictures(
    key_frames: gst::Pad,
    sound: Arc<AacTrack>,
    origin: Origin,
    taker: Arc<impl Taker>,
) -> gst_app::AppSinkCallbacks {
    let mut broken = true;
    let new_sample = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let (Some(caps), Some(unit)) = (sample.caps_owned(), sample.buffer_owned()) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let Some(running) = unit.pts() else { return Ok(gst::FlowSuccess::Ok) };
        sound.follow(running);
        let key = !unit.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if taker.waiting() > BACKLOG {
            broken = true;
        } else if broken && key {
            broken = false;
        } else if broken && taker.waiting() < BACKLOG / 4 {
            ask_for_key_frame(&key_frames);
        }
        if !broken {
            taker.picture(&caps, unit, running.saturating_sub(origin.set_once(running)));
        }
        Ok(gst::FlowSuccess::Ok)
    };
    gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build()
}
