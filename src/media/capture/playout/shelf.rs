//! Decoded pictures and sound that wait for their frame.
//!
//! One lock, held for moments; the reader's threads wait on its condition while the shelf is full.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::SlotId;

use super::pace::Pace;
use crate::media::capture::onto_grid::OntoGrid;
use crate::media::capture::outlet::{PicturePusher, SoundPusher, first_sample};
use crate::media::capture::sound_clock::SoundClock;
use crate::media::context::Context;
use crate::media::part::Mailbox;
use crate::media::timing::{CHANNELS, SAMPLE_RATE};

/// Pictures ahead: a third of a second at 30 fps, in which a file is sought back to its start.
const PICTURES: usize = 10;
/// Sound ahead, in samples per channel: a second, because files interleave unevenly.
const SOUND: u64 = SAMPLE_RATE as u64;
/// So many pictures in a row after their frame: the source is behind for good.
const LATE: u32 = 30;

pub struct Shelf {
    context: Context,
    state: Mutex<State>,
    room: Condvar,
}

struct State {
    pace: Pace,
    onto_grid: OntoGrid,
    sound_clock: SoundClock,
    pictures: BTreeMap<FrameIndex, gst::Buffer>,
    sound: SoundStore,
    /// The frame that the ticker took last.
    taken: FrameIndex,
    /// End of the stream's pictures and of its sound in this round, in ns of stream time.
    picture_end: u64,
    sound_end: u64,
    delivered: u32,
    late: u32,
    finished: bool,
    closed: bool,
}

/// Contiguous interleaved samples from `start` on.
#[derive(Default)]
struct SoundStore {
    start: u64,
    samples: VecDeque<f32>,
}

impl Shelf {
    pub fn new(context: &Context, slot: SlotId, pace: Pace) -> Self {
        let state = State {
            pace,
            onto_grid: OntoGrid::new(context, slot),
            sound_clock: SoundClock::default(),
            pictures: BTreeMap::new(),
            sound: SoundStore::default(),
            taken: FrameIndex(0),
            picture_end: 0,
            sound_end: 0,
            delivered: 0,
            late: 0,
            finished: false,
            closed: false,
        };
        Self { context: context.clone(), state: Mutex::new(state), room: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `full` no longer holds; false when the shelf was closed.
    fn wait_for_room(&self, full: impl Fn(&State) -> bool) -> Option<MutexGuard<'_, State>> {
        let wait = self.room.wait_while(self.state(), |state| !state.closed && full(state));
        let state = wait.unwrap_or_else(PoisonError::into_inner);
        (!state.closed).then_some(state)
    }

    /// Takes a picture of stream time `stream_ns`; false when nothing more is wanted.
    pub fn put_picture(&self, picture: gst::Buffer, stream_ns: u64) -> bool {
        let Some(mut guard) = self.wait_for_room(|state| state.pictures.len() >= PICTURES) else { return false };
        let state = &mut *guard;
        let now = self.context.timing.now();
        let at = state.pace.at(stream_ns, now);
        let length = picture.duration().map_or(self.context.format.grid.frame_ns(), gst::ClockTime::nseconds);
        state.picture_end = state.picture_end.max(stream_ns + length);
        state.delivered += 1;
        let (taken, pictures, mut in_time) = (state.taken, &mut state.pictures, false);
        state.onto_grid.take(picture, at, |(index, picture)| {
            if index > taken {
                pictures.insert(index, picture);
                in_time = true;
            }
            true
        });
        state.late = if in_time || at > now { 0 } else { state.late + 1 };
        if state.late > LATE {
            state.pace.reset(now.since(at));
            state.sound_clock.restart();
            state.late = 0;
        }
        true
    }

    /// Takes sound of stream time `stream_ns`; false when nothing more is wanted.
    pub fn put_sound(&self, samples: &[f32], stream_ns: u64) -> bool {
        let fps = self.context.format.grid.fps();
        let full = |state: &State| state.sound.end() > first_sample(state.taken, fps) + SOUND && state.taken.0 > 0;
        let Some(mut guard) = self.wait_for_room(full) else { return false };
        let state = &mut *guard;
        let at = state.pace.at(stream_ns, self.context.timing.now());
        let (position, placed) = state.sound_clock.place(at, samples);
        state.sound.append(position, &placed);
        let frames = samples.len() as u64 / u64::from(CHANNELS);
        state.sound_end = state.sound_end.max(stream_ns + frames * 1_000_000_000 / u64::from(SAMPLE_RATE));
        true
    }

    /// The stream's end is its beginning: what comes next follows what came.
    pub fn begin_again(&self) {
        let mut state = self.state();
        // The picture says how long a round is; sound that is longer is cut off, shorter is filled with silence.
        let length = if state.picture_end > 0 { state.picture_end } else { state.sound_end };
        state.pace.begin_again(length);
        state.sound_clock.restart();
        (state.picture_end, state.sound_end) = (0, 0);
    }

    /// Nothing more comes; what is here is still shown.
    pub fn finish(&self) {
        self.state().finished = true;
    }

    pub fn is_over(&self) -> bool {
        let state = self.state();
        state.finished && state.pictures.is_empty()
    }

    /// Lets every waiting thread go.
    pub fn close(&self) {
        self.state().closed = true;
        self.room.notify_all();
    }

    /// The picture and the sound of a frame, and how many pictures came since the last.
    fn take(&self, index: FrameIndex) -> (Option<gst::Buffer>, Vec<f32>, u32) {
        let fps = self.context.format.grid.fps();
        let mut state = self.state();
        state.taken = index;
        let later = state.pictures.split_off(&FrameIndex(index.0 + 1));
        let mut due = std::mem::replace(&mut state.pictures, later);
        let sound = state.sound.take(first_sample(index, fps), first_sample(FrameIndex(index.0 + 1), fps));
        let delivered = std::mem::take(&mut state.delivered);
        drop(state);
        self.room.notify_all();
        (due.remove(&index), sound, delivered)
    }
}

impl SoundStore {
    fn end(&self) -> u64 {
        self.start + self.samples.len() as u64 / u64::from(CHANNELS)
    }

