//! What a machine shows when it is asked how it is: how fast its disk is, and which devices cannot be opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cuebox_core::doctor::Disk;
use rustix::fs::{Access, AtFlags, CWD};

/// What is written to measure a disk, in parts that are synced one by one as a recording's are.
const PART_BYTES: usize = 1 << 20;
const PARTS: u32 = 16;
const TRIAL: &str = ".doctor-trial";

/// Measures the disk of `data_dir` with 16 MB; where that folder is not there yet, where it would be made.
///
/// # Errors
/// It cannot be written, in words.
pub fn disk(data_dir: &Path) -> Result<Disk, String> {
    let folder = data_dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(data_dir);
    let place = folder.join(TRIAL);
    let fail = |error: io::Error| format!("{} cannot be written: {error}", folder.display());
    let measured = write_parts(&place);
    // What is left of a failed trial is a few megabytes, and the next one takes them over.
    let _ = fs::remove_file(&place);
    let (written_bytes_per_s, slowest_sync_ms) = measured.map_err(fail)?;
    let space = rustix::fs::statvfs(folder).map_err(|error| fail(error.into()))?;
    Ok(Disk { written_bytes_per_s, slowest_sync_ms, free_bytes: space.f_bavail.saturating_mul(space.f_frsize) })
}

fn write_parts(place: &Path) -> io::Result<(u64, u64)> {
    let part = vec![0x55; PART_BYTES];
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).open(place)?;
    let begun = Instant::now();
    let mut slowest = std::time::Duration::ZERO;
    for _ in 0..PARTS {
        file.write_all(&part)?;
        let synced = Instant::now();
        file.sync_data()?;
        slowest = slowest.max(synced.elapsed());
    }
    let millis = begun.elapsed().as_millis().max(1);
    let bytes = u128::from(PARTS) * PART_BYTES as u128;
    let per_s = u64::try_from(bytes * 1_000 / millis).unwrap_or(u64::MAX);
    Ok((per_s, u64::try_from(slowest.as_millis()).unwrap_or(u64::MAX)))
}

/// Devices of the kinds that the box uses that are there and may not be opened, each with the reason.
pub fn closed_devices() -> Vec<(String, String)> {
    let kinds: [(&str, &[&str]); 5] = [
        ("/dev", &["video", "hidraw", "gpiochip", "ttyACM", "ttyUSB"]),
        ("/dev/snd", &["pcm", "control"]),
        ("/dev/input", &["event"]),
        ("/dev/dri", &["renderD"]),
        ("/dev", &["mpp_service", "rga"]),
    ];
    let nodes = kinds.iter().flat_map(|(folder, names)| nodes(Path::new(folder), names));
    nodes.filter_map(|node| Some((node.display().to_string(), why_closed(&node)?))).collect()
}

fn nodes(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let named = |entry: &fs::DirEntry| names.iter().any(|name| entry.file_name().to_string_lossy().starts_with(name));
    let mut found: Vec<PathBuf> = entries.flatten().filter(named).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// By its permissions: opening it could disturb whoever uses it.
fn why_closed(node: &Path) -> Option<String> {
    let wanted = Access::READ_OK | Access::WRITE_OK;
    let error = rustix::fs::accessat(CWD, node, wanted, AtFlags::EACCESS).err()?;
    let group = fs::metadata(node).ok().map(|data| group_name(data.gid()));
    let of = group.map(|group| format!(", which group `{group}` may")).unwrap_or_default();
    Some(format!("it may not be opened{of} ({error})"))
}

fn group_name(gid: u32) -> String {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| gid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_measured_and_left_as_it_was() {
        let folder = std::env::temp_dir().join(format!("cuebox-doctor-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        for place in [folder.clone(), folder.join("not/yet")] {
            let disk = disk(&place).unwrap();
            assert!(disk.written_bytes_per_s > 0 && disk.free_bytes > 0);
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        }
        fs::remove_dir(&folder).unwrap();
        assert!(super::disk(Path::new("/proc/nothing")).is_err_and(|why| why.contains("cannot be written")));
    }

    #[test]
    fn groups_are_told_by_name() {
        assert_eq!(group_name(0), "root");
        assert_eq!(group_name(4_000_000), "4000000");
    }
}
