//! A slot's own sound card: alsasrc → the show's sound format → the slot's sound.
//!
//! alsasrc's own ways to follow another clock do not fit: `resample` is not implemented, `skew` cuts and jumps. It is
//! told to stamp each block with the time when it was heard (`re-timestamp`), and [`SoundClock`] makes a contiguous
//! stream of that.

use cuebox_core::ids::SlotId;
use gst::prelude::*;

use super::normalise::{self, running_time};
use super::outlet::{Outlet, SoundPusher};
use super::sound_clock::SoundClock;
use crate::media::context::{Context, Reporter};
use crate::media::part::{Failure, Part};

/// Blocks between two notes of the drift: about a second.
const TELLS: u32 = 100;

pub struct Card {
    pipeline: gst::Pipeline,
    _outlet: Outlet,
}

impl Card {
    pub fn build(context: &Context, slot: SlotId, device: &str, reporter: &Reporter) -> Result<Self, Failure> {
        let source = gst::ElementFactory::make("alsasrc")
            .property("device", device)
            .property("provide-clock", false)
            .property_from_str("slave-method", "re-timestamp")
            // Microseconds.
            .property("latency-time", 10_000i64)
            .property("buffer-time", 200_000i64)
            .build()?;
        Self::around(context, slot, &source, reporter)
    }

    /// The pipeline behind a source of live sound.
    pub(super) fn around(
        context: &Context,
        slot: SlotId,
        source: &gst::Element,
        reporter: &Reporter,
    ) -> Result<Self, Failure> {
        let pipeline = gst::Pipeline::new();
        let (outlet, pusher) = Outlet::sound(context, &pipeline, slot, Some(reporter))?;
        pipeline.add(source)?;
        let (input, sink) = normalise::sound(context, &pipeline)?;
        source.link(&input)?;
        feed(context, slot, &sink, pusher);
        Ok(Self { pipeline, _outlet: outlet })
    }
}

impl Part for Card {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }
}

fn feed(context: &Context, slot: SlotId, sink: &gst_app::AppSink, mut pusher: SoundPusher) {
    let context = context.clone();
    let timing = context.timing.clone();
    let mut blocks = 0_u32;
    let mut clock = SoundClock::default();
    let take = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some(at) = running_time(&sample) else { return Ok(gst::FlowSuccess::Ok) };
        let samples = normalise::samples(&sample).ok_or(gst::FlowError::Error)?;
        let (position, samples) = clock.place(timing.mono(at), &samples);
        blocks = blocks.wrapping_add(1);
        if blocks.is_multiple_of(TELLS) {
            context.slot_gauge(slot, |gauges| gauges.audio_drift_ppm = clock.drift_ppm());
        }
        if pusher.push(position, &samples) { Ok(gst::FlowSuccess::Ok) } else { Err(gst::FlowError::Flushing) }
    };
    sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(take).build());
}
