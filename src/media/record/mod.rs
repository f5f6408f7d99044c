//! Recordings: a track's encoded pictures and sound → sealed files.
//!
//! | module | what it does |
//! |---|---|
//! | [`cutter`] | where segments begin and end, pure |
//! | [`outbox`] | what came for the segmenter, several pictures at a time |
//! | [`segmenter`] | the thread that does what the cutter says |
//! | [`segment`] | one file's muxing pipeline, and its sealing |
//! | [`sink`], [`file`] | what the muxer writes, in an order that survives a power cut |
//! | [`forgotten`] | what the muxer leaks, given back |
//! | [`mp4`], [`index`] | the little of the format that must be known, and what the muxer leaves out of it |
//!
//! A recording knows neither network nor program: its pictures come from one encode's link, its sound from one sound
//! link, and either may stop and come back. Missing sound is silence; missing pictures end the segment.
//!
//! Invariants: picture *k* of a segment is frame `first_frame` + *k*; the sound's track is as long as the pictures';
//! what was synced is never lost by anything that comes after.

mod cutter;
mod file;
mod forgotten;
mod gauge;
mod index;
mod mp4;
mod outbox;
mod segment;
mod segmenter;
mod sink;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cuebox_core::director;
use cuebox_core::ids::Track;

use super::context::{Context, Reporter};
use super::encode::aac::AacTrack;
use super::links::{Link, Subscription};
use super::part::{Failure, Mailbox, Part};
use super::plan::Wish;
use outbox::Outbox;
use segmenter::{Item, Segmenter, Unit};

/// Of a recording's sound.
const SOUND_BPS: u32 = 128_000;
/// A stop may take this long; the graph abandons a recording a little later.
const FINISH_LIMIT: Duration = Duration::from_millis(4_200);

struct RecordPart {
    pipeline: gst::Pipeline,
    outbox: Outbox,
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
    let outbox = Outbox::new(items, context.format.grid.fps());
    let packets = outbox.clone();
    let sound = AacTrack::build(&pipeline, context, sound_of(track), SOUND_BPS, move |packet| {
        packets.put(Item::Sound(packet));
    })?;
    let sound = Arc::new(sound);
    let segmenter = Segmenter::new(context, reporter, track, wish, sound.clone(), outbox.clone());
    let (outcome, done) = start(segmenter, inbox, mailbox)?;
    let pictures = context.links.listen(Link::Encoded(wish.from), pictures(context, &sound, &outbox));
    Ok(Box::new(RecordPart { pipeline, outbox, outcome, done, _pictures: pictures, _sound: sound }))
}

fn sound_of(track: Track) -> Link {
    match track {
        Track::Program => Link::ProgramSound,
        Track::Slot(slot) => Link::SlotSound(slot),
    }
}

/// Takes every access unit where it leaves the encode; what cannot be decoded yet the cutter passes over.
fn pictures(
    context: &Context,
    sound: &Arc<AacTrack>,
    outbox: &Outbox,
) -> impl Fn(&gst::Buffer, gst::Caps) + Send + Sync + use<> {
    let (context, sound, outbox) = (context.clone(), sound.clone(), outbox.clone());
    move |buffer, caps| {
        let Some(running) = buffer.pts() else { return };
        sound.follow(running);
        let frame = context.timing.frame_at(context.format.grid, running);
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        outbox.put(Item::Picture(Unit { frame, key, buffer: buffer.clone(), caps }));
    }
}

fn start(
    segmenter: Segmenter,
    inbox: Receiver<Vec<Item>>,
    mailbox: &Mailbox,
) -> Result<(Outcome, Receiver<()>), Failure> {
    let outcome = Outcome::default();
    let (finished, done) = channel();
    let (verdict, mailbox) = (outcome.clone(), mailbox.clone());
    // It and those that it starts bear the actor's name: without one of their own, that of whoever starts them.
    std::thread::Builder::new()
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
            self.outbox.put(Item::CutAt(wish.segment_from));
        }
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        match self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn finish(&mut self) {
        self.outbox.put(Item::Finish);
        // Over when the segmenter has said so, has gone, or took too long.
        let _ = self.done.recv_timeout(FINISH_LIMIT);
    }
}

#[cfg(test)]
mod tests;
