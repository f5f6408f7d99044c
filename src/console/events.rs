//! One reader of events: a WebSocket that gets the snapshot, then every event.
//!
//! A reader that is more than [`EVENTS_KEPT`] events behind, or does not take one in time, is dropped
//! and told why in the close frame; nothing is buffered for it beyond that. What it sends is read and ignored.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use super::limits::EVENTS_KEPT;
use super::{Hub, stopped};

/// Why a reader is left.
enum End {
    Slow(String),
    Stopping,
    Gone,
}

pub(super) async fn serve(mut socket: WebSocket, hub: &Hub, mut stopping: watch::Receiver<bool>) {
    let patience = hub.patience.send;
    let (greeting, mut events) = hub.join();
    let mut end = send(&mut socket, greeting, patience).await;
    while end.is_continue() {
        end = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => send(&mut socket, event, patience).await,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    ControlFlow::Break(End::Slow(format!("too slow: {} events behind", missed + EVENTS_KEPT as u64)))
                }
                Err(broadcast::error::RecvError::Closed) => ControlFlow::Break(End::Stopping),
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => ControlFlow::Break(End::Gone),
                Some(Ok(_)) => ControlFlow::Continue(()),
            },
            () = stopped(&mut stopping) => ControlFlow::Break(End::Stopping),
        };
    }
    if let ControlFlow::Break(end) = end {
        close(socket, end, patience).await;
    }
}

async fn send(socket: &mut WebSocket, event: Utf8Bytes, patience: Duration) -> ControlFlow<End> {
    match timeout(patience, socket.send(Message::Text(event))).await {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(_)) => ControlFlow::Break(End::Gone),
        Err(_) => ControlFlow::Break(End::Slow(format!("too slow: an event was not taken within {patience:?}"))),
    }
}

async fn close(mut socket: WebSocket, end: End, patience: Duration) {
    let (code, reason) = match end {
        End::Gone => return,
        End::Stopping => (close_code::AWAY, "the box is stopping".to_owned()),
        End::Slow(reason) => {
            tracing::warn!(reason, "an event reader was dropped");
            (close_code::AGAIN, reason)
        }
    };
    let frame = CloseFrame { code, reason: reason.into() };
    // Whether it arrives is up to the reader; it is left either way.
    let _ = timeout(patience, async {
        socket.send(Message::Close(Some(frame))).await?;
        while socket.recv().await.transpose()?.is_some() {}
        Ok::<_, axum::Error>(())
    })
    .await;
}
