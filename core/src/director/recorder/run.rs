//! One life of one track's recording: from its wish to the last segment that it owes.
//!
//! | state | then |
//! |---|---|
//! | wished | told to end → retired; error, or nothing written → over |
//! | retired: no longer wished, segments still open | all sealed → over; 5 s passed → over, what is open is unclean |
//!
//! Two open segments at once mean that a rotation is under way. A run that is over has accounted for each segment
//! that it opened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::director::event::Sealed;
use crate::grid::FrameIndex;
use crate::ids::{Epoch, Track};
use crate::job::EncodeJob;
use crate::time::Mono;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub track: Track,
    /// The encode that feeds it, in the life that it was started with.
    pub from: (EncodeJob, Epoch),
    pub first_number: u32,
    pub segment_from: FrameIndex,
    pub since: Mono,
    /// When it was told to end.
    pub retired: Option<Mono>,
    /// Segments that it opened and has not sealed: number → first frame.
    pub open: BTreeMap<u32, FrameIndex>,
    /// When it wrote last.
    pub wrote_at: Mono,
}

impl Run {
    /// What is to be said of a segment that its recorder will never tell about.
    pub fn unclean(number: u32, first_frame: FrameIndex) -> Sealed {
        Sealed { number, first_frame, frames: 0, repeated: 0, bytes: 0, clean: false }
    }
}
