//! Asks one video node what it is. Tells in plain words why it could not be asked.

use std::path::Path;

use cuebox_core::device::ModeGroup;
use rustix::io::Errno;

use super::modes;
use super::sysfs::printable;
use super::v4l2::Node;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    Camera {
        name: String,
        modes: Vec<ModeGroup>,
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
        Some(layout) => Probed::Camera { name: printable(&capability.card), modes: modes::read(&node, layout) },
    })
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
