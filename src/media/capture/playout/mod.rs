//! Files and network streams: decoded by whatever fits, played out on the grid.
//!
//! A [`reader`] (a pipeline of its own, so that its seeks, its end and its states stay its own) decodes as fast as it
//! may. [`pace`] says when a picture or a sample is to be shown, the retimer and the sound clock give it its place, and
//! it waits on the [`shelf`] until the show's ticker comes to that place. What is not there when its frame comes is
//! left out: the director sees that nothing goes on.
//!
//! A repeated file is sought back to its start while the shelf still holds its last pictures, so its frames join
//! without a gap.

mod left_open;
mod pace;
mod reader;
mod shelf;

use std::sync::Arc;

use cuebox_core::config::Url;
use cuebox_core::director::ErrorClass;
use cuebox_core::ids::SlotId;
use gst::prelude::*;

use super::outlet::{self, Outlet};
use crate::media::context::{Context, Reporter};
use crate::media::part::{Failure, Mailbox, Part};
use crate::media::ticker::Ticker;
use pace::Pace;
use reader::{Outcome, Reader};
use shelf::{Feed, Shelf};

pub struct Playout {
    context: Context,
    slot: SlotId,
    pipeline: gst::Pipeline,
    reader: Reader,
    shelf: Arc<Shelf>,
    repeat: bool,
    feed: Option<Feed>,
    ticker: Option<Ticker>,
    _outlets: (Outlet, Option<Outlet>),
}

impl Playout {
    pub fn file(
        context: &Context,
        slot: SlotId,
        (path, repeat): (&str, bool),
        own_sound: bool,
        reporter: &Reporter,
        mailbox: &Mailbox,
    ) -> Result<Self, Failure> {
        let path = std::path::absolute(path).map_err(|error| Failure::new(ErrorClass::Device, error.to_string()))?;
        if !path.is_file() {
            return Err(Failure::new(ErrorClass::Device, format!("{} is no file", path.display())));
        }
        let uri = gst::glib::filename_to_uri(&path, None)
            .map_err(|error| Failure::new(ErrorClass::Device, error.message().to_owned()))?;
        Self::build(context, slot, (&Url::new(uri.as_str()), repeat, Pace::file()), own_sound, reporter, mailbox)
    }

    pub fn network(
        context: &Context,
        slot: SlotId,
        url: &Url,
        own_sound: bool,
        reporter: &Reporter,
        mailbox: &Mailbox,
    ) -> Result<Self, Failure> {
        Self::build(context, slot, (url, false, Pace::live()), own_sound, reporter, mailbox)
    }

    fn build(
        context: &Context,
        slot: SlotId,
        (url, repeat, pace): (&Url, bool, Pace),
        own_sound: bool,
        reporter: &Reporter,
        mailbox: &Mailbox,
    ) -> Result<Self, Failure> {
        let pipeline = gst::Pipeline::new();
        let (picture_outlet, pictures) = Outlet::picture(context, &pipeline, slot, reporter)?;
        let (sound_outlet, sound) = outlet::own_sound(context, &pipeline, slot, own_sound)?;
        let shelf = Arc::new(Shelf::new(context, slot, pace));
        let reader = Reader::build(context, url, &shelf, mailbox)?;
        let feed = Feed::new(context, shelf.clone(), pictures, sound, mailbox);
        Ok(Self {
            context: context.clone(),
            slot,
            pipeline,
            reader,
            shelf,
            repeat,
            feed: Some(feed),
            ticker: None,
            _outlets: (picture_outlet, sound_outlet),
        })
    }
}

impl Part for Playout {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn playing(&mut self) -> Result<(), Failure> {
        let Some(mut feed) = self.feed.take() else { return Ok(()) };
        self.reader.play();
        let name = format!("playout-{}", self.slot);
        let (timing, grid) = (self.context.timing.clone(), self.context.format.grid);
        let ticker = Ticker::start(&name, timing, grid, move |index, _| feed.push(index));
        self.ticker = Some(ticker.map_err(Failure::internal)?);
        Ok(())
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        match self.reader.outcome() {
            Some(Outcome::Failed(failure)) => return Err(failure),
            Some(Outcome::Ended) if self.repeat => {
                self.shelf.begin_again();
                self.reader.rewind()?;
            }
            Some(Outcome::Ended) => self.shelf.finish(),
            None => {}
        }
        if self.shelf.is_over() {
            // The actor tells `Ended` when it hears this.
            let over = gst::message::Eos::builder().src(&self.pipeline).build();
            self.pipeline.post_message(over)?;
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.shelf.close();
        self.ticker = None;
        self.reader.stop();
    }
}
