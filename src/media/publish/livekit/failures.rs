//! What a server's refusal means. Told apart by codes, never by English text.

use cuebox_core::config::Secret;
use cuebox_core::credentials::{CredentialError, jwt};
use cuebox_core::director::ErrorClass;
use livekit_protocol::{DisconnectReason, LeaveRequest};

use crate::media::part::Failure;
use crate::media::publish::words;

/// Bytes of a server's words that are read.
const READ_BYTES: usize = 1_000;

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
    let words = String::from_utf8_lossy(body.get(..READ_BYTES).unwrap_or(body));
    let words = words::of_server(&words, token.reveal());
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    match status {
        401 | 403 if is_over(token) => Failure::new(ErrorClass::TokenExpired, "the token has ended"),
        401 | 403 => Failure::new(ErrorClass::Unauthorised, words),
        404 => Failure::new(ErrorClass::Unauthorised, format!("it has no such room or service{said}")),
        _ => Failure::new(ErrorClass::NetworkLost, format!("the server answers {status}{said}")),
    }
}

fn is_over(token: &Secret) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_secs());
    jwt::expiry(token).is_some_and(|at| at <= now)
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
        let token = |now| {
            let pass = jwt::Pass { room: "room", identity: "box", name: "Box" };
            jwt::mint("key", &Secret::new("a secret of some length"), &pass, now).unwrap().0
        };
        assert_eq!(of_status(401, b"", &token(Some(0))).class, ErrorClass::TokenExpired);
        assert_eq!(of_status(401, b"no", &token(None)).class, ErrorClass::Unauthorised);
        assert_eq!(of_status(401, b"", &Secret::new("nonsense")).class, ErrorClass::Unauthorised);
        assert_eq!(of_status(503, b"", &token(Some(0))).class, ErrorClass::NetworkLost);
    }

    #[test]
    fn what_a_server_says_is_shown_without_the_token() {
        let token = Secret::new("header01.payload1.signature");
        assert_eq!(of_status(403, b"you sent payload1, which is bad", &token).detail, "");
        assert_eq!(of_status(403, b"room is\nfull", &token).detail, "room is full");
        assert!(of_status(500, &[b'x'; 100_000], &token).detail.len() < 300);
    }
}
