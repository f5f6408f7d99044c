use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cuebox_core::director::{Event, NewShow, Sealed, VaultFact, VaultOp};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{SegmentId, ShowId, Ticket, Track};
use cuebox_core::time::{Trust, Wall};
use cuebox_core::timeline::{Entry, What};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::testkit::{TempDir, recordings};
use super::{VaultConfig, VaultError, VaultHandle, VaultReader, boot_id};

/// A bound, not a pause: each wait ends with the fact it waits for.
const LIMIT: Duration = Duration::from_secs(20);
const OWNED: &str = "CUEBOX_TEST_FOLDER_TO_OWN";

struct Box {
    handle: VaultHandle,
    events: UnboundedReceiver<Event>,
}

impl Box {
    fn start(data_dir: impl Into<PathBuf>) -> Result<Self, VaultError> {
        Self::start_with(data_dir, None)
    }

    fn start_with(data_dir: impl Into<PathBuf>, second_dir: Option<PathBuf>) -> Result<Self, VaultError> {
        let (facts, events) = unbounded_channel();
        let config = VaultConfig {
            data_dir: data_dir.into(),
            second_dir,
            require_mount: false,
            box_id: "hall-1".into(),
            boot: boot_id().unwrap(),
        };
        let (handle, _) = VaultHandle::open(config, facts)?;
        Ok(Self { handle, events })
    }

    /// The next fact that is wanted; others are passed over.
    fn wait<T>(&mut self, mut wanted: impl FnMut(VaultFact) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        while Instant::now() < deadline {
            let next = runtime.block_on(async { tokio::time::timeout(LIMIT, self.events.recv()).await });
            let Ok(Some(Event::Vault(fact))) = next else { panic!("nothing more was told") };
            if let Some(found) = wanted(fact) {
                return found;
            }
        }
        panic!("it was never told");
    }

    fn wait_for(&mut self, wanted: &VaultFact) {
        self.wait(|fact| (fact == *wanted).then_some(()));
    }
}

fn show() -> NewShow {
    NewShow {
        id: ShowId::new("20261121-183005-3f2a"),
        name: "Anna & Ben".into(),
        box_id: "hall-1".into(),
        started: Wall { unix_ns: 1_795_285_805_000_000_000, trust: Trust::Ntp },
        width: 160,
        height: 90,
        fps: 30,
        origin: FrameIndex(9_000),
        origin_frame: 0,
        clock: None,
    }
}

fn segment() -> SegmentId {
    SegmentId { show: show().id, track: Track::Program, number: 1 }
}

fn on_air(frame: u64) -> VaultOp {
    let slot = cuebox_core::ids::SlotId::new(3).unwrap();
    let by = Some("panel".into());
    let entry = Entry { frame, t_ns: frame * 33_333_333, what: What::OnAir { slot }, by, id: None, clock: None };
    VaultOp::Timeline { show: show().id, entry }
}

/// Writes the file as the recorder does, and tells of it.
fn record(vault: &VaultHandle, data_dir: &Path) {
    let path = data_dir.join(segment().path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &recordings().finished).unwrap();
    vault.submit(VaultOp::SegmentOpened { segment: segment(), first_frame: 0 });
    let sealed = Sealed {
        number: 1,
        first_frame: FrameIndex(9_000),
        frames: 150,
        repeated: 0,
        bytes: recordings().finished.len() as u64,
        clean: true,
    };
    vault.submit(VaultOp::SegmentSealed { segment: segment(), first_frame: 0, sealed });
}

#[test]
fn a_show_is_opened_recorded_hashed_and_can_be_read() {
    let folder = TempDir::new();
    let mut vault = Box::start(folder.path()).unwrap();
    vault.wait_for(&VaultFact::Recovered { segments: Vec::new() });
    vault.handle.submit(VaultOp::OpenShow(show()));
    vault.wait_for(&VaultFact::ShowOpened { show: show().id });
    vault.handle.submit(on_air(17));
    vault.handle.persist(Ticket(4));
    vault.wait_for(&VaultFact::Persisted { ticket: Ticket(4) });
    record(&vault.handle, folder.path());
    vault.wait_for(&VaultFact::SegmentIndexed { segment: segment() });

    let reader = vault.handle.reader();
    let deadline = Instant::now() + LIMIT;
    let detail = loop {
        let detail = reader.show(&show().id).unwrap().expect("the show");
        let hash = detail.segments[0].sha256.clone();
        // The manifest is written after the row.
        let manifest = fs::read_to_string(folder.path().join("shows/20261121-183005-3f2a/show.json")).unwrap();
        if hash.is_some_and(|hash| hash.len() == 64 && manifest.contains(&hash)) {
            break detail;
        }
        assert!(Instant::now() < deadline, "the file was never hashed");
        std::thread::yield_now();
    };
    assert_eq!(detail.summary, reader.shows().unwrap()[0]);
    let value = serde_json::to_value(&detail).unwrap();
    assert_eq!(value["started"], "2026-11-21T18:30:05.000Z");
    assert_eq!(
        value["timeline"][0],
        serde_json::json!({
            "frame": 17, "t_ns": 566_666_661, "kind": "on_air", "slot": 3, "by": "panel"
        })
    );
    assert_eq!(value["segments"][0]["file"], segment().path());
    assert_eq!(value["segments"][0]["frames"], 150);
    assert_eq!(value["bytes"], recordings().finished.len());
    assert!(reader.show(&ShowId::new("../..")).unwrap().is_none());
    assert!(vault.handle.stop(LIMIT));
}

