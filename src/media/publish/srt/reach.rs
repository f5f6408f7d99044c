//! Whether an SRT listener is there: the first half of its handshake, which leaves no trace at the other side. What a
//! sink only sees as a silence of three seconds is told apart: a host that refuses the port, and one that is silent.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use cuebox_core::director::ErrorClass;

use crate::media::part::Failure;
use crate::media::publish::reach::{explain, resolve};

const LIMIT: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(250);
/// `draft-sharabayko-srt`, 3.2.1: control type 0 is a handshake; version 4, type "UDP", packets of 1,500 bytes at most,
/// a window of 8,192, request 1 = induction.
const HANDSHAKE_BYTES: usize = 64;

/// At least one of the host's addresses answers as SRT does.
pub fn reach(host: &str, port: u16) -> Result<(), Failure> {
    let mut failure = Failure::new(ErrorClass::UnknownHost, format!("{host} has no address"));
    for address in resolve(host, port)? {
        match ask(address) {
            Ok(()) => return Ok(()),
            Err(error) => failure = explain(host, port, &error),
        }
    }
    Err(failure)
}

fn ask(address: SocketAddr) -> std::io::Result<()> {
    let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(own)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(AGAIN))?;
    let until = Instant::now() + LIMIT;
    let mut answer = [0; 1_500];
    while Instant::now() < until {
        socket.send(&induction())?;
        match socket.recv(&mut answer) {
            Ok(length) if is_handshake(answer.get(..length).unwrap_or_default()) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::TimedOut.into())
}

fn induction() -> [u8; HANDSHAKE_BYTES] {
    let mut packet = [0; HANDSHAKE_BYTES];
    let words: [(usize, u32); 6] = [(0, 0x8000_0000), (16, 4), (20, 2), (28, 1_500), (32, 8_192), (36, 1)];
    for (at, word) in words {
        packet[at..at + 4].copy_from_slice(&word.to_be_bytes());
    }
    // Socket id of the asking side: any but zero.
    packet[40..44].copy_from_slice(&0x0c0e_b001_u32.to_be_bytes());
    packet
}

fn is_handshake(answer: &[u8]) -> bool {
    answer.len() >= HANDSHAKE_BYTES && answer.starts_with(&[0x80, 0, 0, 0])
}
