//! Who gets which encoder, at which size and rate, or a plain refusal that names the limit.
//!
//! Of the encoders that work, the best in hardware and the best in software are used: what follows is the same unit, or
//! the same processor, behind another interface, and would be counted twice. A job is placed on the first of the two
//! that still has room for it. When not every job finds a place, concessions are made in this order, each of them noted:
//! 1. the program's recording shares the stream's encode;
//! 2. the slot recordings shrink, all alike, to 3/4, 1/2, 3/8, 1/4 of the show's width and height;
//! 3. slot recordings are refused, highest number first.
//!
//! The small encodes of slots for the legs that publish them come last: they take what room is left, nothing is conceded
//! for them, and they are the first to be refused.
//!
//! What never changes: the size of stream and program recording (a size change inside a recording spoils it), and the
//! frame rate of anything (frame *n* of every recording is the same instant).

mod level;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::device::{Encoder, Encoders};
use crate::ids::SlotId;
use crate::job::EncodeJob;
use crate::picture_size::PictureSize;

/// What is to be encoded. Better what may come than what is at the moment: a plan that changes while a show runs ends
/// the segments of every recording whose grant it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub video_bitrate_bps: u64,
    pub min_video_bitrate_bps: u64,
    /// Something is published.
    pub stream: bool,
    /// The program is recorded.
    pub program_record: bool,
    /// Slots that are recorded.
    pub slots: BTreeSet<SlotId>,
    /// Slots that are published beside the program.
    pub slot_streams: BTreeSet<SlotId>,
}

/// What one encode job may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// GStreamer element name.
    pub element: String,
    /// It is the board's, and not the processor itself.
    #[serde(default)]
    pub hardware: bool,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub control: RateControl,
    pub profile: Profile,
    /// H.264 level × 10, for example 31 for level 3.1.
    pub level: u32,
    /// Frames from one key frame to the next.
    pub gop: u32,
}

