//! One small JPEG of each slot and of the program, for the console and for snapshots.
//!
//! Made when somebody looks, by a thread of its own, from the newest picture of a link; what was made is shown for two
//! seconds. So a box that nobody looks at spends nothing on it, and however many look, a picture is scaled and encoded
//! once in two seconds. Nothing on the pictures' way waits for it. A link that nobody produces has no picture.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cuebox_core::ids::SlotId;
use gst::prelude::*;

use super::links::{Link, Links};
use super::names;
use super::priority::Rank;

/// A picture is shown for so long.
const EVERY: Duration = Duration::from_secs(2);
/// Pixels; the height follows the picture's shape. Smaller pictures keep their size.
const WIDTH: u32 = 640;
/// libjpeg's scale: 80 is free of visible blocks at this size, 20–40 KB.
const QUALITY: i32 = 80;
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(500);

type Newest = Arc<Mutex<BTreeMap<Link, Shot>>>;

#[derive(Clone)]
struct Shot {
    jpeg: Arc<[u8]>,
    made: Instant,
}

/// Somebody wants a new picture.
struct Ask {
    link: Link,
    /// Also when there is one that is not old yet.
    now: bool,
    /// Told when it was made, or could not be.
    done: Option<Sender<()>>,
}

pub struct Preview {
    links: Links,
    newest: Newest,
    off: AtomicBool,
    asks: Option<Sender<Ask>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Preview {
    pub fn start(links: Links) -> std::io::Result<Self> {
        let newest = Newest::default();
        let (asks, inbox) = channel();
        let (shown, from) = (newest.clone(), links.clone());
        let thread =
            std::thread::Builder::new().name("preview".to_owned()).spawn(move || run(&from, &shown, &inbox))?;
        Ok(Self { links, newest, off: AtomicBool::new(false), asks: Some(asks), thread: Some(thread) })
    }

    /// A JPEG of a slot, or of the program, not older than two seconds. Blocks while it is made: milliseconds, and a
    /// second when the machine stands still.
    pub fn newest(&self, slot: Option<SlotId>) -> Option<Arc<[u8]>> {
        let link = slot.map_or(Link::ProgramPicture, Link::SlotPicture);
        if self.off.load(Ordering::Relaxed) || !self.links.is_produced(link) {
            locked(&self.newest).remove(&link);
            return None;
        }
        if !is_fresh(&self.newest, link) {
            let (done, made) = channel();
            self.ask(Ask { link, now: false, done: Some(done) });
            // What is there is shown also when nothing newer came.
            let _ = made.recv_timeout(2 * Duration::from(PATIENCE));
        }
        locked(&self.newest).get(&link).map(|shot| shot.jpeg.clone())
    }

    /// Takes a picture of the slot now.
    pub fn take(&self, slot: SlotId) {
        self.ask(Ask { link: Link::SlotPicture(slot), now: true, done: None });
    }

    /// While it is off there are no pictures.
    pub fn turn(&self, off: bool) {
        self.off.store(off, Ordering::Relaxed);
    }

    fn ask(&self, ask: Ask) {
        if let Some(asks) = &self.asks {
            let _ = asks.send(ask);
        }
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn locked(newest: &Newest) -> MutexGuard<'_, BTreeMap<Link, Shot>> {
    newest.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_fresh(newest: &Newest, link: Link) -> bool {
    locked(newest).get(&link).is_some_and(|shot| shot.made.elapsed() < EVERY)
}

fn run(links: &Links, newest: &Newest, inbox: &Receiver<Ask>) {
    let mut studio = Studio::default();
    while let Ok(Ask { link, now, done }) = inbox.recv() {
        if now || !is_fresh(newest, link) {
            let made = Instant::now();
            let picture = links.last_sample(link).and_then(|sample| studio.develop(&sample));
            if let Some(jpeg) = picture {
                locked(newest).insert(link, Shot { jpeg, made });
            }
        }
        if let Some(done) = done {
            // Whoever asked may have lost patience.
            let _ = done.send(());
        }
    }
}

/// A kept pipeline that scales and encodes one picture at a time; made again when the pictures' format changes.
#[derive(Default)]
struct Studio(Option<Bench>);

struct Bench {
    caps: gst::Caps,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
}

impl Studio {
    fn develop(&mut self, sample: &gst::Sample) -> Option<Arc<[u8]>> {
        let (caps, buffer) = (sample.caps_owned()?, sample.buffer()?);
        if self.0.as_ref().is_none_or(|bench| bench.caps != caps) {
            self.0 = Bench::new(&caps).inspect_err(|error| tracing::warn!(%error, "no snapshots")).ok();
        }
        let developed = self.0.as_ref()?.develop(buffer);
        if developed.is_none() {
            self.0 = None;
        }
        developed
    }
}

impl Bench {
    fn new(caps: &gst::Caps) -> Result<Self, gst::glib::BoolError> {
        let source = gst_app::AppSrc::builder().caps(caps).format(gst::Format::Time).build();
        let scale = gst::ElementFactory::make("videoconvertscale").build()?;
        let encoder = gst::ElementFactory::make("jpegenc").property("quality", QUALITY).build()?;
        let sink = gst_app::AppSink::builder().sync(false).async_(false).max_buffers(1).build();
        let small = gst::ElementFactory::make("capsfilter").property("caps", small(caps)).build()?;
        let pipeline = gst::Pipeline::new();
        let all = [source.upcast_ref(), &scale, &small, &encoder, sink.upcast_ref()];
        pipeline.add_many(all)?;
        gst::Element::link_many(all)?;
        names::pass_on(&pipeline, Rank::Gives);
        let bench = Self { caps: caps.clone(), pipeline, source, sink };
        let failed = |_| gst::glib::bool_error!("the snapshot pipeline does not start");
        bench.pipeline.set_state(gst::State::Playing).map_err(failed)?;
        Ok(bench)
    }

    fn develop(&self, picture: &gst::BufferRef) -> Option<Arc<[u8]>> {
        let mut copy = picture.copy();
        let stamped = copy.get_mut()?;
        stamped.set_pts(gst::ClockTime::ZERO);
        self.source.push_buffer(copy).ok()?;
        let sample = self.sink.try_pull_sample(PATIENCE)?;
        let jpeg = sample.buffer()?.map_readable().ok()?;
        Some(Arc::from(jpeg.as_slice()))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// JPEG's own colours: BT.601, full range.
fn small(caps: &gst::Caps) -> gst::Caps {
    let size = |name: &str| caps.structure(0).and_then(|structure| structure.get::<i32>(name).ok()).unwrap_or(1).max(1);
    let (width, height) = (size("width"), size("height"));
    let target = width.min(i32::try_from(WIDTH).unwrap_or(i32::MAX)) & !1;
    gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", target)
        .field("height", (height * target / width) & !1)
        .field("colorimetry", "1:4:0:0")
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::timing::ShowFormat;
    use cuebox_core::grid::Grid;

    /// The size that a JPEG's frame header states.
    fn size(jpeg: &[u8]) -> Option<(u16, u16)> {
        let at = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0])?;
        let number = |at: usize| u16::from_be_bytes([jpeg[at], jpeg[at + 1]]);
        Some((number(at + 7), number(at + 5)))
    }

    #[test]
    fn every_produced_picture_has_its_jpeg_and_a_lost_one_is_forgotten() {
        gst::init().unwrap();
        let links = Links::default();
        let format = ShowFormat { width: 1280, height: 720, grid: Grid::new(30) };
        let slot = SlotId::new(3).unwrap();
        let source = gst_app::AppSrc::builder().caps(&format.picture_caps()).format(gst::Format::Time).build();
        let sink = gst_app::AppSink::builder().sync(false).async_(false).build();
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()]).unwrap();
        source.link(&sink).unwrap();
        let publication = links.publish(Link::SlotPicture(slot), &sink);
        pipeline.set_state(gst::State::Playing).unwrap();
        let preview = Preview::start(links.clone()).unwrap();
        source.push_buffer(gst::Buffer::from_mut_slice(vec![128u8; 1280 * 720 * 3 / 2])).unwrap();
        let wait = |what: &str, done: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !done() {
                assert!(Instant::now() < deadline, "{what}");
                preview.take(slot);
                std::thread::park_timeout(Duration::from_millis(20));
            }
        };
        wait("a picture", &|| preview.newest(Some(slot)).is_some());
        assert_eq!(size(&preview.newest(Some(slot)).unwrap()), Some((640, 360)));
        assert_eq!(preview.newest(None), None, "nobody produces the program");
        drop(publication);
        wait("forgetting", &|| preview.newest(Some(slot)).is_none());
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
