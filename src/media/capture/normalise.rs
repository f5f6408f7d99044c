//! Whatever a source delivers → the show's picture and sound formats.

use cuebox_core::device::PixelFormat;
use gst::prelude::*;

use super::levels;
use crate::media::context::Context;
use crate::media::part::Failure;
use crate::media::picture::let_pool_shrink;

/// Decoded video of any size, rate and colour → NV12 in the show's size and colours, at the source's own rate, into an
/// appsink, whose samples [`picture`] takes. Interlaced video is deinterlaced; aspect is kept by black borders.
pub fn pictures(context: &Context, pipeline: &impl IsA<gst::Bin>) -> Result<(gst::Element, gst_app::AppSink), Failure> {
    let caps = picture_caps(context);
    let (input, convert, sink) = chain(context, pipeline, &caps)?;
    keep_full_range(&convert, &sink, caps)?;
    Ok((input, sink))
}

/// The same for a camera's packed pictures, which leave in their own format and colours, for [`super::packed`].
pub fn packed(
    context: &Context,
    pipeline: &impl IsA<gst::Bin>,
    format: PixelFormat,
) -> Result<(gst::Element, gst_app::AppSink), Failure> {
    let mut caps = picture_caps(context);
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        structure.set("format", if format == PixelFormat::Uyvy { "UYVY" } else { "YUY2" });
        structure.remove_field("colorimetry");
    }
    let (input, _, sink) = chain(context, pipeline, &caps)?;
    Ok((input, sink))
}

/// Deinterlacer, converter, sink.
fn chain(
    context: &Context,
    pipeline: &impl IsA<gst::Bin>,
    caps: &gst::Caps,
) -> Result<(gst::Element, gst::Element, gst_app::AppSink), Failure> {
    // One picture per frame when the show has no use for one per field.
    let fields = if context.format.grid.fps() > 30 { "all" } else { "top" };
    let deinterlace = gst::ElementFactory::make("deinterlace")
        .property_from_str("mode", "auto")
        .property_from_str("fields", fields)
        .build()?;
    let convert = gst::ElementFactory::make("videoconvertscale").property("add-borders", true).build()?;
    let sink = gst_app::AppSink::builder().caps(caps).async_(false).sync(false).max_buffers(2).build();
    // A picture that is kept here could not be changed in place.
    sink.set_property("enable-last-sample", false);
    let output = convert.static_pad("src").ok_or_else(|| Failure::internal("a converter without an output"))?;
    let_pool_shrink(&output);
    let bin = pipeline.upcast_ref();
    bin.add_many([&deinterlace, &convert, sink.upcast_ref()])?;
    gst::Element::link_many([&deinterlace, &convert, sink.upcast_ref()])?;
    Ok((deinterlace, convert, sink))
}

/// Lets pictures through with their full range where the converter would only rename it; [`picture`] converts it then.
fn keep_full_range(convert: &gst::Element, sink: &gst_app::AppSink, limited: gst::Caps) -> Result<(), Failure> {
    let pad = convert.static_pad("sink").ok_or_else(|| Failure::internal("a converter without a sink pad"))?;
    let show = limited.structure(0).and_then(|caps| caps.get::<String>("colorimetry").ok()).unwrap_or_default();
    let show: gst_video::VideoColorimetry = show.parse()?;
    let full_range = gst_video::VideoColorRange::Range0_255;
    let full = gst_video::VideoColorimetry::new(full_range, show.matrix(), show.transfer(), show.primaries());
    let mut full_caps = limited.clone();
    full_caps.make_mut().set("colorimetry", full.to_string());
    let sink = sink.downgrade();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Caps(event)) = info.event().map(|event| event.view())
            && let Ok(source) = gst_video::VideoInfo::from_caps(event.caps())
            && let Some(sink) = sink.upgrade()
        {
            let from = source.colorimetry();
            let kept = from.range() == full_range && from.matrix() == show.matrix();
            sink.set_caps(Some(if kept { &full_caps } else { &limited }));
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// The picture of a sample in the show's colours, and its running time; `None` for one without a time.
pub fn picture(sample: gst::Sample) -> Result<Option<(gst::Buffer, gst::ClockTime)>, Failure> {
    let (Some(mut picture), Some(at)) = (sample.buffer_owned(), running_time(&sample)) else { return Ok(None) };
    let caps = sample.caps().ok_or_else(|| Failure::internal("a picture without caps"))?;
    let info = gst_video::VideoInfo::from_caps(caps)?;
    drop(sample);
    if info.colorimetry().range() == gst_video::VideoColorRange::Range0_255 {
        levels::to_limited(&mut picture, &info)?;
    }
    Ok(Some((picture, at)))
}

/// Decoded sound → the show's sound format, into an appsink.
pub fn sound(context: &Context, pipeline: &impl IsA<gst::Bin>) -> Result<(gst::Element, gst_app::AppSink), Failure> {
    let convert = gst::ElementFactory::make("audioconvert").build()?;
    let resample = gst::ElementFactory::make("audioresample").build()?;
    let sink =
        gst_app::AppSink::builder().caps(&context.format.sound_caps()).async_(false).sync(false).max_buffers(8).build();
    let bin = pipeline.upcast_ref();
    bin.add_many([&convert, &resample, sink.upcast_ref()])?;
    gst::Element::link_many([&convert, &resample, sink.upcast_ref()])?;
    Ok((convert, sink))
}

/// The show's picture format without its rate.
fn picture_caps(context: &Context) -> gst::Caps {
    let mut caps = context.format.picture_caps();
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        structure.remove_field("framerate");
    }
    caps
}

/// A buffer's time as running time, by the sample's segment.
pub fn running_time(sample: &gst::Sample) -> Option<gst::ClockTime> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    segment.to_running_time(sample.buffer()?.pts()?)
}

/// The interleaved samples of a buffer in the show's sound format.
pub fn samples(sample: &gst::Sample) -> Option<Vec<f32>> {
    let map = sample.buffer()?.map_readable().ok()?;
    let (samples, _) = map.as_chunks::<4>();
    Some(samples.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
