//! What happened: everything the director ever learns. Past tense, serialisable (the journal holds these), and every
//! fact of an asynchronous job carries the epoch that the job was wished with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::Envelope;
use crate::config::Config;
use crate::device::{Camera, Encoders};
use crate::grid::FrameIndex;
use crate::health::Look;
use crate::ids::{CommandId, Epoch, Port, SegmentId, ShowId, SwitchId, Ticket, Track};
use crate::job::{Job, Medium};
use crate::overload::Lag;
use crate::status::{MqttStatus, PanelKind, PanelState};
use crate::time::Wall;

use super::effect::NewShow;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Somebody wants something.
    Commanded(Envelope),
    /// Somebody wanted something too long ago: it is answered as the first was when its id is known, else refused.
    CommandedLate {
        envelope: Envelope,
        why: String,
    },
    /// How the connection to the MQTT broker is.
    MqttTold(MqttStatus),
    /// The time that [`super::Director::poll_deadline`] gave has come. Timers fire on this event only, so that a
    /// replay needs no clock.
    DeadlineReached,
    /// A job of the media graph told something.
    Media {
        job: Job,
        epoch: Epoch,
        fact: Fact,
    },
    /// Counters of jobs that went on since the last sample. Their absence is what the director judges.
    Progressed(Vec<Progress>),
    /// A camera is there, or something about it changed (its node, its sound card).
    CameraPlugged(Camera),
    CameraUnplugged {
        port: Port,
    },
    /// Encoders were probed; sent once at start, and again when the probe was repeated.
    EncodersProbed(Encoders),
    Vault(VaultFact),
    /// The wall clock was read (at start), or its trust changed.
    ClockRead(Wall),
    /// Heat or too little power slow the machine down, in words; or no longer do.
    MachineSlowed {
        why: Option<String>,
    },
    /// `reload` found a good configuration.
    ConfigLoaded(Box<Config>),
    /// `reload` found a bad one; the old one stays.
    ConfigRejected {
        why: String,
    },
    /// The configuration with a patch on it; kept already, unless it was only to be checked.
    ConfigPatched {
        id: CommandId,
        config: Box<Config>,
        check: bool,
    },
    /// A patch cannot be applied, or cannot be kept.
    PatchRejected {
        id: CommandId,
        why: String,
    },
    /// A part of the box panicked and was restarted in place.
    ShellRestarted {
        shell: String,
    },
    /// A panel came, answered, or went.
    PanelTold(PanelReport),
    /// The process is to end: everything is sealed and the show is closed; see [`super::Director::quiesced`].
    ShutdownRequested,
}

/// How a panel is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanelReport {
    /// Where it is; the same for as long as the process runs.
    pub id: String,
    pub kind: PanelKind,
    /// As it calls itself.
    pub name: String,
    pub state: PanelState,
    /// Why it is not connected.
    pub why: Option<String>,
    pub keys: u8,
}

/// A job's counter: buffers for pictures and sound, bytes for legs and recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub job: Job,
    pub epoch: Epoch,
    pub total: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The job's first picture, sound or encoded frame came out.
    FirstBuffer,
    /// The device is there, but nothing arrives at its input.
    SignalLost {
        why: String,
    },
    SignalFound,
    /// Capture only: what the pictures look like, told when it changes.
    Looked(Look),
    /// A source reached its end (a file that is played once, a server that closed).
    Ended,
    /// The job is over with an error; nothing more comes from this epoch.
    Failed {
        class: ErrorClass,
        detail: String,
    },
    /// Program only: the first output frame that shows the result of this switch.
    Shown {
        switch: SwitchId,
        frame: FrameIndex,
    },
    /// Recording only.
    SegmentOpened {
        number: u32,
        first_frame: FrameIndex,
    },
    /// Recording only: the file is complete on disk.
    SegmentSealed(Sealed),
    /// Leg only: the server accepted the publication.
    Connected,
    /// Leg only: what the network carries to its server at present; told when it changes, at most five times a second.
    Estimated {
        bits_per_second: u64,
    },
    /// Encodes and the program's mixer: how far behind they are. Told each half second while they are, and once when that
    /// is over.
    Lags(Lag),
    /// Leg only: so many others are in the room.
    Audience {
        now: u32,
    },
    /// Leg only: whoever hosts the room muted or unmuted what the box publishes.
    Muted {
        medium: Medium,
        on: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    pub number: u32,
    pub first_frame: FrameIndex,
    pub frames: u64,
    /// Frames that the source lost and that were filled by repeating the one before.
    pub repeated: u64,
    pub bytes: u64,
    /// `false`: the file plays, but was not finished in order.
    pub clean: bool,
}