    /// What lies before the store's end is there already and is left out; a gap is silence.
    fn append(&mut self, position: u64, samples: &[f32]) {
        if self.samples.is_empty() {
            self.start = self.start.max(position);
        }
        let end = self.end();
        let gap = position.saturating_sub(end).min(SOUND) * u64::from(CHANNELS);
        self.samples.extend(std::iter::repeat_n(0.0, gap as usize));
        let known = (end.saturating_sub(position) * u64::from(CHANNELS)).min(samples.len() as u64);
        self.samples.extend(&samples[known as usize..]);
    }

    /// Samples from `from` up to `to`, silence where there are none; what lies before is thrown away.
    fn take(&mut self, from: u64, to: u64) -> Vec<f32> {
        let wanted = ((to - from) * u64::from(CHANNELS)) as usize;
        let mut out = Vec::with_capacity(wanted);
        let early = (from.saturating_sub(self.start) * u64::from(CHANNELS)).min(self.samples.len() as u64);
        self.samples.drain(..early as usize);
        let silence = (self.start.saturating_sub(from) * u64::from(CHANNELS)).min(wanted as u64);
        if self.samples.is_empty() {
            out.resize(wanted, 0.0);
        } else {
            out.resize(silence as usize, 0.0);
            let there = (wanted - out.len()).min(self.samples.len());
            out.extend(self.samples.drain(..there));
            out.resize(wanted, 0.0);
        }
        self.start = self.start.max(to);
        out
    }
}

/// Gives each frame what the shelf has for it.
pub struct Feed {
    context: Context,
    shelf: std::sync::Arc<Shelf>,
    pictures: PicturePusher,
    sound: Option<SoundPusher>,
    mailbox: Mailbox,
    begun: bool,
}

impl Feed {
    pub fn new(
        context: &Context,
        shelf: std::sync::Arc<Shelf>,
        pictures: PicturePusher,
        sound: Option<SoundPusher>,
        mailbox: &Mailbox,
    ) -> Self {
        Self { context: context.clone(), shelf, pictures, sound, mailbox: mailbox.clone(), begun: false }
    }

    /// False when the pipeline takes no more.
    pub fn push(&mut self, index: FrameIndex) -> bool {
        let (picture, sound, delivered) = self.shelf.take(index);
        (0..delivered).for_each(|_| self.pictures.delivered());
        if self.shelf.is_over() {
            self.mailbox.nudge();
        }
        let shown = match picture {
            Some(picture) => {
                self.begun = true;
                self.pictures.push(picture, index)
            }
            None => true,
        };
        let position = first_sample(index, self.context.format.grid.fps());
        shown && self.sound.as_mut().filter(|_| self.begun).is_none_or(|pusher| pusher.push(position, &sound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_given_frame_by_frame_with_silence_where_there_is_none() {
        let mut store = SoundStore::default();
        store.append(100, &[1.0; 20]);
        store.append(115, &[2.0; 10]);
        assert_eq!(store.take(95, 105), [[0.0; 10], [1.0; 10]].concat());
        assert_eq!(store.take(105, 115), [[1.0; 10], [0.0; 10]].concat());
        assert_eq!(store.take(115, 125), [[2.0; 10], [0.0; 10]].concat());
        store.append(120, &[3.0; 20]);
        assert_eq!(store.take(125, 130), [3.0; 10]);
    }
}
