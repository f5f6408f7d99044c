use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cuebox_core::director::{NewShow, Sealed, VaultFact, VaultOp};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{SegmentId, ShowId, SlotId, Track};
use cuebox_core::time::{Trust, Wall};
use cuebox_core::timeline::{Entry, What};

use super::{Owner, Store, StoreError};
use crate::vault::crash::{Break, Machine, copy_all};
use crate::vault::index::Index;
use crate::vault::layout::{Layout, tracks};
use crate::vault::manifest::Manifest;
use crate::vault::records::{SegmentRecord, ShowRecord, State};
use crate::vault::recovery::Recovery;
use crate::vault::testkit::{TempDir, played, recordings};
use crate::vault::timeline;
use crate::vault::witness::Witness;

pub const SHOW: &str = "20261121-183005-3f2a";
/// Bytes of a recording that broke off, torn in the middle of a fragment.
const TORN_BYTES: usize = 70_000;

fn show() -> NewShow {
    NewShow {
        id: ShowId::new(SHOW),
        name: "Anna & Ben".into(),
        box_id: "hall-1".into(),
        started: Wall { unix_ns: 1_795_286_605_000_000_000, trust: Trust::Ntp },
        width: 160,
        height: 90,
        fps: 30,
        origin: FrameIndex(9_000),
        origin_frame: 0,
        clock: None,
    }
}

fn segment(track: Track, number: u32) -> SegmentId {
    SegmentId { show: ShowId::new(SHOW), track, number }
}

fn slot() -> Track {
    Track::Slot(SlotId::new(1).unwrap())
}

fn line(frame: u64, what: What) -> Do {
    let entry = Entry { frame, t_ns: frame * 33_333_333, what, by: None, id: None, clock: None };
    Do::Op(VaultOp::Timeline { show: ShowId::new(SHOW), entry })
}

fn opened(track: Track, number: u32, first_frame: u64) -> Do {
    Do::Op(VaultOp::SegmentOpened { segment: segment(track, number), first_frame })
}

fn sealed(track: Track, number: u32, first_frame: u64, frames: u64, clean: bool) -> Do {
    let first = FrameIndex(9_000 + first_frame);
    let sealed = Sealed { number, first_frame: first, frames, repeated: 2, bytes: 0, clean };
    Do::Op(VaultOp::SegmentSealed { segment: segment(track, number), first_frame, sealed })
}

