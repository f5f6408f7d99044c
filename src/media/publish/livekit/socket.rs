//! The signalling socket: a WebSocket with LiveKit's messages on it.
//!
//! Every frame is bounded, and one that cannot be decoded is left out: whatever the server sends, what comes out of
//! [`Socket::next`] is a message or the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuebox_core::config::{Secret, Url};
use cuebox_core::director::ErrorClass;
use futures_util::{SinkExt, StreamExt};
use livekit_protocol as proto;
use prost::Message as _;
use proto::{signal_request::Message as Request, signal_response::Message as Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::failures;
use crate::media::part::Failure;
use crate::media::publish::{reach, tls};

/// The whole of name, connection, TLS and upgrade.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// From the upgrade to the server's first word.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A message that cannot be written for this long: the socket is dead.
const WRITE_LIMIT: Duration = Duration::from_secs(3);
/// A room of a thousand participants is told in less than a quarter of it.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The newest version in which the data channel is opened in the usual way.
const PROTOCOL: u32 = 16;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Where the server is, and what lets us in.
#[derive(Clone)]
pub struct Door {
    pub url: Url,
    pub token: Secret,
    pub ca_file: Option<PathBuf>,
}

pub struct Socket(WebSocketStream<Box<dyn Wire>>);

impl Door {
    /// A new participant.
    pub async fn join(&self) -> Result<(Socket, Box<proto::JoinResponse>), Failure> {
        let mut socket = self.open("").await?;
        let first = tokio::time::timeout(ANSWER_LIMIT, async {
            while let Some(message) = socket.next().await {
                #[expect(
                    clippy::wildcard_enum_match_arm,
                    reason = "the protocol has dozens of messages and grows; the rest comes after the join"
                )]
                match message {
                    Response::Join(join) => return Ok(Box::new(join)),
                    Response::Leave(leave) => return Err(failures::of_leave(&leave)),
                    _ => {}
                }
            }
            Err(Failure::new(ErrorClass::NetworkLost, "the server closed before it let the box join"))
        });
        let late = || Failure::new(ErrorClass::Timeout, "the server does not answer the request to join");
        let join = first.await.map_err(|_| late())??;
        Ok((socket, join))
    }

    /// The same participant again, with its media as it is. Messages that came before the server's word are given too.
    pub async fn resume(&self, participant: &str) -> Result<(Socket, Vec<Response>), Failure> {
        let query = format!("&reconnect=1&reconnect_reason=1&sid={}", escaped(participant));
        let mut socket = self.open(&query).await?;
        let mut early = Vec::new();
        let first = tokio::time::timeout(ANSWER_LIMIT, async {
            while let Some(message) = socket.next().await {
                #[expect(
                    clippy::wildcard_enum_match_arm,
                    reason = "the protocol has dozens of messages and grows; the rest is kept"
                )]
                match message {
                    Response::Reconnect(_) => return Ok(()),
                    Response::Leave(leave) => return Err(failures::of_leave(&leave)),
                    other => early.push(other),
                }
            }
            Err(Failure::new(ErrorClass::NetworkLost, "the server closed before it let the box resume"))
        });
        let late = || Failure::new(ErrorClass::Timeout, "the server does not answer the request to resume");
        first.await.map_err(|_| late())??;
        Ok((socket, early))
    }

    async fn open(&self, query: &str) -> Result<Socket, Failure> {
        let late = || Failure::new(ErrorClass::Timeout, format!("{} does not answer", self.url));
        tokio::time::timeout(CONNECT_LIMIT, self.connect(query)).await.map_err(|_| late())?
    }

    async fn connect(&self, query: &str) -> Result<Socket, Failure> {
        let wrong = || Failure::new(ErrorClass::Format, format!("{} is not a LiveKit address", self.url));
        let uri: Uri = self.url.reveal().parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("wss" | "https") => true,
            Some("ws" | "http") => false,
            _ => return Err(wrong()),
        };
        let host = uri.host().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let scheme = if secure { "wss" } else { "ws" };
        let authority = uri.authority().ok_or_else(wrong)?.as_str().rsplit('@').next().unwrap_or_default();
        let path = uri.path().trim_end_matches('/');
        let asked = format!(
            "{scheme}://{authority}{path}/rtc?sdk=rust&version={}&protocol={PROTOCOL}&auto_subscribe=0{query}",
            env!("CARGO_PKG_VERSION")
        );
        let mut request = asked.into_client_request().map_err(|_| wrong())?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.token.reveal().trim()))
            .map_err(|_| Failure::new(ErrorClass::Unauthorised, "the token has characters that none may have"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, bearer);

        let stream = self.reach(&host, port).await?;
        let stream: Box<dyn Wire> = if secure { self.secure(&host, stream).await? } else { Box::new(stream) };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        match tokio_tungstenite::client_async_with_config(request, stream, Some(limits)).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err(failures::of_status(answer.status().as_u16(), body, &self.token))
            }
            Err(error) => Err(Failure::new(ErrorClass::NetworkLost, format!("{host} port {port}: {error}"))),
        }
    }

    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        let unknown = |why: &str| Failure::new(ErrorClass::UnknownHost, format!("{host} {why}"));
        let found =
            tokio::net::lookup_host((host, port)).await.map_err(|error| unknown(&format!("is not known: {error}")))?;
        let mut failure = unknown("has no address");
        for address in found {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Signalling is small messages that somebody waits for.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => failure = reach::explain(host, port, &error),
            }
        }
        Err(failure)
    }

    async fn secure(&self, host: &str, stream: TcpStream) -> Result<Box<dyn Wire>, Failure> {
        let untrusted = |why: String| Failure::new(ErrorClass::Tls, format!("{host}: {why}"));
        let config = tls::client_config(self.ca_file.as_deref())?;
        let name =
            rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(|error| untrusted(error.to_string()))?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
        let stream = connector.connect(name, stream).await.map_err(|error| untrusted(error.to_string()))?;
        Ok(Box::new(stream))
    }
}

impl Socket {
    /// The next message; `None`: the socket is closed, reset or broken. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Response> {
        loop {
            match self.0.next().await? {
                Ok(Message::Binary(bytes)) => match decode(&bytes) {
                    Some(message) => return Some(message),
                    None => tracing::debug!(bytes = bytes.len(), "a message of the LiveKit server makes no sense"),
                },
                Ok(Message::Close(_)) | Err(_) => return None,
                // Pings are answered underneath.
                Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            }
        }
    }

    /// False: the socket is dead.
    pub async fn send(&mut self, message: Request) -> bool {
        let bytes = proto::SignalRequest { message: Some(message) }.encode_to_vec();
        let sent = tokio::time::timeout(WRITE_LIMIT, self.0.send(Message::Binary(bytes.into())));
        matches!(sent.await, Ok(Ok(())))
    }

    pub async fn close(mut self) {
        let _ = tokio::time::timeout(WRITE_LIMIT, self.0.close(None)).await;
    }
}

/// `None`: it is no message that is known here.
pub fn decode(bytes: &[u8]) -> Option<Response> {
    proto::SignalResponse::decode(bytes).ok()?.message
}

fn escaped(text: &str) -> String {
    text.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '_' || *it == '-').collect()
}
