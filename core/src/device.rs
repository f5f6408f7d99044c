//! What the device shell tells of the machine: cameras with their modes, and the encoders that were found to work.

use serde::{Deserialize, Serialize};

use crate::ids::Port;

/// How a camera delivers its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelFormat {
    Nv12,
    Yuyv,
    Uyvy,
    Mjpeg,
    H264,
}

/// Frames per second as a fraction, so that 30000/1001 stays exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    pub numerator: u32,
    pub denominator: u32,
}

impl Rate {
    pub const fn new(numerator: u32, denominator: u32) -> Self {
        Self { numerator, denominator }
    }

    /// Frames per second; zero for a fraction that means nothing.
    pub fn fps(self) -> f64 {
        if self.denominator == 0 { 0.0 } else { f64::from(self.numerator) / f64::from(self.denominator) }
    }
}

/// One size of one pixel format with the rates it comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeGroup {
    pub format: PixelFormat,
    pub width: u32,
    pub height: u32,
    pub rates: Vec<Rate>,
}

/// The mode that a capture is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    pub format: PixelFormat,
    pub width: u32,
    pub height: u32,
    pub rate: Rate,
}

/// What an HDMI input tells of what arrives at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// It is not such an input, or tells nothing.
    #[default]
    Untold,
    Good,
    /// No cable, or nothing on it.
    None,
    /// Something arrives and does not settle.
    Unlocked,
    /// A mode that the hardware cannot take.
    OutOfRange,
}

impl Signal {
    /// Why there is no picture; `None` where there may be one.
    pub const fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Untold | Self::Good => None,
            Self::None => Some("no signal: nothing arrives at its input"),
            Self::Unlocked => Some("no lock: a signal arrives and does not settle; another cable may help"),
            Self::OutOfRange => Some("out of range: the camera sends a mode that this input cannot take"),
        }
    }
}

/// Something of a camera that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The kernel's number for it.
    pub id: u32,
    /// As the configuration names it: `power_line_frequency`.
    pub name: String,
    pub min: i64,
    pub max: i64,
    pub step: u64,
    pub default: i64,
    /// When the camera was looked at.
    pub value: i64,
    /// Names of its values, where they have any.
    #[serde(default)]
    pub menu: Vec<(i64, String)>,
    /// Decides whether another control counts (automatic exposure, white balance): set before those.
    pub leads: bool,
}

/// A camera (or capture stick, or bridge) that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Camera {
    /// Its identity.
    pub port: Port,
    /// Product name, for people.
    pub name: String,
    pub serial: Option<String>,
    /// Where the kernel shows it at present, for example `/dev/video0`. Never an identity.
    pub node: String,
    pub modes: Vec<ModeGroup>,
    /// ALSA device of the sound card on the same physical device.
    pub card: Option<String>,
    #[serde(default)]
    pub signal: Signal,
    #[serde(default)]
    pub controls: Vec<Control>,
}

/// An H.264 encoder with the limits that its board file states: one that a board may have, or, in [`Encoders`], one that
/// encoded its probe frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// GStreamer element name.
    pub element: String,
    pub hardware: bool,
    /// Simultaneous encodes it can carry; `None`: no limit of its own.
    pub max_sessions: Option<u32>,
    /// Largest width × height.
    pub max_size: Option<(u32, u32)>,
    /// Luma pixels per second over all its sessions; `None`: not known.
    pub max_pixels_per_s: Option<u64>,
    /// Highest bitrate of one session.
    pub max_bitrate_bps: Option<u64>,
}

/// An encoder that was skipped, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenEncoder {
    pub element: String,
    pub why: String,
}

/// What the box can encode with, best first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Encoders {
    /// Board file that the limits came from.
    pub board: String,
    pub working: Vec<Encoder>,
    pub broken: Vec<BrokenEncoder>,
}