#[derive(Clone)]
enum Do {
    Op(VaultOp),
    /// The recorder's part: the file's content.
    Record(SegmentId, &'static [u8]),
    Hash(SegmentId),
    Flush,
}

/// A small show with everything that happens to one.
fn story() -> Vec<Do> {
    let torn = &recordings().growing[..TORN_BYTES];
    let finished = &recordings().finished;
    let program = Track::Program;
    vec![
        Do::Op(VaultOp::OpenShow(show())),
        line(0, What::ShowStarted { name: "Anna & Ben".into() }),
        Do::Record(segment(program, 1), torn),
        opened(program, 1, 0),
        Do::Record(segment(slot(), 1), torn),
        opened(slot(), 1, 12),
        Do::Flush,
        line(3, What::OnAir { slot: SlotId::new(1).unwrap() }),
        Do::Record(segment(program, 1), finished),
        sealed(program, 1, 0, 150, true),
        Do::Record(segment(program, 2), torn),
        opened(program, 2, 150),
        Do::Flush,
        Do::Hash(segment(program, 1)),
        Do::Flush,
        line(170, What::Marker { text: "rings".into() }),
        sealed(slot(), 1, 12, 0, false),
        Do::Flush,
        Do::Op(VaultOp::Remove { segment: segment(slot(), 1), why: "space".into() }),
        Do::Flush,
        Do::Record(segment(program, 2), finished),
        sealed(program, 2, 150, 150, true),
        line(300, What::ShowStopped),
        Do::Op(VaultOp::CloseShow {
            show: ShowId::new(SHOW),
            ended: Wall { unix_ns: 1_795_286_615_000_000_000, trust: Trust::Ntp },
        }),
        Do::Flush,
    ]
}

pub fn open(root: &Path, witness: Witness) -> Result<(Store, Recovery), StoreError> {
    let owner = Owner { box_id: "hall-1".into(), boot: "boot-a".into() };
    Store::open(Layout::new(root), owner, &BTreeSet::new(), witness)
}

fn perform(store: &mut Store, machine: &Machine, act: &Do) -> Result<Vec<VaultFact>, StoreError> {
    match act {
        Do::Op(op) => store.apply(op).map(|()| Vec::new()),
        Do::Record(segment, content) => {
            machine.record(&store.layout.segment(segment), content);
            Ok(Vec::new())
        }
        Do::Hash(segment) => {
            let bytes = fs::metadata(store.layout.segment(segment)).unwrap().len();
            store.hashed(segment, bytes, "ab12".into()).map(|()| Vec::new())
        }
        Do::Flush => store.flush(),
    }
}

/// What the box had been told, or had seen done, before it broke.
#[derive(Default)]
struct Promised {
    facts: Vec<VaultFact>,
    done: Vec<VaultOp>,
}

/// Lives the story on a machine that breaks at step `at`; what is left is in the folder.
fn broken_at(kind: Break, at: usize, target: &Path) -> (Promised, bool) {
    let folder = TempDir::new();
    let machine = Machine::new(folder.path(), kind, at);
    let mut promised = Promised::default();
    let opened = open(folder.path(), machine.witness());
    if let Ok((mut store, _)) = opened {
        for act in story() {
            let Ok(facts) = perform(&mut store, &machine, &act) else { break };
            promised.facts.extend(facts);
            if let Do::Op(op) = act {
                promised.done.push(op);
            }
        }
        machine.leave(target);
    } else {
        machine.leave(target);
    }
    (promised, machine.broke())
}

pub type Rows = BTreeMap<ShowId, (ShowRecord, Vec<SegmentRecord>)>;

pub fn rows(root: &Path) -> Rows {
    let index = Index::read_only(&Layout::new(root).index()).unwrap();
    let shows = index.shows().unwrap();
    shows.into_iter().map(|show| (show.id().clone(), (show.clone(), index.segments(show.id()).unwrap()))).collect()
}

/// Files, rows and manifests say the same, nothing is half done, and every line of a timeline can be read.
pub fn assert_agreement(root: &Path) -> Rows {
    let layout = Layout::new(root);
    let rows = assert_listed(root);
    for id in rows.keys() {
        let text = fs::read(layout.timeline(id)).unwrap_or_default();
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, timeline::entries(&layout.timeline(id)).unwrap().len());
        assert!(text.is_empty() || text.ends_with(b"\n"));
    }
    rows
}

/// Files, rows and manifests say the same, and nothing is half done.
pub fn assert_listed(root: &Path) -> Rows {
    let layout = Layout::new(root);
    let rows = rows(root);
    let folders = fs::read_dir(layout.shows()).unwrap().count();
    assert_eq!(folders, rows.len(), "each folder has its row");
    for (id, (record, segments)) in &rows {
        let manifest = Manifest::load(&layout.manifest(id)).unwrap().expect("a manifest");
        assert_eq!(manifest, Manifest::of(record, segments));
        assert!(segments.iter().all(|segment| segment.state == State::Sealed), "{segments:?}");
        let listed: BTreeSet<_> = segments.iter().map(|one| (layout.segment(&one.id(id)), one.bytes)).collect();
        let mut found = BTreeSet::new();
        for track in tracks().map(|track| layout.track(id, track)).filter(|path| path.exists()) {
            for file in fs::read_dir(track).unwrap().map(Result::unwrap) {
                found.insert((file.path(), file.metadata().unwrap().len()));
            }
        }
        assert_eq!(listed, found);
        let names: BTreeSet<_> = fs::read_dir(layout.show(id)).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{names:?}");
    }
    rows
}

