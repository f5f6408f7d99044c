//! Fetches another token before the one that a leg holds ends, while nobody waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cuebox_core::config::LegConfig;

use super::{Memory, fetch, tell};

/// Longest time between two looks: the wall clock may be set at any moment.
const LOOK: Duration = Duration::from_secs(5);
/// A leg that nobody has heard of for so long is gone. A session holds for hours without asking.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// Never ends by itself.
pub async fn run(memory: Arc<Memory>) {
    loop {
        tokio::time::sleep(wait(&memory)).await;
        let Some(now) = memory.now() else { continue };
        for leg in due(&memory, now) {
            let fetched = fetch(&leg, &memory.name, Some(now)).await;
            let mut legs = memory.lock();
            let Some(entry) = legs.get_mut(&leg.name).filter(|entry| entry.leg == leg) else { continue };
            match fetched {
                Ok(granted) => {
                    tell(&leg, &granted);
                    entry.keep.store(granted, memory.now());
                }
                Err(error) => {
                    tracing::warn!(leg = leg.name.as_str(), "the token is not renewed yet: {error}");
                    entry.keep.renewal_failed(now);
                }
            }
        }
    }
}

fn wait(memory: &Memory) -> Duration {
    let Some(now) = memory.now() else { return LOOK };
    let next = memory.lock().values().filter_map(|entry| entry.keep.renewal()).min();
    let seconds = next.map_or(LOOK.as_secs(), |next| next.saturating_sub(now).max(1));
    Duration::from_secs(seconds).min(LOOK)
}

fn due(memory: &Memory, now: u64) -> Vec<LegConfig> {
    let mut legs = memory.lock();
    let before = Instant::now().checked_sub(FORGOTTEN);
    legs.retain(|_, entry| before.is_none_or(|before| entry.asked > before));
    let due = legs.values().filter(|entry| entry.keep.renewal().is_some_and(|at| at <= now));
    due.map(|entry| entry.leg.clone()).collect()
}
