//! What sysfs and procfs tell of cameras and sound cards, without opening any of them.
//!
//! Nothing here depends on udev's database, which containers and early boot do not have.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cuebox_core::ids::Port;
use cuebox_core::usb::{self, Video};

use super::place::Place;

/// A video node that the kernel shows, whatever it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoNode {
    /// `/dev/video0`
    pub node: String,
    /// Differs for each registration of a node, also when name and path are the same as before.
    pub instance: u64,
    pub port: Port,
    /// Product name of the USB device; `None` where the device has to be asked itself.
    pub product: Option<String>,
    pub serial: Option<String>,
    /// Path of the USB device, when the node is the first on it: the one that its sound belongs to.
    pub sound_device: Option<PathBuf>,
}

/// A sound card's capture device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundNode {
    /// ALSA name: `hw:CARD=<id>,DEV=<number>`. The id follows the card, its number the order of plugging.
    pub device: String,
    pub name: String,
    pub port: Port,
    /// Path of the USB device that the card is part of.
    pub usb_device: Option<PathBuf>,
}

/// Root folders, so that tests can lay out their own machine.
#[derive(Clone, Debug)]
pub struct Machine {
    sys: PathBuf,
    proc: PathBuf,
    dev: PathBuf,
}

impl Machine {
    pub fn this() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into(), dev: "/dev".into() }
    }

    /// All video nodes, in the order of their ports.
    pub fn video_nodes(&self) -> Vec<VideoNode> {
        let mut found: Vec<Found> = self
            .class("video4linux")
            .into_iter()
            .filter(|(name, _)| name.strip_prefix("video").is_some_and(is_number))
            .filter_map(|(name, path)| Found::new(name, &path, &self.sys))
            .collect();
        // Nodes of one device in the order in which the driver made them: their number alone depends on which numbers
        // were free, `index` counts within one driver instance, the interface orders the instances.
        found.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut nodes: Vec<VideoNode> = Vec::with_capacity(found.len());
        let mut input = 0;
        for (at, entry) in found.iter().enumerate() {
            let first = at == 0 || found[at - 1].place.device() != entry.place.device();
            input = if first { 0 } else { input + 1 };
            nodes.push(entry.node(&self.dev, input));
        }
        nodes.sort_by(|a, b| a.port.cmp(&b.port));
        nodes
    }

    /// What the descriptors of the USB device say that this node is the first of.
    pub fn usb_video(&self, node: &VideoNode) -> Option<Video> {
        let device = node.sound_device.as_deref()?;
        usb::parse(&fs::read(to_sys(device, &self.sys).join("descriptors")).ok()?)
    }

    /// Every capture device of every sound card.
    pub fn sound_nodes(&self) -> Vec<SoundNode> {
        let names = fs::read_to_string(self.proc.join("asound/cards")).unwrap_or_default();
        let mut cards: Vec<_> = self
            .class("sound")
            .into_iter()
            .filter_map(|(name, path)| Some((name.strip_prefix("card")?.parse::<u32>().ok()?, path)))
            .collect();
        cards.sort();
        cards.into_iter().flat_map(|(number, path)| self.card(number, &path, &names)).collect()
    }

    fn card(&self, number: u32, path: &Path, names: &str) -> Vec<SoundNode> {
        let Some(id) = attribute(path, "id") else { return Vec::new() };
        let place = Place::of(&from_sys(path, &self.sys));
        let name = card_name(names, number).unwrap_or_else(|| id.clone());
        let usb_device = matches!(place, Place::Usb { .. }).then(|| place.device().to_path_buf());
        let port = place.port(superspeed(&place, &self.sys), 0);
        let prefix = format!("pcmC{number}D");
        let mut devices: Vec<u32> = entries(path)
            .into_iter()
            .filter_map(|(name, _)| name.strip_prefix(&prefix)?.strip_suffix('c')?.parse().ok())
            .collect();
        devices.sort_unstable();
        let node = |device| SoundNode {
            device: format!("hw:CARD={id},DEV={device}"),
            name: name.clone(),
            port: port.clone(),
            usb_device: usb_device.clone(),
        };
        devices.into_iter().map(node).collect()
    }

    /// Names and resolved paths of a class's devices.
    fn class(&self, class: &str) -> Vec<(String, PathBuf)> {
        entries(&self.sys.join("class").join(class))
            .into_iter()
            .filter_map(|(name, link)| Some((name, fs::canonicalize(link).ok()?)))
            .collect()
    }
}