fn assert_promises_kept(promised: &Promised, rows: &Rows, root: &Path) {
    let id = ShowId::new(SHOW);
    let of = |segment: &SegmentId| {
        let segments = rows.get(&id).map_or(&[][..], |(_, segments)| segments);
        segments.iter().find(|one| one.id(&id) == *segment).cloned()
    };
    let removed: Vec<_> =
        promised.facts.iter().filter(|fact| matches!(fact, VaultFact::SegmentRemoved { .. })).collect();
    for fact in &promised.facts {
        match fact {
            VaultFact::ShowOpened { show } => assert!(rows.contains_key(show)),
            VaultFact::SegmentIndexed { segment } if segment.track == Track::Program => {
                let row = of(segment).expect("what was indexed stays");
                assert_eq!((row.frames, row.repeated, row.clean), (150, 2, true));
                assert_eq!(row.first_frame, u64::from(segment.number - 1) * 150);
            }
            VaultFact::SegmentIndexed { segment } => {
                if let Some(row) = of(segment) {
                    assert!(row.frames >= 60 && !row.clean && row.first_frame == 12, "{row:?}");
                }
            }
            VaultFact::SegmentRemoved { segment } => assert_eq!(of(segment), None),
            VaultFact::Persisted { .. }
            | VaultFact::PersistFailed { .. }
            | VaultFact::ShowFound(_)
            | VaultFact::Recovered { .. }
            | VaultFact::ShowFailed { .. }
            | VaultFact::RemoveFailed { .. }
            | VaultFact::Space { .. }
            | VaultFact::Unwritable { .. }
            | VaultFact::Writable
            | VaultFact::IndexRebuilt { .. }
            | VaultFact::Moved { .. }
            | VaultFact::ShowRemoved { .. } => panic!("{fact:?} is not told by operations"),
        }
    }
    let lines: Vec<&Entry> = promised
        .done
        .iter()
        .filter_map(|op| if let VaultOp::Timeline { entry, .. } = op { Some(entry) } else { None })
        .collect();
    let found = timeline::entries(&Layout::new(root).timeline(&id)).unwrap();
    assert!(found.len() <= lines.len() + 1, "{found:?}");
    assert!(found.iter().zip(&lines).all(|(found, line)| found == *line) && found.len() >= lines.len());
    let begun = |op: &&VaultOp| matches!(op, VaultOp::SegmentOpened { segment, .. } if segment.track == Track::Program);
    for op in promised.done.iter().filter(begun) {
        let VaultOp::SegmentOpened { segment, first_frame } = op else { continue };
        assert_eq!(of(segment).map(|row| row.first_frame), Some(*first_frame), "a segment that was begun stays");
    }
    assert!(removed.len() <= 1);
}

#[test]
fn a_show_broken_at_any_step_is_recovered_with_all_that_was_promised() {
    for kind in [Break::Kill, Break::Power] {
        let mut steps = 0;
        for at in 0.. {
            let left = TempDir::new();
            let (promised, broke) = broken_at(kind, at, left.path());
            let (store, recovery) = open(left.path(), Witness::silent()).unwrap();
            drop(store);
            let rows = assert_agreement(left.path());
            assert_promises_kept(&promised, &rows, left.path());
            let ended = |op: &VaultOp| matches!(op, VaultOp::CloseShow { .. });
            match &recovery.open_show {
                Some(open) => {
                    assert!(!promised.done.iter().any(ended));
                    assert_eq!(open.show, show());
                    assert!(open.same_boot);
                    let segments = &rows[&ShowId::new(SHOW)].1;
                    assert!(segments.iter().all(|one| one.number < open.next_numbers[&one.track]));
                    assert!(segments.iter().all(|one| one.end_frame() <= open.last_frame + 1));
                }
                None => assert!(
                    rows.is_empty() && promised.facts.is_empty() || rows[&ShowId::new(SHOW)].0.ended.is_some(),
                    "{kind:?} at {at}: a show that was announced goes on"
                ),
            }
            let (_, again) = open(left.path(), Witness::silent()).unwrap();
            assert_eq!((again.notes, &again.segments), (Vec::new(), &recovery.segments), "{kind:?} at {at}");
            steps = at;
            if !broke {
                break;
            }
        }
        assert!(steps > 60, "{kind:?}: only {steps} steps were seen");
    }
}

#[test]
fn an_operation_that_the_disk_refused_at_any_step_can_be_given_again() {
    let whole = TempDir::new();
    broken_at(Break::Kill, usize::MAX, whole.path());
    let expected = rows(whole.path());
    let expected_lines = timeline::entries(&Layout::new(whole.path()).timeline(&ShowId::new(SHOW))).unwrap();
    for at in 0.. {
        let folder = TempDir::new();
        let machine = Machine::new(folder.path(), Break::Refuse, at);
        let opened = open(folder.path(), machine.witness()).or_else(|_| open(folder.path(), machine.witness()));
        let (mut store, _) = opened.unwrap();
        for act in story() {
            perform(&mut store, &machine, &act).or_else(|_| perform(&mut store, &machine, &act)).unwrap();
        }
        drop(store);
        assert_eq!(assert_agreement(folder.path()), expected, "refused at step {at}");
        let lines = timeline::entries(&Layout::new(folder.path()).timeline(&ShowId::new(SHOW))).unwrap();
        assert_eq!(lines, expected_lines, "refused at step {at}");
        if !machine.broke() {
            break;
        }
    }
}

/// The folder that the story leaves.
pub fn whole_show(root: &Path) {
    broken_at(Break::Kill, usize::MAX, root);
}