/// Told apart because they are answered differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The device is gone or refuses.
    Device,
    /// The device is used by somebody else.
    Busy,
    /// USB bandwidth is used up.
    Bandwidth,
    /// The host name has no address.
    UnknownHost,
    /// Nobody listens there.
    ConnectionRefused,
    /// Reset, closed, timed out.
    NetworkLost,
    /// The server answers, but nothing of the stream gets through to it.
    NoMedia,
    /// A wrong key, token or certificate: trying fast does not help.
    Unauthorised,
    Tls,
    /// The service that gives tokens or addresses does not.
    TokenService,
    /// The token has ended, and no other is to be had.
    TokenExpired,
    /// Somebody else joined under the same identity.
    DuplicateIdentity,
    /// The host ended the room.
    RoomDeleted,
    /// The host removed the box from the room.
    Removed,
    /// The server goes down in order, and will be back.
    ServerShutDown,
    DiskFull,
    Disk,
    /// The data cannot be decoded or does not fit.
    Format,
    /// It did not stop, start or answer in time.
    Timeout,
    /// Our own fault.
    Internal,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultFact {
    /// What [`super::Effect::Persist`] named is durable.
    Persisted {
        ticket: Ticket,
    },
    /// It cannot be made durable; why, in plain words.
    PersistFailed {
        ticket: Ticket,
        why: String,
    },
    /// Start-up recovery found a show that was not closed. Told before `Recovered`.
    ShowFound(FoundShow),
    /// What start-up recovery found: segments on disk, oldest first. Always told once at start, even when empty.
    Recovered {
        segments: Vec<StoredSegment>,
    },
    /// The show's folder and manifest are durable.
    ShowOpened {
        show: ShowId,
    },
    ShowFailed {
        show: ShowId,
        why: String,
    },
    /// The segment's row and manifest entry are durable.
    SegmentIndexed {
        segment: SegmentId,
    },
    /// The segment's file is gone and its row with it.
    SegmentRemoved {
        segment: SegmentId,
    },
    RemoveFailed {
        segment: SegmentId,
        why: String,
    },
    /// Free space of the data folder; sampled every few seconds.
    Space {
        free_bytes: u64,
        total_bytes: u64,
    },
    /// The data folder cannot be written.
    Unwritable {
        why: String,
    },
    Writable,
    /// What is written goes to another folder from here on (`None`: to `data_dir`), and these are its segments, oldest
    /// first. Told while the vault takes nothing, so that no recording is open.
    Moved {
        folder: Option<String>,
        segments: Vec<StoredSegment>,
    },
    /// The index was damaged or gone, and was built again from the manifests and files. Nothing recorded is lost.
    IndexRebuilt {
        why: String,
    },
    /// The show's files, manifest and rows are gone.
    ShowRemoved {
        show: ShowId,
    },
}

/// A show that the process left open when it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundShow {
    /// As it was opened last.
    pub show: NewShow,
    /// The machine has not been booted since: the show's origin still holds.
    pub same_boot: bool,
    /// The last show frame that anything on disk speaks of.
    pub last_frame: u64,
    /// Number of the next segment of each track that has any.
    pub next_numbers: BTreeMap<Track, u32>,
}

/// A sealed segment on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSegment {
    pub segment: SegmentId,
    pub bytes: u64,
    /// Uploaded and checked; may be removed when space is needed.
    pub stored: bool,
}
