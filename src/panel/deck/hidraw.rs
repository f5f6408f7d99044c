//! A HID device as the kernel gives it: reports in, reports out.

#![expect(unsafe_code, reason = "ioctl: request number and buffer must fit together, which only a reader can check")]

use std::ffi::c_void;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::ioctl::{Direction, Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use tokio::io::unix::AsyncFd;

const HID: u8 = b'H';
const SET_FEATURE: u8 = 6;

/// What the kernel says of a device.
pub(super) struct Identity {
    pub vendor: u16,
    pub product: u16,
    /// Its node.
    pub device: PathBuf,
    /// Where it is plugged in.
    pub place: String,
}

/// Entries of sysfs, one for each HID device.
pub(super) fn nodes() -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir("/sys/class/hidraw") else { return Vec::new() };
    folder.flatten().map(|entry| entry.path()).collect()
}

pub(super) fn identity(node: &Path) -> Option<Identity> {
    let text = fs::read_to_string(node.join("device/uevent")).ok()?;
    let device = Path::new("/dev").join(node.file_name()?);
    read_identity(&text, device)
}

/// Reads `HID_ID=0003:00000FD9:00000080` and `HID_PHYS=…`.
fn read_identity(text: &str, device: PathBuf) -> Option<Identity> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let mut ids = value("HID_ID")?.split(':').skip(1).map(|id| u32::from_str_radix(id, 16).ok());
    let mut id = || ids.next().flatten().and_then(|id| u16::try_from(id).ok());
    let (vendor, product) = (id()?, id()?);
    let place = value("HID_PHYS").filter(|place| !place.is_empty());
    let place = place.map_or_else(|| device.display().to_string(), str::to_owned);
    Some(Identity { vendor, product, device, place })
}

pub(super) struct Hidraw(AsyncFd<File>);

impl Hidraw {
    pub fn open(device: &Path) -> io::Result<Self> {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
        let file = File::options().read(true).write(true).custom_flags(flags).open(device)?;
        // SAFETY: the file is owned by what watches it, is never exchanged, and stays open until both are dropped.
        Ok(Self(unsafe { AsyncFd::register(file) }?))
    }

    /// One input report.
    pub async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(read) = ready.try_io(|file| file.get_ref().read(into)) {
                return read
                    .and_then(|count| if count > 0 { Ok(count) } else { Err(io::ErrorKind::UnexpectedEof.into()) });
            }
        }
    }

    /// One output report. Waits for the bus.
    pub fn write(&self, report: &[u8]) -> io::Result<()> {
        self.0.get_ref().write_all(report)
    }

    /// One feature report.
    pub fn feature(&self, report: &[u8]) -> io::Result<()> {
        let mut report = report.to_vec();
        // SAFETY: HIDIOCSFEATURE reads, and may write, as many bytes as its number names, which is all of them.
        unsafe { ioctl(self.0.get_ref(), SetFeature(&mut report)) }.map_err(io::Error::from)
    }
}

/// `HIDIOCSFEATURE(length)`.
struct SetFeature<'a>(&'a mut [u8]);

// SAFETY: the number names the buffer's size, and the buffer lives as long as the call.
unsafe impl Ioctl for SetFeature<'_> {
    type Output = ();

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::from_components(Direction::ReadWrite, HID, SET_FEATURE, self.0.len())
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_known_by_what_the_kernel_says() {
        let text =
            "DRIVER=hid-generic\nHID_ID=0003:00000FD9:00000080\nHID_NAME=Elgato\nHID_PHYS=usb-0000:00:14.0-1/input0\n";
        let identity = read_identity(text, PathBuf::from("/dev/hidraw3")).unwrap();
        assert_eq!((identity.vendor, identity.product), (0x0fd9, 0x0080));
        assert_eq!(identity.place, "usb-0000:00:14.0-1/input0");
        assert!(read_identity("HID_ID=zz", PathBuf::new()).is_none());
        assert!(read_identity("", PathBuf::new()).is_none());
    }

    #[test]
    fn the_request_is_the_kernels() {
        // _IOWR('H', 6, 32 bytes), as linux/hidraw.h has it.
        assert_eq!(SetFeature(&mut [0; 32]).opcode(), 0xC020_4806);
        assert_eq!(SetFeature(&mut [0; 17]).opcode(), 0xC011_4806);
    }
}
