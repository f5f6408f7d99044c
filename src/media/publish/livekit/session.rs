//! One session with the server, from the token to the farewell, on a thread of its own.
//!
//! | state | ends with |
//! |---|---|
//! | token | none to be had: why |
//! | joining | unknown host, refused, TLS, token refused: each told apart |
//! | connecting | media stands and every track is accepted (`Connected`) · not within [`CONNECT_LIMIT`] |
//! | live | the server sends the box away: why · media fails |
//! | resuming | the same participant on a new socket; media never stopped · media is silent as well: lost · refused: lost |
//!
//! | module | what it does |
//! |---|---|
//! | this one | the thread, and what time alone brings about |
//! | [`hearing`] | what the server and the connection tell |
//! | [`saying`] | what the server and the viewers are told |
//!
//! Only this thread talks to the server, and it touches no pipeline: it tells the part what to do through [`Shared`].

mod hearing;
mod saying;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use cuebox_core::config::LivekitTarget;
use cuebox_core::credentials::Credentials;
use cuebox_core::director::{ErrorClass, OnAir};
use livekit_protocol as proto;
use proto::signal_request::Message as Request;

use super::answering::Answering;
use super::line::{Signal, hear};
use super::negotiation::Negotiation;
use super::room::Room;
use super::shared::{Announced, Order, Setup};
use super::socket::{Door, Socket};
use super::{announce, failures};
use crate::media::part::Failure;
use crate::media::publish::webrtc::{Gauge, IceServer, tunnel};

/// From the welcome to media.
const CONNECT_LIMIT: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So long without an acknowledgement while the socket is gone as well: the server is gone, not the socket.
const SILENT: Duration = Duration::from_millis(1_500);
/// When media is lost, the server's reason is waited for this long.
const LAST_WORD: Duration = Duration::from_millis(400);
/// A server's wishes for pings are followed within these bounds.
const PING_EVERY_S: std::ops::RangeInclusive<i32> = 1..=20;
const PING_LIMIT_S: std::ops::RangeInclusive<i32> = 3..=60;

struct Session {
    setup: Setup,
    door: Door,
    room: Room,
    gauge: Gauge,
    signal: Option<Signal>,
    waiting: VecDeque<Request>,
    heard_at: Instant,
    ping_limit: Duration,
    tries: u32,
    tracks: Vec<Announced>,
    on_air: Option<OnAir>,
    media: bool,
    told: bool,
    began: Instant,
    broken: Option<(Instant, Failure)>,
    negotiation: Negotiation,
    answering: Answering,
}

/// Starts the thread.
pub fn start(setup: Setup) -> std::io::Result<()> {
    let (shared, mailbox) = (setup.shared.clone(), setup.mailbox.clone());
    std::thread::Builder::new().name(format!("sig-{}", setup.leg.name)).spawn(move || {
        let failure = match std::panic::catch_unwind(AssertUnwindSafe(|| run(setup))) {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure,
            Err(_) => Failure::internal("the session with the LiveKit server panicked"),
        };
        shared.outcome.fail(failure, &mailbox);
    })?;
    Ok(())
}

fn run(setup: Setup) -> Result<(), Failure> {
    let credentials = setup.context.credentials.credentials(&setup.leg).map_err(failures::of_credentials)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let result = runtime.block_on(live(setup, credentials));
    // A name server that does not answer holds nobody.
    runtime.shutdown_background();
    result
}

async fn live(setup: Setup, credentials: Credentials) -> Result<(), Failure> {
    let url = credentials.url.or_else(|| setup.target.url.clone());
    let url = url.ok_or_else(|| Failure::new(ErrorClass::Format, "nobody says where the LiveKit server is"))?;
    let ca_file = setup.leg.ca_file.as_ref().map(std::path::PathBuf::from);
    let door = Door { url, token: credentials.secret, ca_file };
    let mut session = Session {
        gauge: Gauge::new(&setup.context, &setup.leg.name, &setup.reporter),
        setup,
        door: door.clone(),
        room: Room::default(),
        signal: None,
        waiting: VecDeque::new(),
        heard_at: Instant::now(),
        ping_limit: Duration::from_secs(15),
        tries: 0,
        tracks: Vec::new(),
        on_air: None,
        media: false,
        told: false,
        began: Instant::now(),
        broken: None,
        negotiation: Negotiation::default(),
        answering: Answering::default(),
    };
    let joining = door.join();
    tokio::pin!(joining);
    loop {
        tokio::select! {
            joined = &mut joining => match joined {
                Ok((socket, join)) => return session.joined(socket, &join).await,
                Err(failure) => return Err(session.refused(failure)),
            },
            order = session.setup.orders.recv() => match order {
                None => return Ok(()),
                Some(Order::Leave(done)) => {
                    let _ = done.send(());
                    return Ok(());
                }
                Some(order) => session.order(order).await?,
            },
        }
    }
}

