//! One session with a WHIP server, on a thread of its own.
//!
//! | state | ends with |
//! |---|---|
//! | token | none to be had: why |
//! | offering | no offer can be made |
//! | asking | unknown host, refused, TLS, token refused, not an answer: each told apart |
//! | connecting | media stands (`Connected`) · not within [`CONNECT_LIMIT`] |
//! | live | media fails; what is merely silent, the director judges by progress |
//!
//! Candidates are gathered before the offer goes out, so that one exchange is enough with every server; a machine's own
//! addresses are there within milliseconds, and those of slow TURN servers are not waited for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cuebox_core::config::{LegConfig, WhipTarget};
use cuebox_core::credentials::CredentialError;
use cuebox_core::director::{ErrorClass, Fact};
use tokio::sync::mpsc::UnboundedReceiver;

use super::Shared;
use super::http::{Endpoint, Session};
use crate::media::context::{Context, Reporter};
use crate::media::part::{Failure, Mailbox};
use crate::media::publish::reach;
use crate::media::publish::webrtc::{Connection, Gauge, IceServer, News, Peer, tunnel};

/// For the offer and its candidates.
const OFFER_LIMIT: Duration = Duration::from_secs(5);
/// Candidates that take longer are not offered.
const GATHER_LIMIT: Duration = Duration::from_secs(2);
/// From the answer to media.
const CONNECT_LIMIT: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a session is told.
pub enum Order {
    News(News),
    /// Say goodbye; answered when it was said.
    Leave(std::sync::mpsc::Sender<()>),
}

/// Everything a session needs from its part.
pub struct Setup {
    pub context: Context,
    pub leg: LegConfig,
    pub target: WhipTarget,
    pub reporter: Reporter,
    pub mailbox: Mailbox,
    pub shared: Arc<Shared>,
    pub peer: Peer,
    pub orders: UnboundedReceiver<Order>,
}

/// Told to leave, or the part is gone.
struct Left(Option<std::sync::mpsc::Sender<()>>);

pub fn start(setup: Setup) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let thread = std::thread::Builder::new().name("whip".to_owned());
    thread.spawn(move || runtime.block_on(run(setup))).map(|_| ()).map_err(Failure::internal)
}

async fn run(mut own: Setup) {
    let outcome = own.live().await;
    match outcome {
        Ok(Left(done)) => {
            if let Some(done) = done {
                let _ = done.send(());
            }
        }
        Err(failure) => {
            if failure.class == ErrorClass::Unauthorised {
                own.context.credentials.rejected(&own.leg);
            }
            own.shared.outcome.fail(failure, &own.mailbox);
        }
    }
}

impl Setup {
    async fn live(&mut self) -> Result<Left, Failure> {
        let endpoint = self.endpoint()?;
        let servers: Vec<IceServer> =
            self.target.ice_servers.iter().map(|url| IceServer::configured(url.reveal())).collect();
        let ca_file = self.leg.ca_file.as_deref().map(std::path::Path::new);
        self.peer.use_servers(&tunnel::through(&servers, ca_file).await);
        self.peer.offer();
        let offer = match self.offered().await? {
            Ok(offer) => offer,
            Err(left) => return Ok(left),
        };
        let session = endpoint.create(offer).await?;
        let outcome = self.published(&session).await;
        endpoint.delete(&session).await;
        outcome
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let given = match &self.target.token {
            None => None,
            Some(_) => Some(self.context.credentials.credentials(&self.leg).map_err(no_token)?),
        };
        let url = given.as_ref().and_then(|given| given.url.clone()).unwrap_or_else(|| self.target.url.clone());
        let ca_file = self.leg.ca_file.as_deref().map(std::path::Path::new);
        let endpoint = Endpoint::new(&url, given.map(|given| given.secret), ca_file)?;
        // Names are looked up here, because the client does not tell a name without address from other errors.
        let (host, port) = endpoint.place();
        reach::resolve(&host, port)?;
        Ok(endpoint)
    }

