//! A data folder damaged at random: whatever a disk, a power cut or a person made of it, the box starts, everything that is
//! left agrees, and starting again finds nothing more.
//!
//! `CUEBOX_FUZZ_CASES` says how many folders (150 in the suite), `CUEBOX_FUZZ_SEED` where the dice begin.

#[path = "../../../core/tests/fuzz/dice.rs"]
mod dice;

use std::fs;
use std::path::{Path, PathBuf};

use dice::{Dice, setting};

use super::tests::{assert_listed, open, whole_show, wreck};
use crate::vault::crash::copy_all;
use crate::vault::manifest::Manifest;
use crate::vault::testkit::TempDir;
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

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn whatever_is_damaged_in_a_data_folder_the_box_starts_and_all_that_is_left_agrees() {
    let templates = [TempDir::new(), TempDir::new()];
    whole_show(templates[0].path());
    wreck(templates[1].path());
    let mut dice = Dice::new(44);
    for case in 0..setting("CUEBOX_FUZZ_CASES", 150) {
        let folder = TempDir::new();
        copy_all(templates[dice.below(2)].path(), folder.path());
        let mut found = Vec::new();
        files(folder.path(), &mut found);
        let mut done = Vec::new();
        for _ in 0..=dice.below(3) {
            let path = &found[dice.below(found.len())];
            done.push(path.strip_prefix(folder.path()).unwrap().to_owned());
            if dice.below(6) == 0 {
                let _ = fs::remove_file(path);
            } else if let Ok(mut bytes) = fs::read(path) {
                dice.damage(&mut bytes);
                fs::write(path, bytes).unwrap();
            }
        }
        let (store, first) = open(folder.path(), Witness::silent()).unwrap_or_else(|e| panic!("{case} {done:?}: {e}"));
        drop(store);
        assert_listed(folder.path());
        let (_, again) = open(folder.path(), Witness::silent()).unwrap();
        assert_eq!((&again.segments, &again.rebuilt), (&first.segments, &None), "{case}: {done:?}");
    }
}

#[test]
fn no_damaged_manifest_breaks_its_reader() {
    let folder = TempDir::new();
    whole_show(folder.path());
    let mut found = Vec::new();
    files(folder.path(), &mut found);
    let path = found.iter().find(|path| path.ends_with("show.json")).unwrap();
    let whole = fs::read(path).unwrap();
    let mut dice = Dice::new(55);
    let (mut read, mut unread) = (0, 0);
    for _ in 0..setting("CUEBOX_FUZZ_CASES", 150) * 20 {
        let mut bytes = whole.clone();
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
