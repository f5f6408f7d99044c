//! Finds the kernel's socket of a connection that a library made, and reads how much of what was sent is not
//! acknowledged yet. From /proc, so that no descriptor has to be borrowed.
//!
//! When several legs publish to one server, each takes a connection that no other has taken; which of them it is makes
//! no difference to what is concluded from it: they go to the same place.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

static TAKEN: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// One connection of this process; given back when dropped.
#[derive(Debug)]
pub struct Socket {
    inode: u64,
    six: bool,
}

/// A line of the kernel's table of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Connection {
    remote: SocketAddr,
    /// Bytes that were written and not acknowledged.
    unacknowledged: u64,
    inode: u64,
}

impl Socket {
    /// A connection of this process to one of `remotes` that nobody else has taken.
    pub fn find(remotes: &[SocketAddr]) -> Option<Self> {
        let own = own_sockets();
        let fitting =
            |it: &Connection| remotes.iter().any(|remote| same(*remote, it.remote)) && own.contains(&it.inode);
        let found = [false, true].into_iter().flat_map(|six| table(six).into_iter().map(move |it| (six, it)));
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (six, connection) = found.filter(|(_, it)| fitting(it)).find(|(_, it)| taken.insert(it.inode))?;
        Some(Self { inode: connection.inode, six })
    }

    /// Bytes that the other side's kernel has not acknowledged; `None` when the connection is gone.
    pub fn unacknowledged(&self) -> Option<u64> {
        table(self.six).into_iter().find(|it| it.inode == self.inode).map(|it| it.unacknowledged)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.inode);
    }
}

/// IPv4 addresses may be written as IPv6 ones.
fn same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

fn own_sockets() -> BTreeSet<u64> {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return BTreeSet::new() };
    let targets = descriptors.flatten().filter_map(|it| std::fs::read_link(it.path()).ok());
    targets.filter_map(|it| it.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect()
}

fn table(six: bool) -> Vec<Connection> {
    let path = if six { "/proc/net/tcp6" } else { "/proc/net/tcp" };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().skip(1).filter_map(parse).collect()
}

/// `sl local remote state tx:rx timer retransmits uid timeout inode …`, numbers in hexadecimal up to `tx:rx`.
fn parse(line: &str) -> Option<Connection> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (tx, _) = fields.get(4)?.split_once(':')?;
    Some(Connection {
        remote: address(fields.get(2)?)?,
        unacknowledged: u64::from_str_radix(tx, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// Addresses stand as words in the machine's byte order, ports in the network's.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [four] => IpAddr::V4(Ipv4Addr::from(*four)),
        [_, _, _, _] => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn what_the_other_side_does_not_take_is_seen_as_not_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        let mut stream = TcpStream::connect(remote).unwrap();
        let (_other, _) = listener.accept().unwrap();
        let socket = Socket::find(&[remote]).unwrap();
        assert!(Socket::find(&[remote]).is_none(), "it is taken");
        assert_eq!(socket.unacknowledged(), Some(0));

        stream.set_nonblocking(true).unwrap();
        while stream.write(&[0; 65_536]).is_ok() {}
        assert!(socket.unacknowledged().unwrap() > 10_000);
        drop(stream);
        drop(socket);
        assert!(Socket::find(&[remote]).is_none(), "it is not of this process any more");
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        let four = address("0100007F:46A0").unwrap();
        assert!(cfg!(target_endian = "big") || four == "127.0.0.1:18080".parse().unwrap());
        let six = address("0000000000000000FFFF00000100007F:46A0").unwrap();
        assert!(cfg!(target_endian = "big") || same(six, four));
        assert!(address("nonsense").is_none());
    }
}
