//! Hot-plug messages, straight from the kernel.
//!
//! A message is only a hint that it is worth looking again: what is plugged in is read from sysfs. So lost messages,
//! messages from a container's host and machines without udevd are all harmless.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

/// Group 1: the kernel, as a device appears. Group 2: udevd, after its rules have set the node's permissions.
const GROUPS: u32 = 0b11;
const SUBSYSTEMS: [&[u8]; 2] = [b"SUBSYSTEM=video4linux", b"SUBSYSTEM=sound"];

pub struct Uevents {
    socket: OwnedFd,
}

impl Uevents {
    /// Messages from this moment on are kept until they are read.
    pub fn subscribe() -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self { socket })
    }

    /// Reads everything that waits; `true` when any of it may concern a camera or a sound card.
    pub fn drain(&self) -> bool {
        let mut look = false;
        let mut buffer = [0; 8192];
        loop {
            match rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, length)) => look |= concerns_us(&buffer[..length.min(buffer.len())]),
                // More messages came than the socket holds: any of the lost ones may have mattered.
                Err(Errno::NOBUFS) => look = true,
                Err(Errno::INTR) => {}
                Err(_) => return look,
            }
        }
    }
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A message is a head and then `KEY=value` fields, each ended by a zero byte.
fn concerns_us(message: &[u8]) -> bool {
    message.split(|byte| *byte == 0).any(|field| SUBSYSTEMS.contains(&field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_cameras_and_sound_cards_are_told_from_the_rest() {
        let cases: [(&[u8], bool); 6] = [
            (b"add@/devices/x/video4linux/video0\0ACTION=add\0SUBSYSTEM=video4linux\0SEQNUM=1\0", true),
            (b"remove@/devices/x/sound/card1\0ACTION=remove\0SUBSYSTEM=sound\0", true),
            (b"libudev\0\xfe\xed\xca\xfe\0\0\0\x28ACTION=add\0SUBSYSTEM=video4linux\0", true),
            (b"add@/devices/x/block/sda\0ACTION=add\0SUBSYSTEM=block\0", false),
            (b"add@/video4linux\0ACTION=add\0SUBSYSTEM=usb\0", false),
            (b"", false),
        ];
        for (message, expected) in cases {
            assert_eq!(concerns_us(message), expected, "{}", String::from_utf8_lossy(message));
        }
    }
}
