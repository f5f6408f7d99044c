use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;

use super::{Content, Verdict, examine};
use crate::vault::disk::Disk;
use crate::vault::mend::{Mended, mend};
use crate::vault::testkit::{TempDir, played, recordings};
use crate::vault::witness::Witness;

fn verdict(bytes: &[u8]) -> Verdict {
    examine(&mut Cursor::new(bytes)).unwrap()
}

/// Length that is kept and its pictures; `None` when nothing can be played.
fn kept(bytes: &[u8]) -> Option<(usize, u64)> {
    match verdict(bytes) {
        Verdict::Finished(content) => Some((bytes.len(), content.frames)),
        Verdict::Fragmented { content, keep, .. } => Some((usize::try_from(keep).unwrap(), content.frames)),
        Verdict::Unplayable { .. } => None,
    }
}

/// Mends the file as recovery would; what a player then finds, with what was promised.
fn mended_and_played(bytes: &[u8]) -> Option<(u64, u64)> {
    let folder = TempDir::new();
    let path = folder.path().join("0001.mp4");
    fs::write(&path, bytes).unwrap();
    let disk = Disk::new(Witness::silent());
    match mend(&disk, &path).unwrap() {
        Mended::Plays { content, bytes, .. } => {
            assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
            Some((content.frames, played(&path).expect("a player opens it")))
        }
        Mended::Removed { .. } => {
            assert!(!path.exists());
            None
        }
        Mended::PutAside { why } => panic!("a file this small is never kept aside: {why}"),
    }
}

fn position(bytes: &[u8], kind: &[u8; 4]) -> usize {
    bytes.windows(4).position(|word| word == kind).expect("the box is there")
}

/// Lengths to cut a recording to: all around the borders of its boxes, and many between.
fn lengths(whole: &[u8]) -> impl Iterator<Item = usize> {
    let kinds = [b"moov", b"moof", b"mdat", b"free"];
    let borders = (4..whole.len() - 4).filter(|at| kinds.iter().any(|kind| &&whole[*at..*at + 4] == kind));
    let mut lengths: BTreeSet<usize> = borders.flat_map(|at| at.saturating_sub(12)..at + 12).collect();
    lengths.extend((0..whole.len()).step_by(37));
    lengths.insert(whole.len());
    lengths.into_iter()
}

#[test]
fn a_finished_recording_is_told_from_one_that_broke_off() {
    let content = Content { frames: 150, width: 160, height: 90, fps: 30 };
    assert_eq!(verdict(&recordings().finished), Verdict::Finished(content));
    let Verdict::Fragmented { content, hidden_index: None, .. } = verdict(&recordings().growing) else {
        panic!("it was not finished");
    };
    assert!((135..=150).contains(&content.frames), "{content:?}");
    assert_eq!((content.width, content.height, content.fps), (160, 90, 30));
}

#[test]
fn a_recording_cut_at_any_byte_is_removed_or_plays_with_every_whole_fragment() {
    for whole in [&recordings().growing, &recordings().index_first] {
        let mut prefixes = BTreeMap::new();
        let mut frames_before = 0;
        for length in lengths(whole) {
            let Some((keep, frames)) = kept(&whole[..length]) else {
                assert_eq!(frames_before, 0, "at {length}: a longer piece holds at least as much");
                continue;
            };
            assert!(keep <= length && frames >= frames_before, "at {length}: {keep} bytes, {frames} pictures");
            frames_before = frames;
            prefixes.insert(keep, frames);
        }
        assert!(prefixes.len() >= 9, "5 s hold ten fragments: {prefixes:?}");
        for (keep, frames) in prefixes {
            assert_eq!(mended_and_played(&whole[..keep]), Some((frames, frames)), "cut to {keep}");
        }
    }
}

#[test]
fn two_hundred_torn_files_are_mended_or_removed() {
    let whole = &recordings().growing;
    let first_index_end = position(whole, b"mvex") + 4096;
    let folder = TempDir::new();
    let path = folder.path().join("0001.mp4");
    let disk = Disk::new(Witness::silent());
    let mut plays = BTreeMap::new();
    for cut in 1..=200 {
        let length = whole.len() * cut / 200;
        fs::write(&path, &whole[..length]).unwrap();
        let Mended::Plays { content, bytes, .. } = mend(&disk, &path).unwrap() else {
            assert!(length < first_index_end, "cut at {length}: there were whole fragments");
            continue;
        };
        let found = *plays.entry(bytes).or_insert_with(|| played(&path).expect("a player opens it"));
        assert!(found >= content.frames, "cut at {length}: {} promised, {found} play", content.frames);
        // Two fragments of the half second's 15 pictures, in a file of even bitrate.
        let possible = 150 * u64::try_from(length).unwrap() / whole.len() as u64;
        assert!(found + 45 >= possible, "cut at {length}: only {found} of {possible} play");
    }
    assert!(plays.len() >= 9, "{plays:?}");
}

