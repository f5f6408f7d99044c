//! How a platform's service is asked, and how its answer is read: bytes to bytes, no connection.
//!
//! | shape | room token: request → answer | RTMP ingress: request → answer |
//! |---|---|---|
//! | Pulse | `POST …/v1/tokens/create` → `token`, `server_url`, `room_name` | `POST …/v1/media/ingress/create` → `rtmp_url`, `rtmp_stream_key`, `ingress_id` |
//! | Creator | `POST` → `success`, `data.token`, `data.wsUrl`, `data.roomId` | has none |
//! | Custom | `POST` with the template → what the pointers name | the same; the token is the stream key |
//!
//! The configured address is that of the call. Where it has no path, Pulse's own is added.
//!
//! An answer is judged by its status first. What may be right later is *unavailable*, what somebody has to mend is
//! *refused*; [`outcome`] is the table.

use serde_json::{Value, json};

use crate::config::{
    Ingress, LegConfig, LegTarget, LivekitTarget, RtmpTarget, Secret, Service, Shape, TokenSource, Url,
};

use super::keep::Granted;
use super::{CredentialError, jwt};

/// Longest answer that is read. A token has a kilobyte or two.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Longest token or stream key: a header line of a server has room for it.
const MAX_SECRET_BYTES: usize = 16 * 1024;
/// Of a service's own words, characters.
const MAX_WORDS: usize = 120;
/// Keys that mean: no platform there.
const MOCK_KEY: &str = "pulse_mock_";

const TOKEN_PATH: &str = "/v1/tokens/create";
const INGRESS_PATH: &str = "/v1/media/ingress/create";

/// A service to be asked for one leg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asking<'a> {
    pub service: &'a Service,
    pub purpose: Purpose,
    room: Option<&'a str>,
    identity: &'a str,
    /// What people see.
    name: &'a str,
}

/// What it is asked for, which is what its address must be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    LivekitToken,
    WhipToken,
    RtmpIngress,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    /// Name and value of the header that carries the key.
    pub key: Option<(String, Secret)>,
    /// JSON. A template may hold secrets.
    pub body: Option<Secret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Post,
    Delete,
}

impl<'a> Asking<'a> {
    /// `name`: what people call the box. `None`: the leg's credentials do not come from a service.
    pub fn of(leg: &'a LegConfig, name: &'a str) -> Option<Self> {
        match &leg.target {
            LegTarget::Livekit(LivekitTarget { token: TokenSource::Service(service), room, identity, .. }) => {
                Some(Self { service, purpose: Purpose::LivekitToken, room: room.as_deref(), identity, name })
            }
            LegTarget::Whip(whip) => match &whip.token {
                Some(TokenSource::Service(service)) => {
                    let (room, identity) = (whip.room.as_deref(), whip.identity.as_str());
                    Some(Self { service, purpose: Purpose::WhipToken, room, identity, name })
                }
                Some(TokenSource::Fixed(_) | TokenSource::Minted { .. }) | None => None,
            },
            LegTarget::Rtmp(RtmpTarget::Ingress(Ingress { service, room, identity })) => {
                Some(Self { service, purpose: Purpose::RtmpIngress, room: Some(room), identity, name })
            }
            LegTarget::Livekit(_) | LegTarget::Rtmp(RtmpTarget::Fixed { .. }) | LegTarget::Srt(_) => None,
        }
    }

    /// What to send.
    ///
    /// # Errors
    /// When there is nothing to send: a mock key, or a template that cannot be filled in.
    pub fn request(&self) -> Result<Request, CredentialError> {
        if self.service.key.as_ref().is_some_and(|key| key.reveal().starts_with(MOCK_KEY)) {
            return Err(self.unavailable(&format!("there is no platform, the key begins with {MOCK_KEY}")));
        }
        let url = self.service.url.reveal();
        let (url, body) = match (&self.service.shape, self.purpose) {
            (Shape::Pulse, Purpose::LivekitToken | Purpose::WhipToken) => (call(url, TOKEN_PATH), self.pulse_token()),
            (Shape::Pulse, Purpose::RtmpIngress) => (call(url, INGRESS_PATH), self.pulse_ingress()),
            (Shape::Creator, Purpose::RtmpIngress) => {
                return Err(self.refused("the creator shape makes no ingress"));
            }
            (Shape::Creator, Purpose::LivekitToken | Purpose::WhipToken) => (url.to_owned(), json!({})),
            (Shape::Custom { body, .. }, _) => (url.to_owned(), self.fill_in(body)?),
        };
        let body = Some(Secret::new(body.to_string()));
        Ok(Request { method: Method::Post, url: Url::new(url), key: self.key(), body })
    }