    /// The offer with all candidates in it.
    async fn offered(&mut self) -> Result<Result<String, Left>, Failure> {
        let (began, mut offer, mut candidates) = (Instant::now(), None, Vec::new());
        loop {
            let limit = if offer.is_some() { GATHER_LIMIT } else { OFFER_LIMIT };
            let next = tokio::time::timeout(limit.saturating_sub(began.elapsed()), self.orders.recv()).await;
            match next {
                Ok(Some(Order::News(News::Offered(text)))) => offer = Some(text),
                Ok(Some(Order::News(News::Candidate { line, text }))) => candidates.push((line, text)),
                Ok(Some(Order::News(News::Refused(why)))) => return Err(Failure::internal(why)),
                Ok(Some(Order::News(News::Gathered))) => break,
                Ok(Some(Order::News(_))) => {}
                Ok(Some(Order::Leave(done))) => return Ok(Err(Left(Some(done)))),
                Ok(None) => return Ok(Err(Left(None))),
                Err(_) => break,
            }
        }
        let offer = offer.ok_or_else(|| Failure::internal("no offer was made"))?;
        Ok(Ok(with_candidates(&offer, &candidates)))
    }

    /// From the answer to the end.
    async fn published(&mut self, session: &Session) -> Result<Left, Failure> {
        let strange = |why: String| Failure::new(ErrorClass::Format, why);
        self.peer.answer(&session.answer).map_err(|error| strange(error.to_string()))?;
        let (began, mut gauge) = (Instant::now(), Gauge::new(&self.context, &self.leg.name, &self.reporter));
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::News(News::Connection(Connection::Connected))) => {
                        if !self.shared.connected.swap(true, Ordering::AcqRel) {
                            self.reporter.fact(Fact::Connected);
                            self.mailbox.nudge();
                        }
                    }
                    Some(Order::News(News::Connection(Connection::Failed))) => {
                        return Err(Failure::new(ErrorClass::NetworkLost, "the media connection failed"));
                    }
                    Some(Order::News(News::Refused(why))) => return Err(strange(why)),
                    Some(Order::News(News::Estimated(bps))) => gauge.estimated(bps),
                    Some(Order::News(_)) => {}
                    Some(Order::Leave(done)) => return Ok(Left(Some(done))),
                    None => return Ok(Left(None)),
                },
                _ = look.tick() => {
                    gauge.measured(self.peer.counters(), false);
                    gauge.look();
                    if !self.shared.connected.load(Ordering::Acquire) && began.elapsed() > CONNECT_LIMIT {
                        return Err(Failure::new(ErrorClass::NoMedia, "no media connection came about"));
                    }
                }
            }
        }
    }
}

fn no_token(error: CredentialError) -> Failure {
    match error {
        CredentialError::Expired(why) => Failure::new(ErrorClass::TokenExpired, why),
        CredentialError::Unavailable(why) | CredentialError::Refused(why) => {
            Failure::new(ErrorClass::TokenService, why)
        }
    }
}

/// Puts candidates at the end of the media sections that they belong to.
fn with_candidates(offer: &str, candidates: &[(u32, String)]) -> String {
    let mut out = String::with_capacity(offer.len() + 128 * candidates.len());
    let mut section: Option<u32> = None;
    let finish = |out: &mut String, section: Option<u32>| {
        for (_, candidate) in candidates.iter().filter(|(line, _)| Some(*line) == section) {
            out.push_str(&format!("a={candidate}\r\n"));
        }
        if section.is_some_and(|section| candidates.iter().any(|(line, _)| *line == section)) {
            out.push_str("a=end-of-candidates\r\n");
        }
    };
    for line in offer.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            finish(&mut out, section);
            section = Some(section.map_or(0, |before| before + 1));
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    finish(&mut out, section);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_stand_at_the_end_of_their_own_section() {
        let offer = "v=0\r\nm=video 9\r\na=mid:0\r\nm=audio 9\r\na=mid:1\r\n";
        let candidates = [(0, "candidate:1".to_owned()), (1, "candidate:2".to_owned())];
        let expected = "v=0\r\nm=video 9\r\na=mid:0\r\na=candidate:1\r\na=end-of-candidates\r\nm=audio 9\r\na=mid:1\r\n\
                        a=candidate:2\r\na=end-of-candidates\r\n";
        assert_eq!(with_candidates(offer, &candidates), expected);
        assert_eq!(with_candidates(offer, &[]), offer);
    }
}
