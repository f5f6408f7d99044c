//! The little of the MP4 format that a recording must know beyond what the muxer does: where boxes begin and end, how
//! many pictures a fragment holds, and the edit list that takes the sound's priming out. Pure.

use super::index::Track;

/// A box inside a buffer: `body` is what follows its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Box4 {
    pub kind: [u8; 4],
    pub start: usize,
    pub body: usize,
    /// Past its last byte. `None`: the header says "to the end of the file".
    pub end: Option<usize>,
}

/// The box that begins at `at`; `None` when its header is not there yet.
pub fn box_at(data: &[u8], at: usize) -> Option<Box4> {
    let size = u64::from(u32_at(data, at)?);
    let kind: [u8; 4] = data.get(at + 4..at + 8)?.try_into().ok()?;
    let (size, body) = if size == 1 { (u64_at(data, at + 8)?, at + 16) } else { (size, at + 8) };
    let end = match usize::try_from(size).ok()? {
        0 => None,
        size => Some(at.checked_add(size).filter(|end| *end >= body)?),
    };
    Some(Box4 { kind, start: at, body, end })
}

/// The boxes between two offsets, as far as they are whole.
pub fn boxes(data: &[u8], from: usize, to: usize) -> impl Iterator<Item = Box4> + '_ {
    let mut at = from;
    std::iter::from_fn(move || {
        let found = box_at(data, at).filter(|found| found.end.is_some_and(|end| end <= to))?;
        at = found.end?;
        Some(found)
    })
}

/// The whole boxes inside a box.
pub fn children<'a>(data: &'a [u8], parent: &Box4) -> impl Iterator<Item = Box4> + 'a {
    boxes(data, parent.body, parent.end.unwrap_or(data.len()).min(data.len()))
}

fn child(data: &[u8], parent: &Box4, path: &[&[u8; 4]]) -> Option<Box4> {
    let mut found = parent.clone();
    for kind in path {
        found = children(data, &found).find(|child| child.kind == **kind)?;
    }
    Some(found)
}

pub fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(data.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn put_u32(data: &mut [u8], at: usize, value: u32) -> Option<()> {
    data.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

fn track_of(data: &[u8], moov: &Box4, handler: &[u8; 4]) -> Option<Box4> {
    children(data, moov).filter(|it| it.kind == *b"trak").find(|trak| {
        child(data, trak, &[b"mdia", b"hdlr"]).is_some_and(|it| data.get(it.body + 8..it.body + 12) == Some(handler))
    })
}

/// What a `trak` of a `moov` tells of its track.
pub fn track(data: &[u8], trak: &Box4) -> Option<Track> {
    let header = child(data, trak, &[b"tkhd"])?;
    let handler = child(data, trak, &[b"mdia", b"hdlr"])?;
    let times = child(data, trak, &[b"mdia", b"minf", b"stbl", b"stts"])?;
    // Version 0 has two times of four bytes before the number, version 1 of eight.
    let number = header.body + if data.get(header.body) == Some(&1) { 20 } else { 12 };
    Some(Track {
        number: u32_at(data, number)?,
        duration: u32_at(data, times.body + 12)?,
        pictures: data.get(handler.body + 8..handler.body + 12) == Some(b"vide"),
    })
}

/// Pictures that a `moov` describes by itself.
pub fn pictures_in_moov(data: &[u8], moov: &Box4) -> Option<u64> {
    let sizes = child(data, &track_of(data, moov, b"vide")?, &[b"mdia", b"minf", b"stbl", b"stsz"])?;
    u32_at(data, sizes.body + 8).map(u64::from)
}

/// Pictures of track `track` that a `moof` describes.
pub fn pictures_in_moof(data: &[u8], moof: &Box4, track: u32) -> u64 {
    let of_track = |traf: &Box4| {
        child(data, traf, &[b"tfhd"]).and_then(|header| u32_at(data, header.body + 4)).is_some_and(|it| it == track)
    };
    children(data, moof)
        .filter(|it| it.kind == *b"traf" && of_track(it))
        .flat_map(|traf| children(data, &traf).filter(|it| it.kind == *b"trun").collect::<Vec<_>>())
        .filter_map(|run| u32_at(data, run.body + 4).map(u64::from))
        .sum()
}

/// How the sound lies below the picture: playing begins `skip` samples into the sound's track.
///
/// The muxer lets both tracks begin at zero. In a finished file the sound's edit is also cut to the picture's length,
/// so that both end together; a file that still grows keeps the muxer's lengths. A `moov` of another shape is left as
/// it is.
pub fn edit_sound(data: &mut [u8], moov: &Box4, skip: u32) -> Option<()> {
    let finished = child(data, moov, &[b"mvex"]).is_none();
    let sound = track_of(data, moov, b"soun")?;
    let edit = child(data, &sound, &[b"edts", b"elst"])?;
    let one_entry = u32_at(data, edit.body)? == 0 && u32_at(data, edit.body + 4)? == 1;
    if !one_entry {
        return None;
    }
    put_u32(data, edit.body + 12, skip)?;
    if !finished {
        return Some(());
    }
    let picture = track_of(data, moov, b"vide")?;
    let picture_edit = child(data, &picture, &[b"edts", b"elst"])?;
    let picture_length = u32_at(data, picture_edit.body + 8)?;
    let movie = child(data, moov, &[b"mvhd"])?;
    let sound_header = child(data, &sound, &[b"tkhd"])?;
    let media = child(data, &sound, &[b"mdia", b"mdhd"])?;
    let (movie_scale, sound_scale) = (u32_at(data, movie.body + 12)?, u32_at(data, media.body + 12)?);
    let there = u64::from(u32_at(data, media.body + 16)?.saturating_sub(skip)) * u64::from(movie_scale);
    let length = picture_length.min(u32::try_from(there / u64::from(sound_scale.max(1))).ok()?);
    put_u32(data, edit.body + 8, length)?;
    put_u32(data, sound_header.body + 20, length)?;
    put_u32(data, movie.body + 16, picture_length.max(length))
}