impl Grant {
    /// The largest picture it allows.
    pub const fn picture(&self) -> PictureSize {
        PictureSize { width: self.width, height: self.height, fps: self.fps }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    ConstrainedBaseline,
    Main,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateControl {
    /// Follows the network between these limits, bits per second.
    Stream { min_bps: u64, max_bps: u64 },
    /// Steady quality; bits per second on average for encoders that know no constant quality.
    Steady { average_bps: u64 },
}

/// The whole plan: every job is either granted, shares another job's encode, or is refused with a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub grants: BTreeMap<EncodeJob, Grant>,
    /// Job → the job whose encode it shares.
    pub shared: BTreeMap<EncodeJob, EncodeJob>,
    /// Job → the limit that was met, in plain words.
    pub refused: BTreeMap<EncodeJob, String>,
    /// Things an operator should know: recordings that shrank, encodes that are shared.
    pub notes: Vec<String>,
}

/// Key frames come this often, seconds. A viewer who joins waits at most this long for a picture.
const KEY_FRAME_S: u32 = 2;

/// Sizes of slot recordings, as parts of the show's width and height.
const SHRINKS: [(u32, u32); 5] = [(1, 1), (3, 4), (1, 2), (3, 8), (1, 4)];

/// A slot recording's bitrate shrinks with its area, but not below this (bits per second): small pictures need more
/// bits for a pixel.
const LEAST_SLOT_BPS: u64 = 500_000;

/// Widest and highest picture of a slot that is published beside the program: a tile of a viewer's page.
const SLOT_STREAM_SIZE: (u32, u32) = (640, 360);
/// Bits per second of such a slot: what a sender of the web gives 640x360 lies between 300 and 800 kbit/s; below the
/// least the picture is not worth its place.
pub const SLOT_STREAM_BPS: std::ops::RangeInclusive<u64> = 100_000..=400_000;

/// Makes the plan. The same input gives the same plan; an unlimited encoder takes everything as wished.
pub fn plan(encoders: &Encoders, wishes: &Wishes) -> Plan {
    if encoders.working.is_empty() {
        return nothing_works(encoders, wishes);
    }
    let may_share = wishes.stream && wishes.program_record;
    let first = Attempt { share: false, shrink: SHRINKS[0] };
    let shared = SHRINKS.iter().map(|shrink| Attempt { share: may_share, shrink: *shrink });
    let mut limit = None;
    for attempt in std::iter::once(first).chain(shared) {
        let mut plan = attempt.place(encoders, wishes, &wishes.slots);
        if plan.must_haves_refused().next().is_none() {
            attempt.note(&mut plan, wishes, limit.as_deref());
            return plan;
        }
        limit = limit.or_else(|| plan.must_haves_refused().next().cloned());
    }
    drop_slots(encoders, wishes, may_share, limit.as_deref())
}

/// The smallest recordings still do not fit all: as many slots as do, lowest numbers first.
fn drop_slots(encoders: &Encoders, wishes: &Wishes, share: bool, limit: Option<&str>) -> Plan {
    let attempt = Attempt { share, shrink: SHRINKS[SHRINKS.len() - 1] };
    let mut kept = wishes.slots.clone();
    loop {
        let mut plan = attempt.place(encoders, wishes, &kept);
        let slot_refused = plan.refused.keys().any(|job| matches!(job, EncodeJob::Slot(_)));
        if !slot_refused || kept.pop_last().is_none() {
            let dropped = wishes.slots.difference(&kept).map(|slot| EncodeJob::Slot(*slot));
            let why = limit.unwrap_or("every encoder is taken");
            plan.refused.extend(dropped.map(|job| (job, why.to_owned())));
            attempt.note(&mut plan, wishes, limit);
            return plan;
        }
    }
}

fn nothing_works(encoders: &Encoders, wishes: &Wishes) -> Plan {
    let broken: Vec<_> =
        encoders.broken.iter().map(|encoder| format!("{}: {}", encoder.element, encoder.why)).collect();
    let why = match broken.is_empty() {
        true => "this machine has no H.264 encoder".to_owned(),
        false => format!("no H.264 encoder works ({})", broken.join("; ")),
    };
    let program = [(wishes.stream, EncodeJob::Stream), (wishes.program_record, EncodeJob::ProgramRecord)];
    let program = program.into_iter().filter(|(wished, _)| *wished).map(|(_, job)| job);
    let recorded = wishes.slots.iter().map(|slot| EncodeJob::Slot(*slot));
    let published = wishes.slot_streams.iter().map(|slot| EncodeJob::SlotStream(*slot));
    let jobs = program.chain(recorded).chain(published);
    Plan { refused: jobs.map(|job| (job, why.clone())).collect(), ..Plan::default() }
}

/// One set of concessions.
#[derive(Clone, Copy)]
struct Attempt {
    share: bool,
    /// Numerator and denominator.
    shrink: (u32, u32),
}

impl Attempt {
    fn place(self, encoders: &Encoders, wishes: &Wishes, slots: &BTreeSet<SlotId>) -> Plan {
        let best = |hardware| encoders.working.iter().find(move |encoder| encoder.hardware == hardware);
        let mut rooms: Vec<Room<'_>> = [best(true), best(false)].into_iter().flatten().map(Room::new).collect();
        let mut plan = Plan::default();
        let full = (wishes.width, wishes.height);
        if wishes.stream {
            let control =
                RateControl::Stream { min_bps: wishes.min_video_bitrate_bps, max_bps: wishes.video_bitrate_bps };
            plan.put(EncodeJob::Stream, grant_first(&mut rooms, full, wishes.fps, control));
        }
        if wishes.program_record && !(self.share && wishes.stream) {
            let control = RateControl::Steady { average_bps: wishes.video_bitrate_bps };
            plan.put(EncodeJob::ProgramRecord, grant_first(&mut rooms, full, wishes.fps, control));
        } else if wishes.program_record {
            match plan.refused.get(&EncodeJob::Stream).cloned() {
                Some(why) => drop(plan.refused.insert(EncodeJob::ProgramRecord, why)),
                None => drop(plan.shared.insert(EncodeJob::ProgramRecord, EncodeJob::Stream)),
            }
        }
        let size = self.slot_size(wishes);
        let control = RateControl::Steady { average_bps: slot_bitrate(wishes, size) };
        for slot in slots {
            plan.put(EncodeJob::Slot(*slot), grant_first(&mut rooms, size, wishes.fps, control));
        }
        let control = RateControl::Stream { min_bps: *SLOT_STREAM_BPS.start(), max_bps: *SLOT_STREAM_BPS.end() };
        for slot in &wishes.slot_streams {
            plan.put(EncodeJob::SlotStream(*slot), grant_first(&mut rooms, small_size(full), wishes.fps, control));
        }
        plan
    }

