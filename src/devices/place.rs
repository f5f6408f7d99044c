//! Where a device is plugged in, read from its path in sysfs: the identity of a camera.
//!
//! Owns the printed form of a port. Knows nothing of device nodes, and needs no hardware: everything here is a pure
//! function of a path.
//!
//! | place | printed | made of |
//! |---|---|---|
//! | USB | `usb-<controller>-<chain>` | the controller's address and the chain of port numbers from its root hub on |
//! | USB, SuperSpeed | `usb3-<controller>-<chain>` | a USB 3 connector belongs to two root hubs that count their ports apart |
//! | PCI | `pci-<address>-<input>` | the nearest PCI function |
//! | platform (HDMI-RX, CSI bridge) | `platform-<device>-<input>` | the device that carries the node |
//! | virtual (v4l2loopback) | `virtual-<number>` | it has no place; its number is given when the module is loaded |
//!
//! A second input of one USB device is `usb-…-<chain>-input1`. Bus numbers never take part: they follow the order in
//! which controllers were found. Neither do names that the kernel counts up as drivers bind (`xhci-hcd.1`): their
//! parent's address stands in for them.

use std::path::{Component, Path, PathBuf};

use cuebox_core::ids::Port;

/// The physical place of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Usb {
        controller: String,
        /// Port numbers from the root hub on, joined by dots.
        chain: String,
        /// Path of the root hub; its speed tells which of a controller's two buses this is.
        root_hub: PathBuf,
        device: PathBuf,
    },
    Pci {
        address: String,
        device: PathBuf,
    },
    Platform {
        name: String,
        device: PathBuf,
    },
    Virtual {
        number: String,
        device: PathBuf,
    },
}

impl Place {
    /// `path`: the absolute, resolved path of a class device, for example
    /// `/sys/devices/…/1-1.2/1-1.2:1.0/video4linux/video0`.
    pub fn of(path: &Path) -> Self {
        let parts: Vec<&str> = path.components().filter_map(as_text).collect();
        let upto = |end: usize| -> PathBuf { Path::new("/").join(parts[..end].iter().collect::<PathBuf>()) };
        if let Some(usb) = usb(&parts, &upto) {
            return usb;
        }
        let leaf = parts.last().copied().unwrap_or_default();
        // The last two parts are the class and the class device itself.
        let carrier = parts.len().saturating_sub(2);
        if carrier > 0 && parts[carrier - 1] == "virtual" {
            let number = leaf.trim_start_matches(|letter: char| !letter.is_ascii_digit());
            return Self::Virtual { number: clean(number), device: path.to_path_buf() };
        }
        if let Some(at) = parts[..carrier].iter().rposition(|part| is_pci_address(part)) {
            return Self::Pci { address: clean(parts[at]), device: upto(at + 1) };
        }
        let name = if carrier > 0 { parts[carrier - 1] } else { leaf };
        Self::Platform { name: clean(name), device: upto(carrier) }
    }

    /// Path of the device that nodes and sound cards of one place have in common.
    pub fn device(&self) -> &Path {
        match self {
            Self::Usb { device, .. }
            | Self::Pci { device, .. }
            | Self::Platform { device, .. }
            | Self::Virtual { device, .. } => device,
        }
    }

    /// The printed form. `superspeed`: the USB root hub is a USB 3 one; `input`: position among the device's nodes.
    pub fn port(&self, superspeed: bool, input: usize) -> Port {
        Port::new(match self {
            Self::Usb { controller, chain, .. } => {
                let family = if superspeed { "usb3" } else { "usb" };
                let suffix = if input == 0 { String::new() } else { format!("-input{input}") };
                format!("{family}-{controller}-{chain}{suffix}")
            }
            Self::Pci { address, .. } => format!("pci-{address}-{input}"),
            Self::Platform { name, .. } => format!("platform-{name}-{input}"),
            Self::Virtual { number, .. } => format!("virtual-{number}"),
        })
    }
}

fn usb(parts: &[&str], upto: &dyn Fn(usize) -> PathBuf) -> Option<Place> {
    let hub = parts.iter().rposition(|part| {
        part.strip_prefix("usb").is_some_and(|bus| !bus.is_empty() && bus.bytes().all(|byte| byte.is_ascii_digit()))
    })?;
    let bus = format!("{}-", parts[hub].strip_prefix("usb")?);
    let (deepest, chain) = parts.iter().enumerate().skip(hub + 1).rev().find_map(|(at, part)| {
        let chain = part.strip_prefix(&bus)?;
        let is_chain = !chain.is_empty() && chain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        is_chain.then_some((at, chain))
    })?;
    let mut controller = hub.checked_sub(1)?;
    while counted_up(parts[controller]) && controller > 0 && parts[controller - 1] != "platform" {
        controller -= 1;
    }
    Some(Place::Usb {
        controller: clean(parts[controller]),
        chain: chain.to_owned(),
        root_hub: upto(hub + 1),
        device: upto(deepest + 1),
    })
}

