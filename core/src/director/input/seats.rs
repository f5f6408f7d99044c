//! Which camera belongs to which slot.
//!
//! | slot | its camera |
//! |---|---|
//! | configured with a port | whatever is plugged in there, and nothing else |
//! | without a port | the first camera that nobody claimed, and from then on that port; a camera with a serial number of its own takes its slot along to another port, so that two that are swapped keep their slots |
//!
//! A claim outlives an absence and the process. Those of the process before whose camera does not come back give way
//! [`LAPSES`] after the start, and only to a camera that would have no slot otherwise. A serial number that two cameras
//! share, as the cheapest sticks do, is none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Source};
use crate::device::Camera;
use crate::ids::{Port, SlotId};
use crate::settings::KnownCamera;

/// Slow hubs and cameras are there by then.
pub(super) const LAPSES: Duration = Duration::from_secs(30);

pub(super) type Cameras = BTreeMap<Port, Camera>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seats {
    claims: BTreeMap<SlotId, KnownCamera>,
    /// Slots whose claim is of the process before and whose camera was not seen yet.
    unseen: BTreeSet<SlotId>,
    lapsed: bool,
    /// Ports without a claim at which a camera appeared since the last one was unplugged: where it may have gone.
    fresh: BTreeSet<Port>,
}

/// A camera that is missed at its port and was found at another one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moved<'a> {
    slot: SlotId,
    from: &'a KnownCamera,
    to: &'a Port,
}

impl Seats {
    pub const fn claims(&self) -> &BTreeMap<SlotId, KnownCamera> {
        &self.claims
    }

    pub fn port(&self, slot: SlotId) -> Option<&Port> {
        self.claims.get(&slot).map(|claim| &claim.port)
    }

    pub fn owner(&self, port: &Port) -> Option<SlotId> {
        self.claims.iter().find(|(_, claim)| claim.port == *port).map(|(slot, _)| *slot)
    }

    pub fn forget(&mut self, slot: SlotId) {
        self.claims.remove(&slot);
        self.unseen.remove(&slot);
    }

    /// Takes up what the process before knew. True when there is anything to wait for.
    pub fn restore(&mut self, config: &Config, known: BTreeMap<SlotId, KnownCamera>) -> bool {
        for (slot, camera) in known {
            let fits = match config.slots.get(&slot).map(|own| &own.source) {
                Some(Source::V4l2 { port: Some(wanted), .. }) => camera.port.is_meant_by(wanted),
                Some(Source::V4l2 { port: None, .. }) => true,
                Some(Source::Test { .. } | Source::File { .. } | Source::Network { .. }) | None => false,
            };
            if fits && self.owner(&camera.port).is_none() {
                self.claims.insert(slot, camera);
                self.unseen.insert(slot);
            }
        }
        !self.unseen.is_empty()
    }

    pub fn lapse(&mut self) {
        self.lapsed = true;
    }

    pub fn appeared(&mut self, port: &Port) {
        if self.owner(port).is_none() {
            self.fresh.insert(port.clone());
        }
    }

    pub fn disappeared(&mut self) {
        self.fresh.clear();
    }

    /// Gives every camera its slot: configured ports first, then serial numbers, then the order of slots.
    pub fn assign(&mut self, config: &Config, cameras: &Cameras) {
        self.take_configured(config, cameras);
        self.follow_serials(config, cameras);
        self.fill(config, cameras);
        if self.lapsed {
            self.replace_unseen(config, cameras);
        }
        for (slot, claim) in &mut self.claims {
            if let Some(camera) = cameras.get(&claim.port) {
                self.unseen.remove(slot);
                *claim = known(camera);
            }
        }
    }

    /// Cameras that no slot is for.
    pub fn spare<'a>(&'a self, cameras: &'a Cameras) -> impl Iterator<Item = &'a Camera> {
        cameras.values().filter(move |camera| self.owner(&camera.port).is_none())
    }

    fn take_configured(&mut self, config: &Config, cameras: &Cameras) {
        for (id, own) in &config.slots {
            let Source::V4l2 { port: Some(wanted), .. } = &own.source else { continue };
            if self.port(*id).is_some_and(|claimed| claimed.is_meant_by(wanted)) {
                continue;
            }
            let mut fitting = cameras.values().filter(|camera| camera.port.is_meant_by(wanted));
            let (Some(camera), None) = (fitting.next(), fitting.next()) else { continue };
            self.claims.retain(|_, claim| claim.port != camera.port);
            self.claims.insert(*id, known(camera));
        }
    }

