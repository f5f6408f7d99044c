//! V4L2: v4l2src → decoder → the show's format → the slot's frames.
//!
//! The driver's timestamps are the capture times on the monotonic clock (v4l2src moves them to running time), so a
//! picture lies on the grid where it was taken, however long its decoding took.

use cuebox_core::device::{Mode, PixelFormat};
use cuebox_core::director::{ErrorClass, Fact, Look};
use cuebox_core::ids::SlotId;
use cuebox_core::time::Mono;
use gst::prelude::*;

use super::look::Watcher;
use super::normalise;
use super::onto_grid::OntoGrid;
use super::outlet::{Outlet, PicturePusher};
use super::packed::{self, Packer};
use super::refusal;
use crate::media::bus;
use crate::media::context::{Context, Reporter};
use crate::media::part::{Failure, Handled, Mailbox, Part};

pub struct Camera {
    pipeline: gst::Pipeline,
    node: String,
    reporter: Reporter,
    mailbox: Mailbox,
    failure: Option<Failure>,
    _outlet: Outlet,
}

impl Camera {
    pub fn build(
        context: &Context,
        slot: SlotId,
        (node, mode): (&str, &Mode),
        reporter: &Reporter,
        mailbox: &Mailbox,
    ) -> Result<Self, Failure> {
        let source = gst::ElementFactory::make("v4l2src").property("device", node).build()?;
        let camera = Self::around(context, slot, &source, mode, (reporter, mailbox))?;
        Ok(Self { node: node.to_owned(), ..camera })
    }

    /// The pipeline behind a source that delivers `mode`.
    pub(super) fn around(
        context: &Context,
        slot: SlotId,
        source: &gst::Element,
        mode: &Mode,
        (reporter, mailbox): (&Reporter, &Mailbox),
    ) -> Result<Self, Failure> {
        let pipeline = gst::Pipeline::new();
        let (outlet, pusher) = Outlet::picture(context, &pipeline, slot, reporter)?;
        let filter = gst::ElementFactory::make("capsfilter").property("caps", mode_caps(mode)).build()?;
        pipeline.add_many([source, &filter])?;
        source.link(&filter)?;
        let decoded = decode(&pipeline, &filter, mode.format)?;
        let (normal, sink, work) = if packed::is_packed(mode.format) {
            let (normal, sink) = normalise::packed(context, &pipeline, mode.format)?;
            (normal, sink, Work::Pack(Box::new(Packer::new(&context.format)?)))
        } else {
            let (normal, sink) = normalise::pictures(context, &pipeline)?;
            (normal, sink, if mode.format == PixelFormat::Nv12 { Work::Copy } else { Work::HandOn })
        };
        decoded.link(&normal)?;
        feed(context, slot, &sink, pusher, work);
        Ok(Self {
            pipeline,
            node: String::new(),
            reporter: reporter.clone(),
            mailbox: mailbox.clone(),
            failure: None,
            _outlet: outlet,
        })
    }

    /// Why it ended: errno is asked of the device itself, because v4l2src tells most failures to start in one way.
    fn failed(&self, error: &gst::message::Error) -> Failure {
        let Fact::Failed { class, detail } = bus::failure(error) else { return Failure::internal("no failure") };
        if error.error().kind::<gst::ResourceError>() == Some(gst::ResourceError::Busy) {
            return Failure::new(ErrorClass::Busy, detail);
        }
        if !std::path::Path::new(&self.node).exists() {
            return Failure::new(ErrorClass::Device, format!("{} is gone: {detail}", self.node));
        }
        if self.reporter.total() == 0 {
            let _ = self.pipeline.set_state(gst::State::Null);
            if let Some((class, why)) = refusal::ask(&self.node) {
                return Failure::new(class, format!("{why}: {detail}"));
            }
        }
        // A stream error of the device's own means that it stopped delivering, not that its data are bad.
        let from_device = error.src().and_then(|from| from.downcast_ref::<gst::Element>()).is_some_and(is_v4l2src);
        Failure::new(if from_device { ErrorClass::Device } else { class }, detail)
    }
}

