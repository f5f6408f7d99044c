//! TURN in TLS, the way out where a hall's network lets the web through and nothing else. GStreamer's ICE speaks TURN
//! over TCP but not TLS: it is sent to a port of this machine, from where TLS carries it to the server.
//!
//! A tunnel lives as long as the runtime that it was made on, which is the session's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::ice::IceServer;
use crate::media::publish::tls;

/// For name, connection and TLS; ICE itself gives up later.
const REACH_LIMIT: Duration = Duration::from_secs(5);
/// Connections at a time, over all addresses of the machine; what comes above is closed.
const MOST: usize = 32;

/// The same servers, those in TLS by a tunnel. One whose tunnel cannot be made is left out and named.
pub async fn through(servers: &[IceServer], ca_file: Option<&Path>) -> Vec<IceServer> {
    let mut reached = Vec::with_capacity(servers.len());
    for server in servers {
        let Some((host, port)) = server.tls_place() else {
            reached.push(server.clone());
            continue;
        };
        match open(host, port, ca_file).await {
            Ok(local) => {
                let url = format!("turn:127.0.0.1:{local}?transport=tcp");
                reached.push(IceServer { url, ..server.clone() });
            }
            Err(why) => tracing::warn!("the TURN server {} is not used: {why}", server.url),
        }
    }
    reached
}

/// Gives the local port.
async fn open(host: &str, port: u16, ca_file: Option<&Path>) -> Result<u16, String> {
    let config = tls::client_config(ca_file).map_err(|failure| failure.detail)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let local = listener.local_addr().map_err(|error| error.to_string())?.port();
    let host = host.to_owned();
    let room = Arc::new(tokio::sync::Semaphore::new(MOST));
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(held) = room.clone().try_acquire_owned() else { continue };
            let (connector, name, host) = (TlsConnector::from(config.clone()), name.clone(), host.clone());
            tokio::spawn(async move {
                if let Err(error) = carry(near, &host, port, name, &connector).await {
                    tracing::debug!("the TURN server {host} port {port}: {error}");
                }
                drop(held);
            });
        }
    });
    Ok(local)
}

async fn carry(
    mut near: TcpStream,
    host: &str,
    port: u16,
    name: ServerName<'static>,
    connector: &TlsConnector,
) -> std::io::Result<()> {
    let reach = async {
        let stream = TcpStream::connect((host, port)).await?;
        // Each packet of media is one write, and is late if it waits for the next.
        stream.set_nodelay(true)?;
        connector.connect(name, stream).await
    };
    near.set_nodelay(true)?;
    let mut far = tokio::time::timeout(REACH_LIMIT, reach).await??;
    tokio::io::copy_bidirectional(&mut near, &mut far).await.map(|_| ())
}
