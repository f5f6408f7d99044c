//! Tally for other people's lamps: TSL UMD packets, at each change and once a second, because UDP loses some and
//! receivers call a silent sender dead.

use std::time::Duration;

use cuebox_core::director::PanelReport;
use cuebox_core::panel::{TslConfig, TslVersion};
use cuebox_core::status::{PanelKind, PanelState};
use cuebox_core::tally::tsl::{self, Display};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use super::Deps;

/// All displays are told again after this.
const REFRESH: Duration = Duration::from_secs(1);
/// Connecting, and each write, takes no longer.
const PATIENCE: Duration = Duration::from_secs(2);

enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// Sends tally to one receiver for ever.
pub(super) async fn serve(receiver: TslConfig, hide_preview: bool, deps: Deps) {
    let mut told = None;
    let mut tell = |state, why: Option<String>| {
        let (id, name) = (format!("tsl:{}", receiver.address), receiver.address.clone());
        let report = PanelReport { id, kind: PanelKind::Tsl, name, state, why, keys: 0 };
        if told.as_ref() != Some(&report) {
            (deps.report)(report.clone());
            told = Some(report);
        }
    };
    let mut ever = false;
    loop {
        let again = Instant::now() + REFRESH;
        let why = match timeout(PATIENCE, connect(&receiver)).await {
            Ok(Ok(mut wire)) => {
                ever = true;
                tell(PanelState::Connected, None);
                send(&mut wire, &receiver, hide_preview, &deps).await
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        tell(if ever { PanelState::Lost } else { PanelState::Waiting }, Some(why));
        tokio::time::sleep_until(again).await;
    }
}

async fn connect(receiver: &TslConfig) -> std::io::Result<Wire> {
    match receiver.version {
        TslVersion::V50Tcp => {
            let stream = TcpStream::connect(&receiver.address).await?;
            stream.set_nodelay(true)?;
            Ok(Wire::Tcp(stream))
        }
        TslVersion::V31 | TslVersion::V50Udp => {
            let address = tokio::net::lookup_host(&receiver.address).await?.next();
            let address = address.ok_or_else(|| std::io::Error::other("the name has no address"))?;
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            Ok(Wire::Udp(socket))
        }
    }
}

/// Until the receiver is gone; says why.
async fn send(wire: &mut Wire, receiver: &TslConfig, hide_preview: bool, deps: &Deps) -> String {
    let mut snapshots = deps.snapshots.clone();
    let mut sent: Vec<Display> = Vec::new();
    let mut refresh = Instant::now();
    loop {
        let status = snapshots.borrow_and_update().status.clone();
        let displays = tsl::displays(&status, receiver.first, hide_preview);
        let all = Instant::now() >= refresh;
        if all || displays != sent {
            let changed: Vec<Display> =
                displays.iter().filter(|display| all || !sent.contains(display)).cloned().collect();
            match timeout(PATIENCE, wire.send(receiver, &changed)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return "it does not take what is sent".to_owned(),
            }
            sent = displays;
            if all {
                refresh = Instant::now() + REFRESH;
            }
        }
        // A change, or the time for everything again.
        if matches!(timeout_at(refresh, snapshots.changed()).await, Ok(Err(_))) {
            return "the box is stopping".to_owned();
        }
    }
}

impl Wire {
    async fn send(&mut self, receiver: &TslConfig, displays: &[Display]) -> std::io::Result<()> {
        match self {
            Self::Udp(socket) if receiver.version == TslVersion::V31 => {
                for display in displays {
                    told(socket.send(&tsl::v31(display)).await)?;
                }
            }
            Self::Udp(socket) => told(socket.send(&tsl::v50(receiver.screen, displays)).await)?,
            Self::Tcp(stream) => stream.write_all(&tsl::framed(&tsl::v50(receiver.screen, displays))).await?,
        }
        Ok(())
    }
}

/// A receiver that is not running yet refuses a packet; the next one may reach it.
fn told(sent: std::io::Result<usize>) -> std::io::Result<()> {
    match sent {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionRefused => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}
