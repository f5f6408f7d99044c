//! Makes a fragment's index (`moof`) say everything about its samples. Pure.
//!
//! mp4mux 1.22 leaves sizes and durations out of a run whose samples happen to be alike, although the defaults that
//! they would come from are not there: the last packets of a silent track have no size, and players give up the whole
//! file. What is missing is found again from the layout: the muxer writes run after run without a hole, so a run's
//! length is the distance to the next one.
//!
//! The index is written anew at the same length, because the muxer counts on where things are.

use super::mp4::{Box4, children, u32_at, u64_at};

const HAS_OFFSET: u32 = 0x1;
const HAS_FIRST_FLAGS: u32 = 0x4;
const HAS_DURATION: u32 = 0x100;
const HAS_SIZE: u32 = 0x200;
const HAS_FLAGS: u32 = 0x400;
const DEFAULT_DURATION: u32 = 0x8;
const DEFAULT_SIZE: u32 = 0x10;
const DEFAULT_FLAGS: u32 = 0x20;
/// A sample that needs others before it can be decoded.
const DEPENDS: u32 = 0x1_0000;

/// What the `moov` told of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Track {
    pub number: u32,
    /// Length of its samples, in its own time scale.
    pub duration: u32,
    pub pictures: bool,
}

struct Traf {
    track: Track,
    base: u64,
    /// The `tfdt`, as it is.
    time: Vec<u8>,
    runs: Vec<Run>,
}

struct Run {
    offset: u32,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    size: Option<u32>,
    duration: u32,
    depends: bool,
}

/// Rewrites the `moof` in `data`, whose first byte lies at `position` in the file. An index that cannot be understood,
/// or would not fit, is left as it is.
pub fn complete(data: &mut [u8], moof: &Box4, position: u64, tracks: &[Track]) -> Option<()> {
    let end = moof.end?;
    let header = children(data, moof).find(|it| it.kind == *b"mfhd")?;
    let header = data.get(header.start..header.end?)?.to_vec();
    let trafs = children(data, moof).filter(|it| it.kind == *b"traf");
    let mut trafs: Vec<Traf> = trafs.map(|traf| read_traf(data, &traf, tracks)).collect::<Option<_>>()?;
    find_sizes(&mut trafs, position + u64::try_from(moof.start).ok()?)?;

    let room = end - moof.start;
    let written = [true, false].into_iter().find_map(|flags| fit(&header, &trafs, flags, room))?;
    data.get_mut(moof.start..end)?.copy_from_slice(&written);
    Some(())
}

fn read_traf(data: &[u8], traf: &Box4, tracks: &[Track]) -> Option<Traf> {
    let header = children(data, traf).find(|it| it.kind == *b"tfhd")?;
    let flags = u32_at(data, header.body)? & 0xff_ffff;
    let number = u32_at(data, header.body + 4)?;
    let mut track = *tracks.iter().find(|it| it.number == number)?;
    if flags & HAS_OFFSET == 0 {
        return None;
    }
    let base = u64_at(data, header.body + 8)?;
    let mut at = header.body + 16;
    let mut field = |flag: u32| {
        (flags & flag != 0).then(|| {
            at += 4;
            u32_at(data, at - 4)
        })
    };
    let duration = field(DEFAULT_DURATION).flatten();
    let size = field(DEFAULT_SIZE).flatten();
    let sample_flags = field(DEFAULT_FLAGS).flatten().unwrap_or(0);
    track.duration = duration.unwrap_or(track.duration);
    let time = children(data, traf).find(|it| it.kind == *b"tfdt")?;
    let time = data.get(time.start..time.end?)?.to_vec();
    let depends = track.pictures && sample_flags & DEPENDS != 0;
    let default = Sample { size, duration: track.duration, depends };
    let runs = children(data, traf).filter(|it| it.kind == *b"trun").map(|run| read_run(data, &run, default));
    Some(Traf { track, base, time, runs: runs.collect::<Option<_>>()? })
}

