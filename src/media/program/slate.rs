//! The slate: the show's name and the reason why nothing better is to be seen, drawn once per text and pushed on every
//! frame without a copy.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::director::Slate;

use crate::media::context::Context;
use crate::media::picture::text::render;
use crate::media::picture::{Colour, Painting, Rect, TextStyle, Weight};

const PAPER: Colour = Colour { y: 225, u: 126, v: 130 };

/// The slate's picture of the moment. Words are set on a thread of their own: the first text of a process waits for the
/// machine's font cache, which took seconds on a slow board, and no cut may wait for that.
pub struct SlateSource {
    frame: gst::ClockTime,
    picture: Arc<Mutex<gst::Memory>>,
    texts: Sender<Slate>,
}

impl SlateSource {
    pub fn new(context: &Context, slate: &Slate) -> std::io::Result<Self> {
        let picture = Arc::new(Mutex::new(draw(context, &Slate::default())));
        let (texts, waiting) = channel::<Slate>();
        let (context, shown) = (context.clone(), picture.clone());
        let frame = context.format.frame();
        std::thread::Builder::new().name("slate".to_owned()).spawn(move || {
            while let Ok(first) = waiting.recv() {
                let newest = waiting.try_iter().last().unwrap_or(first);
                let drawn = draw(&context, &newest);
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = drawn;
            }
        })?;
        let source = Self { frame, picture, texts };
        source.redraw(slate);
        Ok(source)
    }

    pub fn redraw(&self, slate: &Slate) {
        // The thread lives as long as this.
        let _ = self.texts.send(slate.clone());
    }

    /// A feeder that pushes the picture of the moment at a running time; false when the pipeline takes no more.
    pub fn feed(&self, source: gst_app::AppSrc) -> impl Fn(gst::ClockTime) -> bool + Send + use<> {
        let (picture, frame) = (self.picture.clone(), self.frame);
        move |running| {
            let mut buffer = gst::Buffer::new();
            if let Some(buffer) = buffer.get_mut() {
                buffer.append_memory(picture.lock().unwrap_or_else(PoisonError::into_inner).clone());
                buffer.set_pts(running);
                buffer.set_duration(frame);
            }
            source.push_buffer(buffer).is_ok()
        }
    }
}

/// Paper on dusk blue: the title, a thin line, the reason. Sizes are parts of the picture's height, so that it looks the
/// same at every size.
fn draw(context: &Context, slate: &Slate) -> gst::Memory {
    let (width, height) = (context.format.width, context.format.height);
    let mut painting = Painting::new(width, height);
    let mut canvas = painting.canvas();
    canvas.vertical_gradient(Colour::rgb(34, 44, 66), Colour::rgb(14, 18, 30));
    let (wide, high) = (width as f32, height as f32);
    canvas.ring(wide * 0.5, high * 0.28, high * 0.075, high * 0.006, PAPER, 0.9);
    canvas.disc(wide * 0.5, high * 0.28, high * 0.028, Colour::rgb(226, 92, 74), 1.0);
    let style = |share: f32, weight| TextStyle { size: (high * share) as u32, max_width: (wide * 0.84) as u32, weight };
    let mut line = |text: &str, style: TextStyle, middle: f32, opacity: f32| {
        if text.is_empty() {
            return;
        }
        let mask = render(text, style);
        let left = (wide as i32 - mask.width as i32) / 2;
        canvas.mask(left, (high * middle) as i32 - mask.height as i32 / 2, &mask, PAPER, opacity);
    };
    line(&slate.title, style(0.11, Weight::Bold), 0.50, 1.0);
    line(&slate.reason, style(0.045, Weight::Regular), 0.68, 0.75);
    if !slate.reason.is_empty() {
        let (left, top) = ((wide * 0.44) as i32, (high * 0.595) as i32);
        canvas
            .rect(Rect::new(left, top, (wide * 0.12) as i32, (high * 0.004).max(2.0) as i32), Colour::rgb(226, 92, 74));
    }
    painting.into_memory()
}

#[cfg(test)]
mod tests {
    use cuebox_core::credentials::Configured;
    use cuebox_core::grid::Grid;

    use super::*;
    use crate::media::timing::ShowFormat;

    #[test]
    fn the_slate_shows_its_words() {
        gst::init().unwrap();
        let (events, _) = tokio::sync::mpsc::unbounded_channel();
        let format = ShowFormat { width: 1280, height: 720, grid: Grid::new(30) };
        let context = Context::new(format, std::path::PathBuf::new(), std::sync::Arc::new(Configured), events);
        let words =
            Slate { title: "Anna & David".to_owned(), reason: "The camera will be back in a moment".to_owned() };
        let (with, without) = (draw(&context, &words), draw(&context, &Slate::default()));
        let (with, without) = (with.map_readable().unwrap(), without.map_readable().unwrap());
        assert_eq!(with.len(), 1280 * 720 * 3 / 2);
        if let Some(path) = std::env::var_os("CUEBOX_SLATE") {
            std::fs::write(path, &with[..]).unwrap();
        }
        let differs = |top: usize, bottom: usize| with[top * 1280..bottom * 1280] != without[top * 1280..bottom * 1280];
        assert!(differs(300, 420), "no title");
        assert!(differs(460, 520), "no reason");
        assert!(!differs(600, 720), "something below the words");
    }
}