#[test]
fn free_space_is_told_at_once_and_never_exceeds_the_disk() {
    let folder = TempDir::new();
    let mut vault = Box::start(folder.path()).unwrap();
    let (free, total) = vault.wait(|fact| {
        if let VaultFact::Space { free_bytes, total_bytes } = fact { Some((free_bytes, total_bytes)) } else { None }
    });
    assert!(0 < free && free <= total);
}

#[test]
fn a_folder_that_cannot_be_used_is_used_as_soon_as_it_can_be() {
    let folder = TempDir::new();
    let obstacle = folder.path().join("mount");
    fs::write(&obstacle, "no folder").unwrap();
    let data_dir = obstacle.join("data");
    let mut vault = Box::start(&data_dir).unwrap();
    let why = vault.wait(|fact| if let VaultFact::Unwritable { why } = fact { Some(why) } else { None });
    assert!(why.contains(&*obstacle.to_string_lossy()), "{why}");
    vault.handle.submit(VaultOp::OpenShow(show()));
    vault.wait_for(&VaultFact::ShowFailed { show: show().id, why: why.clone() });
    vault.handle.persist(Ticket(9));
    vault.wait_for(&VaultFact::PersistFailed { ticket: Ticket(9), why: why.clone() });
    vault.handle.submit(VaultOp::Remove { segment: segment(), why: "space".into() });
    vault.wait_for(&VaultFact::RemoveFailed { segment: segment(), why });
    vault.handle.submit(on_air(17));
    vault.handle.submit(on_air(18));
    assert!(vault.handle.reader().shows().is_err());

    fs::remove_file(&obstacle).unwrap();
    vault.wait_for(&VaultFact::ShowOpened { show: show().id });
    vault.wait_for(&VaultFact::Writable);
    let detail = vault.handle.reader().show(&show().id).unwrap().expect("the show");
    assert_eq!(detail.timeline.iter().map(|entry| entry.frame).collect::<Vec<_>>(), [17, 18]);
    vault.handle.persist(Ticket(10));
    vault.wait_for(&VaultFact::Persisted { ticket: Ticket(10) });
}

#[test]
fn a_disk_that_fails_in_the_middle_of_a_show_loses_no_entry() {
    let folder = TempDir::new();
    let mut vault = Box::start(folder.path()).unwrap();
    vault.handle.submit(VaultOp::OpenShow(show()));
    vault.wait_for(&VaultFact::ShowOpened { show: show().id });
    // A file where a folder is needed: no manifest and no segment of the show can be written.
    let shows = folder.path().join("shows");
    let away = folder.path().join("away");
    fs::rename(&shows, &away).unwrap();
    fs::write(&shows, "no folder").unwrap();
    vault.handle.submit(VaultOp::SegmentOpened { segment: segment(), first_frame: 0 });
    vault.wait(|fact| matches!(fact, VaultFact::Unwritable { .. }).then_some(()));
    vault.handle.submit(on_air(20));

    fs::remove_file(&shows).unwrap();
    fs::rename(&away, &shows).unwrap();
    record(&vault.handle, folder.path());
    vault.wait_for(&VaultFact::SegmentIndexed { segment: segment() });
    vault.wait_for(&VaultFact::Writable);
    let detail = vault.handle.reader().show(&show().id).unwrap().expect("the show");
    assert_eq!((detail.timeline.len(), detail.segments.len(), detail.segments[0].frames), (1, 1, 150));
}

#[test]
fn a_disk_that_was_replaced_by_an_empty_one_gets_the_running_show() {
    let folder = TempDir::new();
    let data_dir = folder.path().join("mount");
    let mut vault = Box::start(&data_dir).unwrap();
    vault.handle.submit(VaultOp::OpenShow(show()));
    vault.wait_for(&VaultFact::ShowOpened { show: show().id });
    fs::rename(&data_dir, folder.path().join("pulled")).unwrap();
    vault.handle.submit(VaultOp::SegmentOpened { segment: segment(), first_frame: 0 });
    vault.wait(|fact| matches!(fact, VaultFact::Unwritable { .. }).then_some(()));

    record(&vault.handle, &data_dir);
    vault.wait_for(&VaultFact::SegmentIndexed { segment: segment() });
    let detail = vault.handle.reader().show(&show().id).unwrap().expect("the show");
    assert_eq!((detail.summary.name, detail.segments[0].frames), (show().name, 150));
}

