//! The box's own bugs, and a disk that is not there.

use std::process::Command;

use super::harness::{CueBox, Folder, alone, five_cameras, live_slots, program, segments};

const FAULTS: &[(&str, &str)] = &[("CUEBOX_FAULTS", "1")];

#[test]
fn a_panic_in_the_console_starts_it_again_in_place_and_the_show_does_not_notice() {
    let _alone = alone();
    let folder = Folder::new("leaf");
    let cuebox = CueBox::spawn(&folder, &five_cameras(""), FAULTS);
    cuebox.wait_live(5);
    let _ = cuebox.ctl(&["marker", "fault: console"]);
    let status = cuebox.wait("the console is back", 15, |status| status["alerts"].to_string().contains("console"));
    assert_eq!((live_slots(&status), &status["recording"]["state"]), (5, &"recording".into()));
    cuebox.done(&["cut", "4"]);
    let show = cuebox.show();
    cuebox.stop();
    assert_eq!(segments(&show, "program").len(), 1, "the recording was cut");
}

#[test]
fn a_panic_in_the_director_leaves_a_journal_and_the_next_start_goes_on_with_the_show() {
    let _alone = alone();
    let folder = Folder::new("director");
    let mut cuebox = CueBox::spawn(&folder, &five_cameras(""), FAULTS);
    let before = cuebox.wait_live(5);
    let _ = cuebox.ctl(&["marker", "fault: director"]);
    assert_eq!(cuebox.wait_exit(15), Some(1));
    assert!(cuebox.log().contains("journal"), "{}", cuebox.log());
    let journal = folder.path().join("data/journal");
    for file in std::fs::read_dir(&journal).unwrap().flatten() {
        let verify = Command::new(program()).arg("replay").arg(file.path()).arg("--verify").output().unwrap();
        let said = String::from_utf8_lossy(&verify.stderr).into_owned();
        let told = verify.status.code() == Some(1) && said.contains("the director panicked");
        assert!(verify.status.success() || told, "{}: {said}", file.path().display());
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("fault: director"), "the last event is in the journal");
    }
    let cuebox = CueBox::start(&folder, &five_cameras(""));
    let after = cuebox.wait_live(5);
    assert_eq!(after["show"]["id"], before["show"]["id"], "the show goes on");
    let show = cuebox.show();
    cuebox.stop();
    assert!(segments(&show, "program").len() >= 2);
}

#[test]
fn without_a_disk_the_box_runs_and_says_so_and_records_when_it_can() {
    let _alone = alone();
    let folder = Folder::new("unwritable");
    let data = folder.path().join("data");
    std::fs::write(&data, "a file where the data folder should be").unwrap();
    let cuebox = CueBox::start(&folder, &five_cameras(""));
    let status = cuebox.wait("it runs without a disk", 40, |status| {
        live_slots(status) == 5 && status["program"]["on_air"] == 1 && status["recording"]["state"] == "failed"
    });
    assert!(status["alerts"].to_string().contains("data"), "{}", status["alerts"]);
    cuebox.done(&["cut", "2"]);
    std::fs::remove_file(&data).unwrap();
    cuebox.wait_live(5);
    cuebox.done(&["cut", "3"]);
    let show = cuebox.show();
    cuebox.stop();
    assert!(!segments(&show, "program").is_empty());
}