    /// Even in both directions, because chroma is subsampled.
    fn slot_size(self, wishes: &Wishes) -> (u32, u32) {
        let (part, whole) = self.shrink;
        let side = |full: u32| ((u64::from(full) * u64::from(part) / u64::from(whole)) & !1).max(2);
        let fit = |full: u32| u32::try_from(side(full)).unwrap_or(full);
        (fit(wishes.width), fit(wishes.height))
    }

    /// Tells what is not as wished; `limit` is the one that was met first.
    fn note(self, plan: &mut Plan, wishes: &Wishes, limit: Option<&str>) {
        let because = limit.map(|limit| format!(": {limit}")).unwrap_or_default();
        if !plan.shared.is_empty() {
            plan.notes.push(format!("the program's recording shares the stream's encode{because}"));
        }
        let recorded = plan.grants.keys().any(|job| matches!(job, EncodeJob::Slot(_)));
        if recorded && self.shrink != SHRINKS[0] {
            let (width, height) = self.slot_size(wishes);
            plan.notes.push(format!("slots are recorded at {width}x{height}{because}"));
        }
        if let Some(grant) = plan.grants.get(&EncodeJob::Stream)
            && let RateControl::Stream { max_bps, .. } = grant.control
            && max_bps < wishes.video_bitrate_bps
        {
            let most = crate::config::units::show_bitrate(max_bps);
            plan.notes.push(format!("the stream is at most {most}, the limit of {}", grant.element));
        }
    }
}

impl Plan {
    /// Why the jobs were refused that concessions are made for.
    fn must_haves_refused(&self) -> impl Iterator<Item = &String> {
        self.refused.iter().filter(|(job, _)| !matches!(job, EncodeJob::SlotStream(_))).map(|(_, why)| why)
    }

    fn put(&mut self, job: EncodeJob, placed: Result<Grant, String>) {
        match placed {
            Ok(grant) => drop(self.grants.insert(job, grant)),
            Err(why) => drop(self.refused.insert(job, why)),
        }
    }
}

/// The show's shape within [`SLOT_STREAM_SIZE`], even in both directions; never larger than the show.
fn small_size((width, height): (u32, u32)) -> (u32, u32) {
    let (most_w, most_h) = SLOT_STREAM_SIZE;
    if width <= most_w && height <= most_h {
        return (width, height);
    }
    let (w, h) = (u64::from(width.max(1)), u64::from(height.max(1)));
    // The tighter of the two sides decides.
    let (part, whole) = if u64::from(most_w) * h <= u64::from(most_h) * w { (most_w, w) } else { (most_h, h) };
    let side = |full: u64| u32::try_from((full * u64::from(part) / whole) & !1).unwrap_or(most_w).max(2);
    (side(w), side(h))
}

/// In proportion to the picture's area.
fn slot_bitrate(wishes: &Wishes, (width, height): (u32, u32)) -> u64 {
    let area = u128::from(width) * u128::from(height);
    let full = (u128::from(wishes.width) * u128::from(wishes.height)).max(1);
    let share = u128::from(wishes.video_bitrate_bps) * area / full;
    u64::try_from(share).unwrap_or(u64::MAX).max(LEAST_SLOT_BPS.min(wishes.video_bitrate_bps))
}

/// An encoder and what is taken of it.
struct Room<'a> {
    encoder: &'a Encoder,
    sessions: u32,
    pixels_per_s: u64,
}

