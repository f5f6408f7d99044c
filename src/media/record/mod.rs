//! Recordings: a track's encoded pictures and sound → sealed files.
//!
//! | module | what it does |
//! |---|---|
//! | [`cutter`] | where segments begin and end, pure |
//! | [`segmenter`] | the thread that does what the cutter says |
//! | [`segment`] | one file's muxing pipeline, and its sealing |
//! | [`sink`], [`file`] | what the muxer writes, in an order that survives a power cut |
//! | [`mp4`], [`index`] | the little of the format that must be known, and what the muxer leaves out of it |
//!
//! A recording knows neither network nor program: its pictures come from one encode's link, its sound from one sound
//! link, and either may stop and come back. Missing sound is silence; missing pictures end the segment.
//!
//! Invariants: picture *k* of a segment is frame `first_frame` + *k*; the sound's track is as long as the pictures';
//! what was synced is never lost by anything that comes after.

mod cutter;
mod file;
mod gauge;
mod index;
mod mp4;
mod segment;
mod segmenter;
mod sink;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cuebox_core::director;
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::Track;
use gst::prelude::*;

use super::actor::{Failure, Mailbox, Part};
use super::encode::aac::AacTrack;
use super::links::{Depth, Link, Subscription};
use super::plan::Wish;
use super::{Context, Reporter};
use segmenter::{Item, Segmenter, Unit};

/// Of a recording's sound.
const SOUND_BPS: u32 = 128_000;
/// Encoded pictures that may wait before the oldest is dropped; they wait only while the machine is overloaded.
const WAITING: gst::ClockTime = gst::ClockTime::from_seconds(2);
/// A stop may take this long; the graph abandons a recording a little later.
const FINISH_LIMIT: Duration = Duration::from_millis(4_200);

struct RecordPart {
    pipeline: gst::Pipeline,
    items: Sender<Item>,
    outcome: Outcome,
    done: Receiver<()>,
    _pictures: Subscription,
    _sound: Arc<AacTrack>,
}

/// How the segmenter ended, when it ended by itself.
type Outcome = Arc<Mutex<Option<Failure>>>;

pub fn build(
    context: &Context,
    track: Track,
    wish: &director::Recording,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let pipeline = gst::Pipeline::new();
    let (items, inbox) = channel();
    let packets = items.clone();
    let sound = AacTrack::build(&pipeline, context, sound_of(track), SOUND_BPS, move |packet| {
        let _ = packets.send(Item::Sound(packet));
    })?;
    let sound = Arc::new(sound);
    let source = gst_app::AppSrc::builder().format(gst::Format::Time).build();
    let sink = gst_app::AppSink::builder().sync(false).async_(false).build();
    pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()])?;
    source.link(&sink)?;
    sink.set_callbacks(pictures(context, &sound, &items));
    let ask_key = key_frames(context, &source)?;
    let segmenter = Segmenter::new(context, reporter, track, wish, sound.clone(), ask_key);
    let (outcome, done) = start(segmenter, inbox, mailbox)?;
    let pictures = context.links.subscribe(Link::Encoded(wish.from), &source, Depth::Time(WAITING));
    Ok(Box::new(RecordPart { pipeline, items, outcome, done, _pictures: pictures, _sound: sound }))
}

fn sound_of(track: Track) -> Link {
    match track {
        Track::Program => Link::ProgramSound,
        Track::Slot(slot) => Link::SlotSound(slot),
    }
}

fn pictures(context: &Context, sound: &Arc<AacTrack>, items: &Sender<Item>) -> gst_app::AppSinkCallbacks {
    let (context, sound, items) = (context.clone(), sound.clone(), items.clone());
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (Some(caps), Some(buffer)) = (sample.caps_owned(), sample.buffer_owned()) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            let Some(running) = buffer.pts() else { return Ok(gst::FlowSuccess::Ok) };
            sound.follow(running);
            let frame = context.timing.frame_at(context.format.grid, running);
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            let _ = items.send(Item::Picture(Unit { frame, key, buffer, caps }));
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// A request travels up the link to the encoder, which makes the first frame from that time on a key frame. Half a
/// frame earlier is named, so that rounding cannot make it the next one.
fn key_frames(context: &Context, source: &gst_app::AppSrc) -> Result<Box<dyn Fn(FrameIndex) + Send>, Failure> {
    let pad = source.static_pad("src").ok_or_else(|| Failure::internal("an appsrc without a pad"))?;
    let (timing, format) = (context.timing.clone(), context.format);
    Ok(Box::new(move |frame| {
        let time = timing.running(format.grid.time_of(frame)).saturating_sub(format.frame() / 2);
        let request = gst_video::UpstreamForceKeyUnitEvent::builder().running_time(time).all_headers(true).build();
        pad.send_event(request);
    }))
}

fn start(segmenter: Segmenter, inbox: Receiver<Item>, mailbox: &Mailbox) -> Result<(Outcome, Receiver<()>), Failure> {
    let outcome = Outcome::default();
    let (finished, done) = channel();
    let (verdict, mailbox) = (outcome.clone(), mailbox.clone());
    std::thread::Builder::new()
        .name("segmenter".to_owned())
        .spawn(move || {
            if let Err(failure) = segmenter.run(&inbox) {
                *verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                mailbox.nudge();
            }
            let _ = finished.send(());
        })
        .map_err(Failure::internal)?;
    Ok((outcome, done))
}

impl Part for RecordPart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn update(&mut self, wish: &Wish) {
        if let Wish::Record(_, wish) = wish {
            let _ = self.items.send(Item::CutAt(wish.segment_from));
        }
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        match self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn finish(&mut self) {
        let _ = self.items.send(Item::Finish);
        // Over when the segmenter has said so, has gone, or took too long.
        let _ = self.done.recv_timeout(FINISH_LIMIT);
    }
}

#[cfg(test)]
mod tests;
