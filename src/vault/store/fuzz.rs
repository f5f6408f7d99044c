//! A data folder damaged at random: whatever a disk, a power cut or a person made of it, the box starts, everything that is
//! left agrees, and starting again finds nothing more.
//!
//! `CUEBOX_FUZZ_CASES` says how many folders (150 in the suite), `CUEBOX_FUZZ_SEED` where the dice begin,
//! `CUEBOX_FUZZ_FROM` with which case: one that failed is named by its number.

#[path = "../../../core/tests/fuzz/dice.rs"]
mod dice;
mod pristine;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dice::{Dice, setting};
use pristine::{Copy, Pristine};

use super::tests::{assert_listed, interrupted_show, open, whole_show, wreck};
use crate::vault::manifest::Manifest;
use crate::vault::recovery::Recovery;
use crate::vault::witness::Witness;

impl Dice {
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let at = self.below(length);
        match self.below(6) {
            0 => bytes.truncate(at),
            1 if length > 0 => bytes[at] ^= 1 << self.below(8),
            // What is looked at first is damaged most.
            2 if length > 0 => bytes[at % 200 % length] ^= 1 << self.below(8),
            3 => {
                let end = (at + 4096).min(length);
                bytes[at..end].fill(0);
            }
            4 => bytes.extend(std::iter::repeat_n(0, 1 + self.below(5_000))),
            _ => {
                let end = (at + 20).min(length);
                let piece = bytes[at..end].to_vec();
                let to = self.below(length + 1);
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// Dice of its own for each case, so that one of a million can be thrown again alone.
fn dice_of(case: u64) -> Dice {
    let mut mixed = case.wrapping_add(44).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    Dice::new((mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB))
}

/// Names the files that were damaged.
fn damage_some(folder: &Copy, files: &[&Path], dice: &mut Dice) -> BTreeSet<PathBuf> {
    let mut done = BTreeSet::new();
    for _ in 0..=dice.below(3) {
        let name = files[dice.below(files.len())];
        let path = folder.path().join(name);
        if dice.below(6) == 0 {
            let _ = fs::remove_file(path);
        } else if let Ok(mut bytes) = fs::read(&path) {
            dice.damage(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
        done.insert(name.to_owned());
    }
    done
}

/// A data folder, and the recordings in it that nothing needs to be done to.
struct Template {
    pristine: Pristine,
    whole: Vec<PathBuf>,
}

impl Template {
    fn new(make: fn(&Path)) -> Self {
        let pristine = Pristine::of(make);
        let copy = pristine.copy();
        copy.restore();
        drop(open(copy.path(), Witness::silent()).unwrap());
        let recordings = pristine.files().into_iter().filter(|name| name.extension().is_some_and(|end| end == "mp4"));
        let whole: Vec<_> = recordings.filter(|name| copy.untouched(name)).map(Path::to_owned).collect();
        assert!(!whole.is_empty());
        drop(copy);
        Self { pristine, whole }
    }
}

/// Whether the index had to be built again.
fn starts_and_agrees(folder: &Copy, undamaged: impl Iterator<Item = PathBuf>) -> bool {
    let (store, first) = open(folder.path(), Witness::silent()).unwrap();
    drop(store);
    assert_listed(folder.path());
    for recording in undamaged {
        assert!(folder.untouched(&recording), "{} was whole", recording.display());
    }
    let (store, again) = open(folder.path(), Witness::silent()).unwrap();
    drop(store);
    let open_show = |found: &Recovery| found.open_show.as_ref().map(|open| (open.show.clone(), open.last_frame));
    assert_eq!((&again.segments, open_show(&again)), (&first.segments, open_show(&first)));
    assert_eq!(again.rebuilt, None);
    first.rebuilt.is_some()
}

#[test]
fn whatever_is_damaged_in_a_data_folder_the_box_starts_and_all_that_is_left_agrees() {
    let templates = [whole_show as fn(&Path), wreck, interrupted_show].map(Template::new);
    let (from, cases) = (setting("CUEBOX_FUZZ_FROM", 0), setting("CUEBOX_FUZZ_CASES", 150));
    let (next, rebuilt) = (AtomicU64::new(from), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let work = || {
        let folders = templates.each_ref().map(|template| template.pristine.copy());
        while failed.lock().unwrap().len() < 10 {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= from + cases {
                break;
            }
            let mut dice = dice_of(case);
            let which = dice.below(templates.len());
            let (template, folder) = (&templates[which], &folders[which]);
            folder.restore();
            let damaged = damage_some(folder, &template.pristine.files(), &mut dice);
            let undamaged = template.whole.iter().filter(|name| !damaged.contains(*name)).cloned();
            match catch_unwind(AssertUnwindSafe(|| starts_and_agrees(folder, undamaged))) {
                Ok(again) => {
                    rebuilt.fetch_add(again.into(), Ordering::Relaxed);
                }
                Err(_) => failed.lock().unwrap().push((case, which, damaged)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:#?}");
    let rebuilt = rebuilt.into_inner();
    println!("{cases} folders from number {from}, the index of {rebuilt} built again");
    assert!(cases < 100 || (1..cases).contains(&rebuilt), "{rebuilt} of {cases}");
}

#[test]
fn no_damaged_manifest_breaks_its_reader() {
    let show = Pristine::of(whole_show);
    let whole = show.content("show.json");
    let mut dice = Dice::new(55);
    let (mut read, mut unread) = (0, 0);
    for _ in 0..setting("CUEBOX_FUZZ_CASES", 150) * 20 {
        let mut bytes = whole.to_vec();
        dice.damage(&mut bytes);
        match Manifest::read(&bytes) {
            Some(manifest) => {
                read += 1;
                let (record, segments) = manifest.records();
                let ends = segments.iter().map(|segment| segment.end_frame()).max().unwrap_or(0);
                let _ = record.show.time_of(ends);
            }
            None => unread += 1,
        }
    }
    assert!(read > 0 && unread > 0, "{read} were read, {unread} were not");
}
