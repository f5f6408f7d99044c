//! What a leg was given last, and whether it still opens the door.
//!
//! | held | asked by the leg | in the background |
//! |---|---|---|
//! | nothing | fetch | – |
//! | a token with four fifths of its life before it | give it | – |
//! | … in its last fifth | give it | fetch another |
//! | … in its last minute, or its last fifth where that is shorter | fetch; when that fails, give it | fetch another |
//! | an expired one | fetch | – |
//! | one that the server rejected | fetch | – |
//! | one that the server itself gave later | give it while it lasts, before any other | as for the one below it |
//!
//! An end is judged only by a clock that can be believed; without one the server decides. What does not say when it
//! ends holds until it is rejected.

use crate::config::{Secret, Url};

use super::{Credentials, jwt};

/// Left of a token when it is used no more without trying for another, seconds. A join takes up to 5 s.
const MARGIN_S: u64 = 60;
/// Left of a server's own token, which is short-lived by design.
const REFRESHED_MARGIN_S: u64 = 10;
/// Waits between tries in the background, seconds: first and longest.
const RETRY_S: (u64, u64) = (10, 600);

/// What a service gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted {
    pub secret: Secret,
    /// Where to connect, when the service tells it.
    pub url: Option<Url>,
    /// The room, when the service tells it.
    pub room: Option<String>,
    /// Name of the ingress that was made.
    pub ingress: Option<String>,
}

/// One leg's memory. Times are seconds since 1970, `None` when the clock is not to be believed.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    fetched: Option<Fetched>,
    /// From the server itself, with its end.
    refreshed: Option<(Secret, Option<u64>)>,
    failures: u32,
    /// No try in the background before this.
    next_try: u64,
}

#[derive(Clone, Debug)]
struct Fetched {
    credentials: Credentials,
    ingress: Option<String>,
    /// Whole life, as far as it was seen, seconds.
    life: u64,
}

impl Fetched {
    fn left(&self, now: Option<u64>) -> Option<u64> {
        Some(self.credentials.expires_unix_s?.saturating_sub(now?))
    }

    fn alive(&self, now: Option<u64>) -> bool {
        self.left(now).is_none_or(|left| left > 0)
    }
}

impl Keep {
    /// What can be given without asking anybody.
    pub fn ready(&self, now: Option<u64>) -> Option<Credentials> {
        let fetched = self.fetched.as_ref()?;
        if let Some(refreshed) = self.refreshed(now) {
            return Some(Credentials { url: fetched.credentials.url.clone(), ..refreshed });
        }
        let enough = |left: u64| left > MARGIN_S.min(fetched.life / 5);
        fetched.left(now).is_none_or(enough).then(|| fetched.credentials.clone())
    }

    /// The server's own token while it lasts; without an address.
    pub fn refreshed(&self, now: Option<u64>) -> Option<Credentials> {
        let (secret, expires) = self.refreshed.as_ref()?;
        let lasts = match (expires, now) {
            (Some(expires), Some(now)) => expires.saturating_sub(now) > REFRESHED_MARGIN_S,
            _ => true,
        };
        lasts.then(|| Credentials { url: None, secret: secret.clone(), expires_unix_s: *expires })
    }

    /// The last one while it has not ended: better than none when the service is down.
    pub fn last_resort(&self, now: Option<u64>) -> Option<Credentials> {
        self.fetched.as_ref().filter(|fetched| fetched.alive(now)).map(|fetched| fetched.credentials.clone())
    }

    /// Keeps what the service gave; gives back what the leg gets.
    pub fn store(&mut self, granted: Granted, now: Option<u64>) -> Credentials {
        let expires = jwt::expiry(&granted.secret);
        let life = expires.zip(now).map_or(0, |(expires, now)| expires.saturating_sub(now));
        let credentials = Credentials { url: granted.url, secret: granted.secret, expires_unix_s: expires };
        self.fetched = Some(Fetched { credentials: credentials.clone(), ingress: granted.ingress, life });
        (self.failures, self.next_try) = (0, 0);
        credentials
    }

    /// The server did not take what it was given. Gives back the ingress that is of no use any more.
    pub fn reject(&mut self) -> Option<String> {
        self.refreshed = None;
        self.fetched.take().and_then(|fetched| fetched.ingress)
    }

