//! One thread per pipeline. Only it builds, changes and ends that pipeline, because a state change can block: a sink
//! that waits for a dead disk or server holds its pipeline for many seconds (more than twelve were measured). The
//! thread may block; the graph never does, and abandons it after the deadline.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, Sender, channel};

use cuebox_core::crashes;
use cuebox_core::director::{ErrorClass, Fact, Job};
use cuebox_core::ids::Epoch;
use gst::prelude::*;

use super::bus;
use super::context::{Context, Reporter};
use super::names::Name;
use super::part::{Failure, Handled, Letter, Mailbox, Part};
use super::plan::Wish;
use super::priority::Rank;

/// What the graph hears of an actor's end.
pub struct Ended {
    pub job: Job,
    pub epoch: Epoch,
}

/// The graph's handle of a running actor.
pub struct Actor {
    letters: Sender<Letter>,
    pub reporter: Reporter,
}

impl Actor {
    /// Starts the thread; the part is built on it. `ended` is called as the last thing, whatever happens.
    pub fn start(context: &Context, wish: Wish, ended: impl FnOnce(Ended) + Send + 'static) -> std::io::Result<Self> {
        let reporter = context.reporter(wish.job(), wish.epoch());
        let (letters, inbox) = channel();
        let mailbox = Mailbox(letters.clone());
        let (context, own) = (context.clone(), reporter.clone());
        std::thread::Builder::new().name(thread_name(&wish)).spawn(move || {
            let life = AssertUnwindSafe(|| live(&context, &wish, &own, &mailbox, &inbox));
            match std::panic::catch_unwind(life) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => own.fact(Fact::Failed { class: failure.class, detail: failure.detail }),
                Err(_) => own.fact(Fact::Failed {
                    class: ErrorClass::Internal,
                    detail: "this part of the media graph panicked".to_owned(),
                }),
            }
            if matches!(own.job(), Job::Leg(_)) {
                super::memory::give_back();
            }
            ended(Ended { job: own.job().clone(), epoch: own.epoch() });
        })?;
        Ok(Self { letters, reporter })
    }

    pub fn update(&self, wish: Wish) {
        let _ = self.letters.send(Letter::Update(Box::new(wish)));
    }

    pub fn stop(&self) {
        let _ = self.letters.send(Letter::Stop);
    }
}

/// What uses the board's encoder is told from what uses the processor.
fn thread_name(wish: &Wish) -> String {
    match wish {
        Wish::Encode(job, encode) if encode.grant.hardware => format!("hw-{job}"),
        Wish::Encode(..)
        | Wish::Capture(..)
        | Wish::Sound(..)
        | Wish::Program(_)
        | Wish::Record(..)
        | Wish::Leg(..) => crashes::mark_of(&wish.job()),
    }
}

fn live(
    context: &Context,
    wish: &Wish,
    reporter: &Reporter,
    mailbox: &Mailbox,
    inbox: &Receiver<Letter>,
) -> Result<(), Failure> {
    let mut part = build(context, wish, reporter, mailbox)?;
    let pipeline = part.pipeline().clone();
    context.timing.apply(&pipeline);
    let bus = pipeline.bus().ok_or_else(|| Failure::internal("a pipeline without a bus"))?;
    let (letters, name) = (mailbox.0.clone(), Name::of_this_thread(Rank::of(reporter.job())));
    bus.set_sync_handler(move |_, message| {
        name.give(message);
        let _ = letters.send(Letter::Bus(message.clone()));
        gst::BusSyncReply::Drop
    });
    let result = play(part.as_mut(), &pipeline, reporter, inbox);
    part.finish();
    bus.unset_sync_handler();
    let _ = pipeline.set_state(gst::State::Null);
    result
}

fn play(
    part: &mut dyn Part,
    pipeline: &gst::Pipeline,
    reporter: &Reporter,
    inbox: &Receiver<Letter>,
) -> Result<(), Failure> {
    if pipeline.set_state(gst::State::Playing).is_err() {
        return Err(first_error(inbox));
    }
    part.playing()?;
    while let Ok(letter) = inbox.recv() {
        match letter {
            Letter::Stop => break,
            Letter::Update(wish) => part.update(&wish),
            Letter::Nudge => part.nudged()?,
            Letter::Bus(message) => {
                if part.message(&message) == Handled::No && over(&message, pipeline, reporter) {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// What every pipeline does with its bus. True when the pipeline is at its end.
fn over(message: &gst::Message, pipeline: &gst::Pipeline, reporter: &Reporter) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a bus carries dozens of kinds; the rest is of no concern")]
    match message.view() {
        gst::MessageView::Error(error) => {
            reporter.fact(bus::failure(error));
            true
        }
        gst::MessageView::Eos(_) => {
            reporter.fact(Fact::Ended);
            true
        }
        gst::MessageView::Warning(warning) => {
            tracing::debug!(job = ?reporter.job(), "{}", warning.error());
            false
        }
        gst::MessageView::Latency(_) => {
            let _ = pipeline.recalculate_latency();
            false
        }
        _ => false,
    }
}

/// A state change failed: its reason is on the bus already.
fn first_error(inbox: &Receiver<Letter>) -> Failure {
    for letter in inbox.try_iter() {
        if let Letter::Bus(message) = letter
            && let gst::MessageView::Error(error) = message.view()
        {
            return Failure::new(bus::class(&error.error()), error.error().to_string());
        }
    }
    Failure::internal("the pipeline does not start and does not say why")
}

fn build(context: &Context, wish: &Wish, reporter: &Reporter, mailbox: &Mailbox) -> Result<Box<dyn Part>, Failure> {
    match wish {
        Wish::Capture(slot, wish) => super::capture::build(context, *slot, wish, reporter, mailbox),
        Wish::Sound(slot, wish) => super::capture::build_sound(context, *slot, wish, reporter, mailbox),
        Wish::Program(wish) => super::program::build(context, wish, reporter, mailbox),
        Wish::Encode(job, wish) => super::encode::build(context, *job, wish, reporter, mailbox),
        Wish::Record(track, wish) => super::record::build(context, *track, wish, reporter, mailbox),
        Wish::Leg(_, wish) => super::publish::build(context, wish, reporter, mailbox),
    }
}
