//! The end of every capture: where a slot's pictures and sound are handed to the rest of the box.
//!
//! An outlet stamps what it is given from its place on the grid, counts it, measures it for the gauges and publishes
//! it. It judges nothing: what is pushed goes out.

use cuebox_core::director::{Fact, Look};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::SlotId;
use cuebox_core::time::Mono;
use gst::prelude::*;

use crate::media::context::{Context, Reporter};
use crate::media::links::{Link, Publication};
use crate::media::part::Failure;
use crate::media::timing::{CHANNELS, SAMPLE_RATE, ns_of_sample, sample_at_ns};

/// Pictures are large, and whoever shows them has the next one soon.
const MOST_PICTURES: u64 = 8;
/// Of sound, a second: a card's block is 10 ms, and a lost one is heard.
const MOST_BLOCKS: u64 = 100;

/// An outlet in its pipeline; dropping it takes the slot's link out. The pipeline's streaming thread pushes on.
#[must_use]
pub struct Outlet {
    _publication: Publication,
    context: Context,
    slot: SlotId,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Picture,
    Sound,
}

/// Pushes pictures; lives on whichever thread makes them.
pub struct PicturePusher {
    source: gst_app::AppSrc,
    context: Context,
    reporter: Reporter,
    meter: RateMeter,
}

/// Pushes sound; lives on whichever thread makes it.
pub struct SoundPusher {
    source: gst_app::AppSrc,
    context: Context,
    slot: SlotId,
    /// Set when the sound is a job of its own; otherwise the picture counts.
    reporter: Option<Reporter>,
    next: Option<u64>,
    level: LevelMeter,
}

impl Outlet {
    /// Pictures in the show's format.
    pub fn picture(
        context: &Context,
        pipeline: &gst::Pipeline,
        slot: SlotId,
        reporter: &Reporter,
    ) -> Result<(Self, PicturePusher), Failure> {
        let link = Link::SlotPicture(slot);
        let (source, publication) = join(context, pipeline, link, &context.format.picture_caps(), MOST_PICTURES)?;
        let meter = RateMeter { context: context.clone(), slot, since: None, frames: 0, lost: 0, lost_percent: 0.0 };
        let pusher = PicturePusher { source, context: context.clone(), reporter: reporter.clone(), meter };
        Ok((Self { _publication: publication, context: context.clone(), slot, kind: Kind::Picture }, pusher))
    }

    /// Sound in the show's format. With a `reporter` its buffers are that job's progress.
    pub fn sound(
        context: &Context,
        pipeline: &gst::Pipeline,
        slot: SlotId,
        reporter: Option<&Reporter>,
    ) -> Result<(Self, SoundPusher), Failure> {
        let (source, publication) =
            join(context, pipeline, Link::SlotSound(slot), &context.format.sound_caps(), MOST_BLOCKS)?;
        let level = LevelMeter::default();
        let reporter = reporter.cloned();
        let pusher = SoundPusher { source, context: context.clone(), slot, reporter, next: None, level };
        Ok((Self { _publication: publication, context: context.clone(), slot, kind: Kind::Sound }, pusher))
    }
}

/// The sound that comes with a source's picture: nothing, where the slot's sound is another or none.
pub fn own_sound(
    context: &Context,
    pipeline: &gst::Pipeline,
    slot: SlotId,
    is_taken: bool,
) -> Result<(Option<Outlet>, Option<SoundPusher>), Failure> {
    Ok(is_taken.then(|| Outlet::sound(context, pipeline, slot, None)).transpose()?.unzip())
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.context.slot_gauge(self.slot, |gauges| match self.kind {
            Kind::Picture => (gauges.fps, gauges.lost_percent) = (0.0, 0.0),
            Kind::Sound => {
                gauges.audio_dbfs.clear();
                gauges.audio_peak_dbfs.clear();
                gauges.audio_drift_ppm = None;
            }
        });
    }
}

