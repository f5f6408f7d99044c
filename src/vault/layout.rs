//! Where things lie below the data folder.

use std::path::{Path, PathBuf};

use cuebox_core::ids::{SegmentId, ShowId, SlotId, Track};

/// How the name of a folder ends that is being removed.
pub const CONDEMNED: &str = ".removed";

/// `<data_dir>` with the names of everything in it.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub fn index(&self) -> PathBuf {
        self.root.join("cuebox.db")
    }

    pub fn shows(&self) -> PathBuf {
        self.root.join("shows")
    }

    pub fn show(&self, show: &ShowId) -> PathBuf {
        self.shows().join(show.as_str())
    }

    /// What a show's folder is called while it is being removed: no show has a dot in its name.
    pub fn condemned(&self, show: &ShowId) -> PathBuf {
        self.shows().join(format!("{show}{CONDEMNED}"))
    }

    pub fn manifest(&self, show: &ShowId) -> PathBuf {
        self.show(show).join("show.json")
    }

    pub fn timeline(&self, show: &ShowId) -> PathBuf {
        self.show(show).join("timeline.jsonl")
    }

    pub fn track(&self, show: &ShowId, track: Track) -> PathBuf {
        self.show(show).join(track.folder())
    }

    pub fn segment(&self, segment: &SegmentId) -> PathBuf {
        self.root.join(segment.path())
    }
}

/// All folders that a show may have.
pub fn tracks() -> impl Iterator<Item = Track> {
    std::iter::once(Track::Program).chain(SlotId::all().map(Track::Slot))
}

/// The track of a folder's name: the inverse of [`Track::folder`].
pub fn track_of(folder: &str) -> Option<Track> {
    tracks().find(|track| track.folder() == folder)
}

/// The segment number of a file's name: `0001.mp4` is 1.
pub fn number_of(file: &str) -> Option<u32> {
    let digits = file.strip_suffix(".mp4")?;
    let number = digits.parse().ok()?;
    (number > 0 && digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_path_leads_back_to_its_track_and_number() {
        for track in tracks() {
            for number in [1, 42, 9_999, 12_345] {
                let path = SegmentId { show: ShowId::new("s"), track, number }.path();
                let mut parts = path.split('/').skip(2);
                assert_eq!(parts.next().and_then(track_of), Some(track));
                assert_eq!(parts.next().and_then(number_of), Some(number));
            }
        }
    }

    #[test]
    fn other_files_are_no_segments() {
        for name in ["0000.mp4", "1.mp4", "0001.mp4.new", "+001.mp4", "0001.mov", ".mp4", "99999999999.mp4"] {
            assert_eq!(number_of(name), None, "{name}");
        }
        assert_eq!(track_of("slot-6"), None);
    }
}
