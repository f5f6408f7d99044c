//! Encodes: raw pictures of a link → H.264 access units on [`Link::Encoded`].
//!
//! | job | takes | for |
//! |---|---|---|
//! | `Stream` | program picture | every leg, and the program's recording on small boards |
//! | `ProgramRecord` | program picture | the program's recording |
//! | `Slot(n)` | slot picture | the slot's recording |
//! | `SlotStream(n)` | slot picture | the legs that publish slots |
//!
//! An encode never waits for its consumers: links drop for those that are slow. The element of a running encode never
//! changes (a new epoch does that); its bitrate does, and of the adaptive ones size and rate, within the grant: see
//! [`chain`]. How far it lags is told ([`super::lag`]), and what a slot's costs can be cut ([`halve`]).

pub mod aac;
mod chain;
mod encoders;
mod halve;
mod keys;
pub mod opus;
mod pick;
mod probe;
mod sound;
mod sound_line;

use std::sync::{Mutex, PoisonError};

use cuebox_core::director::{self, EncodeJob, Fact, PictureSize};
use gst::prelude::*;

use super::context::{Context, Reporter};
use super::lag;
use super::links::{Depth, Link, Publication, Subscription};
use super::part::{Failure, Mailbox, Part};
use super::plan::Wish;

pub use chain::{access_units, make};
pub use encoders::KNOWN;
pub use probe::probe;

use chain::Chain;
use halve::Halver;
use keys::KeyFrames;

/// Pictures that may wait for a busy encoder before the oldest is dropped: of a recording as many as memory allows
/// (sixteen of 1080p), of the stream few, because what is late there is of no use; while it is starting some more,
/// which it then catches up with.
const WAITING: Depth = Depth::Bytes(48 << 20);
const WAITING_LIVE: u64 = 4;
const WAITING_START: Depth = Depth::Buffers(12);

struct EncodePart {
    chain: Chain,
    halver: Option<Halver>,
    bitrate_bps: u64,
    picture: PictureSize,
    job: EncodeJob,
    context: Context,
    mailbox: Mailbox,
    /// Why the picture could not be changed.
    failure: Option<Failure>,
    _subscription: Subscription,
    _publication: Publication,
}

pub fn build(
    context: &Context,
    job: EncodeJob,
    wish: &director::Encode,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let chain = Chain::build(&context.format, &wish.grant, wish.picture, wish.bitrate_bps)?;
    let pad = chain.sink.static_pad("sink").ok_or_else(|| Failure::internal("an appsink without a pad"))?;
    count_output(&pad, context, job, reporter);
    coalesce_key_frames(&pad);
    let publication = context.links.publish(Link::Encoded(job), &chain.sink);
    let subscription = context.links.subscribe(input_of(job), &chain.source, waiting(job));
    lag::watch_queue(&chain.source, context, reporter);
    let halver = halver(context, job, &chain)?;
    if let Some(halver) = &halver {
        halver.turn(wish.halved);
    }
    chain.pick(&context.timing)?;
    if is_live(job) {
        shorten_when_warm(&pad, &chain.source);
    }
    Ok(Box::new(EncodePart {
        chain,
        halver,
        bitrate_bps: wish.bitrate_bps,
        picture: wish.picture,
        job,
        context: context.clone(),
        mailbox: mailbox.clone(),
        failure: None,
        _subscription: subscription,
        _publication: publication,
    }))
}

/// Of a slot's recording only; a stream's rate is changed in earnest.
fn halver(context: &Context, job: EncodeJob, chain: &Chain) -> Result<Option<Halver>, Failure> {
    let EncodeJob::Slot(slot) = job else { return Ok(None) };
    Ok(Some(Halver::new(&chain::source_pad(&chain.source)?, context, slot)))
}

fn waiting(job: EncodeJob) -> Depth {
    if is_live(job) { WAITING_START } else { WAITING }
}

fn is_live(job: EncodeJob) -> bool {
    match job {
        EncodeJob::Stream | EncodeJob::SlotStream(_) => true,
        EncodeJob::ProgramRecord | EncodeJob::Slot(_) => false,
    }
}

