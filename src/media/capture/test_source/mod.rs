//! The test source: a picture and a tone of the box's own, pushed on the show's grid.
//!
//! Every frame and every sample follows from its place on the monotonic clock alone, so the source may start or
//! restart in the middle of a show and goes on where it would have been.

pub mod marks;
mod picture;
mod tone;

use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::SlotId;

use super::outlet::{self, Outlet, PicturePusher, SoundPusher, first_sample};
use crate::media::context::{Context, Reporter};
use crate::media::part::{Failure, Part};
use crate::media::ticker::Ticker;
use picture::TestPicture;
use tone::Tone;

/// What the test source is to look and sound like.
pub struct Look {
    pub slot: SlotId,
    pub name: String,
    /// Frame marks, flash and burst.
    pub marks: bool,
    /// `None`: silence.
    pub tone_hz: Option<u32>,
}

pub struct TestSource {
    context: Context,
    pipeline: gst::Pipeline,
    slot: SlotId,
    feed: Option<Feed>,
    ticker: Option<Ticker>,
    _outlets: (Outlet, Option<Outlet>),
}

struct Feed {
    context: Context,
    pictures: PicturePusher,
    sound: Option<SoundPusher>,
    picture: TestPicture,
    tone: Tone,
}

impl TestSource {
    /// Silent without its `own_sound`.
    pub fn build(context: &Context, look: Look, own_sound: bool, reporter: &Reporter) -> Result<Self, Failure> {
        let pipeline = gst::Pipeline::new();
        let (picture_outlet, pictures) = Outlet::picture(context, &pipeline, look.slot, reporter)?;
        let (sound_outlet, sound) = outlet::own_sound(context, &pipeline, look.slot, own_sound)?;
        let feed = Feed {
            context: context.clone(),
            pictures,
            sound,
            picture: TestPicture::new(&context.format, &look),
            tone: Tone::new(look.tone_hz, look.marks),
        };
        Ok(Self {
            context: context.clone(),
            pipeline,
            slot: look.slot,
            feed: Some(feed),
            ticker: None,
            _outlets: (picture_outlet, sound_outlet),
        })
    }
}

impl Part for TestSource {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn playing(&mut self) -> Result<(), Failure> {
        let Some(mut feed) = self.feed.take() else { return Ok(()) };
        let name = format!("test-{}", self.slot);
        let ticker = Ticker::start(&name, self.context.timing.clone(), self.context.format.grid, move |index, _| {
            feed.push(index)
        });
        self.ticker = Some(ticker.map_err(Failure::internal)?);
        Ok(())
    }

    fn finish(&mut self) {
        self.ticker = None;
    }
}

impl Feed {
    fn push(&mut self, index: FrameIndex) -> bool {
        let fps = self.context.format.grid.fps();
        let (from, to) = (first_sample(index, fps), first_sample(FrameIndex(index.0 + 1), fps));
        let now_ms = self.context.timing.now().0 / 1_000_000;
        let pictures = &self.pictures;
        if let Some(picture) = self.picture.frame(index, now_ms, |buffer| pictures.stamp(buffer, index)) {
            if !self.pictures.push_stamped(picture) {
                return false;
            }
            self.pictures.delivered();
        }
        self.sound.as_mut().is_none_or(|sound| sound.push(from, &self.tone.samples(from, to)))
    }
}