    fn follow_serials(&mut self, config: &Config, cameras: &Cameras) {
        for camera in cameras.values().filter(|camera| camera.serial.is_some()) {
            let alone = cameras.values().filter(|other| other.serial == camera.serial).count() == 1;
            let mut homes = self.claims.iter().filter(|(_, claim)| claim.serial == camera.serial);
            let (Some((home, claim)), None) = (homes.next(), homes.next()) else { continue };
            let (home, from) = (*home, claim.port.clone());
            if !alone || from == camera.port || !is_free(config, home) {
                continue;
            }
            match self.owner(&camera.port) {
                // Whoever sat there is at home where this one came from.
                Some(other) if is_free(config, other) => self.set_port(other, from),
                Some(_) => continue,
                None => {}
            }
            self.set_port(home, camera.port.clone());
        }
    }

    fn set_port(&mut self, slot: SlotId, port: Port) {
        if let Some(claim) = self.claims.get_mut(&slot) {
            claim.port = port;
        }
    }

    fn fill(&mut self, config: &Config, cameras: &Cameras) {
        for id in config.slots.keys().filter(|id| is_free(config, **id)) {
            if self.claims.contains_key(id) {
                continue;
            }
            let Some(camera) = self.spare(cameras).next().map(known) else { return };
            self.claims.insert(*id, camera);
        }
    }

    fn replace_unseen(&mut self, config: &Config, cameras: &Cameras) {
        for id in self.unseen.clone().into_iter().filter(|id| is_free(config, *id)) {
            let missing = self.port(id).is_some_and(|port| !cameras.contains_key(port));
            let Some(camera) = self.spare(cameras).next().map(known).filter(|_| missing) else { continue };
            self.claims.insert(id, camera);
        }
    }

    fn moved<'a>(&'a self, cameras: &'a Cameras) -> Vec<Moved<'a>> {
        let mut found: Vec<Moved<'a>> = Vec::new();
        for (slot, from) in self.claims.iter().filter(|(_, claim)| !cameras.contains_key(&claim.port)) {
            let free = |port: &&Port| !found.iter().any(|moved| moved.to == *port);
            let alike = |port: &&Port| cameras.get(*port).is_some_and(|camera| is_same(camera, from));
            let mut candidates: Vec<&Port> = self.fresh.iter().filter(free).filter(alike).collect();
            candidates
                .sort_by_key(|port| behind(port).map(|(_, place)| place) != behind(&from.port).map(|(_, place)| place));
            if let Some(to) = candidates.first().copied() {
                found.push(Moved { slot: *slot, from, to });
            }
        }
        found
    }

    /// What is to be said of cameras that were found at other ports: kind of alert, what it is about, text.
    pub fn explain(&self, cameras: &Cameras) -> Vec<(&'static str, String, String)> {
        let mut hubs: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        let mut told = Vec::new();
        for Moved { slot, from, to } in self.moved(cameras) {
            match (behind(&from.port), behind(to)) {
                (Some((old, place)), Some((new, same))) if place == same && old != new => {
                    hubs.entry((old, new)).or_default().push(format!("slot {slot} {to}"));
                }
                _ => {
                    let text = format!(
                        "the camera of slot {slot} ({}) was at {} and is now at {to}: plug it back, or write the new port",
                        from.name, from.port
                    );
                    told.push(("camera_moved", slot.to_string(), text));
                }
            }
        }
        for ((old, new), slots) in hubs {
            let text = format!(
                "the hub that was at {old} is now at {new}: plug its cable back, or write the new ports: {}",
                slots.join(", ")
            );
            told.push(("hub_moved", old.to_owned(), text));
        }
        told
    }
}

/// Whether the slot takes cameras in order, not by a configured port.
fn is_free(config: &Config, slot: SlotId) -> bool {
    config.slots.get(&slot).is_some_and(|own| matches!(own.source, Source::V4l2 { port: None, .. }))
}

fn known(camera: &Camera) -> KnownCamera {
    KnownCamera { port: camera.port.clone(), name: camera.name.clone(), serial: camera.serial.clone() }
}

fn is_same(camera: &Camera, known: &KnownCamera) -> bool {
    camera.name == known.name && camera.serial == known.serial
}

/// The hub that a USB port belongs to, and its place on that hub; `None` at the machine's own connectors.
fn behind(port: &Port) -> Option<(&str, &str)> {
    let (place, chain) = port.as_str().rsplit_once('-').filter(|_| port.as_str().starts_with("usb"))?;
    let (_, leaf) = chain.rsplit_once('.')?;
    let hub = place.len() + 1 + chain.len() - leaf.len() - 1;
    Some((&port.as_str()[..hub], leaf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_behind_a_hub_names_the_hub_and_the_place() {
        let cases = [
            ("usb-0000:01:00.0-1.2", Some(("usb-0000:01:00.0-1", "2"))),
            ("usb-0000:01:00.0-1.2.4", Some(("usb-0000:01:00.0-1.2", "4"))),
            ("usb-fc800000.usb-1", None),
            ("platform-vivid.0-1", None),
        ];
        for (port, expected) in cases {
            assert_eq!(behind(&Port::new(port)), expected, "{port}");
        }
    }
}
