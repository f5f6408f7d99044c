//! The way to the server: a socket, or the tries to have one again as the same participant.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use livekit_protocol::signal_response::Message as Response;

use super::socket::{Door, Socket};
use crate::media::part::Failure;

/// Tries to resume lie this far apart at first, and never further than the second.
const RESUME_FIRST: Duration = Duration::from_millis(300);
const RESUME_LAST: Duration = Duration::from_secs(5);

pub enum Signal {
    Up(Box<Socket>),
    Resuming(Pin<Box<dyn Future<Output = Resumed> + Send>>),
}

/// A socket, and what came on it before the server's word.
pub type Resumed = Result<(Box<Socket>, Vec<Response>), Failure>;

pub enum Heard {
    Message(Box<Response>),
    Lost,
    Resumed(Resumed),
}

impl Signal {
    /// Begins a try to go on as `participant`; `tries` counts those that failed.
    pub fn resume(door: &Door, participant: &str, tries: &mut u32) -> Self {
        let reach = RESUME_FIRST.saturating_mul(2_u32.saturating_pow(*tries)).min(RESUME_LAST);
        // The first try is at once; nobody else lost this socket.
        let delay = if *tries == 0 { Duration::ZERO } else { reach.mul_f64(random()) };
        *tries = tries.saturating_add(1);
        let (door, participant) = (door.clone(), participant.to_owned());
        Self::Resuming(Box::pin(async move {
            tokio::time::sleep(delay).await;
            door.resume(&participant).await.map(|(socket, early)| (Box::new(socket), early))
        }))
    }
}

/// What happens next; nothing, ever, without a signal. May be dropped while it waits.
pub async fn hear(signal: &mut Option<Signal>) -> Heard {
    match signal {
        Some(Signal::Up(socket)) => match socket.next().await {
            Some(message) => Heard::Message(Box::new(message)),
            None => Heard::Lost,
        },
        Some(Signal::Resuming(trying)) => Heard::Resumed(trying.await),
        None => std::future::pending().await,
    }
}

/// From 0 to 1, so that boxes that lost one server do not come back in step.
fn random() -> f64 {
    let (_, low) = uuid::Uuid::now_v7().as_u64_pair();
    (low & 0xffff) as f64 / 65_536.0
}
