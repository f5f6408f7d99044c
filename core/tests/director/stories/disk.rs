//! What goes when space runs out.

use crate::world::{World, autostart};
use cuebox_core::command::{Answer, Command};
use cuebox_core::config::WhenFull;
use cuebox_core::director::{Event, VaultFact};
use cuebox_core::ids::Track;
use cuebox_core::status::RecordingState;

use super::{SECOND, recording, refused};

#[test]
fn when_space_runs_out_the_oldest_stored_files_go_first_and_the_running_show_never() {
    let mut config = autostart();
    config.record.segment = SECOND * 20;
    let mut world = recording(config);
    world.pass(SECOND * 200);
    world.ask(Command::ShowStop);
    world.pass(SECOND * 2);
    let half = world.disk.files.len() as u64 / 2;
    for file in world.disk.files.values_mut().filter(|file| file.age <= half) {
        file.stored = true;
    }
    let used: u64 = world.disk.files.values().map(|file| file.bytes).sum();
    world.config.record.keep_free_bytes = used / 10;
    world.disk.capacity = used + used / 20;
    world.kill();
    world.pass(SECOND * 60);
    assert!(world.disk.removed_stored > 0 && world.disk.removed_unstored == 0, "{:?}", world.disk.removed_stored);
    world.pass(SECOND * 600);
    assert!(world.disk.removed_unstored > 0, "at the hard limit the oldest finished show goes");
    assert!(world.alert("unstored_removed").unwrap().contains("stored nowhere else"));
    assert_eq!(world.status().recording.state, RecordingState::Recording);
}

#[test]
fn a_show_that_is_over_is_deleted_by_hand_and_the_running_one_is_not() {
    let mut world = recording(autostart());
    let first = world.status().show.unwrap().id;
    let deletion = Command::ShowDelete { show: first.clone() };
    assert!(refused(&world.ask(deletion.clone())).contains("running"));
    world.send(Command::ShowStop);
    world.ask(Command::ShowStart { name: None });
    let runs = |world: &World| world.status().show.is_some_and(|show| show.id != first);
    world.until("the next one", SECOND * 8, |world| runs(world) && world.status().recording.files == 6);
    assert_eq!(world.ask(deletion), Answer::Done);
    world.pass(SECOND);
    assert!(!world.disk.shows.contains_key(&first) && world.disk.files.keys().all(|segment| segment.show != first));
    assert_eq!(world.status().recording.state, RecordingState::Recording);
}

#[test]
fn with_when_full_stop_recording_stops_with_an_alert_and_goes_on_when_there_is_space() {
    let mut config = autostart();
    config.record.when_full = WhenFull::Stop;
    let mut world = recording(config);
    let capacity = std::mem::replace(&mut world.disk.capacity, 900_000_000);
    world.until("stopped", SECOND * 10, |world| world.status().recording.state == RecordingState::Failed);
    assert!(world.wanted().recordings.is_empty() && world.alert("disk_full").is_some());
    world.disk.capacity = 1_500_000_000;
    world.pass(SECOND * 20);
    assert!(world.wanted().recordings.is_empty(), "more than half of what is to be kept free is not enough to go on");
    world.disk.capacity = capacity;
    world.until("goes on", SECOND * 10, |world| world.status().recording.state == RecordingState::Recording);
    assert_eq!(world.alert("disk_full"), None);
}

#[test]
fn a_second_disk_takes_over_with_an_alert_and_the_next_file_number() {
    let mut world = recording(autostart());
    world.tell(Event::Vault(VaultFact::Unwritable { why: "I/O error".to_owned() }));
    assert!(world.wanted().recordings.is_empty());
    world.pass(SECOND);
    let folder = Some("/mnt/second".to_owned());
    world.tell(Event::Vault(VaultFact::Moved { folder: folder.clone(), segments: Vec::new() }));
    world.tell(Event::Vault(VaultFact::Writable));
    world.until("files", SECOND * 5, |world| world.segments(Track::Program) == [1, 2]);
    assert!(world.wanted().recordings.values().all(|wish| wish.folder == folder && wish.first_number == 2));
    assert!(world.alert("second_disk").unwrap().contains("/mnt/second"));
    assert_eq!(world.status().recording.state, RecordingState::Recording);
}
