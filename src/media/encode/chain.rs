//! The elements from raw pictures to H.264 access units, the same for an encode and for an encoder's probe.
//!
//! ```text
//! appsrc ─ picked ─ [ scale and format → encoder → h264parse ] → appsink
//!                     └────────── branch, replaceable ──────┘
//! ```
//!
//! The picture of a stream encode changes while it runs. Then the whole branch is replaced: pictures are held at the
//! appsrc, the old encoder gives out what it still has and is taken down, a new one begins with parameter sets and an
//! IDR, and what waited goes through it. So a change needs nothing from an element that a first start does not need
//! too, and a unit that takes one session at a time is never asked for two. Setting new caps on a running encoder
//! would do for x264enc; of the elements for hardware some cannot, and nobody here could test which.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cuebox_core::director::{ErrorClass, PictureSize};
use cuebox_core::encode_plan::Grant;
use gst::prelude::*;

use super::encoders::{self, Input, Known};
use super::pick::Pick;
use crate::media::part::Failure;
use crate::media::timing::{ShowFormat, Timing};

/// An encoder that does not let go of a picture, or of what it holds, within this time has hung.
const CHANGE_LIMIT: Duration = Duration::from_secs(1);
/// Longer than between two pictures of any show.
const NO_PICTURES: Duration = Duration::from_millis(150);

/// A linked chain inside a pipeline; `appsrc` is fed with the show's pictures, `appsink` gives the access units.
pub struct Chain {
    pub pipeline: gst::Pipeline,
    pub source: gst_app::AppSrc,
    pub sink: gst_app::AppSink,
    format: ShowFormat,
    grant: Grant,
    branch: Branch,
    picked: Arc<Mutex<Pick>>,
}

/// One encoder with what it needs around it.
struct Branch {
    bin: gst::Bin,
    encoder: gst::Element,
    known: &'static Known,
    /// What was granted, cut down to the picture of the moment.
    grant: Grant,
}

impl Chain {
    /// Fails when an element is missing, or when nobody has described the encoder.
    pub fn build(format: &ShowFormat, grant: &Grant, picture: PictureSize, bitrate_bps: u64) -> Result<Self, Failure> {
        let pipeline = gst::Pipeline::new();
        let source = gst_app::AppSrc::builder().caps(&format.picture_caps()).format(gst::Format::Time).build();
        source.set_is_live(true);
        let sink = gst_app::AppSink::builder().sync(false).caps(&access_units()).build();
        let branch = Branch::build(format, grant, picture, bitrate_bps)?;
        pipeline.add_many([source.upcast_ref::<gst::Element>(), branch.bin.upcast_ref(), sink.upcast_ref()])?;
        let picked = Arc::new(Mutex::new(Pick::new(branch.grant.fps, format.grid.fps())));
        branch.link(&source, &sink)?;
        Ok(Self { pipeline, source, sink, format: *format, grant: grant.clone(), branch, picked })
    }

    /// From here on only the pictures that the rate of the moment has go through. Whoever is to see all that come has
    /// to look at the source's pad before.
    pub fn pick(&self, timing: &Timing) -> Result<(), Failure> {
        pick(&source_pad(&self.source)?, timing, &self.format, &self.picked);
        Ok(())
    }

    /// Changes the bitrate, also while the encoder runs.
    pub fn set_rate(&self, bitrate_bps: u64) {
        self.branch.known.set_rate(&self.branch.encoder, &self.branch.grant, bitrate_bps);
    }

    /// Goes on with another picture, from the next frame on. Blocks for as long as the encoders take, at most a few
    /// seconds; not to be called from a streaming thread.
    pub fn change(&mut self, picture: PictureSize, bitrate_bps: u64) -> Result<(), Failure> {
        let next = Branch::build(&self.format, &self.grant, picture, bitrate_bps)?;
        let pad = source_pad(&self.source)?;
        let hold = hold(&pad).ok_or_else(|| hangs(&self.branch.grant, "does not take its pictures"))?;
        self.branch.drain()?;
        self.branch.take_down(&self.pipeline)?;
        self.branch = next;
        *self.picked.lock().unwrap_or_else(PoisonError::into_inner) =
            Pick::new(self.branch.grant.fps, self.format.grid.fps());
        self.pipeline.add(&self.branch.bin)?;
        self.branch.bin.sync_state_with_parent()?;
        self.branch.link(&self.source, &self.sink)?;
        pad.remove_probe(hold);
        Ok(())
    }
}

