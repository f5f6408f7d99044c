//! What tests of the graph's parts share: a context with its events, test pictures and sound on the common clock.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox_core::credentials::Configured;
use cuebox_core::director::{Event, Fact, Job};
use cuebox_core::grid::{FrameIndex, Grid};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[path = "../../tests/box/ports.rs"]
mod ports;

pub use ports::free_port;

use super::context::Context;
use super::links::{Link, Links, Publication};
use super::ticker::Ticker;
use super::timing::{CHANNELS, SAMPLE_RATE, ShowFormat, Timing};
use gst::prelude::*;

/// A context whose facts can be waited for.
pub struct Stage {
    pub context: Context,
    events: UnboundedReceiver<Event>,
    pub facts: Vec<(Job, Fact)>,
}

impl Stage {
    pub fn new(width: u32, height: u32, fps: u32, data_dir: &Path) -> Self {
        gst::init().unwrap();
        let (sender, events) = unbounded_channel();
        let context = Context {
            timing: Timing::new(),
            format: ShowFormat { width, height, grid: Grid::new(fps) },
            links: Links::default(),
            gauges: Arc::new(Mutex::default()),
            data_dir: Arc::new(data_dir.to_owned()),
            credentials: Arc::new(Configured),
            events: sender,
        };
        Self { context, events, facts: Vec::new() }
    }

    /// The next fact that `wanted` accepts; others are kept in `facts`. Panics after `limit`.
    pub fn wait<T>(&mut self, what: &str, limit: Duration, mut wanted: impl FnMut(&Job, &Fact) -> Option<T>) -> T {
        let end = Instant::now() + limit;
        loop {
            while let Ok(event) = self.events.try_recv() {
                let Event::Media { job, fact, .. } = event else { continue };
                let found = wanted(&job, &fact);
                self.facts.push((job, fact));
                if let Some(found) = found {
                    return found;
                }
            }
            assert!(Instant::now() < end, "{what} did not come within {limit:?}; so far: {:?}", self.facts);
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Takes what has come so far into `facts`.
    pub fn listen(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            if let Event::Media { job, fact, .. } = event {
                self.facts.push((job, fact));
            }
        }
    }

    pub fn now(&self) -> FrameIndex {
        self.context.format.grid.at_or_after(self.context.timing.now())
    }
}

/// Waits until `fact` holds, asking every few milliseconds; false after `limit`.
pub fn eventually(limit: Duration, mut fact: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if fact() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A source of pictures or sound on a link; ends when dropped.
pub struct Feed {
    _ticker: Ticker,
    pipeline: gst::Pipeline,
    _publication: Publication,
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn feed(
    context: &Context,
    link: Link,
    caps: &gst::Caps,
    mut make: impl FnMut(FrameIndex, gst::ClockTime) -> Option<gst::Buffer> + Send + 'static,
) -> Feed {
    let pipeline = gst::Pipeline::new();
    let source = gst_app::AppSrc::builder().caps(caps).format(gst::Format::Time).is_live(true).build();
    let sink = gst_app::AppSink::builder().sync(false).build();
    pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()]).unwrap();
    source.link(&sink).unwrap();
    context.timing.apply(&pipeline);
    let publication = context.links.publish(link, &sink);
    pipeline.set_state(gst::State::Playing).unwrap();
    let ticker = Ticker::start("feed", context.timing.clone(), context.format.grid, move |frame, at| {
        if let Some(buffer) = make(frame, at) {
            let _ = source.push_buffer(buffer);
        }
        true
    })
    .unwrap();
    Feed { _ticker: ticker, pipeline, _publication: publication }
}

/// Pictures on the grid: the luma of the upper left corner's eight cells spells the frame number's low byte, and
/// the whole picture is white for the frame that begins on a whole second. `lost` says which frames do not come.
pub fn pictures(context: &Context, link: Link, mut lost: impl FnMut(FrameIndex) -> bool + Send + 'static) -> Feed {
    let (format, grid) = (context.format, context.format.grid);
    let (width, height) = (format.width as usize, format.height as usize);
    feed(context, link, &format.picture_caps(), move |frame, at| {
        if lost(frame) {
            return None;
        }
        let flash = frame.0.is_multiple_of(u64::from(grid.fps()));
        let mut data = vec![128_u8; width * height * 3 / 2];
        data[..width * height].fill(if flash { 235 } else { 60 });
        let cell = width / 8;
        for bit in 0..8 {
            let value = if frame.0 >> (7 - bit) & 1 == 1 { 235 } else { 16 };
            for row in 0..height / 4 {
                data[row * width + bit * cell..row * width + (bit + 1) * cell].fill(value);
            }
        }
        let mut buffer = gst::Buffer::from_mut_slice(data);
        let picture = buffer.get_mut().unwrap();
        picture.set_pts(at);
        picture.set_duration(format.frame());
        Some(buffer)
    })
}

/// Silence with a 20 ms burst of 1 kHz on each whole second; `from` is the first frame that has sound.
pub fn bursts(context: &Context, link: Link, from: FrameIndex) -> Feed {
    let grid = context.format.grid;
    let timing = context.timing.clone();
    feed(context, link, &context.format.sound_caps(), move |frame, _| {
        if frame < from {
            return None;
        }
        let rate = u64::from(SAMPLE_RATE);
        let (first, end) = (frame.0 * rate / u64::from(grid.fps()), (frame.0 + 1) * rate / u64::from(grid.fps()));
        let mut bytes = Vec::new();
        for sample in first..end {
            let phase = sample % rate;
            let value = if phase < rate / 50 { (phase as f32 * std::f32::consts::TAU / 48.0).sin() * 0.4 } else { 0.0 };
            for _ in 0..CHANNELS {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        let sound = buffer.get_mut().unwrap();
        let mono = cuebox_core::time::Mono((u128::from(first) * 1_000_000_000 / u128::from(rate)) as u64);
        sound.set_pts(timing.running(mono));
        sound.set_duration(gst::ClockTime::from_nseconds((end - first) * 1_000_000_000 / rate));
        Some(buffer)
    })
}

/// A folder of this test's own, removed when dropped.
pub struct Folder(pub std::path::PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cuebox-{name}-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Random pictures on the grid: an encoder needs every bit that it is given.
pub fn noise(context: &Context, link: Link) -> Feed {
    let format = context.format;
    let size = format.width as usize * format.height as usize * 3 / 2;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    feed(context, link, &format.picture_caps(), move |_, at| {
        let mut data = Vec::with_capacity(size + 8);
        while data.len() < size {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            data.extend_from_slice(&seed.to_le_bytes());
        }
        data.truncate(size);
        let mut buffer = gst::Buffer::from_mut_slice(data);
        let picture = buffer.get_mut().unwrap();
        picture.set_pts(at);
        picture.set_duration(format.frame());
        Some(buffer)
    })
}
