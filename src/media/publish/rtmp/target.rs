//! Where a publication goes: addresses taken apart. Pure but for the service that may have to be asked.

use cuebox_core::config::{LegConfig, LegTarget, RtmpTarget, Secret, Url};
use cuebox_core::credentials::{CredentialError, CredentialSource};
use cuebox_core::director::ErrorClass;

use super::session::Place;
use crate::media::part::Failure;

const DEFAULT_PORT: u16 = 1935;
const DEFAULT_TLS_PORT: u16 = 443;

/// Where an address leads.
pub struct Target {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub place: Place,
}

/// A leg's target; asks a service for address and key where the configuration says so.
pub fn of(config: &LegConfig, credentials: &dyn CredentialSource) -> Result<Target, Failure> {
    match &config.target {
        LegTarget::Rtmp(RtmpTarget::Fixed { url, stream_key }) => parse(url, stream_key.as_ref()),
        LegTarget::Rtmp(RtmpTarget::Ingress(_)) => {
            let given = credentials.credentials(config).map_err(credentials_failure)?;
            let missing = || Failure::new(ErrorClass::TokenService, "the service tells no address");
            parse(&given.url.ok_or_else(missing)?, Some(&given.secret))
        }
        LegTarget::Livekit(_) | LegTarget::Srt(_) | LegTarget::Whip(_) => {
            Err(Failure::internal("not an RTMP leg's configuration"))
        }
    }
}

/// Why a service gave neither address nor key.
fn credentials_failure(error: CredentialError) -> Failure {
    match error {
        CredentialError::Expired(why) => Failure::new(ErrorClass::TokenExpired, why),
        CredentialError::Unavailable(why) | CredentialError::Refused(why) => {
            Failure::new(ErrorClass::TokenService, why)
        }
    }
}

/// `rtmp[s]://HOST[:PORT]/APP[/…]`; without a key of its own, the address's last part is the key,
/// and an application alone is sent an empty one.
fn parse(url: &Url, stream_key: Option<&Secret>) -> Result<Target, Failure> {
    let wrong = || Failure::new(ErrorClass::Format, format!("{url} is not an RTMP address"));
    let tls = match url.scheme().as_str() {
        "rtmp" => false,
        "rtmps" => true,
        _ => return Err(wrong()),
    };
    let (_, rest) = url.reveal().split_once("://").ok_or_else(wrong)?;
    let (authority, path) = rest.split_once('/').ok_or_else(wrong)?;
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let default = if tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (host_port, default),
    };
    let path = path.trim_end_matches('/');
    let (app, key) = match stream_key {
        Some(key) => (path, key.reveal()),
        None => path.rsplit_once('/').unwrap_or((path, "")),
    };
    if host.is_empty() || app.is_empty() {
        return Err(wrong());
    }
    let scheme = if tls { "rtmps" } else { "rtmp" };
    let tc_url = format!("{scheme}://{host_port}/{app}");
    let place = Place { app: app.to_owned(), key: key.to_owned(), tc_url };
    Ok(Target { host: host.trim_matches(['[', ']']).to_owned(), port, tls, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let table = [
            ("rtmp://h/live", Some("k"), "h 1935 live k rtmp://h/live"),
            ("rtmps://h/a/b/", Some("k?x=1"), "h 443 a/b k?x=1 rtmps://h/a/b"),
            ("rtmp://h:99/live/k", None, "h 99 live k rtmp://h:99/live"),
            ("rtmp://[::1]:99/live/k", None, "::1 99 live k rtmp://[::1]:99/live"),
            ("rtmp://h/live", None, "h 1935 live  rtmp://h/live"),
            ("rtmp://me:hunter2@h/live", Some("k"), "h 1935 live k rtmp://h/live"),
        ];
        for (url, key, expected) in table {
            let Ok(got) = parse(&Url::new(url), key.map(Secret::new).as_ref()) else { panic!("{url}") };
            let place = got.place;
            assert_eq!(format!("{} {} {} {} {}", got.host, got.port, place.app, place.key, place.tc_url), expected);
        }
        for url in ["rtmp:nonsense", "http://h/live", "rtmp://h", "rtmp://h/", "rtmp://h:x/live/k"] {
            assert!(parse(&Url::new(url), None).is_err(), "{url}");
        }
    }
}