/// Holds what flows at this pad until the probe is removed. The next picture is stopped before anything else looks at
/// it: a pad counts as idle while a probe holds a picture on its way, and that one would still go to the old encoder.
/// Only where no pictures come does idle have to do.
fn hold(pad: &gst::Pad) -> Option<gst::PadProbeId> {
    for (kind, limit) in
        [(gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER, NO_PICTURES), (gst::PadProbeType::IDLE, CHANGE_LIMIT)]
    {
        let (sender, held) = channel();
        let probe = pad.add_probe(kind, move |_, _| {
            // Nobody listens any more when it was held before.
            let _ = sender.send(());
            gst::PadProbeReturn::Ok
        })?;
        if held.recv_timeout(limit).is_ok() {
            return Some(probe);
        }
        pad.remove_probe(probe);
    }
    None
}

impl Branch {
    fn build(format: &ShowFormat, grant: &Grant, picture: PictureSize, bitrate_bps: u64) -> Result<Self, Failure> {
        let known = encoders::known(&grant.element)
            .ok_or_else(|| Failure::internal(format!("nobody has described the encoder {}", grant.element)))?;
        let grant = cut_down(grant, picture);
        let encoder = make(known.element)?;
        known.set_up(&encoder, &grant, bitrate_bps);
        let parser = make("h264parse")?;
        parser.set_property("config-interval", -1_i32);
        let mut elements = conversion(format, &grant, known)?;
        elements.push(encoder.clone());
        elements.push(caps_filter(&known.output_caps(&grant))?);
        elements.push(parser);
        let bin = gst::Bin::new();
        bin.add_many(&elements)?;
        gst::Element::link_many(&elements)?;
        for (name, element) in [("sink", elements.first()), ("src", elements.last())] {
            let target = element.and_then(|element| element.static_pad(name));
            let target = target.ok_or_else(|| Failure::internal("an element without its pad"))?;
            bin.add_pad(&gst::GhostPad::with_target(&target)?)?;
        }
        stamp_with_running_time(&encoder)?;
        Ok(Self { bin, encoder, known, grant })
    }

    fn link(&self, source: &gst_app::AppSrc, sink: &gst_app::AppSink) -> Result<(), Failure> {
        let input = self.bin.static_pad("sink").ok_or_else(|| Failure::internal("a branch without its pads"))?;
        self.bin.link(sink)?;
        // Their caps differ in the rate, which is changed in between.
        let linked = source_pad(source)?.link_full(&input, gst::PadLinkCheck::HIERARCHY);
        linked.map(|_| ()).map_err(Failure::internal)
    }

    /// Lets the encoder give out what it holds. Nothing may flow into it meanwhile.
    fn drain(&self) -> Result<(), Failure> {
        let (Some(input), Some(output)) = (self.bin.static_pad("sink"), self.bin.static_pad("src")) else {
            return Err(Failure::internal("a branch without its pads"));
        };
        let (sender, drained) = channel();
        output.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| match info.event().map(|it| it.type_()) {
            Some(gst::EventType::Eos) => {
                let _ = sender.send(());
                gst::PadProbeReturn::Handled
            }
            _ => gst::PadProbeReturn::Ok,
        });
        input.send_event(gst::event::Eos::new());
        drained.recv_timeout(CHANGE_LIMIT).map_err(|_| hangs(&self.grant, "does not give out its last pictures"))
    }

    fn take_down(&self, pipeline: &gst::Pipeline) -> Result<(), Failure> {
        self.bin.set_state(gst::State::Null).map_err(Failure::internal)?;
        // Takes its links with it.
        Ok(pipeline.remove(&self.bin)?)
    }
}

fn hangs(grant: &Grant, how: &str) -> Failure {
    Failure::new(ErrorClass::Timeout, format!("{} {how}", grant.element))
}

/// A grant is the upper bound of everything; the level stays, because a smaller picture is within it and a session
/// description may have promised it.
fn cut_down(grant: &Grant, picture: PictureSize) -> Grant {
    let even = |wanted: u32, most: u32| (wanted.clamp(2, most.max(2)) / 2) * 2;
    let fps = picture.fps.clamp(1, grant.fps.max(1));
    Grant {
        width: even(picture.width, grant.width),
        height: even(picture.height, grant.height),
        fps,
        gop: (grant.gop * fps / grant.fps.max(1)).max(1),
        ..grant.clone()
    }
}

