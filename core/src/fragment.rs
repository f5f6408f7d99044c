//! Completes the index (`moof`) of a recording's fragment.
//!
//! GStreamer's `mp4mux` (seen with 1.22) leaves a hole in some of them: a run of samples whose sizes all equal the
//! fragment's first one is written without sizes, as if the track's header (`tfhd`) gave a default, and that default
//! is dropped as soon as another run differs. Players refuse the whole file at such an index. It happens in most files
//! whose fragments do not begin with key frames. An ordinary, finished file does not have these indexes.
//!
//! The default is put back. The index grows by [`GROWTH`] bytes then, always the same, so that it can take the place of
//! the empty `free` box that the muxer puts before each fragment.

/// Bytes that a completed index is longer: an empty box.
pub const GROWTH: usize = 8;

/// `tfhd` flags, ISO/IEC 14496-12 §8.8.7, and the one of `trun`, §8.8.8.
const BASE: u32 = 0x01;
const DESCRIPTION: u32 = 0x02;
const DEFAULT_DURATION: u32 = 0x08;
const DEFAULT_SIZE: u32 = 0x10;
const RUN_OFFSET: u32 = 0x01;
const RUN_FIRST_FLAGS: u32 = 0x04;
const RUN_DURATION: u32 = 0x100;
const RUN_SIZE: u32 = 0x200;

/// The complete index for a whole `moof` box, [`GROWTH`] bytes longer. `None` when nothing is missing, or when it
/// cannot be completed: no run tells the first sample's size, or its data is found relative to the index.
pub fn complete(moof: &[u8]) -> Option<Vec<u8>> {
    let (kind, body, rest) = split(moof)?;
    if kind != b"moof" || !rest.is_empty() {
        return None;
    }
    let mut additions = Vec::new();
    let mut spare = None;
    for (place, traf) in children(body).filter(|(kind, _)| *kind == b"traf").map(|(_, traf)| traf).enumerate() {
        let track = Track::read(traf)?;
        if !track.described {
            spare.get_or_insert(place);
        }
        if track.lacks_sizes {
            additions.push(Addition { place, flag: DEFAULT_SIZE, value: track.first_size? });
        }
    }
    match additions.len() {
        // A description says what is understood anyway: it fills up.
        1 => additions.push(Addition { place: spare?, flag: DESCRIPTION, value: 1 }),
        2 => {}
        _ => return None,
    }
    rebuilt(body, &additions)
}

struct Track {
    lacks_sizes: bool,
    first_size: Option<u32>,
    described: bool,
}

impl Track {
    fn read(traf: &[u8]) -> Option<Self> {
        let (_, tfhd) = children(traf).find(|(kind, _)| *kind == b"tfhd")?;
        let flags = word(tfhd, 0)?;
        if flags & BASE == 0 {
            return None;
        }
        let (mut lacks_sizes, mut first_size) = (false, None);
        for (_, trun) in children(traf).filter(|(kind, _)| *kind == b"trun") {
            let run = word(trun, 0)?;
            lacks_sizes |= run & RUN_SIZE == 0 && flags & DEFAULT_SIZE == 0;
            if run & RUN_SIZE != 0 && first_size.is_none() {
                let before =
                    [RUN_OFFSET, RUN_FIRST_FLAGS, RUN_DURATION].iter().filter(|flag| run & **flag != 0).count();
                first_size = Some(word(trun, 8 + 4 * before)?);
            }
        }
        Some(Self { lacks_sizes, first_size, described: flags & DESCRIPTION != 0 })
    }
}

/// A field for the header of the track at `place`.
struct Addition {
    place: usize,
    flag: u32,
    value: u32,
}

fn rebuilt(body: &[u8], additions: &[Addition]) -> Option<Vec<u8>> {
    let mut inner = Vec::with_capacity(body.len() + GROWTH);
    let mut place = 0;
    for (kind, child) in children(body) {
        if kind != b"traf" {
            put(&mut inner, kind, child)?;
            continue;
        }
        let mut traf = Vec::with_capacity(child.len() + GROWTH);
        for (kind, part) in children(child) {
            if kind == b"tfhd" {
                put(&mut traf, kind, &header_with(part, additions.iter().filter(|one| one.place == place))?)?;
            } else {
                put(&mut traf, kind, part)?;
            }
        }
        put(&mut inner, b"traf", &traf)?;
        place += 1;
    }
    let mut moof = Vec::with_capacity(inner.len() + 8);
    put(&mut moof, b"moof", &inner)?;
    (inner.len() == body.len() + GROWTH).then_some(moof)
}

