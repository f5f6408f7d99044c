//! HTTP and events over the box's Unix socket. Errors say what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;

use crate::cli::Failure;

/// Longer than the box itself waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A show of ten hours with a cut every second has a timeline of a few megabytes.
const MAX_REPLY: usize = 64 * 1024 * 1024;
/// In requests over a Unix socket the host means nothing, but there has to be one.
const HOST: &str = "cuebox";

pub(super) type Events = WebSocketStream<UnixStream>;

pub(super) struct Client {
    socket: PathBuf,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    /// The body as it came.
    pub(super) text: String,
}

impl Client {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.call(Method::POST, path, body.to_string().into()).await
    }

    /// Joins the event stream.
    pub(super) async fn events(&self) -> Result<Events, Failure> {
        let stream = self.connect().await?;
        let joined = tokio_tungstenite::client_async(format!("ws://{HOST}/api/v1/events"), stream);
        match timeout(PATIENCE, joined).await {
            Ok(Ok((events, _))) => Ok(events),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(self.failed(&"no answer in time")),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Reply, Failure> {
        match timeout(PATIENCE, self.exchange(method, path, body)).await {
            Ok(reply) => reply,
            Err(_) => Err(self.failed(&"no answer in time")),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Reply, Failure> {
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(|error| self.failed(&error))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST)
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| self.failed(&error))?;
        let response = sender.send_request(request).await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_REPLY).collect().await;
        connection.abort();
        let body = body.map_err(|error| self.failed(&error))?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Reply { status, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }

    async fn connect(&self) -> Result<UnixStream, Failure> {
        let socket = self.socket.display();
        UnixStream::connect(&self.socket).await.map_err(|error| {
            Failure::Failed(if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
                format!("no box is listening at {socket}: is `cuebox run` started? (another socket: --socket)")
            } else if error.kind() == io::ErrorKind::PermissionDenied {
                format!("{socket} is not for this user: be root, or a member of the socket's group")
            } else {
                format!("cannot connect to {socket}: {error}")
            })
        })
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::Failed(format!("the box at {} did not answer: {error}", self.socket.display()))
    }
}

/// A word as a segment of a path.
pub(super) fn escape(word: &str) -> String {
    word.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_box_that_is_not_there_is_told_with_what_to_do() {
        let folder = std::env::temp_dir().join(format!("cuebox-ctl-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let stale = folder.join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        for socket in [folder.join("none.sock"), stale] {
            let error = Client::new(socket.clone()).get("/api/v1/status").await.err().unwrap().to_string();
            assert!(error.starts_with(&format!("no box is listening at {}", socket.display())), "{error}");
            assert!(error.contains("cuebox run"), "{error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn words_are_escaped_for_paths() {
        assert_eq!(escape("20261121-3f2a"), "20261121-3f2a");
        assert_eq!(escape("../é ?"), "%2E%2E%2F%C3%A9%20%3F");
    }
}
