//! How large pictures are, and how many of them there are.

use serde::{Deserialize, Serialize};

/// Width and height in pixels, and frames per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PictureSize {
    pub width: u32,
    pub height: u32,
    pub fps: u32,
}