impl Part for Camera {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn message(&mut self, message: &gst::Message) -> Handled {
        if !message
            .src()
            .and_then(|from| from.downcast_ref::<gst::Element>())
            .is_some_and(|from| is_v4l2src(from) || matches!(message.view(), gst::MessageView::Error(_)))
        {
            return Handled::No;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "a bus carries dozens of kinds; the rest is of no concern")]
        match message.view() {
            gst::MessageView::Error(error) => {
                self.failure = Some(self.failed(error));
                self.mailbox.nudge();
                Handled::Yes
            }
            gst::MessageView::Warning(warning) if tells_of_signal(&warning.error(), warning.debug().as_deref()) => {
                self.reporter.fact(Fact::SignalLost { why: "no signal at the camera's input".to_owned() });
                Handled::Yes
            }
            gst::MessageView::Info(info) if info.error().kind::<gst::ResourceError>().is_some() => {
                self.reporter.fact(Fact::SignalFound);
                Handled::Yes
            }
            _ => Handled::No,
        }
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

fn is_v4l2src(element: &gst::Element) -> bool {
    element.factory().is_some_and(|factory| factory.name() == "v4l2src")
}

/// Whether a warning of v4l2src is about its input's signal. Its code is shared with other troubles; the developer's
/// text beside it is not translated.
fn tells_of_signal(error: &gst::glib::Error, debug: Option<&str>) -> bool {
    error.kind::<gst::ResourceError>().is_some()
        && (debug.is_some_and(|debug| debug.contains("input source")) || error.message().contains("Signal lost"))
}

/// The mode, or else one whose rate is off by a two-thousandth: of a signal some drivers tell another fraction than the
/// standard's.
fn mode_caps(mode: &Mode) -> gst::Caps {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let caps = match mode.format {
        PixelFormat::Nv12 => gst::Caps::builder("video/x-raw").field("format", "NV12"),
        PixelFormat::Yuyv => gst::Caps::builder("video/x-raw").field("format", "YUY2"),
        PixelFormat::Uyvy => gst::Caps::builder("video/x-raw").field("format", "UYVY"),
        PixelFormat::Mjpeg => gst::Caps::builder("image/jpeg"),
        PixelFormat::H264 => gst::Caps::builder("video/x-h264"),
    };
    let sized = caps.field("width", number(mode.width)).field("height", number(mode.height)).build();
    let with_rate = |rate: gst::glib::SendValue| {
        let mut caps = sized.clone();
        caps.make_mut().set_value("framerate", rate);
        caps
    };
    let rate = gst::Fraction::new(number(mode.rate.numerator), number(mode.rate.denominator.max(1)));
    let millihertz = mode.rate.fps() * 1_000.0;
    let part = |share: f64| gst::Fraction::new((millihertz * share).round() as i32, 1_000);
    let mut caps = with_rate(rate.to_send_value());
    caps.make_mut().append(with_rate(gst::FractionRange::new(part(0.9995), part(1.0005)).to_send_value()));
    caps
}

/// Adds what decodes `format`; gives the element that decoded video comes out of.
fn decode(pipeline: &gst::Pipeline, from: &gst::Element, format: PixelFormat) -> Result<gst::Element, Failure> {
    let names: &[&str] = match format {
        PixelFormat::Nv12 | PixelFormat::Yuyv | PixelFormat::Uyvy => &[],
        PixelFormat::Mjpeg => &["jpegdec"],
        PixelFormat::H264 => &["h264parse", "avdec_h264"],
    };
    let mut last = from.clone();
    for name in names {
        let element = gst::ElementFactory::make(name).build()?;
        pipeline.add(&element)?;
        last.link(&element)?;
        last = element;
    }
    Ok(last)
}

/// What is left to do with a picture that has the show's size.
enum Work {
    HandOn,
    /// It lies in one of the driver's own few buffers, which would travel through the box: they go straight back.
    Copy,
    Pack(Box<Packer>),
}

impl Work {
    /// The picture as the show has it, and its running time; `None` for one without a time.
    fn done(&mut self, sample: gst::Sample) -> Result<Option<(gst::Buffer, gst::ClockTime)>, Failure> {
        match self {
            Self::HandOn => normalise::picture(sample),
            Self::Copy => {
                let Some((picture, at)) = normalise::picture(sample)? else { return Ok(None) };
                Ok(Some((picture.copy_deep()?, at)))
            }
            Self::Pack(packer) => {
                let Some(at) = normalise::running_time(&sample) else { return Ok(None) };
                let picture =
                    packer.pack(&sample).ok_or_else(|| Failure::internal("a picture that cannot be packed"))?;
                Ok(Some((picture, at)))
            }
        }
    }
}

fn feed(context: &Context, slot: SlotId, sink: &gst_app::AppSink, mut pusher: PicturePusher, mut work: Work) {
    let mut grid = OntoGrid::new(context, slot);
    let mut watcher = Watcher::default();
    let size = (context.format.width as usize, context.format.height as usize);
    let timing = context.timing.clone();
    let take = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some((picture, at)) = work.done(sample).map_err(|_| gst::FlowError::NotNegotiated)? else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let at = timing.mono(at);
        if let Some(look) = look(&mut watcher, &picture, size, at) {
            pusher.looked(look);
        }
        let going = grid.push(picture, at, &mut pusher);
        if going { Ok(gst::FlowSuccess::Ok) } else { Err(gst::FlowError::Flushing) }
    };
    sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(take).build());
}

/// What the picture looks like, when that changed.
fn look(watcher: &mut Watcher, picture: &gst::BufferRef, (width, height): (usize, usize), at: Mono) -> Option<Look> {
    if !watcher.is_due(at) {
        return None;
    }
    let stride = picture.meta::<gst_video::VideoMeta>().and_then(|meta| usize::try_from(*meta.stride().first()?).ok());
    let luma = picture.map_readable().ok()?;
    watcher.see(&luma, (width, height, stride.unwrap_or(width.next_multiple_of(4))), at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cuebox_core::device::Rate;

    #[test]
    fn every_mode_has_its_caps() {
        gst::init().unwrap();
        let table = [
            (PixelFormat::Yuyv, "video/x-raw, format=(string)YUY2, "),
            (PixelFormat::Mjpeg, "image/jpeg, "),
            (PixelFormat::H264, "video/x-h264, "),
        ];
        for (format, start) in table {
            let mode = Mode { format, width: 1280, height: 720, rate: Rate::new(30_000, 1_001) };
            let rest = "width=(int)1280, height=(int)720, framerate=(fraction)30000/1001";
            assert!(mode_caps(&mode).to_string().starts_with(&format!("{start}{rest}; {start}")));
        }
    }

    #[test]
    fn a_signals_rate_may_be_told_as_another_fraction() {
        gst::init().unwrap();
        let taken = |told: (i32, i32)| {
            let mode = Mode { format: PixelFormat::Yuyv, width: 640, height: 480, rate: Rate::new(60_000, 1_001) };
            let told = gst::Fraction::new(told.0, told.1);
            mode_caps(&mode).can_intersect(&gst::Caps::builder("video/x-raw").field("framerate", told).build())
        };
        // As vivid tells 640×480p59.94.
        assert!(taken((60_000, 1_001)) && taken((5_035, 84)));
        assert!(!taken((60, 1)) && !taken((50, 1)));
    }
}
