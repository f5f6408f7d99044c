//! The two indexes of an MP4 file: `moov` for the file's head (or all of it), `moof` for each further fragment
//! (ISO/IEC 14496-12 §8).

use super::boxes::{Reader, child, children};

/// What a `moov` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Movie {
    /// Further fragments may follow (`mvex`).
    pub fragmented: bool,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    /// Pictures that this index lists.
    pub frames: u64,
    /// No data that this index points at begins at this place or later.
    pub data_end: u64,
    video_track: u32,
    /// Sample size of a track whose fragments give none: (track, bytes).
    default_sizes: Vec<(u32, u32)>,
}

impl Movie {
    /// `None` when the body is no index of a recording: broken, without a picture track, or pointing outside of the
    /// file's first `length` bytes.
    pub fn parse(body: &[u8], length: u64) -> Option<Self> {
        child(body, b"mvhd")?;
        let mut movie = Self::default();
        let mut video = None;
        for (_, trak) in children(body).filter(|(kind, _)| kind == b"trak") {
            let track = Track::parse(trak)?;
            if track.bytes > length {
                return None;
            }
            movie.data_end = movie.data_end.max(track.last_chunk.map_or(0, |chunk| chunk.saturating_add(1)));
            if track.video && video.is_none() {
                video = Some(track);
            }
        }
        let video = video?;
        movie.video_track = video.id;
        movie.frames = video.samples;
        (movie.width, movie.height, movie.fps) = (video.width, video.height, video.fps);
        if let Some(mvex) = child(body, b"mvex") {
            movie.fragmented = true;
            for (_, trex) in children(mvex).filter(|(kind, _)| kind == b"trex") {
                movie.default_sizes.push(default_size(trex)?);
            }
        }
        Some(movie)
    }

    fn default_size(&self, track: u32) -> u32 {
        self.default_sizes.iter().find(|(id, _)| *id == track).map_or(0, |(_, bytes)| *bytes)
    }
}

/// `trex`: (track, default sample size).
fn default_size(trex: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader(trex);
    reader.skip(4)?;
    let track = reader.u32()?;
    reader.skip(8)?;
    Some((track, reader.u32()?))
}

#[derive(Default)]
struct Track {
    id: u32,
    video: bool,
    width: u32,
    height: u32,
    fps: u32,
    samples: u64,
    bytes: u64,
    last_chunk: Option<u64>,
}

impl Track {
    fn parse(trak: &[u8]) -> Option<Self> {
        let (id, width, height) = track_header(child(trak, b"tkhd")?)?;
        let mdia = child(trak, b"mdia")?;
        let video = child(mdia, b"hdlr")?.get(8..12)? == b"vide";
        let timescale = timescale(child(mdia, b"mdhd")?)?;
        let stbl = child(child(mdia, b"minf")?, b"stbl")?;
        let (samples, bytes) = sample_sizes(child(stbl, b"stsz")?)?;
        let fps = child(stbl, b"stts").and_then(first_duration).map_or(0, |ticks| rounded_ratio(timescale, ticks));
        Some(Self { id, video, width, height, fps, samples, bytes, last_chunk: last_chunk(stbl)? })
    }
}

/// `tkhd`: (track, width, height).
fn track_header(tkhd: &[u8]) -> Option<(u32, u32, u32)> {
    let mut reader = Reader(tkhd);
    let version = reader.u32()? >> 24;
    reader.skip(if version == 1 { 16 } else { 8 })?;
    let track = reader.u32()?;
    // Width and height are the last two fields, 16.16 fixed point.
    let mut size = Reader(tkhd.get(tkhd.len().checked_sub(8)?..)?);
    Some((track, size.u32()? >> 16, size.u32()? >> 16))
}

fn timescale(mdhd: &[u8]) -> Option<u32> {
    let mut reader = Reader(mdhd);
    let version = reader.u32()? >> 24;
    reader.skip(if version == 1 { 16 } else { 8 })?;
    reader.u32()
}

/// `stts`: how long the first samples last, in the track's ticks. `None` in a table without entries.
fn first_duration(stts: &[u8]) -> Option<u32> {
    let mut reader = Reader(stts);
    reader.skip(12)?;
    reader.u32()
}

fn rounded_ratio(a: u32, b: u32) -> u32 {
    let (a, b) = (u64::from(a), u64::from(b));
    (a + b / 2).checked_div(b).and_then(|ratio| u32::try_from(ratio).ok()).unwrap_or(0)
}

