//! The platform's side of a leg: tokens, addresses and stream keys, fixed, signed here, or fetched from a service.
//!
//! Owns the connections to token services and the memory of what they gave. That memory is never written to a disk: a
//! token is a key to somebody's show, and a box that starts anew asks anew. Which token is given when is
//! [`cuebox_core::credentials`]'s to decide; no secret is in an error, a log line or `Debug`.
//!
//! A leg's thread that asks waits at most 15 s; the connection itself runs on the runtime. What has been fetched is
//! renewed in the background, so that a service which is down when a leg comes back does not matter for hours.
//!
//! Lock order: one lock, over all legs' memory; nobody waits for a network while holding it.

mod http;
mod renewal;

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cuebox_core::config::{LegConfig, Secret};
use cuebox_core::credentials::choice::{Choice, addressed, choose};
use cuebox_core::credentials::exchange::Asking;
use cuebox_core::credentials::keep::{Granted, Keep};
use cuebox_core::credentials::{CredentialError, CredentialSource, Credentials};
use cuebox_core::ids::LegId;
use cuebox_core::time::{Trust, Wall};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// What a leg waits for, with the time that a busy machine takes to start a call.
const PATIENCE: Duration = Duration::from_secs(15);

/// Gets credentials for legs.
pub struct Platform {
    memory: Arc<Memory>,
    runtime: Handle,
    renewal: JoinHandle<()>,
}

/// What every leg was given, by its name.
struct Memory {
    legs: Mutex<BTreeMap<LegId, Entry>>,
    name: String,
    clock: fn() -> Wall,
}

struct Entry {
    leg: LegConfig,
    keep: Keep,
    /// When a leg last showed that it is there.
    asked: Instant,
}

impl Platform {
    /// Connections and renewals run on `runtime`; `name` is what people call the box; `clock` is the wall clock with how
    /// far it can be believed.
    pub fn start(runtime: Handle, name: &str, clock: fn() -> Wall) -> Self {
        let memory = Arc::new(Memory { legs: Mutex::default(), name: name.to_owned(), clock });
        let renewal = runtime.spawn(renewal::run(memory.clone()));
        Self { memory, runtime, renewal }
    }

    /// Asks the service on the runtime, while this thread waits.
    fn ask(&self, leg: &LegConfig, asking: &Asking<'_>) -> Result<Granted, CredentialError> {
        let (answer, answered) = sync_channel(1);
        let (memory, leg) = (self.memory.clone(), leg.clone());
        let call = self.runtime.spawn(async move {
            let _ = answer.send(fetch(&leg, &memory.name, memory.now()).await);
        });
        match answered.recv_timeout(PATIENCE) {
            Ok(granted) => granted,
            Err(RecvTimeoutError::Timeout) => {
                call.abort();
                Err(asking.unavailable("it does not answer"))
            }
            Err(RecvTimeoutError::Disconnected) => Err(asking.unavailable("the box is stopping")),
        }
    }
}

impl CredentialSource for Platform {
    fn credentials(&self, leg: &LegConfig) -> Result<Credentials, CredentialError> {
        let now = self.memory.now();
        let asking = match self.memory.with(leg, |entry| choose(leg, &self.memory.name, &entry.keep, now))? {
            Choice::Give(credentials) => return Ok(credentials),
            Choice::Ask(asking) => asking,
        };
        match self.ask(leg, &asking) {
            Ok(granted) => {
                tell(leg, &granted);
                let now = self.memory.now();
                addressed(leg, self.memory.with(leg, |entry| entry.keep.store(granted, now)))
            }
            Err(error) => {
                let last = self.memory.with(leg, |entry| entry.keep.last_resort(now));
                let Some(last) = last else { return Err(error) };
                tracing::warn!(leg = leg.name.as_str(), "{error}; the last token still holds");
                addressed(leg, last)
            }
        }
    }

    fn rejected(&self, leg: &LegConfig) {
        let useless = self.memory.with(leg, |entry| entry.keep.reject());
        let Some(withdrawal) = useless.and_then(|ingress| Asking::of(leg, &self.memory.name)?.withdrawal(&ingress))
        else {
            return;
        };
        let (name, ca_file) = (leg.name.clone(), leg.ca_file.clone());
        self.runtime.spawn(async move {
            if let Err(error) = http::call(&withdrawal, ca_file.as_deref()).await {
                tracing::info!(leg = name.as_str(), "the ingress that failed is left at the platform: {error}");
            }
        });
    }

    fn refreshed(&self, leg: &LegConfig, token: Secret) {
        self.memory.with(leg, |entry| entry.keep.refresh(token));
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Memory {
    /// Seconds since 1970, when the clock can be believed.
    fn now(&self) -> Option<u64> {
        let wall = (self.clock)();
        match wall.trust {
            Trust::Unset => None,
            Trust::Rtc | Trust::Ntp => u64::try_from(wall.unix_ns / 1_000_000_000).ok(),
        }
    }

    /// The leg's memory; an empty one when the leg is new or another than before.
    fn with<T>(&self, leg: &LegConfig, visit: impl FnOnce(&mut Entry) -> T) -> T {
        let mut legs = self.lock();
        let fresh = || Entry { leg: leg.clone(), keep: Keep::default(), asked: Instant::now() };
        let entry = legs.entry(leg.name.clone()).or_insert_with(fresh);
        if entry.leg != *leg {
            *entry = fresh();
        }
        entry.asked = Instant::now();
        visit(entry)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LegId, Entry>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch(leg: &LegConfig, name: &str, now: Option<u64>) -> Result<Granted, CredentialError> {
    let Some(asking) = Asking::of(leg, name) else {
        return Err(CredentialError::Refused("the leg has no token service".to_owned()));
    };
    let request = asking.request()?;
    match http::call(&request, leg.ca_file.as_deref()).await {
        Ok(answer) => asking.read(answer.status, &answer.body, now),
        Err(error) if error.is_ours() => Err(asking.refused(&error.to_string())),
        Err(error) => Err(asking.unavailable(&error.to_string())),
    }
}

fn tell(leg: &LegConfig, granted: &Granted) {
    let room = granted.room.as_deref().unwrap_or("not named");
    tracing::info!(leg = leg.name.as_str(), room, "the token service let the leg in");
}
