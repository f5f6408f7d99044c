//! What is plugged in without being in the configuration: looks for it once a second and serves each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;

use super::desk::Desk;
use super::{deck, keypad};

/// How often it is looked for.
const LOOKS: Duration = Duration::from_secs(1);
/// A node is looked at so often before it is left alone: at first it may not be ours to open yet.
const TRIES: u8 = 5;

/// Serves whatever is plugged in, for ever. `fresh` is a desk that was nobody's yet.
pub(super) async fn serve(fresh: Desk) {
    let mut served = JoinSet::new();
    // How often each node was looked at, until it goes; desks of panels that went, until they are back.
    let mut tries: BTreeMap<PathBuf, u8> = BTreeMap::new();
    let mut left: BTreeMap<String, Desk> = BTreeMap::new();
    let mut looks = tokio::time::interval(LOOKS);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {
                let nodes: BTreeSet<PathBuf> = keypad::nodes().into_iter().chain(deck::nodes()).collect();
                tries.retain(|node, _| nodes.contains(node));
                for node in nodes {
                    let tried = tries.entry(node.clone()).or_default();
                    if *tried >= TRIES {
                        continue;
                    }
                    *tried += 1;
                    let mut desk = |id: &String| left.remove(id).unwrap_or_else(|| fresh.clone());
                    if let Some(pad) = keypad::open(&node) {
                        let desk = desk(&pad.id);
                        served.spawn(async move { (node, keypad::serve(pad, desk).await) });
                    } else if let Some(deck) = deck::open(&node) {
                        let desk = desk(&deck.id);
                        served.spawn(async move { (node, deck::serve(deck, desk).await) });
                    } else {
                        continue;
                    }
                    *tried = TRIES;
                }
            }
            Some(gone) = served.join_next() => match gone {
                Ok((node, (id, desk))) => {
                    left.insert(id, desk);
                    // It may be plugged in again already, under the same name.
                    tries.remove(&node);
                }
                // The panic of one is the panic of all: everything is let go of, and found again.
                Err(error) => if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                },
            },
        }
    }
}
