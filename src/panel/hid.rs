//! What is plugged in without being in the configuration: looks for it once a second and serves each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;

use super::desk::Desk;
use super::keypad;

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
                let nodes: BTreeSet<PathBuf> = keypad::nodes().into_iter().collect();
                for node in nodes.difference(&known) {
                    if let Some(pad) = keypad::open(node) {
                        let desk = left.remove(&pad.id).unwrap_or_else(|| fresh.clone());
                        served.spawn(keypad::serve(pad, desk));
                    }
                }
                known = nodes;
            }
            Some(Ok((id, desk))) = served.join_next() => drop(left.insert(id, desk)),
        }
    }
}
