//! What a recording file holds, read from its boxes: whether it was finished, how many pictures it has, and up to
//! where it is whole. Only reads; [`super::mend`] acts on the verdict.
//!
//! Owns the knowledge of the MP4 boxes. Must never know shows, rows or who wrote the file, and must never trust a
//! byte of it: after a power cut a file may hold anything.
//!
//! # The forms that a recording takes (GStreamer's `mp4mux`, `fragment-mode=first-moov-then-finalise`, read from
//! real files)
//!
//! | form | top-level boxes |
//! |---|---|
//! | nothing yet | `ftyp free mdat(size 0)…`: the first fragment grows, there is no index: not playable |
//! | growing | `ftyp free mdat moov(mvex) [free mdat moof]… free mdat(size 0)…`: the first fragment's index is in the `moov`, each further fragment's `moof` *follows* its data |
//! | sealing | as growing, with a second `moov` behind the last data, and the first `moov` renamed to `hoov` |
//! | finished | `ftyp free mdat moov`: the first `mdat` now spans everything up to the new `moov` |
//!
//! Fragmented files of the other kind (`moov moof mdat moof mdat …`) are read as well.
//!
//! # Invariants
//! - `keep` of a verdict lies on the end of a box, at or below the file's length, and all data that the kept indexes
//!   point at lies below it.
//! - An index that does not tell every sample's size ends what is whole. The muxer writes such indexes; the recorder
//!   completes them before they reach the disk.
//! - The last fragment counts as whole only if its pictures look written: see [`written`].
//! - A file is never changed by a verdict that names no defect.

mod boxes;
mod index;

use std::io::{self, Read, Seek, SeekFrom};

use boxes::TopBox;
use index::{Fragment, Movie, Sample};

/// An index box larger than this is taken for garbage. A day at 60 fps needs about 60 MB.
const LARGEST_INDEX_BYTES: u64 = 128 << 20;

/// What [`examine`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Finished in order: an ordinary MP4, whole.
    Finished(Content),
    /// Plays when cut to `keep` bytes; a fragmented file.
    Fragmented {
        content: Content,
        /// Length up to the end of the last whole fragment.
        keep: u64,
        /// Place of the first index's type field, when a seal that was cut short had already renamed it (`hoov`):
        /// `moov` must be written there.
        hidden_index: Option<u64>,
    },
    /// Nothing in it can be played.
    Unplayable { why: &'static str },
}

/// The picture track of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Pictures in the whole part of the file.
    pub frames: u64,
    pub width: u32,
    pub height: u32,
    /// Rounded; zero when the file does not tell.
    pub fps: u32,
}

/// Reads the boxes of a recording. Reads indexes only, so it costs the same for a long file as for a short one.
///
/// # Errors
/// When the file cannot be read. What it holds is never an error.
pub fn examine(file: &mut (impl Read + Seek)) -> io::Result<Verdict> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut walk = Walk::default();
    let mut at = 0;
    while let Some(found) = TopBox::read(file, at, length)? {
        if at == 0 && &found.kind != b"ftyp" {
            return Ok(Verdict::Unplayable { why: "it is no MP4 file" });
        }
        if walk.take(file, &found)?.is_none() {
            break;
        }
        at = found.end;
    }
    if !written(file, &walk.last_pictures)? {
        walk.whole = walk.before_last;
    }
    Ok(walk.verdict(length))
}

/// The walk over the top-level boxes.
#[derive(Default)]
struct Walk {
    movie: Option<Movie>,
    hidden_index: Option<u64>,
    /// Pictures of all indexes read so far.
    frames: u64,
    /// End of the data that the indexes read so far point at.
    data_end: u64,
    whole: Whole,
    /// The part that was whole before the last fragment, and that fragment's pictures.
    before_last: Whole,
    last_pictures: Vec<Sample>,
    /// Pictures of an index whose data is still to come.
    awaited: Vec<Sample>,
}

/// The part that is whole: all its indexes and all their data.
#[derive(Clone, Copy, Default)]
struct Whole {
    end: u64,
    frames: u64,
}

impl Walk {
    /// `None`: the box makes no sense here, so the file is whole only before it.
    fn take(&mut self, file: &mut (impl Read + Seek), found: &TopBox) -> io::Result<Option<()>> {
        match &found.kind {
            b"moov" | b"hoov" => {
                if self.movie.is_some() {
                    return Ok(None);
                }
                let Some(body) = read_index(file, found)? else { return Ok(None) };
                let Some(movie) = Movie::parse(&body, found.end) else { return Ok(None) };
                self.hidden_index = (&found.kind == b"hoov").then_some(found.start + 4);
                self.frames = movie.frames;
                self.data_end = movie.data_end;
                self.movie = Some(movie);
            }
            b"moof" => {
                let Some(movie) = self.movie.as_ref().filter(|movie| movie.fragmented) else { return Ok(None) };
                let Some(body) = read_index(file, found)? else { return Ok(None) };
                let Some(fragment) = Fragment::parse(&body, found.start, movie) else { return Ok(None) };
                self.frames = self.frames.saturating_add(fragment.pictures.len() as u64);
                self.awaited.extend(fragment.pictures);
                self.data_end = self.data_end.max(fragment.data_end);
            }
            // Data settles only what was waiting for it: data whose index is yet to come belongs to no fragment.
            b"mdat" | b"free" if self.data_end > self.whole.end => {}
            _ => return Ok(Some(())),
        }
        self.settle(found.end);
        Ok(Some(()))
    }

    /// Everything up to `end` is whole if no index points beyond it.
    fn settle(&mut self, end: u64) {
        if self.movie.is_some() && self.data_end <= end {
            self.before_last = self.whole;
            self.last_pictures = std::mem::take(&mut self.awaited);
            self.whole = Whole { end, frames: self.frames };
        }
    }

    fn verdict(self, length: u64) -> Verdict {
        let Some(movie) = self.movie else {
            return Verdict::Unplayable { why: "it ends before its first fragment was whole" };
        };
        if self.whole.frames == 0 {
            return Verdict::Unplayable { why: "it holds no whole picture" };
        }
        let content = Content { frames: self.whole.frames, width: movie.width, height: movie.height, fps: movie.fps };
        if !movie.fragmented && self.whole.end == length && self.hidden_index.is_none() {
            return Verdict::Finished(content);
        }
        let keep = self.whole.end;
        Verdict::Fragmented { content, keep, hidden_index: self.hidden_index }
    }
}

/// Whether the pictures were written before the power went: after a cut a file may have its full length and nothing but
/// zeros in parts of it. Only what was written last can be so, as each fragment is synced before the next. Every
/// picture begins with the length of its first NAL unit (ISO/IEC 14496-15; the muxer uses four bytes).
fn written(file: &mut (impl Read + Seek), pictures: &[Sample]) -> io::Result<bool> {
    for picture in pictures {
        if picture.bytes < 5 {
            return Ok(false);
        }
        let mut length = [0; 4];
        file.seek(SeekFrom::Start(picture.at))?;
        file.read_exact(&mut length)?;
        let length = u64::from(u32::from_be_bytes(length));
        if length == 0 || length + 4 > picture.bytes {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read_index(file: &mut (impl Read + Seek), found: &TopBox) -> io::Result<Option<Vec<u8>>> {
    let size = found.end - found.body;
    if size > LARGEST_INDEX_BYTES {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(found.body))?;
    let mut body = Vec::new();
    file.by_ref().take(size).read_to_end(&mut body)?;
    Ok((body.len() as u64 == size).then_some(body))
}

#[cfg(test)]
mod tests;
