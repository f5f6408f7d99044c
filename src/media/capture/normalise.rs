//! Whatever a source delivers → the show's picture and sound formats.

use gst::prelude::*;

use crate::media::Context;
use crate::media::actor::Failure;

use cuebox_core::device::PixelFormat;

/// Decoded video of any size, rate and colour → NV12 in the show's size, at the source's own rate, into an appsink.
/// Interlaced video is deinterlaced; aspect is kept by black borders; colours go to the show's.
pub fn pictures(context: &Context, pipeline: &impl IsA<gst::Bin>) -> Result<(gst::Element, gst_app::AppSink), Failure> {
    chain(context, pipeline, &picture_caps(context))
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
    chain(context, pipeline, &caps)
}

fn chain(
    context: &Context,
    pipeline: &impl IsA<gst::Bin>,
    caps: &gst::Caps,
) -> Result<(gst::Element, gst_app::AppSink), Failure> {
    // One picture per frame when the show has no use for one per field.
    let fields = if context.format.grid.fps() > 30 { "all" } else { "top" };
    let deinterlace = gst::ElementFactory::make("deinterlace")
        .property_from_str("mode", "auto")
        .property_from_str("fields", fields)
        .build()?;
    let convert = gst::ElementFactory::make("videoconvertscale").property("add-borders", true).build()?;
    let sink = gst_app::AppSink::builder().caps(caps).async_(false).sync(false).max_buffers(2).build();
    let bin = pipeline.upcast_ref();
    bin.add_many([&deinterlace, &convert, sink.upcast_ref()])?;
    gst::Element::link_many([&deinterlace, &convert, sink.upcast_ref()])?;
    Ok((deinterlace, sink))
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
