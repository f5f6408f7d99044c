//! What part and session tell each other.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cuebox_core::config::{LegConfig, LivekitTarget};
use cuebox_core::director::{Medium, OnAir};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::media::actor::{Failure, Mailbox};
use crate::media::publish::webrtc::{News, Peer};
use crate::media::{Context, Reporter};

/// What a session is told.
pub enum Order {
    News(News),
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

/// What the session tells its part.
#[derive(Default)]
pub struct Shared {
    /// The first thing that went wrong.
    failure: Mutex<Option<Failure>>,
    connected: AtomicBool,
    /// Ids of tracks that the host muted.
    muted: Mutex<BTreeSet<String>>,
}

impl Shared {
    pub fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    pub fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub fn connect(&self) {
        self.connected.store(true, Ordering::Release);
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