    /// What takes away an ingress that was made before. `None`: the service has no call for that.
    pub fn withdrawal(&self, ingress: &str) -> Option<Request> {
        let plain = !ingress.is_empty() && ingress.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let known = self.service.shape == Shape::Pulse && self.purpose == Purpose::RtmpIngress;
        let created = call(self.service.url.reveal(), INGRESS_PATH);
        let all = created.strip_suffix("create").filter(|_| plain && known)?;
        let url = Url::new(format!("{all}{ingress}"));
        Some(Request { method: Method::Delete, url, key: self.key(), body: None })
    }

    /// Reads an answer. `now`: seconds since 1970, `None` when the clock is not to be believed.
    ///
    /// # Errors
    /// See [`outcome`].
    pub fn read(&self, status: u16, body: &[u8], now: Option<u64>) -> Result<Granted, CredentialError> {
        let said = serde_json::from_slice::<Value>(body);
        match outcome(status) {
            Outcome::Given => {}
            Outcome::Later => return Err(self.unavailable(&self.with_words(status, said.as_ref().ok()))),
            Outcome::Never => return Err(self.refused(&self.with_words(status, said.as_ref().ok()))),
        }
        let answer = said.map_err(|error| self.unavailable(&no_json(body, &error)))?;
        if answer.get("success").and_then(Value::as_bool) == Some(false) {
            return Err(self.refused(&self.words(&answer).unwrap_or_else(|| "it was not done".to_owned())));
        }
        let granted = self.parts(&answer)?;
        match (jwt::expiry(&granted.secret), now) {
            (Some(expires), Some(now)) if expires <= now => {
                Err(self.unavailable(&format!("its token ended {} s ago; do both clocks agree?", now - expires)))
            }
            _ => Ok(granted),
        }
    }

    /// The service is not there, or not right, at the moment. `why` is shown to people.
    pub fn unavailable(&self, why: &str) -> CredentialError {
        CredentialError::Unavailable(format!("token service {}: {why}", host(&self.service.url)))
    }

    /// The service refuses, or cannot be asked as the configuration says.
    pub fn refused(&self, why: &str) -> CredentialError {
        CredentialError::Refused(format!("token service {}: {why}", host(&self.service.url)))
    }

    fn key(&self) -> Option<(String, Secret)> {
        let key = self.service.key.as_ref()?;
        let bearer = self.service.header.eq_ignore_ascii_case("authorization");
        let value = if bearer { Secret::new(format!("Bearer {}", key.reveal())) } else { key.clone() };
        Some((self.service.header.clone(), value))
    }

    fn pulse_token(&self) -> Value {
        let mut body = json!({
            "participant_name": self.name,
            "participant_identity": self.identity,
            "can_publish": true,
            "can_subscribe": false,
            "can_publish_data": true,
            "metadata": {},
        });
        if let Some(room) = self.room {
            body["room_name"] = room.into();
        }
        body
    }

    fn pulse_ingress(&self) -> Value {
        json!({
            "room_name": self.room,
            "participant_name": self.name,
            "ingress_type": "rtmp",
            "audio_enabled": true,
            "video_enabled": true,
        })
    }

    /// The template is JSON; what it names is put into its texts, so that no name can break out of one.
    fn fill_in(&self, template: &str) -> Result<Value, CredentialError> {
        let mut body: Value = serde_json::from_str(template)
            .map_err(|error| self.refused(&format!("the body in the configuration is no JSON: {error}")))?;
        if self.room.is_none() && template.contains("{room}") {
            return Err(self.refused("the body in the configuration asks for {room}, and the leg has no `room`"));
        }
        let room = self.room.unwrap_or_default();
        fill(&mut body, &[("{room}", room), ("{identity}", self.identity), ("{name}", self.name)]);
        Ok(body)
    }