/// The folder of a show that a crash has ended in its middle.
pub fn interrupted_show(root: &Path) {
    broken_at(Break::Kill, 60, root);
}

/// A folder in which everything is wrong that can be.
pub fn wreck(root: &Path) {
    broken_at(Break::Kill, usize::MAX, root);
    let layout = Layout::new(root);
    let id = ShowId::new(SHOW);
    let index = Index::open(&layout.index(), &crate::vault::disk::Disk::new(Witness::silent()), Witness::silent());
    let (index, _) = index.unwrap();
    let growing = |track, number| SegmentRecord::growing(track, number, 300);
    // A tombstone whose file is there, a growing row without a file, a torn file with a row, one without.
    fs::write(layout.segment(&segment(slot(), 2)), &recordings().finished).unwrap();
    index.put_segment(&id, &SegmentRecord { state: State::Tombstone, ..growing(slot(), 2) }).unwrap();
    index.put_segment(&id, &growing(slot(), 3)).unwrap();
    fs::write(layout.segment(&segment(slot(), 4)), &recordings().growing[..TORN_BYTES]).unwrap();
    index.put_segment(&id, &growing(slot(), 4)).unwrap();
    fs::write(layout.segment(&segment(Track::Program, 3)), &recordings().growing[..TORN_BYTES]).unwrap();
    fs::write(layout.segment(&segment(Track::Program, 4)), &recordings().growing[..500]).unwrap();
    // A torn line with what a file system may leave after it, and the rest of a manifest that was being written.
    let mut text = fs::read(layout.timeline(&id)).unwrap();
    text.extend(b"{\"frame\":301,\"t_ns\":\0\0\0\0\n\0\0");
    fs::write(layout.timeline(&id), text).unwrap();
    fs::write(layout.show(&id).join("show.json.new"), "{").unwrap();
    // A show that was never begun, one that lost everything but a file, and one whose folder is gone.
    fs::create_dir_all(layout.shows().join("never/program")).unwrap();
    fs::create_dir_all(layout.shows().join("orphan/program")).unwrap();
    fs::write(layout.shows().join("orphan/program/0001.mp4"), &recordings().finished).unwrap();
    let gone = NewShow { id: ShowId::new("gone"), ..show() };
    index.put_show(&ShowRecord { show: gone, boot: "x".into(), ended: None }).unwrap();
}

#[test]
fn a_wreck_is_recovered_and_recovering_it_may_break_at_any_step() {
    let template = TempDir::new();
    wreck(template.path());
    let mut expected = None;
    for at in 0.. {
        let folder = TempDir::new();
        copy_all(template.path(), folder.path());
        let machine = Machine::new(folder.path(), Break::Kill, at);
        drop(open(folder.path(), machine.witness()));
        open(folder.path(), Witness::silent()).unwrap();
        let mut rows = assert_agreement(folder.path());
        // Its end is the time of its files, which each copy changes.
        let orphan = rows.get_mut(&ShowId::new("orphan")).expect("its file is listed");
        assert!(orphan.0.ended.take().is_some());
        assert_eq!((orphan.0.show.width, orphan.0.show.fps, orphan.1[0].frames), (160, 30, 150));
        assert_eq!(expected.get_or_insert(rows.clone()), &rows, "broken at step {at}");
        let kept: Vec<_> =
            rows[&ShowId::new(SHOW)].1.iter().map(|one| (one.track, one.number, one.first_frame)).collect();
        let program = Track::Program;
        assert_eq!(kept, [(program, 1, 0), (program, 2, 150), (program, 3, 300), (slot(), 4, 300)]);
        if !machine.broke() {
            assert!(at > 30, "only {at} steps were seen");
            break;
        }
    }
}