fn join(
    context: &Context,
    pipeline: &gst::Pipeline,
    link: Link,
    caps: &gst::Caps,
    most: u64,
) -> Result<(gst_app::AppSrc, Publication), Failure> {
    let source = gst_app::AppSrc::builder()
        .name(format!("{link}-in"))
        .caps(caps)
        .format(gst::Format::Time)
        .is_live(true)
        .build();
    // Nothing waits between the two; a bound only for the case that the machine stands still.
    source.set_property("max-buffers", most);
    source.set_property("max-bytes", 0u64);
    source.set_property_from_str("leaky-type", "downstream");
    let sink = gst_app::AppSink::builder().name(format!("{link}-out")).async_(false).sync(false).max_buffers(2).build();
    pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()])?;
    source.link(&sink)?;
    Ok((source, context.links.publish(link, &sink)))
}

impl PicturePusher {
    /// Sends a picture as frame `index`. False when the pipeline takes no more.
    pub fn push(&mut self, mut picture: gst::Buffer, index: FrameIndex) -> bool {
        self.stamp(picture.make_mut(), index);
        self.push_stamped(picture)
    }

    /// Puts a picture at its place; for those whose buffer is not to be copied by [`Self::push`] because somebody else
    /// holds it as well.
    pub fn stamp(&self, buffer: &mut gst::BufferRef, index: FrameIndex) {
        let grid = self.context.format.grid;
        let pts = self.context.timing.running(grid.time_of(index));
        let end = self.context.timing.running(grid.time_of(FrameIndex(index.0 + 1)));
        buffer.set_pts(pts);
        buffer.set_dts(None);
        buffer.set_duration(end - pts);
    }

    pub fn push_stamped(&mut self, picture: gst::Buffer) -> bool {
        if self.source.push_buffer(picture).is_err() {
            return false;
        }
        if self.reporter.progress(1) == 0 {
            self.reporter.fact(Fact::FirstBuffer);
        }
        true
    }

    /// Tells the gauge that the source itself delivered a picture, whatever became of it.
    pub fn delivered(&mut self) {
        self.meter.count();
    }

    /// Tells the gauge that the source lost so many pictures.
    pub fn lost(&mut self, pictures: u64) {
        self.meter.lost += pictures;
    }

    /// Tells what the source's pictures look like.
    pub fn looked(&self, look: Look) {
        self.reporter.fact(Fact::Looked(look));
    }
}

impl SoundPusher {
    /// Sends interleaved samples; `position` counts from the monotonic clock's zero. False when the pipeline takes no
    /// more.
    pub fn push(&mut self, position: u64, samples: &[f32]) -> bool {
        let frames = (samples.len() / CHANNELS as usize) as u64;
        if frames == 0 {
            return true;
        }
        let pts = self.context.timing.running(sample_time(position));
        let end = self.context.timing.running(sample_time(position + frames));
        let mut bytes = vec![0; size_of_val(samples)];
        let (places, _) = bytes.as_chunks_mut::<4>();
        places.iter_mut().zip(samples).for_each(|(place, sample)| *place = sample.to_le_bytes());
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(pts);
            buffer.set_duration(end - pts);
            if self.next != Some(position) {
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
        }
        self.next = Some(position + frames);
        if let Some(levels) = self.level.add(samples) {
            self.context.slot_gauge(self.slot, |gauges| {
                gauges.audio_dbfs = levels.map(|level| level.rms).to_vec();
                gauges.audio_peak_dbfs = levels.map(|level| level.peak).to_vec();
            });
        }
        if self.source.push_buffer(buffer).is_err() {
            return false;
        }
        if let Some(reporter) = &self.reporter
            && reporter.progress(1) == 0
        {
            reporter.fact(Fact::FirstBuffer);
        }
        true
    }
}

/// When sample `position` is heard (rounded down to a nanosecond).
pub fn sample_time(position: u64) -> Mono {
    Mono(ns_of_sample(position))
}

/// The sample that is nearest to a time.
pub fn sample_at(at: Mono) -> u64 {
    sample_at_ns(at.0)
}

/// First sample of frame `index`; the frames' blocks join without a gap at every rate.
pub fn first_sample(index: FrameIndex, fps: u32) -> u64 {
    u64::try_from(u128::from(index.0) * u128::from(SAMPLE_RATE) / u128::from(fps.max(1))).unwrap_or(u64::MAX)
}

