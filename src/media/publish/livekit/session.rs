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
//! Only this thread talks to the server, and it touches no pipeline: it tells the part what to do through [`Shared`].

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use cuebox_core::config::{LivekitTarget, Secret};
use cuebox_core::credentials::Credentials;
use cuebox_core::director::{ErrorClass, Fact, OnAir};
use livekit_protocol as proto;
use proto::signal_request::Message as Request;

use super::gauge::Gauge;
use super::line::{Heard, Signal, hear};
use super::room::{Act, Room};
use super::shared::{Announced, Order, Setup};
use super::socket::{Door, Socket};
use super::{announce, failures};
use crate::media::actor::Failure;
use crate::media::publish::webrtc::{Connection, IceServer, News};

/// From the welcome to media.
const CONNECT_LIMIT: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So long without an acknowledgement while the socket is gone as well: the server is gone, not the socket.
const SILENT: Duration = Duration::from_millis(1_500);
/// When media is lost, the server's reason is waited for this long.
const LAST_WORD: Duration = Duration::from_millis(400);
/// What is said while the socket is gone, and is still worth saying afterwards.
const MAX_WAITING: usize = 256;
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
    offers: u32,
    broken: Option<(Instant, Failure)>,
    /// An offer is out; and another is due after it.
    negotiating: bool,
    again: bool,
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
        shared.fail(failure);
        mailbox.nudge();
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
        offers: 0,
        broken: None,
        negotiating: false,
        again: false,
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
        self.setup.peer.use_servers(&ice_servers(join, &self.setup.target));
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

    async fn heard(&mut self, heard: Heard) -> Result<(), Failure> {
        match heard {
            Heard::Message(message) => {
                self.heard_at = Instant::now();
                let acts = self.room.take(*message);
                self.perform(acts)
            }
            Heard::Lost => {
                self.resume();
                Ok(())
            }
            Heard::Resumed(Ok((socket, early))) => {
                tracing::info!(leg = %self.setup.leg.name, "the LiveKit session goes on, on a new socket");
                self.heard_at = Instant::now();
                self.signal = Some(Signal::Up(socket));
                self.tries = 0;
                for request in std::mem::take(&mut self.waiting) {
                    self.send(request).await;
                }
                for message in early {
                    let acts = self.room.take(message);
                    self.perform(acts)?;
                }
                Ok(())
            }
            Heard::Resumed(Err(failure)) => {
                let network = matches!(
                    failure.class,
                    ErrorClass::NetworkLost
                        | ErrorClass::ConnectionRefused
                        | ErrorClass::Timeout
                        | ErrorClass::UnknownHost
                );
                if !network || !self.media || self.gauge.silent_for() > SILENT {
                    return Err(self.refused(failure));
                }
                tracing::debug!(leg = %self.setup.leg.name, "the session cannot be resumed yet: {failure}");
                self.resume();
                Ok(())
            }
        }
    }

    fn resume(&mut self) {
        self.signal = Some(Signal::resume(&self.door, self.room.own(), &mut self.tries));
    }

    async fn send(&mut self, request: Request) {
        if let Some(Signal::Up(socket)) = &mut self.signal {
            if socket.send(request.clone()).await {
                return;
            }
            self.resume();
        }
        if !matches!(request, Request::PingReq(_)) && self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(request);
        }
    }

    async fn farewell(&mut self) {
        let reason = proto::DisconnectReason::ClientInitiated.into();
        self.send(Request::Leave(proto::LeaveRequest { reason, ..Default::default() })).await;
        if let Some(Signal::Up(socket)) = self.signal.take() {
            socket.close().await;
        }
    }

    async fn order(&mut self, order: Order) -> Result<(), Failure> {
        match order {
            Order::News(news) => self.news(news).await?,
            Order::OnAir(on_air) => {
                self.on_air = on_air;
                self.announce(&[]);
                self.describe().await;
            }
            Order::Unmute => {
                let (sids, acts) = self.room.unmute();
                for sid in sids {
                    self.send(Request::Mute(proto::MuteTrackRequest { sid, muted: false })).await;
                }
                self.perform(acts)?;
            }
            Order::Publish(tracks) => {
                self.tracks = tracks;
                if self.signal.is_some() {
                    self.publish().await;
                }
            }
            Order::Broken(failure) => self.break_off(failure),
            Order::Leave(_) => {}
        }
        Ok(())
    }

    async fn news(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Offered(sdp) => {
                self.offers += 1;
                let (id, r#type) = (self.offers, "offer".to_owned());
                self.send(Request::Offer(proto::SessionDescription { r#type, sdp, id, ..Default::default() })).await;
            }
            News::Candidate { line, text } => {
                let init = serde_json::json!({ "candidate": text, "sdpMLineIndex": line, "sdpMid": null });
                let target = proto::SignalTarget::Publisher.into();
                let trickle = proto::TrickleRequest { candidate_init: init.to_string(), target, r#final: false };
                self.send(Request::Trickle(trickle)).await;
            }
            News::Answered => {
                self.negotiating = false;
                if std::mem::take(&mut self.again) {
                    self.offer();
                }
            }
            News::Refused(why) => return Err(Failure::new(ErrorClass::Format, why)),
            News::Connection(Connection::Connected) => {
                self.media = true;
                self.gauge.heard();
                self.accepted();
            }
            News::Connection(Connection::Failed) => {
                self.break_off(Failure::new(ErrorClass::NetworkLost, "no media reaches the server"));
            }
            News::Connection(Connection::Connecting | Connection::Interrupted) | News::Gathered => {}
            News::Estimated(bps) => self.gauge.estimated(bps),
            News::ChannelOpen => self.announce(&[]),
        }
        Ok(())
    }

    /// Media is lost. Whoever is sent away loses it as well, and hears why a moment later.
    fn break_off(&mut self, failure: Failure) {
        self.broken.get_or_insert((Instant::now(), failure));
    }

    fn perform(&mut self, acts: Vec<Act>) -> Result<(), Failure> {
        for act in acts {
            match act {
                Act::Answer(sdp) => {
                    let answered = self.setup.peer.answer(&sdp);
                    answered.map_err(|error| Failure::new(ErrorClass::Format, format!("the server gives {error}")))?;
                }
                Act::Candidate { line, text } => {
                    if !self.setup.peer.candidate(line, &text) {
                        tracing::debug!(leg = %self.setup.leg.name, "a candidate of the server makes no sense");
                    }
                }
                Act::Refreshed(token) => {
                    self.door.token = Secret::new(token.clone());
                    self.setup.context.credentials.refreshed(&self.setup.leg, Secret::new(token));
                }
                Act::Audience(now) => self.setup.reporter.fact(Fact::Audience { now }),
                Act::Arrived(who) => self.announce(&who),
                Act::Published => self.accepted(),
                Act::Ponged(sent_ms) => self.gauge.ponged(unix_ms().saturating_sub(sent_ms)),
                Act::Muted { id, medium, on, told } => {
                    self.setup.shared.mute(&id, on);
                    self.setup.mailbox.nudge();
                    if told {
                        self.setup.reporter.fact(Fact::Muted { medium, on });
                    }
                }
                Act::Quality(quality) => self.gauge.judged(quality),
                Act::Resume => self.resume(),
                Act::End(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Tells the server of tracks that it does not know, and offers what is there now.
    async fn publish(&mut self) {
        self.room.keep(&self.tracks.iter().map(|track| track.id.clone()).collect());
        for track in self.tracks.clone() {
            if self.room.add(&track.id, &track.name, track.medium, track.leads) {
                self.send(Request::AddTrack(announce::track(&track))).await;
            }
        }
        self.offer();
    }

    fn offer(&mut self) {
        if self.negotiating {
            self.again = true;
        } else {
            self.negotiating = true;
            self.setup.peer.offer();
        }
    }

    /// Media stands and the server has accepted every track: the leg is connected.
    fn accepted(&mut self) {
        if self.told || !self.media || !self.room.is_published() {
            return;
        }
        self.told = true;
        self.setup.reporter.fact(Fact::Connected);
        self.setup.shared.connect();
        self.setup.mailbox.nudge();
    }

    /// Tells which camera is on air: everybody, or those who came late.
    fn announce(&self, to: &[String]) {
        let sent = self.setup.peer.send(&announce::packet(&announce::payload(self.on_air.as_ref()), to));
        tracing::debug!(leg = %self.setup.leg.name, sent, "told who is on air");
    }

    /// Writes it on the participant, for those who come late.
    async fn describe(&mut self) {
        if self.room.may_update && self.signal.is_some() {
            let attributes = announce::attributes(&announce::payload(self.on_air.as_ref()));
            self.send(Request::UpdateMetadata(attributes)).await;
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
            let why = if self.media { "the server does not accept the tracks" } else { "no media reaches the server" };
            return Err(Failure::new(ErrorClass::Timeout, why));
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
