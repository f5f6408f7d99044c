//! The audio mixer and its inputs: one per live slot that has sound, each with a gain that never clicks and a delay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::director::Audio;
use cuebox_core::grid::{FrameIndex, Grid};
use cuebox_core::ids::SlotId;
use gst::prelude::*;

use super::gain::Gain;
use super::live_source;
use crate::media::context::Context;
use crate::media::links::{Depth, Link, Subscription};
use crate::media::part::Failure;
use crate::media::timing::{CHANNELS, sample_at, time_of_sample};

/// The longest delay that a slot's sound may have, and what then waits in front of the mixer.
const INPUT_DEPTH: Depth = Depth::Time(gst::ClockTime::from_mseconds(1_500));
/// Of what is mixed at a time, 10 ms each: sound waits until its block is whole.
pub const BLOCKS: Grid = Grid::new(100);
const BLOCK: gst::ClockTime = gst::ClockTime::from_nseconds(BLOCKS.frame_ns());

pub struct SoundMixer {
    context: Context,
    pipeline: gst::Pipeline,
    mixer: gst::Element,
    output: gst_app::AppSink,
    silence: gst_app::AppSrc,
    inputs: BTreeMap<SlotId, Input>,
}

struct Input {
    source: gst_app::AppSrc,
    pad: gst::Pad,
    gain: Arc<Mutex<Gain>>,
    _subscription: Subscription,
}

impl SoundMixer {
    pub fn new(context: &Context, pipeline: &gst::Pipeline, budget: gst::ClockTime) -> Result<Self, Failure> {
        let mixer = gst::ElementFactory::make("audiomixer")
            .name("sound-mixer")
            .property_from_str("start-time-selection", "first")
            .property("latency", budget.nseconds())
            .property("ignore-inactive-pads", true)
            .property("output-buffer-duration", BLOCK.nseconds())
            .build()?;
        let caps = context.format.sound_caps();
        let output = gst_app::AppSink::builder().name("sound").caps(&caps).max_buffers(4).build();
        let silence = live_source("silence", &caps);
        pipeline.add_many([&mixer, output.upcast_ref(), silence.upcast_ref()])?;
        silence.link(&mixer)?;
        mixer.link(&output)?;
        Ok(Self {
            context: context.clone(),
            pipeline: pipeline.clone(),
            mixer,
            output,
            silence,
            inputs: BTreeMap::new(),
        })
    }

    pub fn output(&self) -> &gst_app::AppSink {
        &self.output
    }

    /// Silence, block by block as its time is over: the mixer runs without any slot, and at a steady pace with slots that
    /// bring much at a time. Players hold back what comes unsteadily.
    pub fn silence(&self) -> impl Fn(FrameIndex, gst::ClockTime) -> bool + Send + use<> {
        let source = self.silence.clone();
        move |_, over| {
            let (first, last) = (sample_at(over.saturating_sub(BLOCK)), sample_at(over));
            let bytes = usize::try_from((last - first) * u64::from(CHANNELS) * 4).unwrap_or_default();
            let mut buffer = gst::Buffer::from_slice(vec![0u8; bytes]);
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(time_of_sample(first));
                buffer.set_duration(time_of_sample(last).saturating_sub(time_of_sample(first)));
            }
            source.push_buffer(buffer).is_ok()
        }
    }

    /// Inputs, gains and delays as wanted. A slot that brings no sound has no input: it would only be waited for.
    pub fn apply(&mut self, live: &BTreeSet<SlotId>, audio: &Audio) -> Result<(), Failure> {
        for slot in SlotId::all() {
            let wanted = live.contains(&slot) && self.context.links.is_produced(Link::SlotSound(slot));
            match (wanted, self.inputs.contains_key(&slot)) {
                (true, false) => self.add(slot)?,
                (false, true) => self.remove(slot),
                (true, true) | (false, false) => {}
            }
        }
        for (slot, input) in &self.inputs {
            let gain = audio.gains.get(slot).copied().unwrap_or(0.0);
            input.gain.lock().unwrap_or_else(PoisonError::into_inner).aim(gain as f32);
            let delay_ms = audio.delays_ms.get(slot).copied().unwrap_or(0);
            input.pad.set_offset(i64::from(delay_ms) * 1_000_000);
        }
        Ok(())
    }

    fn add(&mut self, slot: SlotId) -> Result<(), Failure> {
        let source = live_source(&format!("sound-{slot}"), &self.context.format.sound_caps());
        self.pipeline.add(&source)?;
        let pad = self
            .mixer
            .request_pad_simple("sink_%u")
            .ok_or_else(|| Failure::internal("the sound mixer gives no input"))?;
        let from = source.static_pad("src").ok_or_else(|| Failure::internal("an appsrc without a source pad"))?;
        from.link(&pad).map_err(Failure::internal)?;
        let gain = Arc::new(Mutex::new(Gain::silent()));
        apply_gain(&from, gain.clone());
        let subscription = self.context.links.subscribe(Link::SlotSound(slot), &source, INPUT_DEPTH);
        source.sync_state_with_parent()?;
        self.inputs.insert(slot, Input { source, pad, gain, _subscription: subscription });
        Ok(())
    }

    fn remove(&mut self, slot: SlotId) {
        let Some(input) = self.inputs.remove(&slot) else { return };
        input.source.set_locked_state(true);
        let _ = input.source.set_state(gst::State::Null);
        let _ = self.pipeline.remove(&input.source);
        self.mixer.release_request_pad(&input.pad);
    }
}

/// Every buffer of the pad goes through the gain; the samples are copied when others hold them too. Silence is mixed like
/// sound: a buffer marked as a gap leaves the mixer's queue with its first block, and all others then wait for the next.
fn apply_gain(pad: &gst::Pad, gain: Arc<Mutex<Gain>>) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let mut gain = gain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = info.buffer_mut().filter(|_| !gain.is_unity()) {
            let buffer = buffer.make_mut();
            if let Ok(mut samples) = buffer.map_writable() {
                gain.apply(&mut samples);
            }
        }
        gst::PadProbeReturn::Ok
    });
}