/// Names that the kernel gives in the order of probing: `xhci-hcd.1`, `xhci-hcd.0.auto`.
fn counted_up(name: &str) -> bool {
    name.ends_with(".auto") || name.strip_prefix("xhci-hcd.").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

/// `0000:03:00.0`
fn is_pci_address(part: &str) -> bool {
    let mut fields = part.split([':', '.']);
    let lengths = [4..=8, 2..=2, 2..=2, 1..=1];
    lengths.into_iter().all(|length| {
        fields.next().is_some_and(|field| length.contains(&field.len()) && field.bytes().all(|b| b.is_ascii_hexdigit()))
    }) && fields.next().is_none()
        && part.matches(':').count() == 2
}

fn as_text<'a>(component: Component<'a>) -> Option<&'a str> {
    match component {
        Component::Normal(part) => part.to_str(),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
    }
}

/// Only letters that need no quoting in a configuration, a topic or a shell.
fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || ":._-".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PI4: &str = "/sys/devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0";

    #[test]
    fn the_port_of_every_known_board_is_printed_without_bus_or_node_numbers() {
        let cases = [
            (format!("{PI4}/usb1/1-1/1-1.2/1-1.2:1.0/video4linux/video0"), false, 0, "usb-0000:01:00.0-1.2"),
            (format!("{PI4}/usb2/2-2/2-2:1.0/video4linux/video2"), true, 0, "usb3-0000:01:00.0-2"),
            // Another boot, other bus and node numbers.
            (format!("{PI4}/usb3/3-1/3-1.2/3-1.2:1.0/video4linux/video8"), false, 0, "usb-0000:01:00.0-1.2"),
            // Behind a hub behind a hub; the second camera of a device with two.
            (format!("{PI4}/usb1/1-1/1-1.2/1-1.2.4/1-1.2.4:1.2/video4linux/video3"), false, 2, "usb-0000:01:00.0-1.2.4-input2"),
            (
                "/sys/devices/platform/axi/1000120000.pcie/1f00200000.usb/xhci-hcd.0/usb1/1-2/1-2:1.0/video4linux/video0".into(),
                false,
                0,
                "usb-1f00200000.usb-2",
            ),
            (
                "/sys/devices/platform/axi/1000120000.pcie/1f00300000.usb/xhci-hcd.1/usb4/4-1/4-1:1.0/video4linux/video0".into(),
                true,
                0,
                "usb3-1f00300000.usb-1",
            ),
            (
                "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/video4linux/video0".into(),
                false,
                0,
                "usb-0000:00:14.0-2",
            ),
            (
                "/sys/devices/pci0000:00/0000:00:1c.4/0000:03:00.0/video4linux/video1".into(),
                false,
                1,
                "pci-0000:03:00.0-1",
            ),
            (
                "/sys/devices/platform/usbdrd3_0/fc000000.usb/xhci-hcd.0.auto/usb5/5-1/5-1:1.0/video4linux/video21".into(),
                false,
                0,
                "usb-fc000000.usb-1",
            ),
            ("/sys/devices/platform/fc800000.usb/usb1/1-1/1-1:1.0/video4linux/video0".into(), false, 0, "usb-fc800000.usb-1"),
            (
                "/sys/devices/platform/fdee0000.hdmirx-controller/video4linux/video17".into(),
                false,
                0,
                "platform-fdee0000.hdmirx-controller-0",
            ),
            ("/sys/devices/platform/soc/fe801000.csi/video4linux/video0".into(), false, 0, "platform-fe801000.csi-0"),
            ("/sys/devices/platform/vivid.0/video4linux/video4".into(), false, 4, "platform-vivid.0-4"),
            ("/sys/devices/platform/vhci_hcd.0/usb3/3-1/3-1:1.0/video4linux/video0".into(), false, 0, "usb-vhci_hcd.0-1"),
            ("/sys/devices/virtual/video4linux/video7".into(), false, 0, "virtual-7"),
        ];
        for (path, superspeed, input, expected) in cases {
            assert_eq!(Place::of(Path::new(&path)).port(superspeed, input).as_str(), expected, "{path}");
        }
    }

    #[test]
    fn a_camera_and_the_sound_card_inside_it_have_one_device() {
        let camera =
            Place::of(Path::new("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2.1/1-2.1:1.0/video4linux/video0"));
        let card = Place::of(Path::new("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2.1/1-2.1:1.2/sound/card1"));
        let other = Place::of(Path::new("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2.3/1-2.3:1.0/sound/card2"));
        assert_eq!(camera.device(), Path::new("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2.1"));
        assert_eq!(camera.device(), card.device());
        assert_ne!(camera.device(), other.device());
    }

    #[test]
    fn a_usb_place_knows_its_root_hub() {
        let Place::Usb { root_hub, .. } =
            Place::of(Path::new("/sys/devices/platform/vhci_hcd.0/usb4/4-3/4-3:1.0/video4linux/video0"))
        else {
            panic!("not recognised as USB");
        };
        assert_eq!(root_hub, Path::new("/sys/devices/platform/vhci_hcd.0/usb4"));
    }

    #[test]
    fn paths_that_mean_nothing_still_have_a_printable_place() {
        for path in [
            "/",
            "/sys",
            "/sys/devices/odd name@1/video4linux/video0",
            "video0",
            "/sys/devices/usb/usb1/video4linux/video0",
        ] {
            let port = Place::of(Path::new(path)).port(false, 0);
            assert!(port.as_str().chars().all(|c| c.is_ascii_alphanumeric() || ":._-".contains(c)), "{path}: {port}");
        }
    }
}