/// Once the encoder has caught up with what came while it was starting, its queue gets the length that a live one has.
fn shorten_when_warm(pad: &gst::Pad, source: &gst_app::AppSrc) {
    let source = source.downgrade();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let Some(source) = source.upgrade() else { return gst::PadProbeReturn::Remove };
        if source.current_level_buffers() > 1 {
            return gst::PadProbeReturn::Ok;
        }
        source.set_max_buffers(WAITING_LIVE);
        gst::PadProbeReturn::Remove
    });
}

fn input_of(job: EncodeJob) -> Link {
    match job {
        EncodeJob::Stream | EncodeJob::ProgramRecord => Link::ProgramPicture,
        EncodeJob::Slot(slot) | EncodeJob::SlotStream(slot) => Link::SlotPicture(slot),
    }
}

/// Progress, the first frame, and the bits of the last second. Target `cuebox::encoded` of the log tells when each frame
/// left, which is how the benches know it.
fn count_output(pad: &gst::Pad, context: &Context, job: EncodeJob, reporter: &Reporter) {
    let (context, reporter) = (context.clone(), reporter.clone());
    let window = Mutex::new((gst::ClockTime::ZERO, 0_u64));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer() else { return gst::PadProbeReturn::Ok };
        if reporter.progress(1) == 0 {
            reporter.fact(Fact::FirstBuffer);
        }
        let Some(now) = buffer.pts() else { return gst::PadProbeReturn::Ok };
        let (timing, grid) = (&context.timing, context.format.grid);
        tracing::trace!(target: "cuebox::encoded", %job, frame = timing.frame_at(grid, now).0, at_ns = timing.now().0);
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, bytes) = *window;
        let ms = now.saturating_sub(since).mseconds();
        if ms >= 1_000 {
            // The first window begins long before the first frame.
            let bits = if bytes == 0 { 0 } else { bytes * 8_000 / ms };
            *window = (now, 0);
            context.gauge(|gauges| {
                gauges.encodes.insert(job.to_string(), bits);
            });
        }
        window.1 += buffer.size() as u64;
        gst::PadProbeReturn::Ok
    });
}

/// Requests for a key frame as soon as may be go on as [`KeyFrames`] allows; those for a certain time are a
/// recording's, and exact.
fn coalesce_key_frames(pad: &gst::Pad) {
    let keys = Mutex::new(KeyFrames::default());
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_UPSTREAM;
    pad.add_probe(kinds, move |pad, info| {
        let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = info.buffer() {
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            if buffer.pts().is_some_and(|pts| keys.came(pts, key))
                && let Some(encoder) = pad.peer()
            {
                encoder.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
            }
        } else if let Some(event) = info.event()
            && let Ok(request) = gst_video::UpstreamForceKeyUnitEvent::parse(event)
            && request.running_time.is_none()
            && !keys.ask()
        {
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

impl Part for EncodePart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.chain.pipeline
    }

    fn update(&mut self, wish: &Wish) {
        let Wish::Encode(_, wish) = wish else { return };
        if let Some(halver) = &self.halver {
            halver.turn(wish.halved);
        }
        if wish.picture != self.picture {
            self.picture = wish.picture;
            self.bitrate_bps = wish.bitrate_bps;
            let began = std::time::Instant::now();
            if let Err(failure) = self.chain.change(wish.picture, wish.bitrate_bps) {
                self.failure = Some(failure);
                self.mailbox.nudge();
            }
            tracing::debug!(job = %self.job, picture = ?wish.picture, took = ?began.elapsed(), "picture changed");
        } else if wish.bitrate_bps != self.bitrate_bps {
            self.bitrate_bps = wish.bitrate_bps;
            self.chain.set_rate(wish.bitrate_bps);
        }
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl Drop for EncodePart {
    fn drop(&mut self) {
        self.context.gauge(|gauges| {
            gauges.encodes.remove(&self.job.to_string());
        });
    }
}

#[cfg(test)]
mod tests;
