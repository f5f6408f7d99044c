//! The program: a compositor and an audio mixer in live mode, whose output never stops.
//!
//! The slate and a silent block are pushed on every frame of the grid, so the mixers run at constant rate whatever
//! the slots do. A slot that is live is in the mixers, hidden until it is wanted; one that is not live is taken out,
//! because a silent input makes every output wait for the whole delay budget.
//!
//! | file | what it holds |
//! |---|---|
//! | [`mixer`] | the compositor, its inputs, and the point where a switch meets a frame |
//! | [`switcher`] | which layer is how visible in which frame (pure) |
//! | [`sound`] | the audio mixer and its inputs |
//! | [`gain`] | click-free gain ramps (pure) |
//! | [`slate`] | the picture that is shown when nothing better exists |

mod gain;
mod mixer;
mod slate;
mod sound;
mod switcher;
#[cfg(test)]
mod tests;

use super::context::{Context, Reporter};
use super::links::{Link, Publication};
use super::part::{Failure, Mailbox, Part};
use super::plan::Wish;
use super::ticker::Ticker;
use cuebox_core::director;

use mixer::Mixer;
use slate::SlateSource;
use sound::SoundMixer;

/// Frames that an input may be late before a frame is made without it. Two: inputs 25–40 ms late were doubled or lost
/// with none, and with two nothing was; while all inputs are in time nothing waits for it.
const BUDGET_FRAMES: u64 = 2;

struct ProgramPart {
    pipeline: gst::Pipeline,
    context: Context,
    mixer: Mixer,
    sound: SoundMixer,
    slate: SlateSource,
    tickers: Vec<Ticker>,
    wish: director::Program,
    _picture: Publication,
    _sound: Publication,
}

pub fn build(
    context: &Context,
    wish: &director::Program,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let pipeline = gst::Pipeline::with_name("program");
    let budget = gst::ClockTime::from_nseconds(context.format.grid.frame_ns() * BUDGET_FRAMES);
    let mixer = Mixer::new(context, &pipeline, budget, reporter, mailbox)?;
    let sound = SoundMixer::new(context, &pipeline, budget)?;
    context.links.watch(mailbox);
    let slate = SlateSource::new(context, &wish.slate).map_err(Failure::internal)?;
    let picture = context.links.publish(Link::ProgramPicture, mixer.output());
    let published_sound = context.links.publish(Link::ProgramSound, sound.output());
    let mut part = ProgramPart {
        pipeline,
        context: context.clone(),
        mixer,
        sound,
        slate,
        tickers: Vec::new(),
        wish: wish.clone(),
        _picture: picture,
        _sound: published_sound,
    };
    part.apply()?;
    Ok(Box::new(part))
}

impl ProgramPart {
    fn apply(&mut self) -> Result<(), Failure> {
        self.mixer.add_inputs(&self.wish.inputs)?;
        self.mixer.switch(&self.wish.switch);
        self.mixer.remove_inputs(&self.wish.inputs);
        self.sound.apply(&self.wish.inputs, &self.wish.audio)
    }
}

impl Part for ProgramPart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn playing(&mut self) -> Result<(), Failure> {
        let grid = self.context.format.grid;
        let slate = self.slate.feed(self.mixer.slate_input().clone());
        let timing = &self.context.timing;
        let pictures = Ticker::start("slate-tick", timing.clone(), grid, move |_, running| slate(running));
        let sound = Ticker::start("sound-tick", timing.clone(), sound::BLOCKS, self.sound.silence());
        self.tickers = vec![pictures.map_err(Failure::internal)?, sound.map_err(Failure::internal)?];
        Ok(())
    }

    fn update(&mut self, wish: &Wish) {
        let Wish::Program(wish) = wish else { return };
        if wish.slate != self.wish.slate {
            self.slate.redraw(&wish.slate);
        }
        self.wish = wish.clone();
        if let Err(failure) = self.apply() {
            tracing::error!("the program's inputs cannot be changed: {failure}");
        }
    }

    /// A switch met its frame, so that inputs kept for the old picture can go, or a slot's sound came or went.
    fn nudged(&mut self) -> Result<(), Failure> {
        self.mixer.remove_inputs(&self.wish.inputs);
        self.sound.apply(&self.wish.inputs, &self.wish.audio)
    }

    fn finish(&mut self) {
        self.tickers.clear();
    }
}

/// A live appsrc for a subscription.
fn live_source(name: &str, caps: &gst::Caps) -> gst_app::AppSrc {
    gst_app::AppSrc::builder().name(name).caps(caps).format(gst::Format::Time).is_live(true).build()
}
