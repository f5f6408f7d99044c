//! A line to a LiveKit server that says every answer too often: twice at once, and again when the next offer goes out.

use futures_util::{SinkExt, StreamExt};
use livekit_protocol as proto;
use prost::Message as _;
use proto::{signal_request::Message as Request, signal_response::Message as Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Upgrade, Response as Upgraded};
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;

use super::super::socket::decode;

pub struct Repeater {
    port: u16,
    copies: Arc<AtomicUsize>,
    _end: tokio::sync::oneshot::Sender<()>,
}

impl Repeater {
    /// To a server on this machine.
    pub fn start(server: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (end, ended) = tokio::sync::oneshot::channel();
        let copies = Arc::new(AtomicUsize::new(0));
        let counted = copies.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = async {
                        let (near, _) = listener.accept().await.unwrap();
                        carry(near, server, &counted).await;
                    } => {}
                }
            });
        });
        Self { port, copies, _end: end }
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Answers that were said once more than the server did.
    pub fn copies(&self) -> usize {
        self.copies.load(Ordering::SeqCst)
    }
}

#[expect(clippy::result_large_err, reason = "the shape of the WebSocket library's callback")]
async fn carry(near: TcpStream, server: u16, copies: &AtomicUsize) {
    let mut asked = None;
    let upgrade = |request: &Upgrade, answer: Upgraded| {
        asked = Some((request.uri().to_string(), request.headers()[AUTHORIZATION].clone()));
        Ok(answer)
    };
    let mut near = tokio_tungstenite::accept_hdr_async(near, upgrade).await.unwrap();
    let (path, pass) = asked.unwrap();
    let mut request = format!("ws://127.0.0.1:{server}{path}").into_client_request().unwrap();
    request.headers_mut().insert(AUTHORIZATION, pass);
    let stream = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    let (mut far, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let mut last: Option<Message> = None;
    loop {
        tokio::select! {
            said = near.next() => {
                let Some(Ok(said)) = said else { return };
                let offers = matches!(&said, Message::Binary(bytes)
                    if matches!(proto::SignalRequest::decode(&bytes[..]).unwrap().message, Some(Request::Offer(_))));
                if let Some(answer) = last.take_if(|_| offers) {
                    copies.fetch_add(1, Ordering::SeqCst);
                    let _ = near.send(answer).await;
                }
                let _ = far.send(said).await;
            }
            said = far.next() => {
                let Some(Ok(said)) = said else { return };
                let answers = matches!(&said, Message::Binary(bytes)
                    if matches!(decode(bytes), Some(Response::Answer(_))));
                if answers {
                    copies.fetch_add(1, Ordering::SeqCst);
                    last = Some(said.clone());
                    let _ = near.send(said.clone()).await;
                }
                let _ = near.send(said).await;
            }
        }
    }
}