    /// The server gave one of its own.
    pub fn refresh(&mut self, token: Secret) {
        let expires = jwt::expiry(&token);
        self.refreshed = Some((token, expires));
    }

    /// When another is to be fetched in the background; `None`: not at all.
    pub fn renewal(&self) -> Option<u64> {
        let fetched = self.fetched.as_ref()?;
        let expires = fetched.credentials.expires_unix_s?;
        Some(expires.saturating_sub((fetched.life / 5).max(1)).max(self.next_try))
    }

    /// A fetch in the background failed.
    pub fn renewal_failed(&mut self, now: u64) {
        let (first, longest) = RETRY_S;
        self.next_try = now.saturating_add(longest.min(first << self.failures.min(16)));
        self.failures = self.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    const T: u64 = 1_800_000_000;

    fn token(expires: u64) -> Secret {
        Secret::new(format!("e30.{}.s", BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{expires}}}"#))))
    }

    fn granted(secret: Secret) -> Granted {
        Granted { secret, url: Some(Url::new("wss://sfu.example")), room: None, ingress: None }
    }

    fn keep(life: u64) -> Keep {
        let mut keep = Keep::default();
        keep.store(granted(token(T + life)), Some(T));
        keep
    }

    #[test]
    fn a_token_is_given_until_little_of_it_is_left() {
        let keep = keep(3600);
        assert!(keep.ready(Some(T)).is_some());
        assert!(keep.ready(Some(T + 3600 - MARGIN_S - 1)).is_some());
        assert!(keep.ready(Some(T + 3600 - MARGIN_S)).is_none());
        assert!(keep.last_resort(Some(T + 3599)).is_some());
        assert!(keep.last_resort(Some(T + 3600)).is_none());
    }

    #[test]
    fn a_short_lived_token_is_given_for_four_fifths_of_its_life() {
        let keep = keep(50);
        assert!(keep.ready(Some(T + 39)).is_some());
        assert!(keep.ready(Some(T + 40)).is_none());
    }

    #[test]
    fn without_a_clock_no_token_has_ended() {
        let keep = keep(10);
        assert!(keep.ready(None).is_some());
        assert!(keep.last_resort(None).is_some());
    }

    #[test]
    fn what_does_not_end_holds_until_it_is_rejected() {
        let mut keep = Keep::default();
        let stream_key = Granted { ingress: Some("IN_1".to_owned()), ..granted(Secret::new("stream-key")) };
        keep.store(stream_key, Some(T));
        assert!(keep.ready(Some(T + 1_000_000)).is_some());
        assert_eq!(keep.renewal(), None);
        assert_eq!(keep.reject(), Some("IN_1".to_owned()));
        assert!(keep.ready(Some(T)).is_none());
        assert!(keep.last_resort(Some(T)).is_none());
    }

    #[test]
    fn the_servers_own_token_goes_first_while_it_lasts() {
        let mut keep = keep(3600);
        keep.refresh(token(T + 600));
        let first = keep.ready(Some(T + 1)).unwrap();
        assert_eq!((first.expires_unix_s, first.url), (Some(T + 600), Some(Url::new("wss://sfu.example"))));
        assert_eq!(keep.ready(Some(T + 595)).unwrap().expires_unix_s, Some(T + 3600));
        keep.refresh(token(T + 700));
        keep.reject();
        assert!(keep.ready(Some(T)).is_none());
    }

    #[test]
    fn renewal_is_due_in_the_last_fifth_and_backs_off_when_it_fails() {
        let mut keep = keep(1000);
        assert_eq!(keep.renewal(), Some(T + 800));
        let mut now = T + 800;
        let mut waits = Vec::new();
        for _ in 0..8 {
            keep.renewal_failed(now);
            waits.push(keep.renewal().unwrap() - now);
            now = keep.renewal().unwrap();
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600]);
        keep.store(granted(token(now + 1000)), Some(now));
        assert_eq!(keep.renewal(), Some(now + 800));
    }

    #[test]
    fn debug_shows_no_token() {
        let keep = keep(10);
        assert!(!format!("{keep:?}").contains(token(T + 10).reveal()));
    }
}