fn read_run(data: &[u8], run: &Box4, default: Sample) -> Option<Run> {
    let flags = u32_at(data, run.body)? & 0xff_ffff;
    let known = HAS_OFFSET | HAS_FIRST_FLAGS | HAS_DURATION | HAS_SIZE | HAS_FLAGS;
    if flags & HAS_OFFSET == 0 || flags & !known != 0 {
        return None;
    }
    let count = u32_at(data, run.body + 4)?;
    let offset = u32_at(data, run.body + 8)?;
    let mut at = run.body + 12;
    let mut next = || {
        at += 4;
        u32_at(data, at - 4)
    };
    let first_flags = if flags & HAS_FIRST_FLAGS != 0 { Some(next()?) } else { None };
    let mut samples = Vec::new();
    for k in 0..count {
        let mut sample = default;
        if flags & HAS_DURATION != 0 {
            sample.duration = next()?;
        }
        if flags & HAS_SIZE != 0 {
            sample.size = Some(next()?);
        }
        let own_flags = if flags & HAS_FLAGS != 0 { Some(next()?) } else { first_flags.filter(|_| k == 0) };
        if let Some(own) = own_flags.filter(|_| default.depends) {
            sample.depends = own & DEPENDS != 0;
        }
        samples.push(sample);
    }
    Some(Run { offset, samples })
}

/// Fills in sizes that are missing; they are all alike within a run. `None` when the layout contradicts what is there.
fn find_sizes(trafs: &mut [Traf], end: u64) -> Option<()> {
    let begins = trafs.iter().flat_map(|traf| traf.runs.iter().map(|run| traf.base + u64::from(run.offset)));
    let mut begins: Vec<u64> = begins.collect();
    begins.push(end);
    begins.sort_unstable();
    for traf in trafs {
        for run in &mut traf.runs {
            let begin = traf.base + u64::from(run.offset);
            // The fragment's own boxes may follow the last run, but nothing lies between runs.
            let length = u32::try_from(begins.iter().find(|next| **next > begin)? - begin).ok()?;
            let count = u32::try_from(run.samples.len()).ok()?;
            let even = length.checked_div(count).filter(|size| size * count == length);
            for sample in run.samples.iter_mut().filter(|sample| sample.size.is_none()) {
                sample.size = Some(even?);
            }
            let total: u32 = run.samples.iter().filter_map(|sample| sample.size).sum();
            if total != length {
                return None;
            }
        }
    }
    Some(())
}

