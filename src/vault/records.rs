//! What is known of a show and of a segment: the same facts as rows of the index and as entries of the manifest.

use cuebox_core::director::NewShow;
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{SegmentId, ShowId, Track};
use cuebox_core::time::Wall;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowRecord {
    pub show: NewShow,
    /// Boot id of the machine's run that `show.origin` counts in: the monotonic clock starts anew with each boot.
    pub boot: String,
    /// `None` while the show is open.
    pub ended: Option<Wall>,
}

impl ShowRecord {
    pub fn id(&self) -> &ShowId {
        &self.show.id
    }

    /// A show of which only files are left: named after its folder.
    pub fn of_folder(id: ShowId, box_id: &str) -> Self {
        let show = NewShow {
            name: id.as_str().to_owned(),
            id,
            box_id: box_id.to_owned(),
            started: Wall::default(),
            width: 0,
            height: 0,
            fps: 0,
            origin: FrameIndex(0),
            origin_frame: 0,
            clock: None,
        };
        Self { show, boot: String::new(), ended: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The recorder writes it, or did when the power went.
    Growing,
    Sealed,
    /// To be removed; the file may or may not be there.
    Tombstone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    pub track: Track,
    pub number: u32,
    pub state: State,
    pub first_frame: u64,
    pub frames: u64,
    pub repeated: u64,
    pub bytes: u64,
    pub clean: bool,
    /// Hexadecimal; `None` until the file was hashed in the background.
    pub sha256: Option<String>,
    /// Uploaded and checked.
    pub stored: bool,
}

impl SegmentRecord {
    pub fn growing(track: Track, number: u32, first_frame: u64) -> Self {
        Self {
            track,
            number,
            state: State::Growing,
            first_frame,
            frames: 0,
            repeated: 0,
            bytes: 0,
            clean: false,
            sha256: None,
            stored: false,
        }
    }

    pub fn id(&self, show: &ShowId) -> SegmentId {
        SegmentId { show: show.clone(), track: self.track, number: self.number }
    }

    /// The frame after its last.
    pub fn end_frame(&self) -> u64 {
        self.first_frame.saturating_add(self.frames)
    }
}