#[test]
fn what_was_given_is_done_before_the_vault_stops() {
    let folder = TempDir::new();
    let vault = Box::start(folder.path()).unwrap();
    vault.handle.submit(VaultOp::OpenShow(show()));
    for frame in 0..500 {
        vault.handle.submit(on_air(frame));
    }
    assert!(vault.handle.stop(LIMIT));
    let detail = VaultReader::new(folder.path(), None).show(&show().id).unwrap().expect("the show");
    assert_eq!(detail.timeline.len(), 500);
}

#[test]
fn a_second_box_is_told_the_first_ones_process() {
    let folder = TempDir::new();
    let first = Box::start(folder.path()).unwrap();
    let Err(error) = Box::start(folder.path()) else { panic!("two boxes own one folder") };
    let VaultError::Locked { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
    assert!(first.handle.stop(LIMIT));
    Box::start(folder.path()).expect("it is free again");
}

/// The part of the next test that runs in a process of its own: owns the folder until it is killed.
#[test]
fn owning_a_folder_until_killed() {
    let Ok(folder) = std::env::var(OWNED) else { return };
    let mut vault = Box::start(&folder).unwrap();
    vault.handle.submit(VaultOp::OpenShow(show()));
    let path = Path::new(&folder).join(segment().path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, &recordings().growing).unwrap();
    vault.handle.submit(VaultOp::SegmentOpened { segment: segment(), first_frame: 0 });
    vault.handle.submit(on_air(3));
    vault.handle.persist(Ticket(1));
    vault.wait_for(&VaultFact::Persisted { ticket: Ticket(1) });
    fs::write(Path::new(&folder).join("ready"), "").unwrap();
    let (_never, nothing) = std::sync::mpsc::channel::<()>();
    let _ = nothing.recv_timeout(LIMIT);
}

#[test]
fn a_killed_box_lets_go_of_its_folder_and_the_next_one_recovers_the_show() {
    let folder = TempDir::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["vault::tests::owning_a_folder_until_killed", "--exact", "--nocapture"])
        .env(OWNED, folder.path())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + LIMIT;
    while !folder.path().join("ready").exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the child never got ready");
        std::thread::yield_now();
    }
    let Err(VaultError::Locked { pid, .. }) = Box::start(folder.path()) else { panic!("two boxes own one folder") };
    assert_eq!(pid, Some(child.id()));
    child.kill().unwrap();
    child.wait().unwrap();

    let (facts, mut events) = unbounded_channel();
    let config = VaultConfig {
        data_dir: folder.path().into(),
        second_dir: None,
        require_mount: false,
        box_id: "hall-1".into(),
        boot: boot_id().unwrap(),
    };
    let (vault, recovery) = VaultHandle::open(config, facts).unwrap();
    let open = recovery.open_show.expect("the show goes on");
    assert!(open.same_boot && open.show == show() && open.next_numbers[&Track::Program] == 2);
    assert_eq!(recovery.segments.len(), 1);
    assert_eq!(events.try_recv().unwrap(), Event::Vault(VaultFact::ShowFound(open.clone())));
    assert_eq!(events.try_recv().unwrap(), Event::Vault(VaultFact::Recovered { segments: recovery.segments }));
    let detail = vault.reader().show(&show().id).unwrap().expect("the show");
    assert!(!detail.segments[0].clean && detail.segments[0].frames >= 135, "{:?}", detail.segments);
}

#[test]
fn an_index_that_is_lost_in_the_middle_of_a_show_is_built_again_and_forgets_no_segment() {
    let folder = TempDir::new();
    let mut vault = Box::start(folder.path()).unwrap();
    vault.handle.submit(VaultOp::OpenShow(show()));
    record(&vault.handle, folder.path());
    vault.wait_for(&VaultFact::SegmentIndexed { segment: segment() });
    fs::remove_file(folder.path().join("cuebox.db")).unwrap();
    let second = SegmentId { number: 2, ..segment() };
    fs::copy(folder.path().join(segment().path()), folder.path().join(second.path())).unwrap();
    vault.handle.submit(VaultOp::SegmentOpened { segment: second.clone(), first_frame: 150 });
    let sealed = Sealed {
        number: 2,
        first_frame: FrameIndex(9_150),
        frames: 150,
        repeated: 0,
        bytes: recordings().finished.len() as u64,
        clean: true,
    };
    vault.handle.submit(VaultOp::SegmentSealed { segment: second.clone(), first_frame: 150, sealed });
    let mut told = Vec::new();
    vault.wait(|fact| {
        told.push(fact.clone());
        (fact == VaultFact::SegmentIndexed { segment: second.clone() }).then_some(())
    });
    assert!(!told.iter().any(|fact| matches!(fact, VaultFact::Unwritable { .. })), "{told:?}");
    assert!(told.iter().any(|fact| matches!(fact, VaultFact::IndexRebuilt { .. })), "{told:?}");
    let detail = vault.handle.reader().show(&show().id).unwrap().expect("the show");
    let frames: Vec<_> = detail.segments.iter().map(|one| (one.number, one.first_frame, one.frames)).collect();
    assert_eq!(frames, [(1, 0, 150), (2, 150, 150)]);
    assert!(vault.handle.stop(LIMIT));
}