    fn parts(&self, answer: &Value) -> Result<Granted, CredentialError> {
        let (secret, url, room) = match (&self.service.shape, self.purpose) {
            (Shape::Pulse, Purpose::LivekitToken) => ("/token", Some("/server_url"), Some("/room_name")),
            // The server's address is for LiveKit's own protocol; that of its WHIP endpoint is configured.
            (Shape::Pulse, Purpose::WhipToken) => ("/token", None, Some("/room_name")),
            (Shape::Pulse, Purpose::RtmpIngress) => ("/rtmp_stream_key", Some("/rtmp_url"), None),
            (Shape::Creator, Purpose::LivekitToken) => ("/data/token", Some("/data/wsUrl"), Some("/data/roomId")),
            (Shape::Creator, Purpose::WhipToken | Purpose::RtmpIngress) => ("/data/token", None, Some("/data/roomId")),
            (Shape::Custom { token, url, room, .. }, _) => (token.as_str(), url.as_deref(), room.as_deref()),
        };
        let custom = matches!(self.service.shape, Shape::Custom { .. });
        let url_needed = custom || self.purpose == Purpose::RtmpIngress;
        let text = self.text(answer, secret)?.ok_or_else(|| self.missing(secret))?;
        if text.is_empty() || text.len() > MAX_SECRET_BYTES || text.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(self.unavailable(&format!("{} is no token", named(secret))));
        }
        let url = match url {
            Some(pointer) => match self.text(answer, pointer)? {
                Some(text) => Some(self.address(pointer, text)?),
                None if url_needed => return Err(self.missing(pointer)),
                None => None,
            },
            None => None,
        };
        let room = room.map(|pointer| self.text(answer, pointer)).transpose()?.flatten();
        let ingress = match (&self.service.shape, self.purpose) {
            (Shape::Pulse, Purpose::RtmpIngress) => self.text(answer, "/ingress_id")?,
            _ => None,
        };
        Ok(Granted {
            secret: Secret::new(text),
            url,
            room: room.map(str::to_owned),
            ingress: ingress.map(str::to_owned),
        })
    }

    fn text<'v>(&self, answer: &'v Value, pointer: &str) -> Result<Option<&'v str>, CredentialError> {
        match answer.pointer(pointer) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.unavailable(&format!("{} is {}, not a text", named(pointer), kind(other)))),
        }
    }

    fn missing(&self, pointer: &str) -> CredentialError {
        self.unavailable(&format!("its answer has no {}", named(pointer)))
    }

    fn address(&self, pointer: &str, text: &str) -> Result<Url, CredentialError> {
        let schemes: &[&str] = match self.purpose {
            Purpose::LivekitToken => &["ws", "wss"],
            Purpose::WhipToken => &["http", "https"],
            Purpose::RtmpIngress => &["rtmp", "rtmps"],
        };
        crate::config::check_address(text, schemes)
            .map(|()| Url::new(text))
            .map_err(|why| self.unavailable(&format!("{} {why} (allowed: {})", named(pointer), schemes.join(", "))))
    }

    fn with_words(&self, status: u16, said: Option<&Value>) -> String {
        let what = match status {
            300..=399 => "leads elsewhere; the configuration must name the final address".to_owned(),
            401 | 403 => "does not accept the key".to_owned(),
            404 => "has no such call".to_owned(),
            429 => "is asked too often".to_owned(),
            500..=599 => "fails".to_owned(),
            _ => "refuses".to_owned(),
        };
        match said.and_then(|said| self.words(said)) {
            Some(words) => format!("it {what} ({status}: {words})"),
            None => format!("it {what} ({status})"),
        }
    }

    /// What the service says about its failure: short, on one line, without the key.
    fn words(&self, answer: &Value) -> Option<String> {
        let words = ["/error/message", "/error", "/message", "/detail"].into_iter();
        let words = words.filter_map(|pointer| answer.pointer(pointer)?.as_str()).find(|words| !words.is_empty())?;
        let words: String = match self.service.key.as_ref().map(Secret::reveal) {
            Some(key) if !key.is_empty() => words.replace(key, "***"),
            _ => words.to_owned(),
        };
        let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut short: String = plain.take(MAX_WORDS).collect();
        if words.chars().nth(MAX_WORDS).is_some() {
            short.push('…');
        }
        Some(short)
    }
}

/// What a status means for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Given,
    /// 408, 425, 429, 5xx, and anything that is no status of an answer: it may be right later.
    Later,
    /// 3xx, other 4xx: somebody has to mend it.
    Never,
}

pub const fn outcome(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Given,
        408 | 425 | 429 => Outcome::Later,
        300..=499 => Outcome::Never,
        _ => Outcome::Later,
    }
}

/// The host of an address with its port: the part that is safe to show and that people know a service by.
fn host(url: &Url) -> &str {
    let rest = url.reveal().split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The address of the call: the configured one, with the platform's own path where it has none.
fn call(url: &str, path: &str) -> String {
    let bare = url.strip_suffix('/').unwrap_or(url);
    let rest = bare.split_once("://").map_or(bare, |(_, rest)| rest);
    if rest.contains(['/', '?', '#']) { url.to_owned() } else { format!("{bare}{path}") }
}

fn fill(value: &mut Value, names: &[(&str, &str)]) {
    match value {
        Value::String(text) => *text = filled(text, names),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, names)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill(field, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// From left to right, so that a name that looks like a placeholder stays as it is.
fn filled(text: &str, names: &[(&str, &str)]) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (taken, put) = names
            .iter()
            .find_map(|(name, value)| rest.starts_with(name).then_some((name.len(), *value)))
            .unwrap_or((1, "{"));
        out.push_str(put);
        rest = &rest[taken..];
    }
    out + rest
}

/// A pointer as people write it in a sentence.
fn named(pointer: &str) -> String {
    format!("`{}`", pointer.trim_start_matches('/').replace('/', "."))
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a yes or no",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn no_json(body: &[u8], error: &serde_json::Error) -> String {
    let start = body.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    match start {
        None => "its answer is empty".to_owned(),
        Some(b'<') => "its answer is a web page, not JSON".to_owned(),
        Some(_) if error.is_eof() => "its answer is JSON that breaks off".to_owned(),
        Some(_) => "its answer is no JSON".to_owned(),
    }
}

#[cfg(test)]
mod tests;
