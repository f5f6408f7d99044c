//! What part and session tell each other.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::config::{LegConfig, LivekitTarget};
use cuebox_core::director::{Medium, OnAir};
use tokio::sync::mpsc::UnboundedReceiver;

use super::answering::Approach;
use crate::media::context::{Context, Reporter};
use crate::media::part::{Failure, Mailbox};
use crate::media::publish::outcome::Outcome;
use crate::media::publish::webrtc::{IceServer, News, Peer, Reply};

/// What a session is told.
pub enum Order {
    News(News),
    /// Of the connection that the server opened.
    Reply(Reply),
    OnAir(Option<OnAir>),
    Unmute,
    /// The pipeline cannot go on.
    Broken(Failure),
    /// These tracks are in the connection now.
    Publish(Vec<Announced>),
    /// Say goodbye; answered when it was said.
    Leave(std::sync::mpsc::Sender<()>),
}

/// A track as the server is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub id: String,
    pub name: String,
    pub medium: Medium,
    pub width: u32,
    pub height: u32,
    pub bitrate_bps: u64,
    /// Of the program, not of a slot.
    pub leads: bool,
}

/// More of them than this at once are not heard.
const MAX_APPROACHES: usize = 256;

/// What the session tells its part.
#[derive(Default)]
pub struct Shared {
    pub outcome: Outcome,
    connected: AtomicBool,
    /// Ids of tracks that the host muted.
    muted: Mutex<BTreeSet<String>>,
    approaches: Mutex<Vec<Approach>>,
    servers: Mutex<Vec<IceServer>>,
}

impl Shared {
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub fn connect(&self) {
        self.connected.store(true, Ordering::Release);
    }

    pub fn approach(&self, approach: Approach) {
        let mut approaches = self.approaches.lock().unwrap_or_else(PoisonError::into_inner);
        if approaches.len() < MAX_APPROACHES {
            approaches.push(approach);
        }
    }

    pub fn approaches(&self) -> Vec<Approach> {
        std::mem::take(&mut *self.approaches.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// That the server's own connection is to use.
    pub fn use_servers(&self, servers: Vec<IceServer>) {
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    pub fn servers(&self) -> Vec<IceServer> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn mute(&self, id: &str, on: bool) {
        let mut muted = self.muted.lock().unwrap_or_else(PoisonError::into_inner);
        if on {
            muted.insert(id.to_owned())
        } else {
            muted.remove(id)
        };
    }

    pub fn muted(&self) -> BTreeSet<String> {
        self.muted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything a session needs from its part.
pub struct Setup {
    pub context: Context,
    pub leg: LegConfig,
    pub target: LivekitTarget,
    pub reporter: Reporter,
    pub mailbox: Mailbox,
    pub shared: Arc<Shared>,
    pub peer: Peer,
    pub orders: UnboundedReceiver<Order>,
}