/// Writes the second segment as the recorder does, and tells of it.
fn record_second(vault: &VaultHandle, data_dir: &Path) {
    let second = SegmentId { number: 2, ..segment() };
    let path = data_dir.join(second.path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &recordings().finished).unwrap();
    vault.submit(VaultOp::SegmentOpened { segment: second.clone(), first_frame: 150 });
    let bytes = recordings().finished.len() as u64;
    let sealed = Sealed { number: 2, first_frame: FrameIndex(9_150), frames: 150, repeated: 0, bytes, clean: true };
    vault.submit(VaultOp::SegmentSealed { segment: second, first_frame: 150, sealed });
}

#[test]
fn a_second_disk_takes_over_and_both_hold_one_show() {
    let folder = TempDir::new();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let mut vault = Box::start_with(&first, Some(second.clone())).unwrap();
    vault.handle.submit(VaultOp::OpenShow(show()));
    vault.handle.submit(on_air(3));
    record(&vault.handle, &first);
    vault.wait_for(&VaultFact::SegmentIndexed { segment: segment() });
    // A file where the disk was.
    let away = folder.path().join("away");
    fs::rename(&first, &away).unwrap();
    fs::write(&first, "no folder").unwrap();
    vault.handle.submit(on_air(160));
    vault.wait(|fact| matches!(fact, VaultFact::Unwritable { .. }).then_some(()));
    let moved = |fact| if let VaultFact::Moved { folder, segments } = fact { Some((folder, segments)) } else { None };
    let told = vault.wait(moved);
    assert_eq!(told, (Some(second.to_string_lossy().into_owned()), Vec::new()));
    vault.wait_for(&VaultFact::Writable);
    record_second(&vault.handle, &second);
    vault.wait_for(&VaultFact::SegmentIndexed { segment: SegmentId { number: 2, ..segment() } });
    assert!(vault.handle.stop(LIMIT));

    fs::remove_file(&first).unwrap();
    fs::rename(&away, &first).unwrap();
    let mut vault = Box::start_with(&first, Some(second)).unwrap();
    let found = vault.wait(|fact| if let VaultFact::ShowFound(found) = fact { Some(found) } else { None });
    assert_eq!((found.next_numbers[&Track::Program], found.last_frame), (3, 299), "both disks count");
    let detail = vault.handle.reader().show(&show().id).unwrap().expect("the show");
    let frames: Vec<_> = detail.segments.iter().map(|one| (one.number, one.first_frame)).collect();
    assert_eq!(frames, [(1, 0), (2, 150)]);
    assert_eq!(detail.timeline.iter().map(|entry| entry.frame).collect::<Vec<_>>(), [3, 160]);
    assert_eq!(vault.handle.reader().shows().unwrap()[0].files, 2);
}

#[test]
fn a_show_that_was_ended_on_the_second_disk_is_ended_on_the_first() {
    let folder = TempDir::new();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let mut vault = Box::start(&first).unwrap();
    vault.handle.submit(VaultOp::OpenShow(show()));
    vault.wait_for(&VaultFact::ShowOpened { show: show().id });
    assert!(vault.handle.stop(LIMIT));
    let mut vault = Box::start(&second).unwrap();
    vault.handle.submit(VaultOp::OpenShow(show()));
    let ended = Wall { unix_ns: 1_795_285_905_000_000_000, trust: Trust::Ntp };
    vault.handle.submit(VaultOp::CloseShow { show: show().id, ended });
    vault.wait_for(&VaultFact::ShowOpened { show: show().id });
    assert!(vault.handle.stop(LIMIT));
    let mut vault = Box::start_with(&first, Some(second)).unwrap();
    vault.wait(|fact| {
        assert!(!matches!(fact, VaultFact::ShowFound(_)), "it is over");
        matches!(fact, VaultFact::Recovered { .. }).then_some(())
    });
    assert!(vault.handle.reader().shows().unwrap().iter().all(|show| show.ended.is_some()));
}
