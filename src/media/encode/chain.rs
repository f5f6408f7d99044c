//! The elements from raw pictures to H.264 access units, the same for an encode and for an encoder's probe.

use cuebox_core::encode_plan::Grant;
use gst::prelude::*;

use super::encoders::{self, Input, Known};
use crate::media::actor::Failure;
use crate::media::timing::ShowFormat;

/// A linked chain inside a pipeline; `appsrc` is fed with the show's pictures, `appsink` gives the access units.
pub struct Chain {
    pub pipeline: gst::Pipeline,
    pub source: gst_app::AppSrc,
    pub sink: gst_app::AppSink,
    pub encoder: gst::Element,
    pub known: &'static Known,
}

impl Chain {
    /// Fails when an element is missing, or when nobody has described the encoder.
    pub fn build(format: &ShowFormat, grant: &Grant, bitrate_bps: u64) -> Result<Self, Failure> {
        let known = encoders::known(&grant.element)
            .ok_or_else(|| Failure::internal(format!("nobody has described the encoder {}", grant.element)))?;
        let pipeline = gst::Pipeline::new();
        let source = gst_app::AppSrc::builder().caps(&format.picture_caps()).format(gst::Format::Time).build();
        source.set_is_live(true);
        let encoder = make(known.element)?;
        known.set_up(&encoder, grant, bitrate_bps);
        let parser = make("h264parse")?;
        parser.set_property("config-interval", -1_i32);
        let sink = gst_app::AppSink::builder().sync(false).caps(&access_units()).build();

        let mut elements: Vec<gst::Element> = vec![source.clone().upcast()];
        elements.extend(conversion(format, grant, known)?);
        elements.push(encoder.clone());
        elements.push(caps_filter(&known.output_caps(grant))?);
        elements.push(parser);
        elements.push(sink.clone().upcast());
        pipeline.add_many(&elements)?;
        gst::Element::link_many(&elements)?;
        stamp_with_running_time(&encoder)?;
        Ok(Self { pipeline, source, sink, encoder, known })
    }
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

/// Scaling, rate and format, only where the grant or the encoder ask for something else than the show's format.
fn conversion(format: &ShowFormat, grant: &Grant, known: &Known) -> Result<Vec<gst::Element>, Failure> {
    let mut elements = Vec::new();
    if grant.fps != format.grid.fps() {
        let rate = make("videorate")?;
        rate.set_property("drop-only", grant.fps < format.grid.fps());
        elements.push(rate);
    }
    let same_size = (grant.width, grant.height) == (format.width, format.height);
    if !same_size || known.input == Input::I420 {
        elements.push(make("videoconvertscale")?);
    }
    if !same_size || known.input == Input::I420 || grant.fps != format.grid.fps() {
        let mut caps = format.scaled_caps(grant.width, grant.height, grant.fps);
        if known.input == Input::I420 {
            caps.make_mut().set("format", "I420");
        }
        elements.push(caps_filter(&caps)?);
    }
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