impl Session {
    /// A token that was not accepted is told to whoever gave it.
    fn refused(&self, failure: Failure) -> Failure {
        if matches!(failure.class, ErrorClass::Unauthorised | ErrorClass::TokenExpired) {
            self.setup.context.credentials.rejected(&self.setup.leg);
        }
        failure
    }

    async fn joined(&mut self, socket: Socket, join: &proto::JoinResponse) -> Result<(), Failure> {
        let acts = self.room.join(join)?;
        self.signal = Some(Signal::Up(Box::new(socket)));
        self.heard_at = Instant::now();
        self.began = Instant::now();
        let bounded = |value: i32, bounds: std::ops::RangeInclusive<i32>| {
            Duration::from_secs(value.clamp(*bounds.start(), *bounds.end()).unsigned_abs().into())
        };
        self.ping_limit = bounded(join.ping_timeout, PING_LIMIT_S);
        let servers = ice_servers(join, &self.setup.target);
        let servers = tunnel::through(&servers, self.door.ca_file.as_deref()).await;
        self.setup.peer.use_servers(&servers);
        self.setup.shared.use_servers(servers);
        self.setup.peer.open_channel(announce::CHANNEL)?;
        self.perform(acts)?;
        self.describe().await;
        self.publish().await;
        let mut ping = tokio::time::interval(bounded(join.ping_interval, PING_EVERY_S));
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.setup.orders.recv() => match order {
                    None => return Ok(()),
                    Some(Order::Leave(done)) => {
                        self.farewell().await;
                        let _ = done.send(());
                        return Ok(());
                    }
                    Some(order) => self.order(order).await?,
                },
                heard = hear(&mut self.signal) => self.heard(heard).await?,
                _ = ping.tick() => {
                    let rtt = i64::from(self.gauge.rtt_ms().unwrap_or(0));
                    self.send(Request::PingReq(proto::Ping { timestamp: unix_ms(), rtt })).await;
                }
                _ = look.tick() => self.look()?,
            }
        }
    }

    fn look(&mut self) -> Result<(), Failure> {
        if self.media {
            let blind = self.room.is_blind();
            self.gauge.measured(self.setup.peer.counters(), blind);
        }
        self.gauge.look();
        if let Some((_, failure)) = self.broken.take_if(|(since, _)| since.elapsed() > LAST_WORD) {
            return Err(failure);
        }
        if !self.told && self.began.elapsed() > CONNECT_LIMIT {
            return Err(if self.media {
                Failure::new(ErrorClass::Timeout, "the server does not accept the tracks")
            } else {
                no_media()
            });
        }
        match self.signal {
            Some(Signal::Up(_)) if self.heard_at.elapsed() > self.ping_limit => self.resume(),
            Some(Signal::Resuming(_)) if self.media && self.gauge.silent_for() > 2 * SILENT => {
                return Err(Failure::new(ErrorClass::NetworkLost, "neither signalling nor media reach the server"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The server answers, but nothing else of it.
fn no_media() -> Failure {
    Failure::new(ErrorClass::NoMedia, "no media reaches the server")
}

/// The server's TURN servers, and what is configured. Public STUN servers that a server names by default are left out:
/// the box's address is nobody's business, and a media server that can be reached sees it anyway.
fn ice_servers(join: &proto::JoinResponse, target: &LivekitTarget) -> Vec<IceServer> {
    let theirs = join.ice_servers.iter().flat_map(|server| {
        let turn = server.urls.iter().filter(|url| url.starts_with("turn"));
        turn.map(|url| IceServer {
            url: url.clone(),
            username: server.username.clone(),
            credential: server.credential.clone(),
        })
    });
    theirs.chain(target.ice_servers.iter().map(|url| IceServer::configured(url.reveal()))).collect()
}

fn unix_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
