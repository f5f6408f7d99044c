//! Encodes: raw pictures of a link → H.264 access units on [`Link::Encoded`].
//!
//! | job | takes | for |
//! |---|---|---|
//! | `Stream` | program picture | every leg, and the program's recording on small boards |
//! | `ProgramRecord` | program picture | the program's recording |
//! | `Slot(n)` | slot picture | the slot's recording |
//!
//! An encode never waits for its consumers: links drop for those that are slow. The size, rate and element of a
//! running encode never change (a new epoch does that); its bitrate does.

pub mod aac;
mod chain;
mod encoders;
pub mod opus;
mod probe;
pub mod sound;

use cuebox_core::director::{self, EncodeJob, Fact};
use cuebox_core::encode_plan::Grant;

use super::actor::{Failure, Mailbox, Part};
use super::links::{Depth, Link, Publication, Subscription};
use super::plan::Wish;
use super::{Context, Reporter};

pub use chain::make;
pub use encoders::KNOWN;
pub use probe::probe;

use chain::Chain;

/// Pictures that may wait for a busy encoder before the oldest is dropped: of a recording as many as memory allows (eight
/// of 1080p, seventy of 360p), of the stream few, because what is late there is of no use.
const WAITING: Depth = Depth::Bytes(24 << 20);
const WAITING_LIVE: Depth = Depth::Buffers(4);

struct EncodePart {
    chain: Chain,
    grant: Grant,
    bitrate_bps: u64,
    job: EncodeJob,
    context: Context,
    _subscription: Subscription,
    _publication: Publication,
}

pub fn build(
    context: &Context,
    job: EncodeJob,
    wish: &director::Encode,
    reporter: &Reporter,
    _mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let chain = Chain::build(&context.format, &wish.grant, wish.bitrate_bps)?;
    count_output(&chain, context, job, wish.grant.fps, reporter)?;
    let publication = context.links.publish(Link::Encoded(job), &chain.sink);
    let subscription = context.links.subscribe(input_of(job), &chain.source, waiting(job));
    Ok(Box::new(EncodePart {
        chain,
        grant: wish.grant.clone(),
        bitrate_bps: wish.bitrate_bps,
        job,
        context: context.clone(),
        _subscription: subscription,
        _publication: publication,
    }))
}

fn waiting(job: EncodeJob) -> Depth {
    match job {
        EncodeJob::Stream | EncodeJob::SlotStream(_) => WAITING_LIVE,
        EncodeJob::ProgramRecord | EncodeJob::Slot(_) => WAITING,
    }
}

fn input_of(job: EncodeJob) -> Link {
    match job {
        EncodeJob::Stream | EncodeJob::ProgramRecord => Link::ProgramPicture,
        EncodeJob::Slot(slot) | EncodeJob::SlotStream(slot) => Link::SlotPicture(slot),
    }
}

/// Progress, the first frame, and the bits of the last second.
fn count_output(
    chain: &Chain,
    context: &Context,
    job: EncodeJob,
    fps: u32,
    reporter: &Reporter,
) -> Result<(), Failure> {
    use gst::prelude::*;
    let pad = chain.sink.static_pad("sink").ok_or_else(|| Failure::internal("an appsink without a pad"))?;
    let (context, reporter) = (context.clone(), reporter.clone());
    let window = std::sync::Mutex::new((0_u32, 0_u64));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer() else { return gst::PadProbeReturn::Ok };
        if reporter.progress(1) == 0 {
            reporter.fact(Fact::FirstBuffer);
        }
        let mut window = window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        window.0 += 1;
        window.1 += buffer.size() as u64;
        if window.0 >= fps {
            let bits = window.1 * 8 * u64::from(fps) / u64::from(window.0);
            *window = (0, 0);
            context.gauge(|gauges| {
                gauges.encodes.insert(job.to_string(), bits);
            });
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

impl Part for EncodePart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.chain.pipeline
    }

    fn update(&mut self, wish: &Wish) {
        let Wish::Encode(_, wish) = wish else { return };
        if wish.bitrate_bps != self.bitrate_bps {
            self.bitrate_bps = wish.bitrate_bps;
            self.chain.known.set_rate(&self.chain.encoder, &self.grant, wish.bitrate_bps);
        }
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
