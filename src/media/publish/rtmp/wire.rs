//! One TCP connection, with TLS or without, that never blocks once it is there.
//!
//! What is written goes no further than it must: the kernel is told to hold back little that is not on its way
//! (`TCP_NOTSENT_LOWAT`), so that what waits, waits where it can be counted and dropped.

#![expect(unsafe_code, reason = "ioctl: request number and argument must fit together, which only a reader can check")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use cuebox_core::director::ErrorClass;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::ioctl::{Getter, ioctl};
use rustls::ClientConnection;

use crate::media::part::Failure;

/// Bytes that the kernel takes beyond what is on its way.
const UNSENT: u32 = 32 * 1024;
/// A peer that acknowledges nothing for so long is gone, whatever else is known.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// Plain bytes that are handed to TLS at once.
const PORTION: usize = 32 * 1024;

pub struct Wire {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// Why a connection is over.
#[derive(Debug)]
pub enum End {
    /// Closed or reset by the other side, or by the network between.
    Closed(String),
    Failed(Failure),
}

/// What a connection is ready for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    pub read: bool,
    pub write: bool,
}

impl Wire {
    pub fn new(socket: TcpStream, tls: Option<ClientConnection>) -> Result<Self, Failure> {
        let options = socket2::SockRef::from(&socket);
        options.set_tcp_nodelay(true).map_err(Failure::internal)?;
        options.set_tcp_notsent_lowat(UNSENT).map_err(Failure::internal)?;
        options.set_tcp_user_timeout(Some(GONE_AFTER)).map_err(Failure::internal)?;
        socket.set_nonblocking(true).map_err(Failure::internal)?;
        Ok(Self { socket, tls: tls.map(Box::new) })
    }

    /// Waits until something can be done or `wake` is written to, at most for `limit`.
    pub fn wait(&self, wake: BorrowedFd<'_>, writes: bool, limit: Duration) -> Ready {
        let writes = writes || self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        let interest = if writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut fds = [PollFd::new(&self.socket, interest), PollFd::from_borrowed_fd(wake, PollFlags::IN)];
        let limit = Timespec { tv_sec: limit.as_secs().try_into().unwrap_or(0), tv_nsec: limit.subsec_nanos().into() };
        if poll(&mut fds, Some(&limit)).is_err() {
            return Ready::default();
        }
        let over = PollFlags::HUP | PollFlags::ERR;
        let seen = fds[0].revents();
        Ready { read: seen.intersects(PollFlags::IN | over), write: seen.intersects(PollFlags::OUT) }
    }

    /// Adds what has come.
    pub fn read(&mut self, into: &mut Vec<u8>) -> Result<(), End> {
        let Some(tls) = &mut self.tls else {
            let mut buffer = [0; 16 * 1024];
            return match self.socket.read(&mut buffer) {
                Ok(0) => Err(End::Closed(String::new())),
                Ok(count) => {
                    into.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    Ok(())
                }
                Err(error) => over(&error),
            };
        };
        match tls.read_tls(&mut self.socket) {
            Ok(0) if tls.is_handshaking() => {
                return Err(End::Failed(Failure::new(ErrorClass::Tls, "the server closed during the TLS handshake")));
            }
            Ok(_) => {}
            Err(error) => over(&error)?,
        }
        if let Err(error) = tls.process_new_packets() {
            // The alert that says why, for the server's log.
            let _ = tls.write_tls(&mut self.socket);
            return Err(End::Failed(Failure::new(ErrorClass::Tls, error.to_string())));
        }
        let mut buffer = [0; 16 * 1024];
        loop {
            match tls.reader().read(&mut buffer) {
                Ok(0) => return Err(End::Closed(String::new())),
                Ok(count) => into.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) => return over(&error),
            }
        }
    }

    /// Writes as much as goes without waiting; takes it out of `out` and tells how much it was.
    pub fn write(&mut self, out: &mut Vec<u8>) -> Result<usize, End> {
        let Some(tls) = &mut self.tls else {
            return match self.socket.write(out) {
                Ok(count) => {
                    out.drain(..count);
                    Ok(count)
                }
                Err(error) => over(&error).map(|()| 0),
            };
        };
        let mut taken = 0;
        if !tls.wants_write() && !out.is_empty() {
            let portion = out.get(..PORTION).unwrap_or(out);
            taken = match tls.writer().write(portion) {
                Ok(count) => count,
                Err(error) => over(&error).map(|()| 0)?,
            };
            out.drain(..taken);
        }
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => over(&error)?,
            }
        }
        Ok(taken)
    }

    /// Bytes that were written and that the other side's kernel has not acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
        // SAFETY: SIOCOUTQ fills in an int (tcp(7)).
        let waiting = unsafe { ioctl(self.socket.as_fd(), Getter::<SIOCOUTQ, i32>::new()) };
        waiting.ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }
}

/// What an error of reading or writing means; nothing to be done now is none.
fn over(error: &std::io::Error) -> Result<(), End> {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
        Ok(())
    } else {
        Err(End::Closed(error.to_string()))
    }
}
