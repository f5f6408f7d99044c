//! Errors in plain words, for people who see a lamp or a line of status, not a log.

use std::time::Duration;

use crate::config::{LegConfig, LegTarget};
use crate::job::Medium;

use super::event::ErrorClass;

/// Why a slot's source failed; `crowded` is what to say of a camera whose bus has no bandwidth left.
pub(super) fn source(class: ErrorClass, detail: &str, crowded: &str) -> String {
    if class == ErrorClass::Bandwidth && !crowded.is_empty() {
        return crowded.to_owned();
    }
    let what = match class {
        ErrorClass::Device => "the device is gone or refuses",
        ErrorClass::Busy => "another program uses the device",
        ErrorClass::Bandwidth => "the USB bandwidth of its port is used up",
        ErrorClass::UnknownHost => "its host name has no address",
        ErrorClass::ConnectionRefused => "nobody listens at its address",
        ErrorClass::NetworkLost => "the connection was lost",
        ErrorClass::Unauthorised => "the server refuses the user name or password",
        ErrorClass::Tls => "the server's certificate is not accepted",
        ErrorClass::DiskFull => "the disk is full",
        ErrorClass::Disk => "the file cannot be read",
        ErrorClass::Format => "its pictures cannot be decoded",
        ErrorClass::Timeout => "it did not answer in time",
        ErrorClass::TokenService
        | ErrorClass::TokenExpired
        | ErrorClass::DuplicateIdentity
        | ErrorClass::RoomDeleted
        | ErrorClass::Removed
        | ErrorClass::ServerShutDown
        | ErrorClass::NoMedia
        | ErrorClass::Internal => "the box failed to capture it",
    };
    with_detail(what, class, detail)
}

/// Why a recording failed.
pub(super) fn recording(class: ErrorClass, detail: &str) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a recording meets disks; anything else is told by its detail")]
    match class {
        ErrorClass::DiskFull => "the disk is full".to_owned(),
        ErrorClass::Disk => with_detail("the disk cannot be written", ErrorClass::Internal, detail),
        ErrorClass::Timeout => "the file was not finished in time".to_owned(),
        _ => with_detail("the recorder failed", ErrorClass::Internal, detail),
    }
}

/// Why a leg failed.
pub(super) fn leg(config: &LegConfig, class: ErrorClass, detail: &str) -> String {
    let host = match (config.target.url(), config.target.service()) {
        (Some(url), _) => host(&url.to_string()),
        (None, Some(_)) | (None, None) => "the server".to_owned(),
    };
    let what = match class {
        ErrorClass::Timeout if is_listener(&config.target) => "no receiver has called".to_owned(),
        ErrorClass::UnknownHost => format!("unknown host {}", host.split(':').next().unwrap_or(&host)),
        ErrorClass::ConnectionRefused => format!("connection refused by {host}"),
        ErrorClass::NetworkLost => format!("connection to {host} lost"),
        ErrorClass::Unauthorised => format!("wrong {}: {host} refused it", key_of(&config.target)),
        ErrorClass::Tls => format!("certificate of {host} not accepted"),
        ErrorClass::Timeout => format!("{host} does not answer"),
        ErrorClass::NoMedia => format!("{host} answers, but no media reaches it: a firewall may be in between"),
        ErrorClass::Format => format!("{host} does not accept the stream"),
        ErrorClass::TokenService => match config.target.service() {
            Some(service) => format!("token service {}", self::host(&service.url.to_string())),
            None => "token service".to_owned(),
        },
        ErrorClass::TokenExpired => "the token has expired".to_owned(),
        ErrorClass::DuplicateIdentity => "another participant joined with the same identity".to_owned(),
        ErrorClass::RoomDeleted => "the host ended the room".to_owned(),
        ErrorClass::Removed => format!("the host removed the box: `leg enable {}` joins again", config.name),
        ErrorClass::ServerShutDown => format!("{host} is shutting down"),
        ErrorClass::Device
        | ErrorClass::Busy
        | ErrorClass::Bandwidth
        | ErrorClass::DiskFull
        | ErrorClass::Disk
        | ErrorClass::Internal => "the publisher failed".to_owned(),
    };
    // In the server's own words, without what is secret: a full room and a wrong token look alike to us.
    let class = if class == ErrorClass::Unauthorised { ErrorClass::Internal } else { class };
    with_detail(&what, class, detail)
}

/// A leg whose bytes are not taken any more.
pub(super) fn silent(limit: Duration) -> String {
    format!("server wedged: nothing sent for {} s", limit.as_secs_f64())
}

pub(super) const fn medium(medium: Medium) -> &'static str {
    match medium {
        Medium::Audio => "sound",
        Medium::Video => "picture",
    }
}

const fn is_listener(target: &LegTarget) -> bool {
    matches!(target, LegTarget::Srt(srt) if srt.is_listener())
}

/// What a server of this kind lets in by.
const fn key_of(target: &LegTarget) -> &'static str {
    match target {
        LegTarget::Rtmp(_) => "stream key",
        LegTarget::Livekit(_) | LegTarget::Whip(_) => "token",
        LegTarget::Srt(_) => "passphrase or stream id",
    }
}

/// The detail is the library's own text: it helps only where our words say little.
fn with_detail(what: &str, class: ErrorClass, detail: &str) -> String {
    let says_little =
        matches!(class, ErrorClass::Internal | ErrorClass::Format | ErrorClass::Tls | ErrorClass::TokenService);
    if says_little && !detail.is_empty() { format!("{what}: {detail}") } else { what.to_owned() }
}

/// Host and port of an address, without user name and path.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RtmpTarget, Url};
    use crate::ids::LegId;

    #[test]
    fn a_legs_reason_names_its_server_and_never_its_password() {
        let config = LegConfig {
            name: LegId::new("backup"),
            uplink: None,
            target: LegTarget::Rtmp(RtmpTarget::Fixed {
                url: Url::new("rtmp://me:hunter2@live.example:1935/app"),
                stream_key: None,
            }),
            ca_file: None,
            proves: crate::config::PROVES,
        };
        for (class, expected) in [
            (ErrorClass::UnknownHost, "unknown host live.example"),
            (ErrorClass::ConnectionRefused, "connection refused by live.example:1935"),
            (ErrorClass::Unauthorised, "wrong stream key: live.example:1935 refused it: pad not linked"),
            (ErrorClass::Internal, "the publisher failed: pad not linked"),
            (ErrorClass::NoMedia, "live.example:1935 answers, but no media reaches it: a firewall may be in between"),
        ] {
            assert_eq!(leg(&config, class, "pad not linked"), expected);
        }
    }
}