/// Pictures per second, over a second or more.
struct RateMeter {
    context: Context,
    slot: SlotId,
    since: Option<Mono>,
    frames: u32,
    lost: u64,
    /// Over the last seconds.
    lost_percent: f64,
}

/// What the newest second counts for in the share of lost pictures.
const NEWEST: f64 = 0.2;

impl RateMeter {
    fn count(&mut self) {
        let now = self.context.timing.now();
        let since = *self.since.get_or_insert(now);
        let span = now.since(since).as_secs_f64();
        if span >= 1.0 {
            let fps = f64::from(self.frames) / span;
            let lost = self.lost as f64 * 100.0 / (self.lost as f64 + f64::from(self.frames)).max(1.0);
            self.lost_percent += (lost - self.lost_percent) * NEWEST;
            let lost_percent = (self.lost_percent * 10.0).round() / 10.0;
            self.context.slot_gauge(self.slot, |gauges| {
                (gauges.fps, gauges.lost_percent) = ((fps * 10.0).round() / 10.0, lost_percent);
            });
            (self.since, self.frames, self.lost) = (Some(now), 0, 0);
        }
        self.frames += 1;
    }
}

/// RMS and peak per channel, four times a second.
#[derive(Default)]
struct LevelMeter {
    energy: [f64; CHANNELS as usize],
    peak: [f32; CHANNELS as usize],
    frames: u32,
}

/// dBFS.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Level {
    /// A sine of full scale is 0, as in AES17.
    rms: f64,
    /// Of the highest sample.
    peak: f64,
}

/// What silence is shown as; a logarithm has no number for it.
const FLOOR_DBFS: f64 = -120.0;

impl LevelMeter {
    fn add(&mut self, samples: &[f32]) -> Option<[Level; CHANNELS as usize]> {
        for frame in samples.chunks_exact(CHANNELS as usize) {
            for ((energy, peak), sample) in self.energy.iter_mut().zip(&mut self.peak).zip(frame) {
                *energy += f64::from(*sample) * f64::from(*sample);
                *peak = peak.max(sample.abs());
            }
            self.frames += 1;
        }
        if self.frames < SAMPLE_RATE / 4 {
            return None;
        }
        let done = std::mem::take(self);
        let dbfs = |power: f64| ((10.0 * power.log10()).max(FLOOR_DBFS) * 10.0).round() / 10.0;
        Some(std::array::from_fn(|channel| Level {
            rms: dbfs(2.0 * done.energy[channel] / f64::from(done.frames)),
            peak: dbfs(f64::from(done.peak[channel]).powi(2)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_frames_join_without_a_gap_at_every_rate() {
        for fps in [15, 24, 25, 30, 50, 60] {
            let second = first_sample(FrameIndex(7 * u64::from(fps)), fps);
            assert_eq!(second, 7 * u64::from(SAMPLE_RATE), "{fps} fps");
            assert_eq!(sample_at(sample_time(second)), second);
        }
    }

    #[test]
    fn a_sine_at_a_tenth_reads_minus_twenty() {
        let mut meter = LevelMeter::default();
        let sine = |n: u32| 0.1 * (std::f32::consts::TAU * 440.0 * n as f32 / SAMPLE_RATE as f32).sin();
        let samples: Vec<f32> = (0..SAMPLE_RATE / 4).flat_map(|n| [sine(n), 0.0]).collect();
        assert_eq!(meter.add(&samples[..400]), None);
        let silence = Level { rms: FLOOR_DBFS, peak: FLOOR_DBFS };
        assert_eq!(meter.add(&samples[400..]), Some([Level { rms: -20.0, peak: -20.0 }, silence]));
        let mut click = vec![0.0; 2 * SAMPLE_RATE as usize / 4];
        click[1_000] = -0.5;
        let [left, right] = meter.add(&click).unwrap();
        assert!((left.peak, right) == (-6.0, silence) && left.rms < -40.0, "a click shows in the peak: {left:?}");
    }
}
