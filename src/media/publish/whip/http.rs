//! WHIP's calls: an offer is posted and answered, a session is deleted. Every bound that a stranger's server makes
//! necessary: 5 s to connect, 10 s for a call, 256 KiB of answer, no redirects, the token to its own server only.

use std::path::Path;
use std::time::Duration;

use cuebox_core::config::{Secret, Url};
use cuebox_core::director::ErrorClass;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};

use crate::media::actor::Failure;
use crate::media::publish::tls;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 256 * 1024;
/// Characters of a server's words that are shown.
const SHOWN: usize = 200;

/// A server's endpoint with what opens it.
pub struct Endpoint {
    client: Client,
    url: reqwest::Url,
    token: Option<Secret>,
}

/// A session that the server made.
#[derive(Debug)]
pub struct Session {
    pub answer: String,
    /// Where it is ended; `None`: the server did not say, or named another machine.
    location: Option<reqwest::Url>,
}

impl Endpoint {
    pub fn new(url: &Url, token: Option<Secret>, ca_file: Option<&Path>) -> Result<Self, Failure> {
        let wrong = || Failure::new(ErrorClass::Format, format!("{url} is not an HTTP address"));
        let parsed = reqwest::Url::parse(url.reveal()).map_err(|_| wrong())?;
        if !["http", "https"].contains(&parsed.scheme()) || parsed.host_str().is_none() {
            return Err(wrong());
        }
        let tls = tls::client_config(ca_file)?;
        let client = Client::builder()
            .use_preconfigured_tls(rustls::ClientConfig::clone(&tls))
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .build()
            .map_err(Failure::internal)?;
        Ok(Self { client, url: parsed, token })
    }

    /// Host and port.
    pub fn place(&self) -> (String, u16) {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        (host, self.url.port_or_known_default().unwrap_or(443))
    }

    /// Asks for a session.
    pub async fn create(&self, offer: String) -> Result<Session, Failure> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/sdp").body(offer);
        let answer = self.signed(request)?.send().await.map_err(|error| self.unreached(&error))?;
        let status = answer.status().as_u16();
        let location = answer.headers().get(LOCATION).and_then(|it| it.to_str().ok());
        let location = location.and_then(|it| self.url.join(it).ok()).filter(|it| it.origin() == self.url.origin());
        let body = self.body(answer).await?;
        if status != 201 {
            return Err(self.refused(status, &body));
        }
        Ok(Session { answer: body, location })
    }

    /// Ends a session; a server that does not hear it finds out by itself.
    pub async fn delete(&self, session: &Session) {
        let Some(location) = session.location.clone() else { return };
        let Ok(request) = self.signed(self.client.delete(location)) else { return };
        if let Err(error) = request.send().await {
            tracing::debug!(why = cause(&error), "the WHIP session is not ended in order");
        }
    }

    fn signed(&self, request: RequestBuilder) -> Result<RequestBuilder, Failure> {
        let Some(token) = &self.token else { return Ok(request) };
        let unfit = |_| Failure::new(ErrorClass::Format, "the token holds what a header cannot carry");
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal().trim())).map_err(unfit)?;
        value.set_sensitive(true);
        Ok(request.header(reqwest::header::AUTHORIZATION, value))
    }

    async fn body(&self, mut answer: Response) -> Result<String, Failure> {
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| self.unreached(&error))? {
            if body.len() + part.len() > LONGEST_ANSWER {
                let why = format!("its answer is longer than {} KiB", LONGEST_ANSWER / 1024);
                return Err(Failure::new(ErrorClass::Format, why));
            }
            body.extend_from_slice(&part);
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn refused(&self, status: u16, body: &str) -> Failure {
        let words = self.words(body);
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        let (class, what) = match status {
            401 | 403 => (ErrorClass::Unauthorised, "the server refuses the token".to_owned()),
            404 | 405 | 410 => (ErrorClass::Unauthorised, "the server has no such WHIP endpoint".to_owned()),
            400 | 406 | 415 | 422 => (ErrorClass::Format, format!("the server answers {status} to the offer")),
            _ => (ErrorClass::NetworkLost, format!("the server answers {status}")),
        };
        Failure::new(class, format!("{what}{said}"))
    }

    /// One line of what a server said; nothing, if it says the token.
    fn words(&self, body: &str) -> String {
        let line: String = body.chars().map(|it| if it.is_control() { ' ' } else { it }).take(SHOWN).collect();
        let leaks = |token: &Secret| token.reveal().split('.').any(|part| part.len() >= 8 && line.contains(part));
        if self.token.as_ref().is_some_and(leaks) { String::new() } else { line.trim().to_owned() }
    }

    fn unreached(&self, error: &reqwest::Error) -> Failure {
        let why = cause(error);
        let class = if error.is_timeout() { ErrorClass::Timeout } else { class(error) };
        Failure::new(class, why)
    }
}

/// By the kinds of the errors behind it, never by their text.
fn class(error: &reqwest::Error) -> ErrorClass {
    let mut behind = std::error::Error::source(error);
    while let Some(one) = behind {
        if one.downcast_ref::<rustls::Error>().is_some() {
            return ErrorClass::Tls;
        }
        if let Some(io) = one.downcast_ref::<std::io::Error>() {
            if io.kind() == std::io::ErrorKind::ConnectionRefused {
                return ErrorClass::ConnectionRefused;
            }
            if carries_tls(io) {
                return ErrorClass::Tls;
            }
        }
        behind = one.source();
    }
    ErrorClass::NetworkLost
}

/// A TLS error travels inside of one of these, or of several.
fn carries_tls(mut io: &std::io::Error) -> bool {
    while let Some(inner) = io.get_ref() {
        if inner.downcast_ref::<rustls::Error>().is_some() {
            return true;
        }
        let Some(next) = inner.downcast_ref::<std::io::Error>() else { return false };
        io = next;
    }
    false
}

/// The innermost reason: the outer ones only say that there is one, and name the address with all that is in it.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().map(|it| if it.is_control() { ' ' } else { it }).take(SHOWN).collect()
}
