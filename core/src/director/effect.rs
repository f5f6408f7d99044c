//! What is to be done once, in order. What is to *be* the case is [`super::Wanted`].

use serde::{Deserialize, Serialize};

use crate::command::{Answer, Origin};
use crate::config::patch::Patch;
use crate::grid::{FrameIndex, Grid};
use crate::ids::{CommandId, SegmentId, ShowId, SlotId, Ticket};
use crate::time::{Correction, Wall};
use crate::timeline::Entry;

use super::event::Sealed;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Tell whoever sent the command.
    Answer {
        id: CommandId,
        origin: Origin,
        answer: Answer,
    },
    /// Make the journal durable up to here, then say `Persisted` with this ticket.
    Persist {
        ticket: Ticket,
    },
    Vault(VaultOp),
    /// Take a picture of this slot now.
    Snapshot {
        slot: SlotId,
    },
    /// Read the configuration again; answer with `ConfigLoaded` or `ConfigRejected`.
    Reload,
    /// Lay this over the configuration and check it; keep it, unless it is only to be checked. Answer with
    /// `ConfigPatched` or `PatchRejected`.
    Patch {
        id: CommandId,
        patch: Patch,
        check: bool,
    },
    /// Answer the command with what it asks for.
    Report {
        id: CommandId,
        origin: Origin,
        what: Report,
    },
    /// Everything is sealed: start the process anew.
    Restart,
}

/// What is told on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    Journal { lines: u32 },
    Doctor,
}

/// Work for the vault. Done in the order given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultOp {
    /// Make the show's folder and manifest. A show that exists already goes on: its manifest takes the new origin.
    OpenShow(NewShow),
    /// A line of the show's timeline, synced before the next.
    Timeline {
        show: ShowId,
        entry: Entry,
    },
    /// The recorder opened this file; it gets its row.
    SegmentOpened {
        segment: SegmentId,
        /// Show frame of its first picture.
        first_frame: u64,
    },
    /// The file is complete. With `clean` false and no frames, its recorder never told: the file itself must be read.
    SegmentSealed {
        segment: SegmentId,
        first_frame: u64,
        sealed: Sealed,
    },
    CloseShow {
        show: ShowId,
        ended: Wall,
    },
    /// Tombstone, unlink, drop the row.
    Remove {
        segment: SegmentId,
        why: String,
    },
    /// The same for each of its segments, then everything else of the show. One that is not there is removed already.
    RemoveShow {
        show: ShowId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewShow {
    pub id: ShowId,
    pub name: String,
    pub box_id: String,
    pub started: Wall,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    /// Grid position of the show's frame `origin_frame`.
    pub origin: FrameIndex,
    /// 0, unless the show went on after a reboot: the grid then counts from another zero.
    #[serde(default)]
    pub origin_frame: u64,
    /// How far off the clock was that gave `started`, once that is known. Nothing is renamed for it.
    #[serde(default)]
    pub clock: Option<Correction>,
}

impl NewShow {
    /// When it began, by the best clock it has seen.
    pub fn begun(&self) -> Wall {
        self.started.corrected(self.clock)
    }

    /// When one of its frames was, by the clock that it began with: times of one show always tell its true length.
    pub fn time_of(&self, frame: u64) -> Wall {
        let into = Grid::new(self.fps).time_of(FrameIndex(frame)).as_nanos();
        let unix_ns = self.started.unix_ns.saturating_add(i64::try_from(into).unwrap_or(i64::MAX));
        Wall { unix_ns, trust: self.started.trust }
    }
}