/// A node with what is needed to order it among its device's nodes.
struct Found {
    name: String,
    number: u32,
    index: u32,
    instance: u64,
    path: PathBuf,
    place: Place,
    superspeed: bool,
    product: Option<String>,
    serial: Option<String>,
}

impl Found {
    /// `None`: it went away while it was read.
    fn new(name: String, path: &Path, sys: &Path) -> Option<Self> {
        let place = Place::of(&from_sys(path, sys));
        let usb = matches!(place, Place::Usb { .. });
        let device = to_sys(place.device(), sys);
        let number = |text: &str| text.trim().parse().ok();
        Some(Self {
            number: name.strip_prefix("video").and_then(number).unwrap_or(u32::MAX),
            index: attribute(path, "index").as_deref().and_then(number).unwrap_or(0),
            instance: fs::metadata(path).ok()?.ino(),
            superspeed: superspeed(&place, sys),
            product: if usb { attribute(&device, "product") } else { None },
            serial: if usb { attribute(&device, "serial") } else { None },
            path: path.to_path_buf(),
            name,
            place,
        })
    }

    fn order(&self) -> (&Path, Option<&Path>, u32, u32) {
        // The folder that carries the node: the USB interface, or the device itself.
        (self.place.device(), self.path.ancestors().nth(2), self.index, self.number)
    }

    fn node(&self, dev: &Path, input: usize) -> VideoNode {
        let usb = matches!(self.place, Place::Usb { .. });
        VideoNode {
            node: dev.join(&self.name).to_string_lossy().into_owned(),
            instance: self.instance,
            port: self.place.port(self.superspeed, input),
            product: self.product.clone(),
            serial: self.serial.clone(),
            sound_device: (usb && input == 0).then(|| self.place.device().to_path_buf()),
        }
    }
}

/// USB 3 root hubs run at 5000 Mbit/s and more.
fn superspeed(place: &Place, sys: &Path) -> bool {
    let Place::Usb { root_hub, .. } = place else { return false };
    let speed = attribute(&to_sys(root_hub, sys), "speed");
    speed.and_then(|mbits| mbits.parse::<f64>().ok()).is_some_and(|mbits| mbits >= 5000.0)
}

/// `/proc/asound/cards` has a line ` 1 [HDMI1          ]: Loopback - Loopback 1` for each card.
fn card_name(cards: &str, number: u32) -> Option<String> {
    cards.lines().find_map(|line| {
        let (head, text) = line.split_once("]:")?;
        let (found, _) = head.split_once('[')?;
        let matches = found.trim().parse() == Ok(number);
        let name = text.split_once(" - ").map_or(text, |(_, name)| name);
        matches.then(|| printable(name)).filter(|name| !name.is_empty())
    })
}

fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

/// An attribute's text, cleaned; `None` when there is none or it says nothing.
fn attribute(device: &Path, name: &str) -> Option<String> {
    let bytes = fs::read(device.join(name)).ok()?;
    Some(printable(&String::from_utf8_lossy(&bytes))).filter(|text| !text.is_empty())
}

/// Devices put anything into their strings: without control letters, at most 64 letters.
pub fn printable(text: &str) -> String {
    let visible: String = text.chars().filter(|letter| !letter.is_control()).take(64).collect();
    visible.trim().to_owned()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Paths as the kernel has them, below `/sys`, wherever sysfs is.
fn from_sys(path: &Path, sys: &Path) -> PathBuf {
    path.strip_prefix(sys).map_or_else(|_| path.to_path_buf(), |below| Path::new("/sys").join(below))
}

fn to_sys(path: &Path, sys: &Path) -> PathBuf {
    path.strip_prefix("/sys").map_or_else(|_| path.to_path_buf(), |below| sys.join(below))
}

#[cfg(test)]
mod tests;
