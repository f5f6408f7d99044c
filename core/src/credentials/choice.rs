//! Where a leg's credentials come from at this moment.
//!
//! | leg | source |
//! |---|---|
//! | LiveKit, WHIP with a fixed token | the server's own while it lasts, else the fixed one until it ends |
//! | … with the server's API key | the server's own while it lasts, else one that is signed now |
//! | … with a service, RTMP with an ingress | what is kept, else the service |
//! | RTMP with an address | address and key as configured |
//! | SRT | has none |

use crate::config::{LegConfig, LegTarget, LivekitTarget, RtmpTarget, Secret, TokenSource, Url, WhipTarget};
use crate::time::{Trust, Wall};

use super::exchange::Asking;
use super::jwt::{self, Pass};
use super::keep::Keep;
use super::{CredentialError, Credentials};

#[derive(Clone, Debug, PartialEq)]
pub enum Choice<'a> {
    Give(Credentials),
    Ask(Asking<'a>),
}

/// Decides for one leg of the box that people call `name`. `now`: seconds since 1970, `None` when the clock is not to be believed.
///
/// # Errors
/// When there is nothing to give and nobody to ask.
pub fn choose<'a>(
    leg: &'a LegConfig,
    name: &'a str,
    keep: &Keep,
    now: Option<u64>,
) -> Result<Choice<'a>, CredentialError> {
    if let Some(asking) = Asking::of(leg, name) {
        let Some(ready) = keep.ready(now) else { return Ok(Choice::Ask(asking)) };
        return Ok(Choice::Give(addressed(leg, ready)?));
    }
    let own = match keep.refreshed(now) {
        Some(refreshed) => refreshed,
        None => configured(leg, name, now)?,
    };
    Ok(Choice::Give(addressed(leg, own)?))
}

/// Completes credentials with the address that the leg connects to. A LiveKit leg's own address goes before the
/// service's, which is how an operator leads it elsewhere; where the service makes the address with the key, the
/// service's goes before.
///
/// # Errors
/// When nobody names an address.
pub fn addressed(leg: &LegConfig, credentials: Credentials) -> Result<Credentials, CredentialError> {
    let url: Option<Url> = match &leg.target {
        LegTarget::Livekit(livekit) => livekit.url.clone().or(credentials.url),
        LegTarget::Whip(whip) => credentials.url.or_else(|| Some(whip.url.clone())),
        LegTarget::Rtmp(_) | LegTarget::Srt(_) => credentials.url,
    };
    if url.is_none() {
        let why = "neither the configuration nor the token service names the server's address (`url`)";
        return Err(CredentialError::Refused(why.to_owned()));
    }
    Ok(Credentials { url, ..credentials })
}

fn configured(leg: &LegConfig, name: &str, now: Option<u64>) -> Result<Credentials, CredentialError> {
    let (token, room, identity) = match &leg.target {
        LegTarget::Livekit(LivekitTarget { token, room, identity, .. }) => (token, room, identity),
        LegTarget::Whip(WhipTarget { token: Some(token), room, identity, .. }) => (token, room, identity),
        LegTarget::Rtmp(RtmpTarget::Fixed { url, stream_key }) => {
            let secret = stream_key.clone().unwrap_or_else(|| Secret::new(""));
            return Ok(Credentials { url: Some(url.clone()), secret, expires_unix_s: None });
        }
        LegTarget::Whip(_) | LegTarget::Srt(_) | LegTarget::Rtmp(RtmpTarget::Ingress(_)) => {
            return Err(CredentialError::Refused("the configuration holds no token for it".to_owned()));
        }
    };
    match token {
        TokenSource::Fixed(token) => fixed(token, now),
        TokenSource::Minted { key, secret } => {
            let Some(room) = room else {
                let why = "a token that is signed here needs the room's name (`room`)";
                return Err(CredentialError::Refused(why.to_owned()));
            };
            let pass = Pass { room, identity, name };
            let (secret, expires) = jwt::mint(key, secret, &pass, now)
                .ok_or_else(|| CredentialError::Refused("the API secret cannot sign a token".to_owned()))?;
            Ok(Credentials { url: None, secret, expires_unix_s: Some(expires) })
        }
        TokenSource::Service(_) => Err(CredentialError::Refused("the configuration holds no token for it".to_owned())),
    }
}

fn fixed(token: &Secret, now: Option<u64>) -> Result<Credentials, CredentialError> {
    let expires = jwt::expiry(token);
    if let (Some(expires), Some(now)) = (expires, now)
        && expires <= now
    {
        let nanos = i64::try_from(expires).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        let ended = Wall { unix_ns: nanos, trust: Trust::Rtc }.rfc3339();
        let why = format!("the token in the configuration ended at {ended}: replace it, then reload");
        return Err(CredentialError::Expired(why));
    }
    Ok(Credentials { url: None, secret: token.clone(), expires_unix_s: expires })
}

#[cfg(test)]
mod tests {
    use crate::config::{Ingress, PROVES, Publish, Service, Shape, SrtMode, SrtTarget};
    use crate::credentials::keep::Granted;
    use crate::ids::LegId;

    use super::*;

    const T: u64 = 1_800_000_000;

