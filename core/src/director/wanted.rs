//! The goal: what should be the case now. The media graph compares it with what is, and closes the difference.
//!
//! A part's epoch changes when, and only when, that part must be taken down and built anew (it failed, or its
//! description changed in a way that cannot be applied to the running pipeline).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Transition;
use crate::config::{LegConfig, Url};
use crate::device::Mode;
use crate::encode_plan::Grant;
use crate::grid::FrameIndex;
use crate::ids::{Epoch, LegId, ShowId, SlotId, SwitchId, Track};
use crate::job::EncodeJob;
use crate::picture_size::PictureSize;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Grows with every change of anything in here.
    pub epoch: Epoch,
    pub captures: BTreeMap<SlotId, Capture>,
    pub sounds: BTreeMap<SlotId, Sound>,
    pub program: Program,
    pub encodes: BTreeMap<EncodeJob, Encode>,
    pub recordings: BTreeMap<Track, Recording>,
    pub legs: BTreeMap<LegId, Leg>,
    /// No pictures are made for whoever looks at the box.
    #[serde(default)]
    pub no_snapshots: bool,
}

impl Wanted {
    /// Before anything was decided.
    pub(super) fn nothing() -> Self {
        let switch = Switch { id: SwitchId(0), picture: Picture::Slate, transition: None };
        let program = Program {
            epoch: Epoch(0),
            inputs: BTreeSet::new(),
            switch,
            slate: Slate::default(),
            audio: Audio::default(),
        };
        Self {
            epoch: Epoch(0),
            captures: BTreeMap::new(),
            sounds: BTreeMap::new(),
            program,
            encodes: BTreeMap::new(),
            recordings: BTreeMap::new(),
            legs: BTreeMap::new(),
            no_snapshots: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    pub epoch: Epoch,
    /// Drawn into the test picture; otherwise only for logs.
    pub name: String,
    pub source: CaptureSource,
    /// The sound that comes with the picture is the slot's.
    #[serde(default = "yes")]
    pub own_sound: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureSource {
    V4l2 {
        node: String,
        mode: Mode,
        /// Controls to be set before it streams, in this order: number and value.
        #[serde(default)]
        controls: Vec<(u32, i64)>,
    },
    Test {
        marks: bool,
        tone_hz: Option<u32>,
    },
    File {
        path: String,
        repeat: bool,
    },
    Network {
        url: Url,
    },
}

/// A slot's own sound card. Slots whose source brings its sound, or that have none, have no entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sound {
    pub epoch: Epoch,
    /// ALSA name, for example `hw:CARD=HDMI1,DEV=0`.
    pub device: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    pub epoch: Epoch,
    /// Slots that are live and therefore in the mixers; every other one is taken out at once, because a silent input
    /// makes every frame wait for the delay budget.
    pub inputs: BTreeSet<SlotId>,
    pub switch: Switch,
    pub slate: Slate,
    pub audio: Audio,
}

/// The program's picture, and how to get there. A new `id` is a new change; the same id changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    pub id: SwitchId,
    pub picture: Picture,
    pub transition: Option<(Transition, Duration)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    #[default]
    Slate,
    Slot(SlotId),
}

/// The texts on the slate; without a show that has a name the reason is the title.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slate {
    /// The show's name, or the box's.
    pub title: String,
    /// Why it is shown, in words for viewers.
    pub reason: String,
}

/// The program's sound. Levels are targets: the graph ramps to them over 10 ms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Audio {
    /// Linear gain per slot in the program; a slot that is not in here is silent.
    pub gains: BTreeMap<SlotId, f64>,
    /// How long a slot's sound is held back.
    pub delays_ms: BTreeMap<SlotId, u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encode {
    pub epoch: Epoch,
    pub grant: Grant,
    /// Target of the moment; within the grant's limits, changeable while running.
    pub bitrate_bps: u64,
    /// Picture of the moment, at most the grant's; changeable while running where the grant is a stream's.
    pub picture: PictureSize,
    /// Every other picture is the one before once more, which costs an encoder less. Of slots only; changeable while running.
    #[serde(default)]
    pub halved: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    pub epoch: Epoch,
    pub show: ShowId,
    /// The encode it takes its pictures from (a small board shares the stream's with the program's recording).
    pub from: EncodeJob,
    /// Number of the first segment that this epoch opens; a file that exists already is passed over.
    pub first_number: u32,
    /// The folder that it goes to; `None`: `data_dir`.
    #[serde(default)]
    pub folder: Option<String>,
    /// Grid position that the show counts from: its frame 0, or a later one when it went on after a reboot.
    pub origin: FrameIndex,
    /// A segment begins at this frame (or, when the source comes later, at its first frame). When it grows, the
    /// segment that is open ends before this frame and the next begins with it.
    pub segment_from: FrameIndex,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    pub epoch: Epoch,
    pub config: LegConfig,
    /// Bits per second of the program's sound; changeable while running.
    pub audio_bitrate_bps: u64,
    /// What viewers are told of the camera; `None`: the slate.
    pub on_air: Option<OnAir>,
    /// Slots published beside the program, with their names; each has an [`EncodeJob::SlotStream`].
    pub slots: BTreeMap<SlotId, String>,
    /// Grows when the operator asks to be heard and seen again after the host muted the box.
    pub unmute: u32,
}

/// The camera that a frame of the program has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnAir {
    pub slot: SlotId,
    pub name: String,
    /// First frame of the program that showed it, counted on the grid.
    pub frame: FrameIndex,
}
