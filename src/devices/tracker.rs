//! Turns successive looks at the machine into "plugged" and "unplugged".
//!
//! Level-triggered: each look brings everything that is there, and the difference to what was told before is what
//! happened. It does not matter what made somebody look, how often, or what was missed in between. Knows no clock and
//! no device: time, listings and the probe come in.
//!
//! | state of a node | left when |
//! |---|---|
//! | Asked at `due` | the probe answers: Camera or Other · it fails: asked again, later each time, at most every [`SLOWEST`] |
//! | Camera | another instance of the node appears, or it disappears; an HDMI input's signal and modes change within it |
//! | Other | the same |
//!
//! Invariants: a port is told as unplugged before it is told as plugged again; a port keeps its name for as long as its
//! node lives, whatever its neighbours do; nothing is told twice without a change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cuebox_core::device::{Camera, Control, ModeGroup, Signal};
use cuebox_core::director::Event;
use cuebox_core::ids::Port;

use super::probe::{Heard, Probed};
use super::sysfs::{SoundNode, VideoNode};

/// A new node is asked this long after it appeared: its permissions are set by then, and its sound card is there.
pub const SETTLE: Duration = Duration::from_millis(150);
/// First pause after a failure; doubles up to [`SLOWEST`].
const FASTEST: Duration = Duration::from_millis(100);
pub const SLOWEST: Duration = Duration::from_secs(5);
/// A failure is worth a warning when it has lasted this many tries (about three seconds).
const WARN_AFTER: u32 = 5;

#[derive(Debug)]
enum State {
    Asked { due: Instant, failures: u32, why: Option<String> },
    Camera { name: String, modes: Vec<ModeGroup>, signal: Signal, controls: Vec<Control> },
    Other,
}

#[derive(Debug)]
struct Tracked {
    node: VideoNode,
    state: State,
}

#[derive(Debug, Default)]
pub struct Tracker {
    /// By instance.
    nodes: BTreeMap<u64, Tracked>,
    told: BTreeMap<Port, (u64, Camera)>,
}

/// A camera that is there but cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub port: Port,
    pub node: String,
    pub why: String,
}

impl Tracker {
    /// Takes one look. `settle`: how long a new node is left alone before it is asked.
    pub fn look(
        &mut self,
        now: Instant,
        settle: Duration,
        nodes: Vec<VideoNode>,
        sound: &[SoundNode],
        probe: &mut dyn FnMut(&str) -> Result<Probed, String>,
    ) -> Vec<Event> {
        let present: BTreeSet<u64> = nodes.iter().map(|node| node.instance).collect();
        self.nodes.retain(|instance, _| present.contains(instance));
        for node in nodes {
            let state = State::Asked { due: now + settle, failures: 0, why: None };
            self.nodes.entry(node.instance).or_insert(Tracked { node, state });
        }
        for tracked in self.nodes.values_mut() {
            tracked.ask(now, probe);
        }
        self.difference(sound)
    }

    /// Asks every HDMI input for its signal; what changed is told by the next look. Without a signal it keeps the modes of
    /// the last one.
    pub fn hear(&mut self, ask: &mut dyn FnMut(&str) -> Option<Heard>) {
        for tracked in self.nodes.values_mut() {
            let State::Camera { modes, signal, .. } = &mut tracked.state else { continue };
            if *signal == Signal::Untold {
                continue;
            }
            let Some(heard) = ask(&tracked.node.node).filter(|heard| heard.signal != Signal::Untold) else { continue };
            *signal = heard.signal;
            if !heard.modes.is_empty() {
                *modes = heard.modes;
            }
        }
    }

    /// The HDMI inputs: instance and node.
    pub fn inputs(&self) -> BTreeMap<u64, String> {
        let is_input =
            |tracked: &Tracked| matches!(tracked.state, State::Camera { signal, .. } if signal != Signal::Untold);
        let inputs = self.nodes.iter().filter(|(_, tracked)| is_input(tracked));
        inputs.map(|(instance, tracked)| (*instance, tracked.node.node.clone())).collect()
    }

    /// When a node is due to be asked; `None` when every one has answered.
    pub fn next_due(&self) -> Option<Instant> {
        self.nodes.values().filter_map(|tracked| tracked.due()).min()
    }

    /// Nodes that were asked and did not answer, with the reason.
    pub fn failures(&self) -> Vec<Failure> {
        let failed = |tracked: &Tracked| match &tracked.state {
            State::Asked { why: Some(why), .. } => {
                let VideoNode { port, node, .. } = &tracked.node;
                Some(Failure { port: port.clone(), node: node.clone(), why: why.clone() })
            }
            State::Asked { why: None, .. } | State::Camera { .. } | State::Other => None,
        };
        self.nodes.values().filter_map(failed).collect()
    }

    fn difference(&mut self, sound: &[SoundNode]) -> Vec<Event> {
        let cameras: BTreeMap<Port, (u64, Camera)> = self
            .nodes
            .iter()
            .filter_map(|(instance, tracked)| Some((*instance, tracked.camera(sound)?)))
            .map(|(instance, camera)| (camera.port.clone(), (instance, camera)))
            .collect();
        let gone =
            |(port, (instance, _)): &(&Port, &(u64, Camera))| cameras.get(*port).is_none_or(|new| new.0 != *instance);
        let mut events: Vec<Event> =
            self.told.iter().filter(gone).map(|(port, _)| Event::CameraUnplugged { port: port.clone() }).collect();
        let changed = cameras.iter().filter(|(port, new)| self.told.get(*port) != Some(*new));
        events.extend(changed.map(|(_, (_, camera))| Event::CameraPlugged(camera.clone())));
        self.told = cameras;
        events
    }
}

impl Tracked {
    fn ask(&mut self, now: Instant, probe: &mut dyn FnMut(&str) -> Result<Probed, String>) {
        let State::Asked { due, failures, .. } = self.state else { return };
        if now < due {
            return;
        }
        self.state = match probe(&self.node.node) {
            Ok(Probed::Camera { name, modes, signal, controls }) => State::Camera { name, modes, signal, controls },
            Ok(Probed::Other) => State::Other,
            Err(why) => {
                if failures + 1 == WARN_AFTER {
                    tracing::warn!(port = %self.node.port, "a camera cannot be used: {why}");
                }
                let pause = FASTEST.saturating_mul(2_u32.saturating_pow(failures)).min(SLOWEST);
                State::Asked { due: now + pause, failures: failures + 1, why: Some(why) }
            }
        };
    }

    fn due(&self) -> Option<Instant> {
        match self.state {
            State::Asked { due, .. } => Some(due),
            State::Camera { .. } | State::Other => None,
        }
    }

    fn camera(&self, sound: &[SoundNode]) -> Option<Camera> {
        let State::Camera { name, modes, signal, controls } = &self.state else { return None };
        let VideoNode { node, port, product, serial, sound_device, .. } = &self.node;
        let card = sound.iter().find(|card| sound_device.is_some() && card.usb_device == *sound_device);
        Some(Camera {
            port: port.clone(),
            name: product.clone().unwrap_or_else(|| name.clone()),
            serial: serial.clone(),
            node: node.clone(),
            modes: modes.clone(),
            card: card.map(|card| card.device.clone()),
            signal: *signal,
            controls: controls.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