/// A track's header with more fields, each in its place in the order of the flags.
fn header_with<'a>(tfhd: &[u8], additions: impl Iterator<Item = &'a Addition>) -> Option<Vec<u8>> {
    let mut header = tfhd.to_vec();
    for addition in additions {
        let flags = word(&header, 0)?;
        let before =
            [DESCRIPTION, DEFAULT_DURATION].iter().filter(|flag| flags & **flag & (addition.flag - 1) != 0).count();
        let at = 16 + 4 * before;
        if header.len() < at {
            return None;
        }
        header.splice(at..at, addition.value.to_be_bytes());
        header.splice(..4, (flags | addition.flag).to_be_bytes());
    }
    Some(header)
}

fn put(target: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) -> Option<()> {
    target.extend(u32::try_from(body.len() + 8).ok()?.to_be_bytes());
    target.extend(kind);
    target.extend(body);
    Some(())
}

fn children(body: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let (kind, inner, after) = split(rest)?;
        rest = after;
        Some((kind, inner))
    })
}

/// (type, content, what follows).
fn split(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let size = usize::try_from(word(bytes, 0)?).ok()?;
    Some((bytes.get(4..8)?.try_into().ok()?, bytes.get(8..size)?, bytes.get(size..)?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, kind, &parts.concat()).unwrap();
        bytes
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A track's part: header flags and fields, then (flags, fields) of each run.
    fn traf(header: &[u32], runs: &[&[u32]]) -> Vec<u8> {
        let runs: Vec<u8> = runs.iter().flat_map(|run| boxed(b"trun", &[&words(run)])).collect();
        boxed(b"traf", &[&boxed(b"tfhd", &[&words(header)]), &runs])
    }

    fn moof(trafs: &[Vec<u8>]) -> Vec<u8> {
        boxed(b"moof", &[&boxed(b"mfhd", &[&words(&[0, 7])]), &trafs.concat()])
    }

    /// As the muxer wrote it: base, default duration and flags; the last run has its size dropped.
    fn broken() -> Vec<u8> {
        traf(&[0x29, 1, 0, 900, 100, 0x1_00c0], &[&[0x201, 1, 16, 488], &[0x201, 1, 1586, 494], &[0x01, 1, 9577]])
    }

    fn whole() -> Vec<u8> {
        traf(&[0x01, 2, 0, 900], &[&[0x701, 1, 504, 1024, 388, 192]])
    }

    #[test]
    fn a_dropped_default_is_put_back_and_the_index_grows_by_an_empty_box() {
        let mended = traf(
            &[0x3b, 1, 0, 900, 1, 100, 488, 0x1_00c0],
            &[&[0x201, 1, 16, 488], &[0x201, 1, 1586, 494], &[0x01, 1, 9577]],
        );
        assert_eq!(complete(&moof(&[broken(), whole()])), Some(moof(&[mended, whole()])));
    }

    #[test]
    fn a_single_track_and_two_broken_ones_grow_by_as_much() {
        for trafs in [vec![broken()], vec![broken(), broken()]] {
            let before = moof(&trafs);
            let after = complete(&before).expect("it can be completed");
            assert_eq!(after.len(), before.len() + GROWTH);
            assert_eq!(complete(&after), None, "nothing is missing any more");
        }
    }

    #[test]
    fn what_is_complete_or_cannot_be_completed_is_left_alone() {
        let constant = traf(&[0x31, 1, 0, 900, 488, 0], &[&[0x01, 3, 16]]);
        let sizeless = traf(&[0x21, 1, 0, 900, 0], &[&[0x01, 3, 16]]);
        let relative = traf(&[0x02_0020, 1, 0], &[&[0x201, 1, 16, 488], &[0x01, 1, 900]]);
        for trafs in [vec![whole()], vec![constant], vec![sizeless], vec![relative], vec![]] {
            assert_eq!(complete(&moof(&trafs)), None);
        }
        let index = moof(&[broken(), whole()]);
        for length in 0..index.len() {
            assert_eq!(complete(&index[..length]), None, "cut to {length}");
        }
    }
}
