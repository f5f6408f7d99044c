//! A show that is removed by hand, and the index of an older version.

use std::collections::BTreeSet;
use std::fs;

use cuebox_core::director::{VaultFact, VaultOp};
use cuebox_core::ids::ShowId;

use super::tests::{SHOW, assert_agreement, open, rows, whole_show};
use crate::vault::crash::{Break, Machine, copy_all};
use crate::vault::layout::Layout;
use crate::vault::testkit::TempDir;
use crate::vault::witness::Witness;

#[test]
fn a_show_removed_by_hand_is_gone_whole_or_not_at_all_wherever_that_breaks() {
    let template = TempDir::new();
    whole_show(template.path());
    let removal = VaultOp::RemoveShow { show: ShowId::new(SHOW) };
    let mut seen = BTreeSet::new();
    for at in 0.. {
        let folder = TempDir::new();
        copy_all(template.path(), folder.path());
        let machine = Machine::new(folder.path(), Break::Kill, at);
        let told = open(folder.path(), machine.witness()).and_then(|(mut store, _)| {
            store.apply(&removal)?;
            store.flush()
        });
        drop(open(folder.path(), Witness::silent()).unwrap());
        let left = assert_agreement(folder.path()).len();
        if let Ok(facts) = told {
            assert_eq!((facts, left), (vec![VaultFact::ShowRemoved { show: ShowId::new(SHOW) }], 0));
        }
        seen.insert(left);
        assert_eq!(fs::read_dir(folder.path().join("shows")).unwrap().count(), left, "broken at step {at}");
        if !machine.broke() {
            break;
        }
    }
    assert_eq!(seen, BTreeSet::from([0, 1]));
}

#[test]
fn a_show_that_is_not_known_is_not_removed_whatever_its_name() {
    let folder = TempDir::new();
    let (mut store, _) = open(folder.path(), Witness::silent()).unwrap();
    fs::create_dir_all(folder.path().join("shows/../precious")).unwrap();
    store.apply(&VaultOp::RemoveShow { show: ShowId::new("../precious") }).unwrap();
    assert!(folder.path().join("precious").is_dir());
}

#[test]
fn the_index_of_an_older_version_is_taken_over() {
    let folder = TempDir::new();
    whole_show(folder.path());
    let expected = rows(folder.path());
    let older = rusqlite::Connection::open(Layout::new(folder.path()).index()).unwrap();
    older
        .execute_batch(
            "ALTER TABLE shows DROP COLUMN clock_offset_ns; ALTER TABLE shows DROP COLUMN clock_trust;
             PRAGMA user_version = 1",
        )
        .unwrap();
    drop(older);
    let (store, recovery) = open(folder.path(), Witness::silent()).unwrap();
    drop(store);
    assert_eq!((recovery.rebuilt, rows(folder.path())), (None, expected));
}
