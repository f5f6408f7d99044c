//! The compositor and its inputs. A switch is applied where the compositor has chosen its samples for a frame and has
//! not drawn yet: the frame's time is known there, and whether the new picture has a frame at all, so a switch is
//! whole in one frame and its frame number is exact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuebox_core::director::{Fact, Picture, Switch};
use cuebox_core::ids::{SlotId, SwitchId};
use gst::prelude::*;
use gst_base::prelude::*;

use super::live_source;
use super::switcher::{Layer, Switcher};
use crate::media::context::{Context, Reporter};
use crate::media::lag;
use crate::media::links::{Depth, Link, Subscription};
use crate::media::part::{Failure, Mailbox};
use crate::media::picture::let_pool_shrink;

/// Pictures that may wait in front of the mixer: the delay budget, one that is being mixed, one that arrives.
const INPUT_FRAMES: u64 = 4;
const INPUT_DEPTH: Depth = Depth::Buffers(INPUT_FRAMES);

pub struct Mixer {
    context: Context,
    pipeline: gst::Pipeline,
    compositor: gst_base::Aggregator,
    output: gst_app::AppSink,
    slate: gst_app::AppSrc,
    inputs: BTreeMap<SlotId, Input>,
    shared: Arc<Mutex<Shared>>,
}

struct Input {
    source: gst_app::AppSrc,
    pad: gst_base::AggregatorPad,
    _subscription: Subscription,
}

/// What the actor and the compositor's thread share.
struct Shared {
    switcher: Switcher,
    pads: BTreeMap<Picture, Layered>,
    /// Switches whose first frame is drawn but has not left the mixer yet.
    drawn: Vec<(SwitchId, gst::ClockTime)>,
}

/// A compositor pad with the values it has, so that only changes are set.
struct Layered {
    pad: gst_base::AggregatorPad,
    alpha: f64,
    zorder: u32,
}

impl Mixer {
    pub fn new(
        context: &Context,
        pipeline: &gst::Pipeline,
        budget: gst::ClockTime,
        reporter: &Reporter,
        mailbox: &Mailbox,
    ) -> Result<Self, Failure> {
        let compositor = gst::ElementFactory::make("compositor")
            .name("mixer")
            .property_from_str("background", "black")
            .property_from_str("start-time-selection", "first")
            .property("latency", budget.nseconds())
            .property("ignore-inactive-pads", true)
            .property("emit-signals", true)
            .build()?
            .downcast::<gst_base::Aggregator>()
            .map_err(|_| Failure::internal("the compositor is no aggregator"))?;
        let caps = context.format.picture_caps();
        let output = gst_app::AppSink::builder().name("picture").caps(&caps).max_buffers(2).build();
        let slate = live_source("slate", &caps);
        pipeline.add_many([compositor.upcast_ref::<gst::Element>(), output.upcast_ref(), slate.upcast_ref()])?;
        compositor.link(&output)?;
        let shared =
            Arc::new(Mutex::new(Shared { switcher: Switcher::new(), pads: BTreeMap::new(), drawn: Vec::new() }));
        let mixer = Self {
            context: context.clone(),
            pipeline: pipeline.clone(),
            compositor,
            output,
            slate,
            inputs: BTreeMap::new(),
            shared,
        };
        mixer.attach(Picture::Slate, &mixer.slate, 1.0)?;
        mixer.meet_frames(mailbox);
        mixer.watch_output(reporter)?;
        Ok(mixer)
    }

    pub fn output(&self) -> &gst_app::AppSink {
        &self.output
    }

    pub fn slate_input(&self) -> &gst_app::AppSrc {
        &self.slate
    }

    pub fn switch(&self, switch: &Switch) {
        self.shared().switcher.aim(switch);
    }

    pub fn add_inputs(&mut self, wanted: &BTreeSet<SlotId>) -> Result<(), Failure> {
        for slot in wanted.iter().filter(|slot| !self.inputs.contains_key(slot)).copied().collect::<Vec<_>>() {
            let source = live_source(&format!("slot-{slot}"), &self.context.format.picture_caps());
            self.pipeline.add(&source)?;
            let pad = self.attach(Picture::Slot(slot), &source, 0.0)?;
            let subscription = self.context.links.subscribe(Link::SlotPicture(slot), &source, INPUT_DEPTH);
            source.sync_state_with_parent()?;
            self.inputs.insert(slot, Input { source, pad, _subscription: subscription });
        }
        Ok(())
    }

