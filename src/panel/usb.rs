//! Serial ports of USB devices and their identities, in sysfs.

use std::fs;
use std::path::{Path, PathBuf};

use cuebox_core::panel::SerialPlace;

/// A serial port of a USB device.
pub(super) struct Port {
    pub node: PathBuf,
    /// Its device's identity, with the serial number where it has one.
    pub place: SerialPlace,
    pub name: String,
}

/// The device node of the first serial port that belongs to such a USB device. `sys` is where sysfs is.
pub(super) fn serial_port(sys: &Path, vendor: u16, product: u16, serial: Option<&str>) -> Option<PathBuf> {
    let is_it = |port: &Port| match &port.place {
        SerialPlace::Usb { vendor: its, product: own, serial: given } => {
            (*its, *own) == (vendor, product) && serial.is_none_or(|serial| given.as_deref() == Some(serial))
        }
        SerialPlace::Path(_) => false,
    };
    serial_ports(sys).into_iter().find(is_it).map(|port| port.node)
}

/// Serial ports of USB devices, by their names.
pub(super) fn serial_ports(sys: &Path) -> Vec<Port> {
    let mut ports: Vec<PathBuf> =
        fs::read_dir(sys.join("class/tty")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    ports.sort();
    let port = |port: PathBuf| {
        let device = usb_device(&fs::canonicalize(port.join("device")).ok()?)?;
        let (vendor, product) = (hex(&device.join("idVendor"))?, hex(&device.join("idProduct"))?);
        let node = Path::new("/dev").join(port.file_name()?);
        let name = text(&device.join("product")).unwrap_or_else(|| node.display().to_string());
        let serial = text(&device.join("serial")).filter(|serial| !serial.is_empty());
        Some(Port { node, place: SerialPlace::Usb { vendor, product, serial }, name })
    };
    ports.into_iter().filter_map(port).collect()
}

/// The USB device above an interface.
fn usb_device(place: &Path) -> Option<PathBuf> {
    place.ancestors().find(|place| place.join("idVendor").is_file()).map(Path::to_owned)
}

fn hex(file: &Path) -> Option<u16> {
    u16::from_str_radix(&text(file)?, 16).ok()
}

fn text(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sysfs with a USB serial port and one without USB.
    fn sysfs(root: &Path) {
        let device = root.join("devices/usb1/1-2");
        for (folder, link) in [("1-2:1.0/tty/ttyACM0", "ttyACM0"), ("1-2:1.2/tty/ttyACM1", "ttyACM1")] {
            let tty = device.join(folder);
            fs::create_dir_all(&tty).unwrap();
            fs::create_dir_all(root.join("class/tty")).unwrap();
            std::os::unix::fs::symlink(tty.ancestors().nth(2).unwrap(), tty.join("device")).unwrap();
            std::os::unix::fs::symlink(&tty, root.join("class/tty").join(link)).unwrap();
        }
        for (name, value) in [("idVendor", "2e8a\n"), ("idProduct", "000a\n"), ("serial", "E66\n")] {
            fs::write(device.join(name), value).unwrap();
        }
        fs::create_dir_all(root.join("class/tty/ttyS0/device")).unwrap();
    }

    #[test]
    fn a_port_is_found_by_the_identity_of_its_device() {
        let root = std::env::temp_dir().join(format!("cuebox-panel-sysfs-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        sysfs(&root);
        let table = [
            (0x2e8a, 0x000a, None, Some("/dev/ttyACM0")),
            (0x2e8a, 0x000a, Some("E66"), Some("/dev/ttyACM0")),
            (0x2e8a, 0x000a, Some("E67"), None),
            (0x2e8a, 0x000b, None, None),
        ];
        for (vendor, product, serial, expected) in table {
            let found = serial_port(&root, vendor, product, serial);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{vendor:04x}:{product:04x} {serial:?}");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
