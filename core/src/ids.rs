//! Names of things. A newtype for every id, so that a leg's name cannot be passed where a show's id is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the five numbered camera positions, 1–5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct SlotId(u8);

impl SlotId {
    pub const MAX: u8 = 5;

    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= Self::MAX { Some(Self(number)) } else { None }
    }

    pub const fn number(self) -> u8 {
        self.0
    }

    /// The slot of a job or folder that is named `slot-<n>`.
    pub fn from_job_name(name: &str) -> Option<Self> {
        name.strip_prefix("slot-")?.parse().ok().and_then(Self::new)
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::MAX).map(Self)
    }
}

impl TryFrom<u8> for SlotId {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::new(number).ok_or_else(|| format!("slot {number} does not exist (allowed: 1–{})", Self::MAX))
    }
}

impl From<SlotId> for u8 {
    fn from(slot: SlotId) -> Self {
        slot.0
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}", self.0)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A leg's name from the configuration.
    LegId
);
name!(
    /// A show's id: sorts by time, safe as a folder name.
    ShowId
);
name!(
    /// A command's id, given by whoever sent it or made at the edge.
    CommandId
);
name!(
    /// A physical port, as `cuebox devices` prints it: stable across reboots, never `/dev/videoN`.
    Port
);

impl Port {
    /// Whether a configuration that says `wanted` means this port: as printed, or for USB the short form without the
    /// controller (`usb-1.2` for `usb-0000:01:00.0-1.2`), which is enough where no other controller has a camera on a
    /// chain of the same numbers.
    pub fn is_meant_by(&self, wanted: &Self) -> bool {
        self == wanted || self.short().is_some_and(|short| short == wanted.0)
    }

    /// The form without the controller; `None` for ports that have only one form.
    pub fn short(&self) -> Option<String> {
        let (family @ ("usb" | "usb3"), rest) = self.0.split_once('-')? else { return None };
        let (place, input) = rest.split_once("-input").map_or((rest, None), |(place, input)| (place, Some(input)));
        let (_controller, chain) = place.rsplit_once('-')?;
        Some(input.map_or_else(|| format!("{family}-{chain}"), |input| format!("{family}-{chain}-input{input}")))
    }
}

/// What a recording records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Track {
    Program,
    Slot(SlotId),
}

impl Track {
    /// The track's folder inside the show's folder.
    pub fn folder(self) -> String {
        match self {
            Self::Program => "program".to_owned(),
            Self::Slot(slot) => format!("slot-{slot}"),
        }
    }
}

impl From<Track> for String {
    fn from(track: Track) -> Self {
        track.folder()
    }
}

impl TryFrom<String> for Track {
    type Error = String;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            "program" => Ok(Self::Program),
            _ => SlotId::from_job_name(&name).map(Self::Slot).ok_or_else(|| format!("no track is named `{name}`")),
        }
    }
}

/// One recording file of a show: `<show>/<track>/<number>.mp4`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId {
    pub show: ShowId,
    pub track: Track,
    /// Counts from 1 in each track of a show.
    pub number: u32,
}

impl SegmentId {
    /// Path below the data folder: `shows/<show>/<track>/0001.mp4`.
    pub fn path(&self) -> String {
        format!("shows/{}/{}/{:04}.mp4", self.show, self.track.folder(), self.number)
    }
}

/// Which life of a job a fact belongs to. Grows by one at each restart of anything; never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Names one thing that the vault was asked to make durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

/// Names one change of the program's picture, so that the frame that shows it can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SwitchId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_port_names_the_camera_in_full_or_without_its_usb_controller() {
        let cases = [
            ("usb-0000:01:00.0-1.2", "usb-0000:01:00.0-1.2", true),
            ("usb-0000:01:00.0-1.2", "usb-1.2", true),
            ("usb-0000:01:00.0-1.2", "usb-2", false),
            ("usb-0000:01:00.0-1.2", "usb-1", false),
            ("usb-0000:01:00.0-1.2", "usb3-1.2", false),
            ("usb3-0000:01:00.0-2", "usb3-2", true),
            ("usb3-0000:01:00.0-2", "usb-2", false),
            ("usb-xhci-hcd-4", "usb-4", true),
            ("usb-1f00200000.usb-1-input2", "usb-1", false),
            ("usb-1f00200000.usb-1-input2", "usb-1-input2", true),
            ("platform-vivid.0-1", "platform-vivid.0-1", true),
            ("platform-vivid.0-1", "platform-1", false),
            ("usb-1.2", "usb-", false),
        ];
        for (port, wanted, expected) in cases {
            assert_eq!(Port::new(port).is_meant_by(&Port::new(wanted)), expected, "{wanted} for {port}");
        }
    }
}