    /// Takes out what is neither wanted nor part of the picture of the moment.
    pub fn remove_inputs(&mut self, wanted: &BTreeSet<SlotId>) {
        let gone: Vec<SlotId> = {
            let shared = self.shared();
            let free = |slot: &&SlotId| !wanted.contains(slot) && !shared.switcher.needs(Picture::Slot(**slot));
            self.inputs.keys().filter(free).copied().collect()
        };
        for slot in gone {
            self.shared().pads.remove(&Picture::Slot(slot));
            if let Some(input) = self.inputs.remove(&slot) {
                input.source.set_locked_state(true);
                let _ = input.source.set_state(gst::State::Null);
                let _ = self.pipeline.remove(&input.source);
                self.compositor.release_request_pad(&input.pad);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attach(
        &self,
        picture: Picture,
        source: &gst_app::AppSrc,
        alpha: f64,
    ) -> Result<gst_base::AggregatorPad, Failure> {
        let pad = self
            .compositor
            .request_pad_simple("sink_%u")
            .and_then(|pad| pad.downcast::<gst_base::AggregatorPad>().ok())
            .ok_or_else(|| Failure::internal("the compositor gives no input"))?;
        pad.set_property("alpha", alpha);
        let from = source.static_pad("src").ok_or_else(|| Failure::internal("an appsrc without a source pad"))?;
        from.link(&pad).map_err(Failure::internal)?;
        self.shared().pads.insert(picture, Layered { pad: pad.clone(), alpha, zorder: 0 });
        Ok(pad)
    }

    /// The point where switches are applied: samples are chosen, nothing is drawn yet.
    fn meet_frames(&self, mailbox: &Mailbox) {
        let (shared, mailbox) = (self.shared.clone(), mailbox.clone());
        let frame_ns = self.context.format.grid.frame_ns();
        self.compositor.connect_samples_selected(move |compositor, _segment, pts, _dts, _duration, _info| {
            let Some(pts) = pts else { return };
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.draw(compositor, pts, frame_ns) {
                mailbox.nudge();
            }
        });
    }

    fn watch_output(&self, reporter: &Reporter) -> Result<(), Failure> {
        let pad = self.compositor.static_pad("src").ok_or_else(|| Failure::internal("the compositor has no output"))?;
        // What is later has lost pictures that waited in front of it.
        lag::watch_output(&pad, self.context.format.frame() * INPUT_FRAMES, &self.context, reporter);
        let_pool_shrink(&pad);
        let (shared, reporter, context) = (self.shared.clone(), reporter.clone(), self.context.clone());
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if reporter.progress(1) == 0 {
                reporter.fact(Fact::FirstBuffer);
            }
            if let Some(pts) = info.buffer().and_then(|buffer| buffer.pts()) {
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                shared.drawn.retain(|(switch, drawn)| {
                    let left = *drawn <= pts;
                    if left {
                        let frame = context.timing.frame_at(context.format.grid, *drawn);
                        reporter.fact(Fact::Shown { switch: *switch, frame });
                    }
                    !left
                });
            }
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }
}

impl Shared {
    /// Sets every pad for the frame at `pts`. True when a switch met its frame.
    fn draw(&mut self, compositor: &gst_base::Aggregator, pts: gst::ClockTime, frame_ns: u64) -> bool {
        let pads = &self.pads;
        let has_frame = |picture| pads.get(&picture).is_some_and(|it| compositor.peek_next_sample(&it.pad).is_some());
        let frame = self.switcher.frame(pts.nseconds(), frame_ns, has_frame);
        self.set(&frame.layers);
        if let Some(switch) = frame.first_of {
            self.drawn.push((switch, pts));
        }
        frame.first_of.is_some()
    }

    fn set(&mut self, layers: &[Layer]) {
        for (picture, layered) in &mut self.pads {
            let place = layers.iter().position(|(layer, _)| layer == picture);
            let alpha = place.and_then(|place| layers.get(place)).map_or(0.0, |(_, alpha)| *alpha);
            let zorder = place.and_then(|place| u32::try_from(place).ok()).map_or(0, |place| place + 1);
            if layered.zorder != zorder {
                layered.zorder = zorder;
                layered.pad.set_property("zorder", zorder);
            }
            if layered.alpha != alpha {
                layered.alpha = alpha;
                layered.pad.set_property("alpha", alpha);
            }
        }
    }
}
