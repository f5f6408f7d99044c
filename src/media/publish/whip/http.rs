//! WHIP's calls: an offer is posted and answered, a session is deleted. Every bound that a stranger's server makes
//! necessary: 5 s to connect, 10 s for a call, 256 KiB of answer, three redirections of the kinds that WHIP has (307 and
//! 308, never out of TLS), the token to the host that it was given for and to no other.

use std::path::Path;
use std::time::Duration;

use cuebox_core::config::{Secret, Url};
use cuebox_core::director::ErrorClass;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};

use crate::media::part::Failure;
use crate::media::publish::{tls, words};

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 256 * 1024;
/// One server that shares its load sends to another, which may name its own entrance.
const REDIRECTIONS: usize = 3;

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
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTIONS {
            let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/sdp").body(offer.clone());
            let answer = self.signed(request, &url)?.send().await.map_err(|error| self.unreached(&error))?;
            let status = answer.status().as_u16();
            let location = answer.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            let location = location.and_then(|it| url.join(it).ok());
            if [307, 308].contains(&status) {
                url = elsewhere(&url, location)?;
                continue;
            }
            let location = location.filter(|it| it.origin() == url.origin());
            let body = self.body(answer).await?;
            if status != 201 {
                return Err(self.refused(status, &body));
            }
            return Ok(Session { answer: body, location });
        }
        Err(Failure::new(ErrorClass::Format, "the server sends from one address to the next without an end"))
    }

    /// Ends a session; a server that does not hear it finds out by itself.
    pub async fn delete(&self, session: &Session) {
        let Some(location) = session.location.clone() else { return };
        let Ok(request) = self.signed(self.client.delete(location.clone()), &location) else { return };
        if let Err(error) = request.send().await {
            tracing::debug!(why = cause(&error), "the WHIP session is not ended in order");
        }
    }

    fn signed(&self, request: RequestBuilder, to: &reqwest::Url) -> Result<RequestBuilder, Failure> {
        let own = to.host_str() == self.url.host_str() && (to.scheme() == "https" || self.url.scheme() == "http");
        let Some(token) = self.token.as_ref().filter(|_| own) else { return Ok(request) };
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
        let words = words::of_server(body, self.token.as_ref().map_or("", |token| token.reveal()));
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        let (class, what) = match status {
            401 | 403 => return Failure::new(ErrorClass::Unauthorised, words),
            404 | 405 | 410 => (ErrorClass::Unauthorised, "it has no such WHIP endpoint".to_owned()),
            400 | 406 | 415 | 422 => (ErrorClass::Format, format!("the server answers {status} to the offer")),
            _ => (ErrorClass::NetworkLost, format!("the server answers {status}")),
        };
        Failure::new(class, format!("{what}{said}"))
    }

    fn unreached(&self, error: &reqwest::Error) -> Failure {
        let why = cause(error);
        let class = if error.is_timeout() { ErrorClass::Timeout } else { class(error) };
        Failure::new(class, why)
    }
}

/// Where a redirection leads to.
fn elsewhere(from: &reqwest::Url, to: Option<reqwest::Url>) -> Result<reqwest::Url, Failure> {
    let strange = |why: &str| Failure::new(ErrorClass::Format, format!("the server sends elsewhere, {why}"));
    let to = to.ok_or_else(|| strange("and does not say where"))?;
    if !["http", "https"].contains(&to.scheme()) || to.host_str().is_none() {
        return Err(strange("to what is not an HTTP address"));
    }
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err(strange("out of TLS"));
    }
    Ok(to)
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
    words::of_server(&cause.to_string(), "")
}
