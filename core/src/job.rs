//! What pipelines are for: the names that director, status, crashes and plans share.

use serde::{Deserialize, Serialize};

use crate::ids::{LegId, SlotId, Track};

/// One pipeline of the media graph, or one part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// A slot's picture, with the sound that comes with it (test, file, network).
    Capture(SlotId),
    /// A slot's sound card.
    Sound(SlotId),
    Program,
    Encode(EncodeJob),
    Record(Track),
    Leg(LegId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EncodeJob {
    /// Adaptive bitrate, shared by every leg.
    Stream,
    /// Steady quality, for the program's recording.
    ProgramRecord,
    /// Steady quality, for one slot's recording.
    Slot(SlotId),
    /// Small and adaptive, one slot for the legs that publish slots beside the program.
    SlotStream(SlotId),
}

impl std::fmt::Display for EncodeJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream => f.write_str("stream"),
            Self::ProgramRecord => f.write_str("program-record"),
            Self::Slot(slot) => write!(f, "slot-{slot}"),
            Self::SlotStream(slot) => write!(f, "stream-slot-{slot}"),
        }
    }
}

impl From<EncodeJob> for String {
    fn from(job: EncodeJob) -> Self {
        job.to_string()
    }
}

impl TryFrom<String> for EncodeJob {
    type Error = String;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            "stream" => Ok(Self::Stream),
            "program-record" => Ok(Self::ProgramRecord),
            _ => match name.strip_prefix("stream-") {
                Some(slot) => SlotId::from_job_name(slot).map(Self::SlotStream),
                None => SlotId::from_job_name(&name).map(Self::Slot),
            }
            .ok_or_else(|| format!("no encode is named `{name}`")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    Audio,
    Video,
}
