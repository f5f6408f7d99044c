//! What a server's refusal means. Told apart by codes, never by English text.

use std::io::ErrorKind;

use cuebox_core::config::Secret;
use cuebox_core::credentials::CredentialError;
use cuebox_core::director::ErrorClass;
use livekit_protocol::{DisconnectReason, LeaveRequest};

use crate::media::actor::Failure;

/// Bytes of a server's words that are shown.
const SHOWN_BYTES: usize = 200;

/// The server sends the box away.
pub fn of_leave(leave: &LeaveRequest) -> Failure {
    use DisconnectReason as Why;
    let (class, detail) = match leave.reason() {
        Why::DuplicateIdentity => (ErrorClass::DuplicateIdentity, "somebody else joined under the same identity"),
        Why::ServerShutdown => (ErrorClass::ServerShutDown, "the server shuts down"),
        Why::ParticipantRemoved => (ErrorClass::Removed, "the host removed the box from the room"),
        Why::RoomDeleted => (ErrorClass::RoomDeleted, "the room was deleted"),
        Why::RoomClosed => (ErrorClass::RoomDeleted, "the room was closed"),
        Why::StateMismatch => (ErrorClass::NetworkLost, "the server does not know this session any more"),
        Why::JoinFailure => (ErrorClass::NetworkLost, "the server could not set up the connection"),
        Why::Migration => (ErrorClass::NetworkLost, "the server moves the room elsewhere"),
        Why::ConnectionTimeout => (ErrorClass::NetworkLost, "the server gave the session up"),
        Why::MediaFailure => (ErrorClass::NetworkLost, "the server gets no media"),
        Why::UnknownReason
        | Why::ClientInitiated
        | Why::SignalClose
        | Why::UserUnavailable
        | Why::UserRejected
        | Why::SipTrunkFailure
        | Why::AgentError => (ErrorClass::NetworkLost, "the server asks for a new connection"),
    };
    Failure::new(class, detail)
}

/// The server refuses the WebSocket. `body`: its words.
pub fn of_status(status: u16, body: &[u8], token: &Secret) -> Failure {
    let words = words(body, token);
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    match status {
        401 | 403 if is_over(token) => Failure::new(ErrorClass::TokenExpired, "the token has ended"),
        401 | 403 => Failure::new(ErrorClass::Unauthorised, format!("the server refuses the token{said}")),
        404 => Failure::new(ErrorClass::Unauthorised, format!("the server has no such room or service{said}")),
        _ => Failure::new(ErrorClass::NetworkLost, format!("the server answers {status}{said}")),
    }
}

/// One line of what a server said, without anything secret.
fn words(body: &[u8], token: &Secret) -> String {
    let text = String::from_utf8_lossy(body.get(..SHOWN_BYTES).unwrap_or(body)).into_owned();
    let text: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let known = |part: &str| part.len() >= 8 && text.contains(part);
    if token.reveal().split('.').any(known) { String::new() } else { text.trim().to_owned() }
}

fn is_over(token: &Secret) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_secs());
    expiry(token).is_some_and(|at| at <= now)
}

/// When a token says that it ends, in seconds since 1970. Nothing is verified: that is the server's business.
fn expiry(token: &Secret) -> Option<u64> {
    let claims = token.reveal().trim().split('.').nth(1)?;
    serde_json::from_slice::<serde_json::Value>(&base64(claims)?).ok()?.get("exp")?.as_u64()
}

/// URL-safe base64 without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0_u32, Vec::with_capacity(text.len()));
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

pub fn of_connect(host: &str, port: u16, error: &std::io::Error) -> Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of errors grow; the rest is the network's")]
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            Failure::new(ErrorClass::ConnectionRefused, format!("nobody listens on {host} port {port}"))
        }
        ErrorKind::TimedOut => Failure::new(ErrorClass::Timeout, format!("{host} port {port} does not answer")),
        _ => Failure::new(ErrorClass::NetworkLost, format!("{host} port {port}: {error}")),
    }
}

/// There is nothing to be let in with.
pub fn of_credentials(error: CredentialError) -> Failure {
    let class = match error {
        CredentialError::Unavailable(_) => ErrorClass::TokenService,
        CredentialError::Refused(_) => ErrorClass::Unauthorised,
        CredentialError::Expired(_) => ErrorClass::TokenExpired,
    };
    Failure::new(class, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_whether_the_token_is_wrong_or_has_ended() {
        let token = |exp: u64| {
            let claims = format!("{{\"exp\":{exp}}}");
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let mut text = String::new();
            for three in claims.as_bytes().chunks(3) {
                let bits =
                    three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
                (0..=three.len()).for_each(|at| text.push(char::from(letters[(bits >> (18 - 6 * at) & 63) as usize])));
            }
            Secret::new(format!("aaaa.{text}.bbbb"))
        };
        assert_eq!(expiry(&token(1_234_567)), Some(1_234_567));
        assert_eq!(of_status(401, b"", &token(1_234_567)).class, ErrorClass::TokenExpired);
        assert_eq!(of_status(401, b"no", &token(u64::MAX)).class, ErrorClass::Unauthorised);
        assert_eq!(of_status(503, b"", &token(1)).class, ErrorClass::NetworkLost);
        for nonsense in ["", ".", "..", "a.b.c", "a.\u{e4}.c", "....."] {
            assert_eq!(expiry(&Secret::new(nonsense)), None, "{nonsense}");
        }
    }

    #[test]
    fn what_a_server_says_is_shown_without_the_token() {
        let token = Secret::new("header01.payload1.signature");
        assert!(of_status(403, b"you sent payload1, which is bad", &token).detail.ends_with("refuses the token"));
        assert!(of_status(403, b"room is\nfull", &token).detail.ends_with("room is full"));
        assert!(of_status(500, &[b'x'; 100_000], &token).detail.len() < 300);
    }
}
