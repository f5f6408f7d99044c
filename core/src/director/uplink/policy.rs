//! How long each kind of leg is waited for, and how each kind of failure is answered.
//!
//! | failure | shown | tried again after |
//! |---|---|---|
//! | network lost, server down or shutting down, no answer, media blocked, unknown host | trying | any time up to 1 s, doubled to 10 s (full jitter: a room full of boxes does not come back at once) |
//! | a fault of ours, a stream that the server does not take | trying | 1 s, doubled to 30 s |
//! | wrong key, rejected or expired token, certificate not accepted | refused | 60 s |
//! | the token service | refused | 5 s, doubled to 60 s |
//! | another participant under our name: the newer one wins, and it is not us | refused | 30 s, doubled to 5 min |
//! | the host ended the room: joining would open it again | refused | 1 min, doubled to 10 min |
//! | the host removed us: we do not fight back | refused | 5 min, doubled to 30 min |
//!
//! `leg enable` tries at once, whatever the wait. Nothing is ever given up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{LegTarget, SrtMode, SrtTarget};

use super::super::backoff::{Backoff, Dice, Pace};
use super::super::event::ErrorClass;

/// What a leg is given.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From starting it to its first bytes.
    pub opens: Duration,
    /// Strike one: so long without a byte that the other side acknowledged.
    pub distressed: Duration,
    /// Strike two: so much more, and it is built again.
    pub rebuilt: Duration,
}

/// Name look-up, TCP, TLS and the handshake, each within seconds.
const OPENS: Duration = Duration::from_secs(15);
/// A service is given 15 s before that.
const OPENS_BY_SERVICE: Duration = Duration::from_secs(32);
/// A listener waits for whoever calls; now and then it is set up anew all the same.
const LISTENS: Duration = Duration::from_secs(10 * 60);

pub fn limits(target: &LegTarget) -> Limits {
    let opens = match target {
        LegTarget::Srt(SrtTarget { mode: SrtMode::Listener, .. }) => LISTENS,
        _ if target.service().is_some() => OPENS_BY_SERVICE,
        LegTarget::Rtmp(_) | LegTarget::Livekit(_) | LegTarget::Srt(_) | LegTarget::Whip(_) => OPENS,
    };
    let (distressed, rebuilt) = match target {
        // Receivers of RTP tell each 50 to 100 ms what arrived: with the 50 ms of sampling, seen within 2 s.
        LegTarget::Livekit(_) | LegTarget::Whip(_) => (Duration::from_millis(1_800), Duration::from_millis(3_200)),
        // Acknowledged bytes come with each round trip; a kernel that is busy may take a second. Seen within 5 s.
        LegTarget::Rtmp(_) | LegTarget::Srt(_) => (Duration::from_secs(4), Duration::from_secs(4)),
    };
    Limits { opens, distressed, rebuilt }
}

/// Failures that are answered alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Network,
    Fault,
    Door,
    Service,
    Namesake,
    RoomEnded,
    Removed,
}

impl Kind {
    pub const fn of(class: ErrorClass) -> Self {
        match class {
            ErrorClass::NetworkLost
            | ErrorClass::ServerShutDown
            | ErrorClass::ConnectionRefused
            | ErrorClass::UnknownHost
            | ErrorClass::NoMedia
            | ErrorClass::Timeout => Self::Network,
            ErrorClass::Unauthorised | ErrorClass::Tls | ErrorClass::TokenExpired => Self::Door,
            ErrorClass::TokenService => Self::Service,
            ErrorClass::DuplicateIdentity => Self::Namesake,
            ErrorClass::RoomDeleted => Self::RoomEnded,
            ErrorClass::Removed => Self::Removed,
            ErrorClass::Device
            | ErrorClass::Busy
            | ErrorClass::Bandwidth
            | ErrorClass::DiskFull
            | ErrorClass::Disk
            | ErrorClass::Format
            | ErrorClass::Internal => Self::Fault,
        }
    }

    /// Trying fast does not help: somebody has to do something.
    pub const fn is_refusal(self) -> bool {
        !matches!(self, Self::Network | Self::Fault)
    }

    /// How long to wait before the next try.
    pub fn wait(self, backoff: &mut Backoff, dice: &mut Dice) -> Duration {
        match self {
            Self::Network => backoff.next_anywhere(Pace::ms(1_000, 10_000), dice),
            Self::Fault => backoff.next(Pace::ms(1_000, 30_000), dice),
            Self::Door => backoff.next(Pace::ms(60_000, 60_000), dice),
            Self::Service => backoff.next(Pace::ms(5_000, 60_000), dice),
            Self::Namesake => backoff.next(Pace::ms(30_000, 300_000), dice),
            Self::RoomEnded => backoff.next(Pace::ms(60_000, 600_000), dice),
            Self::Removed => backoff.next(Pace::ms(300_000, 1_800_000), dice),
        }
    }
}