fn grant_first(
    rooms: &mut [Room<'_>],
    (width, height): (u32, u32),
    fps: u32,
    control: RateControl,
) -> Result<Grant, String> {
    let mut limits = Vec::new();
    for room in rooms {
        match room.take(width, height, fps, control) {
            Ok(grant) => return Ok(grant),
            Err(limit) => limits.push(limit),
        }
    }
    Err(limits.join("; "))
}

impl<'a> Room<'a> {
    fn new(encoder: &'a Encoder) -> Self {
        Self { encoder, sessions: 0, pixels_per_s: 0 }
    }

    fn take(&mut self, width: u32, height: u32, fps: u32, control: RateControl) -> Result<Grant, String> {
        let Encoder { element, hardware, max_sessions, max_size, max_pixels_per_s, max_bitrate_bps } = self.encoder;
        if let Some((most_w, most_h)) = max_size
            && (width > *most_w || height > *most_h)
        {
            return Err(format!("{element} encodes up to {most_w}x{most_h}, not {width}x{height}"));
        }
        if let Some(most) = max_sessions
            && self.sessions >= *most
        {
            return Err(format!("{element} has {most} encodes, all taken"));
        }
        let pixels_per_s = u64::from(width) * u64::from(height) * u64::from(fps);
        if let Some(most) = max_pixels_per_s
            && self.pixels_per_s + pixels_per_s > *most
        {
            return Err(format!(
                "{element} carries {} million pixels per second, {} are taken and {width}x{height} at {fps} needs {}",
                millions(*most),
                millions(self.pixels_per_s),
                millions(pixels_per_s)
            ));
        }
        let control = clamp(control, *max_bitrate_bps);
        let level = level::lowest(width, height, fps, peak_bps(control))
            .ok_or_else(|| format!("{width}x{height} at {fps} is above H.264 level 5.2"))?;
        self.sessions += 1;
        self.pixels_per_s += pixels_per_s;
        let gop = fps * KEY_FRAME_S;
        let profile = profile_for(element, control);
        Ok(Grant { element: element.clone(), hardware: *hardware, width, height, fps, control, profile, level, gop })
    }
}

/// The stream goes to whatever plays it, so it keeps to the least. A recording may use CABAC where the encoder has it.
fn profile_for(element: &str, control: RateControl) -> Profile {
    match control {
        RateControl::Steady { .. } if element != "openh264enc" => Profile::Main,
        RateControl::Stream { .. } | RateControl::Steady { .. } => Profile::ConstrainedBaseline,
    }
}

fn clamp(control: RateControl, most: Option<u64>) -> RateControl {
    let most = most.unwrap_or(u64::MAX);
    match control {
        RateControl::Stream { min_bps, max_bps } => {
            RateControl::Stream { min_bps: min_bps.min(most), max_bps: max_bps.min(most) }
        }
        RateControl::Steady { average_bps } => RateControl::Steady { average_bps: average_bps.min(most) },
    }
}

/// Steady quality swings around its average; twice the average is what its level has to admit.
fn peak_bps(control: RateControl) -> u64 {
    match control {
        RateControl::Stream { max_bps, .. } => max_bps,
        RateControl::Steady { average_bps } => average_bps.saturating_mul(2),
    }
}

fn millions(pixels_per_s: u64) -> String {
    let tenths = (pixels_per_s + 50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
