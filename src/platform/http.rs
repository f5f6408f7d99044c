//! One call to a platform's service over HTTP, with every bound that a stranger's server makes necessary.
//!
//! | bound | |
//! |---|---|
//! | connecting, TLS included | 5 s |
//! | the whole call | 12 s, which leaves a leg's 15 s some room |
//! | the answer | 64 KiB, counted as it comes |
//! | redirects | none: the key would go along |
//! | plain `http` | to this machine only |

use std::error::Error as _;
use std::time::Duration;

use cuebox_core::config::Secret;
use cuebox_core::credentials::exchange::{MAX_ANSWER_BYTES, Method, Request};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(12);
/// A bundle of authorities; the system's whole one has a quarter of it.
const MAX_CA_BYTES: u64 = 1024 * 1024;

/// Status and body.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Why there is no answer. Each reads on after "token service HOST:".
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("its address cannot be used: {0}")]
    Address(String),
    #[error("plain http is allowed to this machine only, use https")]
    Plain,
    #[error("ca_file {path}: {why}")]
    CaFile { path: String, why: String },
    #[error("the header {0:?} cannot be sent")]
    Header(String),
    #[error("the key holds what a header cannot carry")]
    Key,
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it does not answer within {} s", WHOLE.as_secs())]
    Late,
    #[error("its answer is longer than {} KiB", MAX_ANSWER_BYTES / 1024)]
    TooLong,
    #[error("its answer breaks off: {0}")]
    BrokenOff(String),
}

impl HttpError {
    /// Somebody has to mend the configuration; asking again does not help.
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Address(_) | Self::Plain | Self::CaFile { .. } | Self::Header(_) | Self::Key => true,
            Self::Tls(_) | Self::Unreachable(_) | Self::Late | Self::TooLong | Self::BrokenOff(_) => false,
        }
    }
}

/// Sends the request and reads the answer. The client is made anew, so that an authority's file that was replaced
/// counts, and because hours lie between two calls.
pub async fn call(request: &Request, ca_file: Option<&str>) -> Result<Answer, HttpError> {
    let answer = async {
        let url = address(request.url.reveal())?;
        let client = client(&url, ca_file)?;
        exchange(client, request, url).await
    };
    tokio::time::timeout(WHOLE, answer).await.unwrap_or(Err(HttpError::Late))
}

fn address(text: &str) -> Result<Url, HttpError> {
    let url = Url::parse(text).map_err(|error| HttpError::Address(error.to_string()))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine(&url) => Ok(url),
        "http" => Err(HttpError::Plain),
        other => Err(HttpError::Address(format!("it begins with {other:?} (allowed: https)"))),
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn client(url: &Url, ca_file: Option<&str>) -> Result<Client, HttpError> {
    let mut builder = Client::builder()
        .use_rustls_tls()
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .redirect(Policy::none())
        .referer(false)
        .pool_max_idle_per_host(0)
        .http1_only();
    if is_this_machine(url) {
        builder = builder.no_proxy();
    }
    if let Some(path) = ca_file {
        for authority in authorities(path)? {
            builder = builder.add_root_certificate(authority);
        }
    }
    builder.build().map_err(|error| HttpError::Tls(cause(&error)))
}

fn authorities(path: &str) -> Result<Vec<Certificate>, HttpError> {
    let fail = |why: String| HttpError::CaFile { path: path.to_owned(), why };
    let length = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?.len();
    if length > MAX_CA_BYTES {
        return Err(fail("is no certificate: it is too long".to_owned()));
    }
    let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|_| fail("holds no PEM certificate".to_owned()))?;
    if found.is_empty() { Err(fail("holds no PEM certificate".to_owned())) } else { Ok(found) }
}

async fn exchange(client: Client, request: &Request, url: Url) -> Result<Answer, HttpError> {
    let mut sending = match request.method {
        Method::Post => client.post(url),
        Method::Delete => client.delete(url),
    };
    sending = sending.header(USER_AGENT, concat!("cuebox/", env!("CARGO_PKG_VERSION")));
    if let Some((name, key)) = &request.key {
        let name: HeaderName = name.parse().map_err(|_| HttpError::Header(name.clone()))?;
        let mut value = HeaderValue::from_str(key.reveal()).map_err(|_| HttpError::Key)?;
        value.set_sensitive(true);
        sending = sending.header(name, value);
    }
    if let Some(body) = &request.body {
        sending = sending.header(CONTENT_TYPE, "application/json").body(Secret::reveal(body).to_owned());
    }
    let mut answer = sending.send().await.map_err(failure)?;
    let status = answer.status().as_u16();
    if answer.content_length().is_some_and(|length| length > MAX_ANSWER_BYTES as u64) {
        return Err(HttpError::TooLong);
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(failure)? {
        if body.len() + part.len() > MAX_ANSWER_BYTES {
            return Err(HttpError::TooLong);
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, body })
}

fn failure(error: reqwest::Error) -> HttpError {
    if error.is_connect() {
        HttpError::Unreachable(cause(&error))
    } else if error.is_timeout() {
        HttpError::Late
    } else {
        HttpError::BrokenOff(cause(&error))
    }
}

/// The innermost reason: the outer ones only say that there is one, and name the address with all that is in it.
fn cause(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else { return "without a reason".to_owned() };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://api.example",
            "http://127.0.0.1:80/x",
            "http://[::1]:8080",
            "http://localhost:1/",
            "http://127.8.8.8",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for plain in [
            "http://api.example",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://[::]",
        ] {
            assert!(matches!(address(plain), Err(HttpError::Plain)), "{plain}");
        }
        for other in ["ftp://127.0.0.1", "file:///etc/passwd", "api.example", ""] {
            assert!(matches!(address(other), Err(HttpError::Address(_))), "{other}");
        }
    }
}