#[test]
fn an_index_that_is_lost_or_damaged_is_built_again_from_the_manifests() {
    let whole = TempDir::new();
    broken_at(Break::Kill, usize::MAX, whole.path());
    drop(open(whole.path(), Witness::silent()).unwrap());
    let expected = rows(whole.path());
    let length = fs::metadata(Layout::new(whole.path()).index()).unwrap().len();
    for (name, damage) in [
        ("deleted", None),
        ("emptied", Some(Vec::new())),
        ("garbage", Some(b"no database at all".repeat(500))),
        ("header kept", Some([&b"SQLite format 3\0"[..], &[0xa5; 9000][..]].concat())),
        ("half of it", Some(fs::read(Layout::new(whole.path()).index()).unwrap()[..length as usize / 2].to_vec())),
    ] {
        let folder = TempDir::new();
        copy_all(whole.path(), folder.path());
        let index = Layout::new(folder.path()).index();
        match &damage {
            None => fs::remove_file(&index).unwrap(),
            Some(content) => fs::write(&index, content).unwrap(),
        }
        let (store, recovery) = open(folder.path(), Witness::silent()).unwrap();
        drop(store);
        assert_eq!(assert_agreement(folder.path()), expected, "{name}");
        let why = recovery.rebuilt.as_deref().expect(name);
        assert!(recovery.notes[0].contains(why), "{name}: {:?}", recovery.notes);
        let said = why.contains("damaged") && why.contains("cuebox.db.damaged-1");
        assert!(said || why.contains("gone"), "{name}: {why}");
        assert_eq!(said, damage.is_some_and(|content| !content.is_empty()), "{name}: {:?}", recovery.notes);
        assert_eq!(folder.path().join("cuebox.db.damaged-1").exists(), said, "{name}");
    }
}

#[test]
fn a_show_goes_on_where_it_was_and_an_older_one_is_ended() {
    let folder = TempDir::new();
    let (mut store, _) = open(folder.path(), Witness::silent()).unwrap();
    let old = NewShow { id: ShowId::new("20261120-older"), started: Wall::default(), ..show() };
    store.apply(&VaultOp::OpenShow(old.clone())).unwrap();
    let machine = Machine::new(folder.path(), Break::Kill, usize::MAX);
    for act in story().into_iter().take(13) {
        perform(&mut store, &machine, &act).unwrap();
    }
    drop(store);
    let owner = Owner { box_id: "hall-1".into(), boot: "boot-b".into() };
    let layout = Layout::new(folder.path());
    let (mut store, recovery) = Store::open(layout, owner, &BTreeSet::new(), Witness::silent()).unwrap();
    let found = recovery.open_show.expect("the newer one goes on");
    assert!(!found.same_boot);
    assert_eq!(found.next_numbers, BTreeMap::from([(Track::Program, 3), (slot(), 2)]));
    assert!((209..299).contains(&found.last_frame), "{}", found.last_frame);
    assert!(rows(folder.path())[&old.id].0.ended.is_some());

    let again = NewShow { origin: FrameIndex(77), ..found.show };
    store.apply(&VaultOp::OpenShow(again.clone())).unwrap();
    assert_eq!(store.flush().unwrap(), [VaultFact::ShowOpened { show: again.id.clone() }]);
    let (record, segments) = &rows(folder.path())[&again.id];
    assert_eq!((record.show.origin, record.boot.as_str(), segments.len()), (FrameIndex(77), "boot-b", 3));
}

#[test]
fn a_segment_that_was_not_finished_plays_as_soon_as_it_is_indexed() {
    for (length, left) in [(TORN_BYTES, true), (500, false)] {
        let folder = TempDir::new();
        let (mut store, _) = open(folder.path(), Witness::silent()).unwrap();
        store.apply(&VaultOp::OpenShow(show())).unwrap();
        let segment = segment(Track::Program, 1);
        let path = store.layout.segment(&segment);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &recordings().growing[..length]).unwrap();
        let Do::Op(op) = sealed(Track::Program, 1, 0, 999, false) else { unreachable!() };
        store.apply(&op).unwrap();
        let fact = store.flush().unwrap().pop().unwrap();
        if left {
            assert_eq!(fact, VaultFact::SegmentIndexed { segment });
            let row = &rows(folder.path())[&ShowId::new(SHOW)].1[0];
            assert_eq!(Some(row.frames), played(&path));
        } else {
            assert_eq!((fact, path.exists()), (VaultFact::SegmentRemoved { segment }, false));
        }
        assert_agreement(folder.path());
    }
}

#[test]
fn a_show_that_somebody_writes_is_not_touched_by_recovery() {
    let folder = TempDir::new();
    let path = folder.path().join("shows").join(SHOW).join("program/0001.mp4");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &recordings().growing[..TORN_BYTES]).unwrap();
    let owner = Owner { box_id: "hall-1".into(), boot: "boot-a".into() };
    let running = BTreeSet::from([ShowId::new(SHOW)]);
    let layout = Layout::new(folder.path());
    let (_, recovery) = Store::open(layout, owner, &running, Witness::silent()).unwrap();
    assert_eq!((&recovery.segments, &recovery.open_show), (&Vec::new(), &None));
    assert_eq!(fs::metadata(&path).unwrap().len(), TORN_BYTES as u64);
}
