//! Folders that lie on a disk of their own: whether that disk is there. Without it the folder is the one below its mount
//! point, on another disk, where nothing of ours belongs.
//!
//! Belongs to no shell, so that each that writes below `data_dir` asks the same.
//!
//! | a folder ought to lie on a disk of its own when | it is there when |
//! |---|---|
//! | `/etc/fstab` has a mount point at it or on the way to it | something is mounted at that point |
//! | `record.require_mount` says so | it does not lie on the root's file system |
//! | it did when it was used first | the same |

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const FSTAB: &str = "/etc/fstab";
const MOUNTED: &str = "/proc/self/mountinfo";

/// One such folder.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
    /// It has to lie on a disk of its own.
    apart: bool,
}

impl Place {
    /// `require_mount`: as the configuration says.
    pub fn new(folder: impl Into<PathBuf>, require_mount: bool) -> Self {
        Self { folder: folder.into(), apart: require_mount }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// False: its disk is not there, and nothing is to be written.
    pub fn is_there(&self) -> bool {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let there = mount_point(&self.folder, &text(FSTAB)).is_none_or(|point| is_mounted(&point, &text(MOUNTED)));
        there && (!self.apart || is_apart(&self.folder))
    }

    /// It is in use: where it lies now it has to lie from here on.
    pub fn used(&mut self) {
        self.apart |= is_apart(&self.folder);
    }
}

/// Whether a folder, or what is there of the way to it, lies on another file system than the machine's root.
fn is_apart(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    let nearest = path.ancestors().find_map(device);
    nearest.is_some() && nearest != device(Path::new("/"))
}

/// The mount point of the table that holds the folder, nearest to it; none where that is the root.
fn mount_point(folder: &Path, table: &str) -> Option<PathBuf> {
    let lines = table.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let points = lines.filter_map(|line| Some(unescape(line.split_whitespace().nth(1)?)));
    let above = points.filter(|point| point.is_absolute() && folder.starts_with(point));
    above.max_by_key(|point| point.components().count()).filter(|point| point.parent().is_some())
}

/// Whether the kernel has anything mounted there.
fn is_mounted(point: &Path, mounts: &str) -> bool {
    mounts.lines().filter_map(|line| line.split(' ').nth(4)).any(|mounted| unescape(mounted) == point)
}

/// Both tables write spaces and the like as a backslash with three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\');
        bytes.push(code.unwrap_or(*first));
        rest = after.get(if code.is_some() { 3.. } else { 0.. }).unwrap_or_default();
    }
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_file_systems_names_the_disk_that_a_folder_belongs_to() {
        let table = "# <file system> <mount point> <type>\nUUID=1 / ext4 defaults 0 1\nUUID=2 /mnt/usb ext4 nofail 0 2\n\
                     UUID=3 /mnt/my\\040disk exfat nofail\nUUID=4 none swap sw\n  #UUID=5 /srv ext4\n/dev/sdb1 /mnt/usb/deep xfs\n";
        let cases = [
            ("/mnt/usb", Some("/mnt/usb")),
            ("/mnt/usb/cuebox", Some("/mnt/usb")),
            ("/mnt/usb/deep/cuebox", Some("/mnt/usb/deep")),
            ("/mnt/usbstick", None),
            ("/mnt/my disk/cuebox", Some("/mnt/my disk")),
            ("/srv/cuebox", None),
            ("/var/lib/cuebox", None),
            ("demo-data", None),
        ];
        for (folder, point) in cases {
            assert_eq!(mount_point(Path::new(folder), table), point.map(PathBuf::from), "{folder}");
        }
        assert_eq!(mount_point(Path::new("/x"), ""), None);
    }

    #[test]
    fn what_the_kernel_has_mounted_is_there() {
        let mounts = "22 1 253:0 / / rw,relatime - ext4 /dev/root rw\n\
                      45 22 8:1 / /mnt/my\\040disk rw shared:7 - exfat /dev/sda1 rw\n";
        for (point, there) in [("/", true), ("/mnt/my disk", true), ("/mnt/usb", false), ("/mnt", false)] {
            assert_eq!(is_mounted(Path::new(point), mounts), there, "{point}");
        }
        let own = fs::read_to_string(MOUNTED).unwrap();
        assert!(is_mounted(Path::new("/proc"), &own) && !is_mounted(Path::new("/proc/self"), &own), "{own}");
    }

    #[test]
    fn a_folder_that_has_to_lie_apart_is_missing_where_it_does_not() {
        for (folder, apart) in [("/proc/self", true), ("/etc/cuebox/nothing", false)] {
            let mut place = Place::new(folder, false);
            assert!(place.is_there());
            assert_eq!(Place::new(folder, true).is_there(), apart, "{folder}");
            place.used();
            assert_eq!(place.apart, apart);
        }
    }
}
