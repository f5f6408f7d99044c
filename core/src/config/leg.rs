//! Legs: where the stream goes, and what each kind of server needs to know.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::LegId;

use super::{Secret, Url};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegConfig {
    pub name: LegId,
    /// Rank in the uplink, 1 is wanted; `None`: a destination of its own.
    pub uplink: Option<u32>,
    pub target: LegTarget,
    /// Trust this CA as well (PEM file).
    pub ca_file: Option<String>,
    /// After a failure it must carry this long before a worse rank is let go.
    #[serde(default = "usual_proof")]
    pub proves: Duration,
}

/// What [`LegConfig::proves`] is where nobody says another.
pub const PROVES: Duration = Duration::from_secs(5);

const fn usual_proof() -> Duration {
    PROVES
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegTarget {
    Rtmp(RtmpTarget),
    Livekit(LivekitTarget),
    Srt(SrtTarget),
    Whip(WhipTarget),
}

impl LegTarget {
    /// The kind's name in the configuration and in the status document.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rtmp(_) => "rtmp",
            Self::Livekit(_) => "livekit",
            Self::Srt(_) => "srt",
            Self::Whip(_) => "whip",
        }
    }

    /// Where it goes; `None` where a service tells that.
    pub const fn url(&self) -> Option<&Url> {
        match self {
            Self::Rtmp(RtmpTarget::Fixed { url, .. }) => Some(url),
            Self::Rtmp(RtmpTarget::Ingress(_)) => None,
            Self::Livekit(LivekitTarget { url, .. }) => url.as_ref(),
            Self::Srt(SrtTarget { url, .. }) | Self::Whip(WhipTarget { url, .. }) => Some(url),
        }
    }

    /// The service that is asked before it can connect.
    pub const fn service(&self) -> Option<&Service> {
        match self {
            Self::Rtmp(RtmpTarget::Ingress(Ingress { service, .. }))
            | Self::Livekit(LivekitTarget { token: TokenSource::Service(service), .. })
            | Self::Whip(WhipTarget { token: Some(TokenSource::Service(service)), .. }) => Some(service),
            Self::Rtmp(_) | Self::Livekit(_) | Self::Srt(_) | Self::Whip(_) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtmpTarget {
    /// Address and key are known.
    Fixed { url: Url, stream_key: Option<Secret> },
    /// A service makes an ingress and tells address and key; asked again when they stop working.
    Ingress(Ingress),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LivekitTarget {
    /// `ws://` or `wss://`. `None`: the token service tells it.
    pub url: Option<Url>,
    /// `None`: the token names it, or the service tells it.
    pub room: Option<String>,
    pub identity: String,
    pub publish: Publish,
    pub token: TokenSource,
    /// `stun://HOST:PORT`, `turn://USER:PASSWORD@HOST:PORT` or `turns://…`, with `?transport=udp|tcp` where needed,
    /// beside those of the server. Empty: only the server's.
    pub ice_servers: Vec<Url>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    #[default]
    Program,
    /// A pair of tracks for each live slot as well.
    ProgramAndSlots,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// Made by somebody else, once.
    Fixed(Secret),
    /// Signed here with the server's API key.
    Minted { key: String, secret: Secret },
    /// Fetched from a service, renewed before it expires.
    Service(Service),
}

/// A platform's HTTP service, and how it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// The whole address of the call: `https://…`, or `http://…` to a loopback address.
    pub url: Url,
    /// Name of the header that carries the key; `Authorization` carries it as a bearer token.
    pub header: String,
    pub key: Option<Secret>,
    pub shape: Shape,
}

/// The form of a service's request and answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `room_name`, `participant_identity`, … → `token`, `server_url`, `room_name`; for an ingress `rtmp_url`,
    /// `rtmp_stream_key`.
    #[default]
    Pulse,
    /// `{"success":true,"data":{"token","wsUrl","roomId"}}`.
    Creator,
    /// A JSON body in which `{room}`, `{identity}` and `{name}` are filled in, and where the answer's parts stand as
    /// JSON pointers (RFC 6901).
    Custom { body: String, token: String, url: Option<String>, room: Option<String> },
}

/// An RTMP or WHIP ingress that is made by a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ingress {
    pub service: Service,
    pub room: String,
    pub identity: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SrtTarget {
    /// `srt://HOST:PORT`; for a listener `srt://:PORT`.
    pub url: Url,
    pub mode: SrtMode,
    pub passphrase: Option<Secret>,
    pub stream_id: Option<String>,
    pub latency: Duration,
}

impl SrtTarget {
    /// Whether it waits to be called.
    pub const fn is_listener(&self) -> bool {
        matches!(self.mode, SrtMode::Listener)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SrtMode {
    #[default]
    Caller,
    Listener,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhipTarget {
    /// `http://` or `https://`.
    pub url: Url,
    /// Bearer token.
    pub token: Option<TokenSource>,
    /// Room and identity of a token that is made for a LiveKit server's own endpoint.
    pub room: Option<String>,
    pub identity: String,
    /// As [`LivekitTarget::ice_servers`].
    pub ice_servers: Vec<Url>,
}
