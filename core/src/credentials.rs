//! What a leg needs to be let in, and who can get it. The trait lies here so that the publisher and the platform's
//! client need not know each other.

pub mod choice;
pub mod exchange;
pub mod jwt;
pub mod keep;

use crate::config::{LegConfig, LegTarget, LivekitTarget, Secret, TokenSource, Url, WhipTarget};

/// What opens a server's door.
#[derive(Clone, Debug, PartialEq)]
pub struct Credentials {
    /// Where to connect, when the configuration leaves that to a service.
    pub url: Option<Url>,
    /// LiveKit or bearer token, or RTMP stream key.
    pub secret: Secret,
    /// Seconds since 1970 (UTC), when they are known to end.
    pub expires_unix_s: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The service cannot be reached, answers too late, or not with what was asked for: it may be right later.
    #[error("{0}")]
    Unavailable(String),
    /// The service refuses the box.
    #[error("{0}")]
    Refused(String),
    /// The one token that there is has ended.
    #[error("{0}")]
    Expired(String),
}

/// Gets credentials for legs. Called from a thread that may wait; answers within 15 s.
pub trait CredentialSource: Send + Sync {
    /// # Errors
    /// Why there are none at the moment.
    fn credentials(&self, leg: &LegConfig) -> Result<Credentials, CredentialError>;

    /// The server did not accept what was given last: the next ones must be new, where they can be.
    fn rejected(&self, leg: &LegConfig);

    /// The server gave a newer token of its own.
    fn refreshed(&self, leg: &LegConfig, token: Secret);
}

/// What stands in the configuration itself; nothing is made or fetched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configured;

impl CredentialSource for Configured {
    fn credentials(&self, leg: &LegConfig) -> Result<Credentials, CredentialError> {
        match &leg.target {
            LegTarget::Livekit(LivekitTarget { url, token: TokenSource::Fixed(token), .. }) => {
                Ok(Credentials { url: url.clone(), secret: token.clone(), expires_unix_s: None })
            }
            LegTarget::Whip(WhipTarget { url, token: Some(TokenSource::Fixed(token)), .. }) => {
                Ok(Credentials { url: Some(url.clone()), secret: token.clone(), expires_unix_s: None })
            }
            LegTarget::Rtmp(_) | LegTarget::Livekit(_) | LegTarget::Srt(_) | LegTarget::Whip(_) => {
                Err(CredentialError::Refused("the configuration holds no token for it".to_owned()))
            }
        }
    }

    fn rejected(&self, _leg: &LegConfig) {}

    fn refreshed(&self, _leg: &LegConfig, _token: Secret) {}
}
