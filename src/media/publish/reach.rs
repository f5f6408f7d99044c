//! Reaching a server: name and connection, with bounds, and what went wrong told apart.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::Duration;

use cuebox_core::director::ErrorClass;

use crate::media::part::Failure;

/// The system's resolver has no bound of its own that a leg could wait for.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// A connection to the first of the host's addresses that accepts one.
pub fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let mut failure = Failure::new(ErrorClass::UnknownHost, format!("{host} has no address"));
    for address in resolve(host, port)? {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = explain(host, port, &error),
        }
    }
    Err(failure)
}

/// Every address of `host`.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let (sender, answer) = channel();
    let name = host.to_owned();
    std::thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(move || {
            let _ = sender.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect));
        })
        .map_err(Failure::internal)?;
    match answer.recv_timeout(RESOLVE_LIMIT) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(Failure::new(ErrorClass::UnknownHost, format!("{host} is not known: {error}"))),
        Err(_) => Err(Failure::new(ErrorClass::UnknownHost, format!("no name server answered for {host}"))),
    }
}

/// What an error of connecting means.
pub fn explain(host: &str, port: u16, error: &std::io::Error) -> Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of errors grow; the rest is the network's")]
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            Failure::new(ErrorClass::ConnectionRefused, format!("nobody listens on {host} port {port}"))
        }
        ErrorKind::TimedOut => Failure::new(ErrorClass::Timeout, format!("{host} port {port} does not answer")),
        _ => Failure::new(ErrorClass::NetworkLost, format!("{host} port {port}: {error}")),
    }
}