/// `stsz`: (samples, their bytes).
fn sample_sizes(stsz: &[u8]) -> Option<(u64, u64)> {
    let mut reader = Reader(stsz);
    reader.skip(4)?;
    let uniform = reader.u32()?;
    let count = u64::from(reader.u32()?);
    if uniform != 0 || count == 0 {
        return Some((count, count * u64::from(uniform)));
    }
    let mut bytes = 0;
    for _ in 0..count {
        bytes += u64::from(reader.u32()?);
    }
    Some((count, bytes))
}

/// Where the last of a track's chunks begins. The outer `None`: the table is torn; the inner one: it is empty.
fn last_chunk(stbl: &[u8]) -> Option<Option<u64>> {
    let mut last = None;
    for (kind, table) in children(stbl) {
        let wide = match &kind {
            b"stco" => false,
            b"co64" => true,
            _ => continue,
        };
        let mut reader = Reader(table);
        reader.skip(4)?;
        for _ in 0..reader.u32()? {
            let offset = if wide { reader.u64()? } else { u64::from(reader.u32()?) };
            last = last.max(Some(offset));
        }
    }
    Some(last)
}

/// More samples than this in one run are taken for garbage: half a second holds some hundreds.
const MOST_SAMPLES: u64 = 1 << 20;

/// Where a picture lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub at: u64,
    pub bytes: u64,
}

/// What a `moof` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    pub pictures: Vec<Sample>,
    /// End of the data that this index points at.
    pub data_end: u64,
}

impl Fragment {
    /// `start` is the place of the `moof` in the file. `None` when the body is broken.
    pub fn parse(body: &[u8], start: u64, movie: &Movie) -> Option<Self> {
        child(body, b"mfhd")?;
        let mut fragment = Self::default();
        // Without an explicit base, the first track's data is counted from the `moof`, a further track's from the
        // end of the data of the track before.
        let mut implied_base = start;
        for (_, traf) in children(body).filter(|(kind, _)| kind == b"traf") {
            let run = TrackRun::parse(child(traf, b"tfhd")?, start, implied_base, movie)?;
            let (samples, end) = run.runs(traf)?;
            if run.track == movie.video_track {
                fragment.pictures.extend(samples);
            }
            fragment.data_end = fragment.data_end.max(end);
            implied_base = end;
        }
        Some(fragment)
    }
}

/// A track's part of a fragment: `tfhd` with its `trun`s.
struct TrackRun {
    track: u32,
    base: u64,
    /// Zero: not given.
    default_size: u32,
}

impl TrackRun {
    fn parse(tfhd: &[u8], moof: u64, implied_base: u64, movie: &Movie) -> Option<Self> {
        let mut reader = Reader(tfhd);
        let flags = reader.u32()?;
        let track = reader.u32()?;
        let mut base = if flags & 0x02_0000 == 0 { implied_base } else { moof };
        if flags & 0x01 != 0 {
            base = reader.u64()?;
        }
        for flag in [0x02, 0x08] {
            if flags & flag != 0 {
                reader.skip(4)?;
            }
        }
        let default_size = if flags & 0x10 == 0 { movie.default_size(track) } else { reader.u32()? };
        Some(Self { track, base, default_size })
    }

    /// (samples, end of their data).
    fn runs(&self, traf: &[u8]) -> Option<(Vec<Sample>, u64)> {
        let mut samples = Vec::new();
        let (mut end, mut farthest) = (self.base, self.base);
        for (_, trun) in children(traf).filter(|(kind, _)| kind == b"trun") {
            let mut reader = Reader(trun);
            let flags = reader.u32()?;
            let count = u64::from(reader.u32()?);
            if count > MOST_SAMPLES {
                return None;
            }
            if flags & 0x01 != 0 {
                end = self.base.checked_add_signed(i64::from(reader.u32()?.cast_signed()))?;
            }
            if flags & 0x04 != 0 {
                reader.skip(4)?;
            }
            let before = if flags & 0x100 == 0 { 0 } else { 4 };
            let after = [0x400, 0x800].iter().filter(|flag| flags & **flag != 0).count() * 4;
            for _ in 0..count {
                reader.skip(before)?;
                let bytes = u64::from(if flags & 0x200 == 0 { self.default_size()? } else { reader.u32()? });
                reader.skip(after)?;
                samples.push(Sample { at: end, bytes });
                end = end.checked_add(bytes)?;
            }
            farthest = farthest.max(end);
        }
        Some((samples, farthest))
    }

    fn default_size(&self) -> Option<u32> {
        (self.default_size > 0).then_some(self.default_size)
    }
}
