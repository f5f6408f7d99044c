//! Finds the serial port of a USB device by its identity, in sysfs.

use std::fs;
use std::path::{Path, PathBuf};

/// The device node of the first serial port that belongs to such a USB device. `sys` is where sysfs is.
pub(super) fn serial_port(sys: &Path, vendor: u16, product: u16, serial: Option<&str>) -> Option<PathBuf> {
    let mut ports: Vec<PathBuf> =
        fs::read_dir(sys.join("class/tty")).ok()?.flatten().map(|entry| entry.path()).collect();
    ports.sort();
    let port = ports.into_iter().find(|port| {
        let device = fs::canonicalize(port.join("device")).ok().and_then(|place| usb_device(&place));
        device.is_some_and(|device| {
            hex(&device.join("idVendor")) == Some(vendor)
                && hex(&device.join("idProduct")) == Some(product)
                && serial.is_none_or(|serial| text(&device.join("serial")).as_deref() == Some(serial))
        })
    })?;
    Some(Path::new("/dev").join(port.file_name()?))
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
