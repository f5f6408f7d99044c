//! Asks one video node what it is. Tells in plain words why it could not be asked.

use std::path::Path;

use cuebox_core::device::{Control, ModeGroup, Signal};
use cuebox_core::edid::EDID_BYTES;
use rustix::io::Errno;

use super::hdmi::{self, Listener, Offered};
use super::sysfs::printable;
use super::v4l2::Node;
use super::{controls, modes};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    Camera {
        name: String,
        modes: Vec<ModeGroup>,
        signal: Signal,
        controls: Vec<Control>,
    },
    /// Metadata, a codec, an output: nothing that anyone would plug in.
    Other,
}

/// Opens the node, asks, closes it. May be used while the camera streams for somebody else. `Err` holds the reason.
pub fn probe(path: &str) -> Result<Probed, String> {
    let explain = |errno| why(path, errno);
    let node = Node::open(Path::new(path)).map_err(explain)?;
    let capability = node.capability().map_err(explain)?;
    Ok(match capability.capture {
        None => Probed::Other,
        Some(layout) => Probed::Camera {
            name: printable(&capability.card),
            modes: modes::read(&node, layout),
            signal: hdmi::signal(&node),
            controls: controls::read(&node),
        },
    })
}

/// What an HDMI input tells at present: its signal, and the modes of it when there is one.
pub struct Heard {
    pub signal: Signal,
    pub modes: Vec<ModeGroup>,
}

/// Asks an input of which only its signal may have changed. `None`: it cannot be asked now.
pub fn hear(path: &str) -> Option<Heard> {
    let node = Node::open(Path::new(path)).ok()?;
    let layout = node.capability().ok()?.capture?;
    let signal = hdmi::signal(&node);
    let modes = if signal == Signal::Good { modes::read(&node, layout) } else { Vec::new() };
    Some(Heard { signal, modes })
}

/// Sets the EDID of a node that takes one, which makes the camera at its other end send.
pub fn offer(path: &str, edid: &[u8; EDID_BYTES]) {
    let Ok(node) = Node::open(Path::new(path)) else { return };
    if matches!(node.capability(), Ok(capability) if capability.capture.is_some())
        && hdmi::offer(&node, edid) == Offered::Set
    {
        tracing::info!("{path} asks cameras for the show's mode");
    }
}

/// Listens to changes of a node's signal; `None` where it tells none.
pub fn listen(path: &str) -> Option<Listener> {
    Listener::new(Node::open(Path::new(path)).ok()?)
}

fn why(path: &str, errno: Errno) -> String {
    match errno {
        Errno::ACCESS | Errno::PERM => {
            format!("no permission to open {path}: the user that runs cuebox must be in the group `video`")
        }
        Errno::BUSY => format!("{path} is in use by another program that lets nobody else in"),
        Errno::NOENT => format!("{path} is not there: the kernel shows the device, but no node was made for it"),
        Errno::NODEV | Errno::NXIO => format!("{path} was unplugged, or its driver is not ready"),
        other => format!("{path} cannot be asked what it is: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_cannot_be_asked_says_why() {
        assert!(probe("/dev/video-none").unwrap_err().contains("is not there"));
        assert!(probe("/dev/null").unwrap_err().contains("/dev/null cannot be asked"));
        assert!(why("/dev/video0", Errno::ACCESS).contains("group `video`"));
    }
}