/// What the file looks like at each step of being finished: the new index is written behind everything, the old
/// one's type becomes `hoov`, the head's `mdat` is made to span all. The last two may reach the disk in any order.
#[test]
fn a_recording_cut_anywhere_while_it_is_finished_keeps_its_fragments() {
    let finished = &recordings().finished;
    let old_index = position(finished, b"hoov");
    let new_index = recordings().growing.len();
    let mut grown = recordings().growing.clone();
    grown.extend(&finished[new_index..]);
    let mut renamed = grown.clone();
    renamed[old_index..old_index + 4].copy_from_slice(b"hoov");
    let mut closed = grown.clone();
    let last_data = grown[..new_index].windows(8).rposition(|word| word == b"\0\0\0\0mdat").expect("the last data");
    closed[last_data..last_data + 4].copy_from_slice(&u32::try_from(new_index - last_data).unwrap().to_be_bytes());
    let mut spanned = finished.clone();
    spanned[old_index..old_index + 4].copy_from_slice(b"moov");

    let (_, frames) = kept(&grown[..new_index]).expect("it was playable before");
    assert!(frames >= 120, "{frames}");
    for length in new_index..=grown.len() {
        assert_eq!(kept(&grown[..length]).map(|(_, frames)| frames), Some(frames), "new index cut at {length}");
    }
    for (name, state, least) in [
        ("new index whole", &grown, frames),
        ("new index whole and the last data closed", &closed, frames),
        ("old index renamed before the head", &renamed, frames),
        ("head before the old index", &spanned, 150),
        ("all done", finished, 150),
    ] {
        let (promised, found) = mended_and_played(state).expect(name);
        assert!(promised >= least && found == promised, "{name}: {promised} promised, {found} play");
    }
}

#[test]
fn a_last_fragment_that_the_disk_never_got_is_cut_off() {
    for whole in [&recordings().growing, &recordings().index_first] {
        let mut frames = Vec::new();
        for length in lengths(whole) {
            frames.extend(kept(&whole[..length]).filter(|found| frames.last() != Some(found)));
        }
        let long = |pair: &&[(usize, u64)]| pair[1].0 - pair[0].0 > 6_000;
        let Some(&[(before, fewer), (last, _)]) = frames.windows(2).rfind(long) else { panic!("it has fragments") };
        // One page of zeros where the fragment's pictures are.
        let mut holed = whole[..last].to_vec();
        holed[before + 300..before + 300 + 4096].fill(0);
        assert_eq!(kept(&holed), Some((before, fewer)));
        assert_eq!(mended_and_played(&holed), Some((fewer, fewer)));
    }
}

#[test]
fn a_recording_plays_up_to_the_first_index_that_was_left_incomplete() {
    let whole = &recordings().incomplete;
    let folder = TempDir::new();
    let path = folder.path().join("0001.mp4");
    fs::write(&path, whole).unwrap();
    assert_eq!(played(&path), None, "the muxer does this no more");
    let (promised, found) = mended_and_played(whole).expect("its first fragment is whole");
    assert!(promised > 0 && promised == found, "{promised} promised, {found} play");
}

#[test]
fn a_mended_file_is_not_changed_again() {
    let folder = TempDir::new();
    let path = folder.path().join("0001.mp4");
    for torn in [&recordings().growing, &recordings().incomplete] {
        fs::write(&path, torn).unwrap();
        let disk = Disk::new(Witness::silent());
        mend(&disk, &path).unwrap();
        let once = fs::read(&path).unwrap();
        assert!(matches!(mend(&disk, &path).unwrap(), Mended::Plays { cut_bytes: 0, .. }));
        assert!(fs::read(&path).unwrap() == once);
    }
}

#[test]
fn a_large_file_that_cannot_be_read_is_kept_aside() {
    let folder = TempDir::new();
    let path = folder.path().join("0001.mp4");
    fs::write(&path, &recordings().growing[..1000]).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(17 << 20).unwrap();
    let disk = Disk::new(Witness::silent());
    assert!(matches!(mend(&disk, &path).unwrap(), Mended::PutAside { .. }));
    assert!(folder.path().join("0001.mp4.unreadable").exists() && !path.exists());
}

/// A small generator, so that the garbage is the same in each run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn stays_inside(bytes: &[u8]) {
    let Verdict::Fragmented { content, keep, .. } = verdict(bytes) else { return };
    let keep = usize::try_from(keep).unwrap();
    assert!(keep <= bytes.len() && content.frames > 0);
    assert_eq!(kept(&bytes[..keep]), Some((keep, content.frames)), "mending twice mends once");
}

#[test]
fn no_garbage_is_taken_for_a_recording_or_breaks_the_reader() {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for _ in 0..2_000 {
        let length = noise.below(600);
        let mut bytes: Vec<u8> = (0..length).map(|_| u8::try_from(noise.below(256)).unwrap()).collect();
        assert_eq!(kept(&bytes), None);
        bytes.splice(0..0, *b"\0\0\0\x08ftyp");
        stays_inside(&bytes);
    }
}

#[test]
fn a_recording_with_any_of_its_bytes_changed_never_breaks_the_reader() {
    let mut noise = Noise(0xD1B5_4A32_D192_ED03);
    for whole in [&recordings().growing, &recordings().finished, &recordings().index_first, &recordings().incomplete] {
        // Indexes and heads are what is read: most changes go there.
        let kinds = [*b"moov", *b"moof", *b"mdat", *b"stsz", *b"trun", *b"tfhd", *b"stco", *b"trex", *b"mvex"];
        let places: Vec<usize> =
            (0..whole.len() - 4).filter(|at| kinds.iter().any(|kind| &whole[*at..*at + 4] == kind)).collect();
        for _ in 0..1_000 {
            let mut bytes = whole.clone();
            for _ in 0..=noise.below(4) {
                let near = places[noise.below(places.len())];
                let at = (near + noise.below(40)).saturating_sub(4).min(bytes.len() - 1);
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, u8::try_from(noise.below(256)).unwrap()][noise.below(6)];
            }
            bytes.truncate(whole.len() - noise.below(whole.len() / 2));
            stays_inside(&bytes);
        }
    }
}
