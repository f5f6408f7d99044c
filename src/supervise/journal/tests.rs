use std::process::Command;
use std::sync::atomic::AtomicU32;

use tokio::sync::mpsc::{UnboundedReceiver, error::TryRecvError, unbounded_channel};

use super::*;

/// A bound, not a pause: each wait ends with the fact it waits for.
const LIMIT: Duration = Duration::from_secs(20);

struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cuebox-journal-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(folder: &Path, keep: usize) -> (JournalWriter, UnboundedReceiver<Event>) {
    let (facts, events) = unbounded_channel();
    (JournalWriter::start(Place::new(folder, false), keep, facts).unwrap(), events)
}

fn next(events: &mut UnboundedReceiver<Event>) -> VaultFact {
    let deadline = Instant::now() + LIMIT;
    loop {
        match events.try_recv() {
            Ok(Event::Vault(fact)) => return fact,
            Ok(other) => panic!("{other:?}"),
            Err(TryRecvError::Empty) => assert!(Instant::now() < deadline, "nothing was told"),
            Err(TryRecvError::Disconnected) => panic!("the journal's thread is gone"),
        }
        std::thread::yield_now();
    }
}

fn contents(folder: &Path) -> Vec<(String, String)> {
    let files = files(folder).unwrap();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn lines_follow_their_snapshot_and_are_on_disk_when_it_is_said() {
    let folder = TempDir::new();
    let (mut journal, mut events) = start(&folder.0, 4);
    assert!(journal.wants_snapshot());
    journal.start_file("snapshot 1".into());
    assert!(!journal.wants_snapshot());
    journal.append("a".into());
    journal.append("b".into());
    journal.persist(Ticket(7));
    assert_eq!(next(&mut events), VaultFact::Persisted { ticket: Ticket(7) });
    assert_eq!(contents(&folder.0), [("0001.jsonl".into(), "snapshot 1\na\nb\n".into())]);
    assert_eq!(journal.lost(), 0);
}

#[test]
fn only_the_newest_files_are_kept_and_numbers_go_on() {
    let folder = TempDir::new();
    let (mut journal, _events) = start(&folder.0, 2);
    for number in 1..=3 {
        journal.start_file(format!("snapshot {number}"));
    }
    assert!(journal.stop(LIMIT));
    let (mut journal, _events) = start(&folder.0, 2);
    journal.start_file("snapshot 4".into());
    journal.append("a".into());
    assert!(journal.stop(LIMIT));
    let expected = [("0003.jsonl", "snapshot 3\n"), ("0004.jsonl", "snapshot 4\na\n")];
    assert_eq!(contents(&folder.0), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn a_line_that_a_power_cut_tore_is_cut_off() {
    let folder = TempDir::new();
    fs::create_dir_all(folder.0.join("journal")).unwrap();
    fs::write(folder.0.join("journal/0001.jsonl"), "snapshot\na\n{\"tor").unwrap();
    let (mut journal, _events) = start(&folder.0, 2);
    journal.start_file("snapshot".into());
    assert!(journal.stop(LIMIT));
    assert_eq!(contents(&folder.0)[0].1, "snapshot\na\n");
}

#[test]
fn before_the_first_snapshot_nothing_is_written_and_nothing_promised() {
    let folder = TempDir::new();
    let (journal, mut events) = start(&folder.0, 2);
    journal.append("a".into());
    journal.persist(Ticket(1));
    assert!(matches!(next(&mut events), VaultFact::PersistFailed { ticket: Ticket(1), .. }));
    assert_eq!(journal.lost(), 1);
    assert!(journal.stop(LIMIT));
    assert!(!folder.0.join("journal").exists());
}

#[test]
fn a_disk_that_refuses_fails_the_tickets_and_a_new_snapshot_begins_again() {
    let folder = TempDir::new();
    let data_dir = folder.0.join("data");
    fs::write(&data_dir, "no folder").unwrap();
    let (mut journal, mut events) = start(&data_dir, 2);
    journal.start_file("snapshot 1".into());
    journal.persist(Ticket(1));
    let VaultFact::PersistFailed { why, .. } = next(&mut events) else { panic!("it cannot be durable") };
    assert!(why.contains(&*data_dir.to_string_lossy()), "{why}");
    journal.append("lost".into());

    fs::remove_file(&data_dir).unwrap();
    assert!(!journal.wants_snapshot(), "it is not tried again at once");
    let deadline = Instant::now() + LIMIT;
    while !journal.wants_snapshot() {
        assert!(Instant::now() < deadline, "it is never tried again");
        std::thread::yield_now();
    }
    journal.start_file("snapshot 2".into());
    journal.append("a".into());
    journal.persist(Ticket(2));
    assert_eq!(next(&mut events), VaultFact::Persisted { ticket: Ticket(2) });
    assert_eq!(contents(&data_dir)[0].1, "snapshot 2\na\n");
}

/// A FIFO among the files stands for a disk that hangs.
#[test]
fn a_disk_that_hangs_costs_lines_and_never_time() {
    let folder = TempDir::new();
    let (mut journal, mut events) = start(&folder.0, 4);
    journal.start_file("snapshot 1".into());
    journal.persist(Ticket(1));
    assert_eq!(next(&mut events), VaultFact::Persisted { ticket: Ticket(1) });
    // Opening a FIFO for reading waits for a writer: the torn-line check of the next file hangs in it.
    let fifo = folder.0.join("journal/0002.jsonl");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    journal.start_file("snapshot 2".into());
    let before = Instant::now();
    for number in 0..3 * QUEUE {
        journal.append(format!("line {number}"));
    }
    journal.persist(Ticket(2));
    assert!(before.elapsed() < Duration::from_secs(5), "a caller waited for the disk");
    assert!(journal.lost() >= QUEUE as u64, "{} lost", journal.lost());
    assert!(matches!(next(&mut events), VaultFact::PersistFailed { ticket: Ticket(2), .. }));

    let writer = OpenOptions::new().write(true).open(&fifo).unwrap();
    drop(writer);
    assert!(journal.stop(LIMIT));
    fs::remove_file(&fifo).unwrap();
    assert_eq!(contents(&folder.0).len(), 2);
    for (name, text) in contents(&folder.0) {
        assert!(text.starts_with("snapshot"), "{name}");
        let lines = text.lines().skip(1).enumerate();
        lines.for_each(|(number, line)| assert_eq!(line, format!("line {number}"), "{name} has no gap"));
    }
}
