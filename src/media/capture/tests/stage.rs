//! A slot whose links are read back, and what the tests ask of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox_core::director::{Capture, CaptureSource, ErrorClass, Event, Fact};
use cuebox_core::grid::{FrameIndex, Grid};
use cuebox_core::ids::{Epoch, SlotId};
use gst::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::media::actor::Actor;
use crate::media::capture::test_source::marks::{self, Marks};
use crate::media::context::Context;
use crate::media::links::{Depth, Link, Links, Subscription};
use crate::media::plan::Wish;
use crate::media::timing::{ShowFormat, Timing};

pub const WIDTH: u32 = 640;
pub const HEIGHT: u32 = 360;
pub const FPS: u64 = 30;
/// Other work shares the machine; nothing here is waited for that long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

/// One slot with somebody who takes down what it delivers.
pub struct Stage {
    pub context: Context,
    events: UnboundedReceiver<Event>,
    taken: Arc<Mutex<Taken>>,
    tap: gst::Pipeline,
    _subscriptions: Vec<Subscription>,
}

#[derive(Default)]
pub struct Taken {
    pub pictures: Vec<Picture>,
    /// Position of the first sample, and the left channel's samples.
    pub sound: Vec<(u64, Vec<f32>)>,
}

#[derive(Clone, Copy, Debug)]
pub struct Picture {
    pub index: FrameIndex,
    pub marks: Option<Marks>,
    /// Mean luma of the lower right rectangle.
    pub flash: u8,
    /// Mean luma of the picture's middle.
    pub middle: u8,
}

/// A running capture; dropping it stops it.
pub struct Running(pub Actor);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Stage {
    pub fn open() -> Self {
        gst::init().unwrap();
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let context = Context {
            timing: Timing::new(),
            format: ShowFormat { width: WIDTH, height: HEIGHT, grid: Grid::new(FPS as u32) },
            links: Links::default(),
            gauges: Arc::default(),
            credentials: Arc::new(cuebox_core::credentials::Configured),
            data_dir: Arc::default(),
            events: sender,
        };
        let taken = Arc::new(Mutex::new(Taken::default()));
        let tap = gst::Pipeline::new();
        let pictures = tap_of(&context, &tap, &context.format.picture_caps(), {
            let (context, taken) = (context.clone(), taken.clone());
            move |buffer| taken.lock().unwrap().pictures.push(picture(&context, buffer))
        });
        let sound = tap_of(&context, &tap, &context.format.sound_caps(), {
            let (context, taken) = (context.clone(), taken.clone());
            move |buffer| taken.lock().unwrap().sound.push(sound(&context, buffer))
        });
        let subscriptions = vec![
            context.links.subscribe(Link::SlotPicture(slot(2)), &pictures, Depth::Buffers(60)),
            context.links.subscribe(Link::SlotSound(slot(2)), &sound, Depth::Time(gst::ClockTime::from_seconds(2))),
        ];
        context.timing.apply(&tap);
        tap.set_state(gst::State::Playing).unwrap();
        Self { context, events, taken, tap, _subscriptions: subscriptions }
    }

    /// Starts slot 2 with this source.
    pub fn start(&self, epoch: u64, source: CaptureSource) -> Running {
        self.start_as(epoch, source, true)
    }

    pub fn start_as(&self, epoch: u64, source: CaptureSource, own_sound: bool) -> Running {
        let wish = Capture { epoch: Epoch(epoch), name: "Altar".to_owned(), source, own_sound };
        Running(Actor::start(&self.context, Wish::Capture(slot(2), wish), |_| ()).unwrap())
    }

    /// Waits for a fact of this epoch that `pick` accepts.
    pub fn wait_fact<T>(&mut self, epoch: u64, mut pick: impl FnMut(&Fact) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.try_recv() {
                Ok(Event::Media { epoch: of, fact, .. }) if of == Epoch(epoch) => {
                    if let Some(found) = pick(&fact) {
                        return found;
                    }
                    assert!(!matches!(fact, Fact::Failed { .. }), "{fact:?}");
                }
                Ok(_) => {}
                Err(_) => {
                    assert!(Instant::now() < deadline, "nothing of the kind was told");
                    std::thread::park_timeout(Duration::from_millis(5));
                }
            }
        }
    }

    pub fn wait(&self, what: &str, done: impl Fn(&Taken) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.taken.lock().unwrap()) {
            assert!(
                Instant::now() < deadline,
                "{what} did not happen: {} pictures",
                self.taken.lock().unwrap().pictures.len()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub fn wait_pictures(&self, count: usize) {
        let before = self.taken.lock().unwrap().pictures.len();
        self.wait("pictures", |taken| taken.pictures.len() >= before + count);
    }

    pub fn pictures(&self) -> Vec<Picture> {
        self.taken.lock().unwrap().pictures.clone()
    }

    pub fn sound(&self) -> Vec<(u64, Vec<f32>)> {
        self.taken.lock().unwrap().sound.clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.tap.set_state(gst::State::Null);
    }
}

fn tap_of(
    context: &Context,
    pipeline: &gst::Pipeline,
    caps: &gst::Caps,
    take: impl Fn(&gst::BufferRef) + Send + 'static,
) -> gst_app::AppSrc {
    let _ = context;
    let source = gst_app::AppSrc::builder().caps(caps).format(gst::Format::Time).is_live(true).build();
    let sink = gst_app::AppSink::builder().async_(false).sync(false).build();
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                take(sample.buffer().ok_or(gst::FlowError::Error)?);
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()]).unwrap();
    source.link(&sink).unwrap();
    source
}

fn picture(context: &Context, buffer: &gst::BufferRef) -> Picture {
    let (width, height) = (WIDTH as usize, HEIGHT as usize);
    let index = context.timing.frame_at(context.format.grid, buffer.pts().unwrap());
    assert_eq!(context.timing.running(context.format.grid.time_of(index)), buffer.pts().unwrap(), "on the grid");
    let data = buffer.map_readable().unwrap();
    let mean = |x: usize, y: usize, side: usize| {
        let pixels = (y..y + side).flat_map(|y| data[y * width + x..y * width + x + side].iter());
        (pixels.map(|pixel| u32::from(*pixel)).sum::<u32>() / (side * side) as u32) as u8
    };
    Picture {
        index,
        marks: marks::read(&data, width, width, height),
        flash: mean(width - 20, height - 20, 10),
        middle: mean(width / 2, height / 2, 16),
    }
}

fn sound(context: &Context, buffer: &gst::BufferRef) -> (u64, Vec<f32>) {
    let position = crate::media::capture::outlet::sample_at(context.timing.mono(buffer.pts().unwrap()));
    let data = buffer.map_readable().unwrap();
    let left = data.chunks_exact(8).map(|frame| f32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]));
    (position, left.collect())
}

pub fn first_buffer(fact: &Fact) -> Option<()> {
    matches!(fact, Fact::FirstBuffer).then_some(())
}

pub fn failed(fact: &Fact) -> Option<ErrorClass> {
    if let Fact::Failed { class, .. } = fact { Some(*class) } else { None }
}

pub fn marked() -> CaptureSource {
    CaptureSource::Test { marks: true, tone_hz: Some(440) }
}

/// Every frame once, none left out.
pub fn assert_contiguous(pictures: &[Picture]) {
    for pair in pictures.windows(2) {
        assert_eq!(pair[1].index.0, pair[0].index.0 + 1, "{pair:?}");
    }
}
