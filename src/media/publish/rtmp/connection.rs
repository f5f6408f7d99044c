//! A publication from the name of its server to its end, on a thread of its own.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cuebox_core::config::LegConfig;
use cuebox_core::director::{ErrorClass, Fact};
use rustls::pki_types::ServerName;

use super::liveness::Liveness;
use super::outlet::{Kind, Outlet};
use super::session::{News, Session};
use super::target::{self, Target};
use super::wire::{End, Wire};
use crate::media::context::{Context, Reporter};
use crate::media::part::{Failure, Mailbox};
use crate::media::publish::outcome::Outcome;
use crate::media::publish::rate::Rate;
use crate::media::publish::{reach, tls};

/// From the TCP connection to the server's acceptance.
const ACCEPT_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Messages are made into bytes up to this many: what waits as messages can still be counted in time.
const AHEAD: usize = 32 * 1024;

/// What the thread and its part tell each other.
#[derive(Default)]
pub struct State {
    pub outcome: Outcome,
    pub published: AtomicBool,
    pub stop: AtomicBool,
}

pub struct Connection {
    pub context: Context,
    pub config: LegConfig,
    pub reporter: Reporter,
    pub mailbox: Mailbox,
    pub state: Arc<State>,
    pub outlet: Arc<Outlet>,
}

impl Connection {
    /// Publishes until the part stops it or something fails.
    pub fn run(self) {
        let Err(failure) = self.publish() else { return };
        if failure.class == ErrorClass::Unauthorised {
            self.context.credentials.rejected(&self.config);
        }
        self.state.outcome.fail(failure, &self.mailbox);
    }

    fn publish(&self) -> Result<(), Failure> {
        let target = target::of(&self.config, &*self.context.credentials)?;
        let tls = if target.tls { Some(self.tls(&target)?) } else { None };
        let socket: TcpStream = reach::connect(&target.host, target.port)?;
        if self.stopped() {
            return Ok(());
        }
        let mut line = Line {
            wire: Wire::new(socket, tls)?,
            session: Session::new(target.place),
            out: Vec::new(),
            liveness: Liveness::default(),
            rate: Rate::default(),
            looked: Instant::now(),
        };
        let began = Instant::now();
        while !self.stopped() {
            line.turn(self)?;
            if !self.is_published() && began.elapsed() > ACCEPT_LIMIT {
                return Err(Failure::new(ErrorClass::Timeout, "the server does not accept the publication"));
            }
        }
        line.goodbye();
        Ok(())
    }

    fn tls(&self, target: &Target) -> Result<rustls::ClientConnection, Failure> {
        let config = tls::client_config(self.config.ca_file.as_deref().map(std::path::Path::new))?;
        let wrong =
            |_| Failure::new(ErrorClass::Tls, format!("{} is no name that a certificate could have", target.host));
        let name = ServerName::try_from(target.host.clone()).map_err(wrong)?;
        rustls::ClientConnection::new(config, name).map_err(Failure::internal)
    }

    fn stopped(&self) -> bool {
        self.state.stop.load(Ordering::Acquire)
    }

    fn is_published(&self) -> bool {
        self.state.published.load(Ordering::Acquire)
    }
}

/// The connection while it stands.
struct Line {
    wire: Wire,
    session: Session,
    /// Bytes that the kernel has not taken yet.
    out: Vec<u8>,
    liveness: Liveness,
    rate: Rate,
    looked: Instant,
}

impl Line {
    /// Waits for the next thing to do and does it.
    fn turn(&mut self, own: &Connection) -> Result<(), Failure> {
        let limit = LOOK_EVERY.saturating_sub(self.looked.elapsed());
        let ready = self.wire.wait(own.outlet.wake_fd(), !self.out.is_empty(), limit);
        own.outlet.awake();
        if ready.read {
            self.hear(own)?;
        }
        self.fill(own);
        if ready.write {
            let written = self.wire.write(&mut self.out).map_err(|end| self.over(end))?;
            self.liveness.sent += written as u64;
        }
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            self.look(own);
        }
        Ok(())
    }

    fn hear(&mut self, own: &Connection) -> Result<(), Failure> {
        let (mut bytes, mut news) = (Vec::new(), Vec::new());
        let read = self.wire.read(&mut bytes);
        self.session.input(&bytes, &mut news)?;
        for one in news {
            match one {
                News::Published => {
                    own.reporter.fact(Fact::Connected);
                    own.state.published.store(true, Ordering::Release);
                    own.mailbox.nudge();
                }
                News::Acknowledged(bytes) => self.liveness.acknowledged(bytes),
                News::Answered(number) => self.liveness.answered(Instant::now(), number),
            }
        }
        read.map_err(|end| self.over(end))
    }

    /// Turns messages into bytes, as far as it is their turn.
    fn fill(&mut self, own: &Connection) {
        self.out.extend(self.session.take_output());
        while self.out.len() < AHEAD {
            let Some(body) = own.outlet.next() else { break };
            // Times wrap around after 49 days, as the protocol's do.
            let time_ms = body.at.mseconds() as u32;
            match body.kind {
                Kind::Picture => self.session.picture(time_ms, body.bytes),
                Kind::Sound => self.session.sound(time_ms, body.bytes),
                Kind::Metadata => self.session.metadata(time_ms, body.bytes),
            }
            self.out.extend(self.session.take_output());
        }
        if own.is_published()
            && let Some(number) = self.liveness.ping(Instant::now(), self.out.len() as u64)
        {
            self.session.ping(number);
            self.out.extend(self.session.take_output());
        }
    }

    fn look(&mut self, own: &Connection) {
        if !own.is_published() || own.stopped() {
            return;
        }
        let arrived = self.liveness.arrived(self.wire.unacknowledged());
        own.reporter.progress(arrived.saturating_sub(own.reporter.total()));
        let bits_per_second = self.rate.of(arrived);
        let rtt_ms = self.liveness.rtt.and_then(|rtt| u32::try_from(rtt.as_millis()).ok());
        own.context.gauge(|gauges| {
            let gauge = gauges.legs.entry(own.config.name.clone()).or_default();
            gauge.bitrate_bps = bits_per_second;
            gauge.rtt_ms = rtt_ms;
        });
    }

    /// A server that closes says something with when it does.
    fn over(&self, end: End) -> Failure {
        match end {
            End::Failed(failure) => failure,
            End::Closed(why) if why.is_empty() => self.session.closed(),
            End::Closed(why) => {
                let failure = self.session.closed();
                Failure::new(failure.class, format!("{}: {why}", failure.detail))
            }
        }
    }

    /// The server hears that it was meant to end, if it can be told at once.
    fn goodbye(&mut self) {
        self.session.close();
        self.out.extend(self.session.take_output());
        let _ = self.wire.write(&mut self.out);
    }
}