/// The index at exactly `room` bytes: padded with a `free` box, or by naming one sample's duration once more.
fn fit(header: &[u8], trafs: &[Traf], default_flags: bool, room: usize) -> Option<Vec<u8>> {
    for spell_out in [false, true] {
        let mut body = header.to_vec();
        for (k, traf) in trafs.iter().enumerate() {
            body.extend(write_traf(traf, default_flags || traf.track.pictures, spell_out && k == 0)?);
        }
        let Some(left) = room.checked_sub(8 + body.len()) else { continue };
        if left == 0 || left >= 8 {
            if left > 0 {
                body.extend(boxed(b"free", &vec![0; left - 8])?);
            }
            return boxed(b"moof", &body);
        }
    }
    None
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Option<Vec<u8>> {
    let size = u32::try_from(body.len() + 8).ok()?;
    Some([&size.to_be_bytes(), kind.as_slice(), body].concat())
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// `spell_out`: the first run of one sample names its duration although it is the default.
fn write_traf(traf: &Traf, default_flags: bool, spell_out: bool) -> Option<Vec<u8>> {
    let mut header = words(&[
        HAS_OFFSET | DEFAULT_DURATION | if default_flags { DEFAULT_FLAGS } else { 0 },
        traf.track.number,
        u32::try_from(traf.base >> 32).ok()?,
        u32::try_from(traf.base & 0xffff_ffff).ok()?,
        traf.track.duration,
    ]);
    if default_flags {
        header.extend(words(&[if traf.track.pictures { DEPENDS } else { 0 }]));
    }
    let mut body = boxed(b"tfhd", &header)?;
    body.extend(&traf.time);
    let mut spell_out = spell_out;
    for run in &traf.runs {
        let once = spell_out && run.samples.len() == 1;
        spell_out &= !once;
        body.extend(write_run(run, &traf.track, once)?);
    }
    boxed(b"traf", &body)
}

fn write_run(run: &Run, track: &Track, spell_out: bool) -> Option<Vec<u8>> {
    let durations = spell_out || run.samples.iter().any(|sample| sample.duration != track.duration);
    let first_free = track.pictures && run.samples.first().is_some_and(|sample| !sample.depends);
    let later_free = track.pictures && run.samples.iter().skip(1).any(|sample| !sample.depends);
    let mut flags = HAS_OFFSET | HAS_SIZE;
    flags |= if durations { HAS_DURATION } else { 0 };
    flags |= if later_free { HAS_FLAGS } else { 0 };
    flags |= if first_free && !later_free { HAS_FIRST_FLAGS } else { 0 };
    let mut body = words(&[flags, u32::try_from(run.samples.len()).ok()?, run.offset]);
    if flags & HAS_FIRST_FLAGS != 0 {
        body.extend(words(&[0]));
    }
    for sample in &run.samples {
        if durations {
            body.extend(words(&[sample.duration]));
        }
        body.extend(words(&[sample.size?]));
        if later_free {
            body.extend(words(&[if sample.depends { DEPENDS } else { 0 }]));
        }
    }
    boxed(b"trun", &body)
}

/// What a `moov` tells of its tracks.
pub fn tracks(data: &[u8], moov: &Box4) -> Vec<Track> {
    let traks = children(data, moov).filter(|it| it.kind == *b"trak");
    traks.filter_map(|trak| super::mp4::track(data, &trak)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::mp4::box_at;
    use super::*;

    const TRACKS: [Track; 2] =
        [Track { number: 1, duration: 100, pictures: true }, Track { number: 2, duration: 1024, pictures: false }];

    /// A fragment as the muxer leaves it: picture, two packets, picture, one packet without its size.
    fn fragment() -> Vec<u8> {
        let run = |words_of: &[u32]| boxed(b"trun", &words(words_of)).unwrap();
        let time = boxed(b"tfdt", &words(&[0, 7])).unwrap();
        let pictures = [
            boxed(b"tfhd", &words(&[0x29, 1, 0, 1_000, 100, 0x100c0])).unwrap(),
            time.clone(),
            run(&[0x205, 1, 16, 0xc0, 500]),
            run(&[0x201, 1, 530, 70]),
        ]
        .concat();
        let sound = [
            boxed(b"tfhd", &words(&[0x21, 2, 0, 1_000, 0xc0])).unwrap(),
            time,
            run(&[0x305, 2, 516, 0xc0, 1024, 8, 1024, 6]),
            run(&[0x1, 1, 600]),
        ]
        .concat();
        let body = [
            boxed(b"mfhd", &words(&[0, 9])).unwrap(),
            boxed(b"traf", &pictures).unwrap(),
            boxed(b"traf", &sound).unwrap(),
        ]
        .concat();
        let mut data = [boxed(b"free", &[]).unwrap(), boxed(b"mdat", &[1; 590]).unwrap()].concat();
        data.extend(boxed(b"moof", &body).unwrap());
        data
    }

    #[test]
    fn a_size_that_the_muxer_left_out_is_found_again_and_nothing_moves() {
        let mut data = fragment();
        let moof = box_at(&data, 606).unwrap();
        let length = data.len();
        complete(&mut data, &moof, 1_000, &TRACKS).unwrap();
        assert_eq!(data.len(), length);
        let moof = box_at(&data, 606).unwrap();
        assert_eq!((moof.kind, moof.end), (*b"moof", Some(length)));
        let mut trafs: Vec<Traf> = children(&data, &moof)
            .filter(|it| it.kind == *b"traf")
            .map(|traf| read_traf(&data, &traf, &TRACKS).unwrap())
            .collect();
        find_sizes(&mut trafs, 1_606).unwrap();
        let sizes = |traf: &Traf| -> Vec<u32> {
            traf.runs.iter().flat_map(|run| run.samples.iter().map(|sample| sample.size.unwrap())).collect()
        };
        assert_eq!((sizes(&trafs[0]), sizes(&trafs[1])), (vec![500, 70], vec![8, 6, 6]));
        assert!(trafs.iter().flat_map(|traf| &traf.runs).flat_map(|run| &run.samples).all(|it| it.duration > 0));
        assert!(!trafs[0].runs[0].samples[0].depends && trafs[0].runs[1].samples[0].depends);
    }

    #[test]
    fn an_index_that_contradicts_the_layout_is_left_alone() {
        let mut data = fragment();
        let moof = box_at(&data, 606).unwrap();
        let before = data.clone();
        assert_eq!(complete(&mut data, &moof, 990, &TRACKS), None, "the fragment lies elsewhere");
        assert_eq!(complete(&mut data, &moof, 1_000, &TRACKS[..1]), None, "a track that nobody knows");
        assert_eq!(data, before);
    }
}