    fn leg(target: LegTarget) -> LegConfig {
        LegConfig { name: LegId::new("main"), uplink: Some(1), target, ca_file: None, proves: PROVES }
    }

    fn livekit(url: Option<&str>, room: Option<&str>, token: TokenSource) -> LegConfig {
        leg(LegTarget::Livekit(LivekitTarget {
            url: url.map(Url::new),
            room: room.map(str::to_owned),
            identity: "hall-1".to_owned(),
            publish: Publish::Program,
            token,
            ice_servers: Vec::new(),
        }))
    }

    fn service() -> Service {
        let url = Url::new("https://api.example");
        Service { url, header: "X-Pulse-Key".to_owned(), key: None, shape: Shape::Pulse }
    }

    fn minted() -> TokenSource {
        TokenSource::Minted { key: "devkey".to_owned(), secret: Secret::new("secret") }
    }

    fn token(expires: u64) -> Secret {
        let pass = Pass { room: "r", identity: "i", name: "n" };
        jwt::mint("k", &Secret::new("s"), &pass, Some(expires - 6 * 3600)).unwrap().0
    }

    fn given(leg: &LegConfig, keep: &Keep, now: u64) -> Credentials {
        match choose(leg, "The hall", keep, Some(now)).unwrap() {
            Choice::Give(credentials) => credentials,
            Choice::Ask(asking) => panic!("it would ask {asking:?}"),
        }
    }

    #[test]
    fn a_fixed_token_is_given_until_it_ends() {
        let leg = livekit(Some("wss://s"), None, TokenSource::Fixed(token(T)));
        assert_eq!(given(&leg, &Keep::default(), T - 1).expires_unix_s, Some(T));
        let ended = choose(&leg, "The hall", &Keep::default(), Some(T)).unwrap_err();
        let why = "the token in the configuration ended at 2027-01-15T08:00:00Z: replace it, then reload";
        assert_eq!(ended, CredentialError::Expired(why.to_owned()));
        assert!(choose(&leg, "The hall", &Keep::default(), None).is_ok(), "without a clock the server decides");
    }

    #[test]
    fn a_token_is_signed_for_the_room_and_needs_one() {
        let leg = livekit(Some("wss://s"), Some("r"), minted());
        assert_eq!(given(&leg, &Keep::default(), T).expires_unix_s, Some(T + 6 * 3600));
        let leg = livekit(Some("wss://s"), None, minted());
        assert!(matches!(choose(&leg, "The hall", &Keep::default(), Some(T)), Err(CredentialError::Refused(_))));
    }

    #[test]
    fn the_servers_own_token_goes_before_a_configured_one() {
        let leg = livekit(Some("wss://s"), Some("r"), minted());
        let mut keep = Keep::default();
        keep.refresh(token(T + 600));
        assert_eq!(given(&leg, &keep, T).expires_unix_s, Some(T + 600));
        assert_eq!(given(&leg, &keep, T).url, Some(Url::new("wss://s")));
        keep.reject();
        assert_eq!(given(&leg, &keep, T).expires_unix_s, Some(T + 6 * 3600));
    }

    #[test]
    fn a_service_is_asked_once_and_its_address_counts_where_the_leg_has_none() {
        let mut keep = Keep::default();
        let leg = livekit(None, None, TokenSource::Service(service()));
        assert!(matches!(choose(&leg, "The hall", &keep, Some(T)), Ok(Choice::Ask(_))));
        let granted = |url: Option<&str>| {
            let secret = token(T + 3600);
            Granted { secret, url: url.map(Url::new), room: None, ingress: None }
        };
        keep.store(granted(Some("wss://told")), Some(T));
        assert_eq!(given(&leg, &keep, T).url, Some(Url::new("wss://told")));
        let own = livekit(Some("wss://own"), None, TokenSource::Service(service()));
        assert_eq!(given(&own, &keep, T).url, Some(Url::new("wss://own")));
        keep.store(granted(None), Some(T));
        let refused = choose(&leg, "The hall", &keep, Some(T)).unwrap_err();
        assert!(refused.to_string().contains("names the server's address"), "{refused}");
    }

    #[test]
    fn an_ingress_brings_address_and_key_and_srt_has_neither() {
        let (room, identity) = ("r".to_owned(), "i".to_owned());
        let target = LegTarget::Rtmp(RtmpTarget::Ingress(Ingress { service: service(), room, identity }));
        assert!(matches!(choose(&leg(target), "The hall", &Keep::default(), Some(T)), Ok(Choice::Ask(_))));
        let target = LegTarget::Rtmp(RtmpTarget::Fixed { url: Url::new("rtmp://h/a"), stream_key: None });
        assert_eq!(given(&leg(target), &Keep::default(), T).url, Some(Url::new("rtmp://h/a")));
        let target = LegTarget::Srt(SrtTarget {
            url: Url::new("srt://h:1"),
            mode: SrtMode::Caller,
            passphrase: None,
            stream_id: None,
            latency: std::time::Duration::from_millis(200),
        });
        assert!(matches!(
            choose(&leg(target), "The hall", &Keep::default(), Some(T)),
            Err(CredentialError::Refused(_))
        ));
    }
}
