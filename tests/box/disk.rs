//! The box starts while the disk that its data belongs on is not there: in a mount namespace of its own, whose table of
//! file systems names that disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::{CueBox, Folder, alone, five_cameras, live_slots, program, until};

/// Runs the box where `/etc/fstab` is another.
fn start(folder: &Folder, config: &str, fstab: &str) -> CueBox {
    let table = folder.path().join("fstab");
    std::fs::write(&table, fstab).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg("mount --bind \"$1\" /etc/fstab && shift && exec \"$@\"");
    command.arg("sh").arg(table).arg(program());
    CueBox::spawn_as(command, folder, config, &[])
}

/// Mounts an empty disk where the box sees it.
fn plug_in(cuebox: &CueBox, place: &Path) {
    let pid = cuebox.pid().to_string();
    let mut mount = Command::new("nsenter");
    mount.args(["--mount", "--target", &pid, "mount", "-t", "tmpfs", "-o", "size=256M", "disk"]).arg(place);
    assert!(mount.status().unwrap().success());
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_box_whose_disk_is_absent_writes_nothing_below_its_mount_point_and_records_when_the_disk_comes() {
    let _alone = alone();
    let required = "[record]\nrequire_mount = true\nkeep_free = \"1 MB\"\n";
    for (case, config) in [("named in fstab", "[record]\nkeep_free = \"1 MB\"\n"), ("required", required)] {
        let folder = Folder::new("absent-disk");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let fstab =
            if case == "required" { String::new() } else { format!("LABEL=d {} ext4 nofail\n", data.display()) };
        let cuebox = start(&folder, &five_cameras(config), &fstab);
        let status = cuebox.wait("it runs without its disk", 40, |status| {
            live_slots(status) == 5 && status["program"]["on_air"] == 1 && status["recording"]["state"] == "failed"
        });
        assert!(status["alerts"].to_string().contains("is not there"), "{case}: {}", status["alerts"]);
        cuebox.done(&["cut", "2"]);
        let why = cuebox.refused(&["config", "patch", "program.auto_return = \"off\""]);
        assert!(why.contains("its disk is not there"), "{case}: {why}");
        assert_eq!(names(&data), [] as [&str; 0], "{case}: below the mount point");

        plug_in(&cuebox, &data);
        cuebox.wait_live(5);
        cuebox.done(&["config", "patch", "program.auto_return = \"off\""]);
        cuebox.done(&["marker", "on the disk"]);
        let seen = PathBuf::from(format!("/proc/{}/root{}", cuebox.pid(), data.display()));
        until("index, journal and recordings are on the disk", 30, || {
            ["cuebox.db", "journal", "overrides.toml", "shows"].iter().all(|name| seen.join(name).exists())
        });
        cuebox.stop();
        assert_eq!(names(&data), [] as [&str; 0], "{case}: below the mount point, afterwards");
    }
}