pub(super) fn source_pad(source: &gst_app::AppSrc) -> Result<gst::Pad, Failure> {
    source.static_pad("src").ok_or_else(|| Failure::internal("an appsrc without a pad"))
}

/// Lets through the pictures that the rate of the moment has, and names that rate to what follows.
fn pick(pad: &gst::Pad, timing: &Timing, format: &ShowFormat, picked: &Arc<Mutex<Pick>>) {
    let (timing, grid, picked) = (timing.clone(), format.grid, picked.clone());
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |_, info| {
        let picked = picked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = info.buffer_mut() {
            let takes = buffer.pts().is_none_or(|pts| picked.takes(timing.frame_at(grid, pts)));
            if !takes {
                return gst::PadProbeReturn::Drop;
            }
            if picked.fps() != grid.fps() {
                buffer.make_mut().set_duration(gst::ClockTime::SECOND / u64::from(picked.fps()));
            }
        } else if let Some(event) = info.event_mut()
            && let gst::EventView::Caps(caps) = event.view()
        {
            let mut caps = caps.caps_owned();
            let fps = i32::try_from(picked.fps()).unwrap_or(i32::MAX);
            caps.make_mut().set("framerate", gst::Fraction::new(fps, 1));
            *event = gst::event::Caps::builder(&caps).seqnum(event.seqnum()).build();
        }
        gst::PadProbeReturn::Ok
    });
}

/// Encoders may shift their timestamps (x264enc by 1000 hours) and say so in their segment. Links promise that a
/// timestamp is the running time, so the shift is taken out right behind the encoder.
fn stamp_with_running_time(encoder: &gst::Element) -> Result<(), Failure> {
    let pad = encoder.static_pad("src").ok_or_else(|| Failure::internal("an encoder without an output"))?;
    let segment = std::sync::Mutex::new(gst::FormattedSegment::<gst::ClockTime>::new());
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |_, info| {
        let mut segment = segment.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(buffer) = info.buffer_mut() {
            let running = buffer.pts().and_then(|pts| segment.to_running_time(pts));
            let buffer = buffer.make_mut();
            buffer.set_pts(running);
            buffer.set_dts(running);
        } else if let Some(event) = info.event_mut()
            && let gst::EventView::Segment(shifted) = event.view()
            && let Some(time) = shifted.segment().downcast_ref::<gst::ClockTime>()
        {
            *segment = time.clone();
            *event = gst::event::Segment::builder(&gst::FormattedSegment::<gst::ClockTime>::new())
                .seqnum(event.seqnum())
                .build();
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// What every consumer of an encode gets.
pub fn access_units() -> gst::Caps {
    gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au").build()
}

/// Scaling and format, only where the grant or the encoder ask for something else than the show's format; at least one
/// element.
fn conversion(format: &ShowFormat, grant: &Grant, known: &Known) -> Result<Vec<gst::Element>, Failure> {
    let mut elements = Vec::new();
    let same_size = (grant.width, grant.height) == (format.width, format.height);
    if !same_size || known.input == Input::I420 {
        elements.push(make("videoconvertscale")?);
    }
    let mut caps = format.scaled_caps(grant.width, grant.height, grant.fps);
    if known.input == Input::I420 {
        caps.make_mut().set("format", "I420");
    }
    elements.push(caps_filter(&caps)?);
    if known.input == Input::Nvmm {
        elements.push(make("nvvidconv")?);
        let caps = gst::Caps::builder("video/x-raw").features(["memory:NVMM"]).field("format", "NV12").build();
        elements.push(caps_filter(&caps)?);
    }
    Ok(elements)
}

fn caps_filter(caps: &gst::Caps) -> Result<gst::Element, Failure> {
    let filter = make("capsfilter")?;
    filter.set_property("caps", caps);
    Ok(filter)
}

/// An element by its name.
pub fn make(name: &str) -> Result<gst::Element, Failure> {
    gst::ElementFactory::make(name)
        .build()
        .map_err(|_| Failure::internal(format!("GStreamer element `{name}` is missing or cannot be made")))
}
