//! What is plugged in without being in the configuration: looks for it once a second and serves each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;

use super::desk::Desk;
use super::{deck, keypad};

/// How often it is looked for.
const LOOKS: Duration = Duration::from_secs(1);

/// Serves whatever is plugged in, for ever. `fresh` is a desk that was nobody's yet.
pub(super) async fn serve(fresh: Desk) {
    let mut served = JoinSet::new();
    // Nodes that were looked at, until they go; desks of panels that went, until they are back.
    let mut known: BTreeSet<PathBuf> = BTreeSet::new();
    let mut left: BTreeMap<String, Desk> = BTreeMap::new();
    let mut looks = tokio::time::interval(LOOKS);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {
                let nodes: BTreeSet<PathBuf> = keypad::nodes().into_iter().chain(deck::nodes()).collect();
                for node in nodes.difference(&known) {
                    let mut desk = |id: &String| left.remove(id).unwrap_or_else(|| fresh.clone());
                    if let Some(pad) = keypad::open(node) {
                        let desk = desk(&pad.id);
                        served.spawn(keypad::serve(pad, desk));
                    } else if let Some(deck) = deck::open(node) {
                        let desk = desk(&deck.id);
                        served.spawn(deck::serve(deck, desk));
                    }
                }
                known = nodes;
            }
            Some(gone) = served.join_next() => match gone {
                Ok((id, desk)) => drop(left.insert(id, desk)),
                // The panic of one is the panic of all: everything is let go of, and found again.
                Err(error) => if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                },
            },
        }
    }
}
