//! One connection after the other, and how long to wait between two.
//!
//! Runs in a task of its own, because a connection that is being made must not be given up whenever something else
//! happens. What it tells goes through a short channel; while nobody takes it, nothing is read from the broker.

use std::error::Error as _;
use std::time::{Duration, Instant};

use cuebox_core::status::{MqttState, MqttStatus};
use rumqttc::{ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, Outgoing, Publish, StateError};
use tokio::sync::mpsc;

/// Between two tries: doubled from the first to the longest, and a random part of that, so that boxes that lost the
/// same broker do not come back in step.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);
/// A broker that turned the box away is not asked at once again.
pub const SLOW: Duration = Duration::from_secs(30);
/// A broker that owes an answer and says nothing for so long is gone. The client's own ping does not see that: it waits
/// as long as anything is sent, which is each second, until the window of messages under way is full.
const SILENCE: Duration = Duration::from_millis(7_500);
/// A connection that stood for so long was a good one: the next wait is the first again.
const GOOD: Duration = Duration::from_secs(10);

/// What the connection tells.
pub enum News {
    Connected,
    Message(Publish),
    /// Something was sent or acknowledged: there may be room for more.
    Moved,
    Lost(MqttStatus),
    /// The options must be made anew, because certificates may have been replaced.
    Spoilt(MqttStatus),
    /// The broker was left.
    Left,
}

pub async fn run(mut connection: EventLoop, news: mpsc::Sender<News>) {
    let mut tries = 0;
    let mut since = None;
    // While an answer is owed: for how long the broker was listened to, and said nothing.
    let mut silent = None;
    loop {
        let limit = silent.map_or(Duration::MAX, |silent| SILENCE.saturating_sub(silent));
        let began = Instant::now();
        let polled = tokio::time::timeout(limit, connection.poll()).await;
        silent = silent.map(|silent: Duration| silent.saturating_add(began.elapsed()));
        let told = match polled {
            Ok(Ok(event)) => {
                match &event {
                    Event::Incoming(_) => silent = None,
                    Event::Outgoing(Outgoing::Publish(_) | Outgoing::Subscribe(_) | Outgoing::PingReq) => {
                        silent = silent.or(Some(Duration::ZERO));
                    }
                    Event::Outgoing(_) | Event::Auth(_) => {}
                }
                if matches!(event, Event::Incoming(Incoming::ConnAck(_))) {
                    since = Some(Instant::now());
                    // From now on both sides know the session's messages; the one of a process before would be the
                    // broker's alone, and nothing could be told apart in it.
                    connection.options.set_clean_start(false);
                }
                Ok(heard(event))
            }
            Ok(Err(ConnectionError::RequestsDone)) => {
                let _ = news.send(News::Left).await;
                return;
            }
            Ok(Err(error)) => Err((judge(&error), matches!(error, ConnectionError::Tls(_)))),
            Err(_) => {
                connection.clean();
                let why = Some("the broker fell silent".to_owned());
                Err((MqttStatus { state: MqttState::Trying, why }, false))
            }
        };
        let told = match told {
            Ok(told) => told,
            Err((status, spoilt)) => {
                silent = None;
                if since.take().is_some_and(|since| since.elapsed() >= GOOD) {
                    tries = 0;
                }
                let wait = if status.state == MqttState::Refused { SLOW } else { jittered(tries) };
                tries += 1;
                if spoilt {
                    let _ = news.send(News::Spoilt(status)).await;
                    return;
                }
                if news.send(News::Lost(status)).await.is_err() {
                    return;
                }
                tokio::time::sleep(wait).await;
                continue;
            }
        };
        if news.send(told).await.is_err() {
            return;
        }
    }
}

fn heard(event: Event) -> News {
    match event {
        Event::Incoming(Incoming::ConnAck(_)) => News::Connected,
        Event::Incoming(Incoming::Publish(message)) => News::Message(message),
        Event::Incoming(_) | Event::Outgoing(_) | Event::Auth(_) => News::Moved,
    }
}

/// At least a tenth of what it may be at most.
fn jittered(tries: u32) -> Duration {
    let most = FIRST.saturating_mul(1 << tries.min(8)).min(LONGEST);
    let random = uuid::Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext)).as_u64_pair().1 % 1_000;
    most / 10 + most.mul_f64(0.9 * random as f64 / 1_000.0)
}

/// What a failure means: the network's and the broker's own troubles are tried again soon, a closed door slowly.
fn judge(error: &ConnectionError) -> MqttStatus {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the client's errors grow; the rest is told by its words")]
    let refused = match error {
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => !matches!(
            code,
            ConnectReturnCode::ServiceUnavailable
                | ConnectReturnCode::ServerUnavailable
                | ConnectReturnCode::ServerBusy
                | ConnectReturnCode::ConnectionRateExceeded
                | ConnectReturnCode::QuotaExceeded
        ),
        _ => false,
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the client's errors grow; the rest is told by its words")]
    let why = match error {
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => {
            format!("the broker turns the box away: {code:?}")
        }
        ConnectionError::Timeout(_) => "the broker does not answer".to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker fell silent".to_owned(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => "the broker closed the connection".to_owned(),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            format!("the broker ended the connection: {reason_code:?}")
        }
        other => innermost(other),
    };
    let state = if refused { MqttState::Refused } else { MqttState::Trying };
    MqttStatus { state, why: Some(why) }
}

fn innermost(error: &ConnectionError) -> String {
    let Some(mut cause) = error.source() else { return error.to_string() };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
