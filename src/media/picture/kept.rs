//! Buffers for pictures, used again and again.
//!
//! Making a buffer of a megabyte costs more than filling it, so one that nobody reads any more is taken again. A busy
//! moment in which readers fall behind needs many at once; those that were not needed for a while after it go back to the
//! machine. A pool of GStreamer's keeps as many as were ever out at once, so it is told now and then to throw one away.

use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;
use gst_base::prelude::*;

/// A buffer that was not needed for so many pictures goes: some seconds.
const UNUSED: u32 = 90;
/// A pool makes one buffer of so many anew.
const ANEW: u64 = 30;
/// What may wait for a busy encoder, and a third more on its way elsewhere. To make pictures anew while encoders are behind
/// would cost whoever makes them twice as much, just when the processor is too small.
const ROOM_BYTES: usize = 64 << 20;
/// However large they are.
const FEWEST: usize = 16;

/// A picture's buffer, with whatever its painter has to remember of it.
struct Sheet<T> {
    buffer: gst::Buffer,
    note: T,
    /// Pictures since it was taken last.
    unused: u32,
}

/// The buffers of one painter.
pub struct Kept<T> {
    sheets: Vec<Sheet<T>>,
    most: usize,
}

impl<T: Default> Kept<T> {
    /// Keeps `most` buffers at most.
    const fn new(most: usize) -> Self {
        Self { sheets: Vec::new(), most }
    }

    /// Keeps as many of so many bytes as slow readers may hold.
    pub const fn of_size(bytes: usize) -> Self {
        match ROOM_BYTES.checked_div(bytes) {
            Some(most) if most > FEWEST => Self::new(most),
            _ => Self::new(FEWEST),
        }
    }

    /// The next picture, as `fill` makes it of what a buffer held before and what was noted of that; the buffer is one that
    /// `blank` makes where none is free, and is kept unless as many are kept as may be. `None` when `fill` gives none.
    pub fn paint(
        &mut self,
        blank: impl Fn() -> gst::Buffer,
        fill: impl FnOnce(&mut gst::BufferRef, &mut T) -> Option<()>,
    ) -> Option<gst::Buffer> {
        let (mut unkept, mut unnoted);
        let (buffer, note) = match self.take(&blank) {
            Some(sheet) => (&mut sheet.buffer, &mut sheet.note),
            None => {
                (unkept, unnoted) = (blank(), T::default());
                (&mut unkept, &mut unnoted)
            }
        };
        fill(buffer.get_mut()?, note)?;
        Some(buffer.clone())
    }

    /// For the next picture: a buffer that nobody reads, nor a copy of it; made by `blank` where there is none. `None`
    /// when as many as may be are being read.
    fn take(&mut self, blank: impl FnOnce() -> gst::Buffer) -> Option<&mut Sheet<T>> {
        self.sheets.iter_mut().for_each(|sheet| sheet.unused += 1);
        // The first that is free is taken, so those at the end are the ones that are seldom needed.
        while self.sheets.last().is_some_and(|sheet| sheet.unused > UNUSED) {
            self.sheets.pop();
        }
        let is_free = |buffer: &mut gst::Buffer| buffer.get_mut().is_some_and(|it| it.is_all_memory_writable());
        let free = match self.sheets.iter_mut().position(|sheet| is_free(&mut sheet.buffer)) {
            Some(free) => free,
            None if self.sheets.len() < self.most => {
                self.sheets.push(Sheet { buffer: blank(), note: T::default(), unused: 0 });
                self.sheets.len() - 1
            }
            None => return None,
        };
        let sheet = self.sheets.get_mut(free)?;
        sheet.unused = 0;
        Some(sheet)
    }
}

/// Lets the pool of the element that pushes raw pictures out of this pad shrink to what is needed: it throws a buffer
/// away that is marked as not to be used again, and makes a new one when it is short of one. A pool gives its buffers out
/// in turn, so each has its turn here. A converter that has nothing to do hands on buffers of another's, which may be a
/// device's: those are left alone.
pub fn let_pool_shrink(pad: &gst::Pad) {
    let pictures = AtomicU64::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if pictures.fetch_add(1, Ordering::Relaxed) % ANEW == ANEW - 1
            && !hands_on(pad)
            && let Some(buffer) = info.buffer_mut()
        {
            buffer.make_mut().set_flags(gst::BufferFlags::TAG_MEMORY);
        }
        gst::PadProbeReturn::Ok
    });
}

fn hands_on(pad: &gst::Pad) -> bool {
    let element = pad.parent_element().and_then(|element| element.downcast::<gst_base::BaseTransform>().ok());
    element.is_some_and(|element| element.is_passthrough())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(kept: &mut Kept<()>) -> Option<gst::Buffer> {
        kept.take(|| gst::Buffer::from_mut_slice(vec![0_u8; 64])).map(|sheet| sheet.buffer.clone())
    }

    #[test]
    fn buffers_of_a_busy_moment_go_when_it_is_long_over() {
        gst::init().unwrap();
        let mut kept = Kept::new(6);
        let busy: Vec<_> = (0..6).map(|_| take(&mut kept).unwrap()).collect();
        assert_eq!((take(&mut kept), kept.sheets.len()), (None, 6), "as many as may be are being read");
        drop(busy);
        for _ in 2..UNUSED {
            assert!(take(&mut kept).is_some());
        }
        assert_eq!(kept.sheets.len(), 6, "it is not long over");
        // Two at a time, as when one is shown while the next is painted.
        let mut shown = vec![take(&mut kept)];
        for _ in 0..UNUSED {
            shown.push(take(&mut kept));
            shown.remove(0);
        }
        assert_eq!(kept.sheets.len(), 2);
    }

    #[test]
    fn a_pool_shrinks_after_a_busy_moment() {
        gst::init().unwrap();
        let caps = "video/x-raw,format=NV12,width=64,height=36,framerate=30/1";
        // The converter's own pool, which has to give out what the sink does not give back.
        let text = format!(
            "videotestsrc is-live=false num-buffers=600 ! video/x-raw,format=I420,width=64,height=36,framerate=30/1 ! \
             videoconvert name=c ! {caps} ! appsink name=s sync=false max-buffers=1 enable-last-sample=false"
        );
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let pad = pipeline.by_name("c").unwrap().static_pad("src").unwrap();
        let_pool_shrink(&pad);
        let sink = pipeline.by_name("s").unwrap().downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let place = |sample: gst::Sample| sample.buffer().unwrap().peek_memory(0).as_ptr() as usize;
        let busy: Vec<_> = (0..12).map(|_| sink.pull_sample().unwrap()).collect();
        drop(busy);
        let mut places: Vec<usize> = std::iter::from_fn(|| sink.pull_sample().ok()).map(place).collect();
        let mut last = places.split_off(places.len() - 100);
        last.sort_unstable();
        last.dedup();
        // A hundred pictures, of which three were made anew.
        assert!(last.len() <= 9, "{} buffers still go round", last.len());
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
