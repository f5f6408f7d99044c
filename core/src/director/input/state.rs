//! The states of a slot; the table is in the head of [`super::slot`].

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::director) enum State {
    Empty,
    Settling,
    Opening,
    Live,
    NoSignal {
        had_picture: bool,
        /// The signal is there again, but not yet for long.
        returning: bool,
    },
    Stalled {
        /// Pictures come again, but not yet for long.
        returning: bool,
    },
    Cooling,
}

impl State {
    /// A capture is wished.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Opening | Self::Live | Self::NoSignal { .. } | Self::Stalled { .. })
    }
}
