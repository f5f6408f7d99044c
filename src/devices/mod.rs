//! Cameras and sound cards: what is plugged in, where, and what it can deliver.
//!
//! Hot-plug in three rules. What is there is read from sysfs, always all of it; a message of the kernel only says that it
//! is worth looking again, so a lost message is late by at most two seconds and a doubled one does nothing. A camera
//! *is* its port: the same port after a replug is the same camera to the director, whatever node number it gets. A node
//! that cannot be opened yet is asked again, later each time, for ever.
//!
//! This shell never streams, and changes nothing but the EDID of an HDMI input; it may look at cameras that are on air. It
//! must not know slots, the configuration or GStreamer.

mod controls;
mod hdmi;
mod modes;
mod place;
mod probe;
mod sysfs;
mod tracker;
mod uevent;
mod v4l2;
mod watch;

use std::time::{Duration, Instant};

use cuebox_core::device::Camera;
use cuebox_core::director::Event;
use cuebox_core::ids::Port;
use cuebox_core::usb::Video;
use serde::Serialize;

pub use watch::{DeviceWatch, watch};

#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("no pipe for the device watch: {0}")]
    Pipe(#[source] std::io::Error),
    #[error("no thread for the device watch: {0}")]
    Thread(#[source] std::io::Error),
}

/// Everything that is plugged in at one moment, in the order of ports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    pub cameras: Vec<Camera>,
    pub sound: Vec<SoundCard>,
    /// Cameras that are there but cannot be used.
    pub unusable: Vec<Unusable>,
    /// What the descriptors of USB cameras say, by port.
    #[serde(skip)]
    pub usb: Vec<(Port, Video)>,
}

/// One capture device of a sound card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SoundCard {
    /// ALSA name, as the configuration takes it: `hw:CARD=<id>,DEV=<number>`.
    pub device: String,
    pub name: String,
    pub port: Port,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unusable {
    pub port: Port,
    pub node: String,
    /// In plain words, with the remedy where there is one.
    pub why: String,
}

/// Looks once. Opens every video node; takes milliseconds unless a device hangs.
pub fn snapshot() -> Snapshot {
    let machine = sysfs::Machine::this();
    let sound = machine.sound_nodes();
    let nodes = machine.video_nodes();
    let usb = nodes.iter().filter_map(|node| Some((node.port.clone(), machine.usb_video(node)?))).collect();
    let mut tracker = tracker::Tracker::default();
    let events = tracker.look(Instant::now(), Duration::ZERO, nodes, &sound, &mut probe::probe);
    let camera = |event| if let Event::CameraPlugged(camera) = event { Some(camera) } else { None };
    let unusable = |failure: tracker::Failure| Unusable { port: failure.port, node: failure.node, why: failure.why };
    let card = |node: sysfs::SoundNode| SoundCard { device: node.device, name: node.name, port: node.port };
    Snapshot {
        cameras: events.into_iter().filter_map(camera).collect(),
        sound: sound.into_iter().map(card).collect(),
        usb,
        unusable: tracker.failures().into_iter().map(unusable).collect(),
    }
}
