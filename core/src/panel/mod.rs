//! What the keys of panels mean, and when a panel counts as there. Pure: the shell brings presses and time.
//!
//! | module | decides |
//! |---|---|
//! | [`action`] | what a key can be made to do, and the words for it |
//! | [`layout`] | which key does what: the maps for panels of each size, and the configuration's changes |
//! | [`keys`] | ups and downs → short presses, long presses, chords |
//! | [`meaning`] | an action at this moment → a command |
//! | [`link`] | the conversation with a serial panel: hello, pings, silence, floods |

pub mod action;
pub mod keys;
pub mod layout;
pub mod link;
pub mod meaning;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use action::{Action, Switch, Trigger};

/// `[panel]`, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PanelConfig {
    pub serial: Vec<SerialPlace>,
    pub gpio: Option<GpioConfig>,
    /// Stream Decks and USB keypads are taken as they are plugged in.
    pub hid: bool,
    pub mode: Mode,
    /// Preview lamps stay dark.
    pub hide_preview: bool,
    pub long_press: Duration,
    /// Changes to the default maps, in the order of the file.
    pub keys: Vec<(Trigger, Action)>,
    /// What is different for single panels.
    #[serde(default)]
    pub maps: Vec<PanelMap>,
    pub tsl: Vec<TslConfig>,
}

impl Default for PanelConfig {
    fn default() -> Self {
        Self {
            serial: Vec::new(),
            gpio: None,
            hid: true,
            mode: Mode::Direct,
            hide_preview: false,
            long_press: Duration::from_millis(600),
            keys: Vec::new(),
            maps: Vec::new(),
            tsl: Vec::new(),
        }
    }
}

impl PanelConfig {
    /// As it is for the panel of this id (where it is) and name.
    pub fn of(&self, id: &str, name: &str) -> Self {
        let mut own = Self { maps: Vec::new(), ..self.clone() };
        for map in self.maps.iter().filter(|map| map.panel == id || map.panel == name) {
            own.mode = map.mode.unwrap_or(own.mode);
            own.keys.extend(map.keys.iter().cloned());
        }
        own
    }
}

/// What is different for one panel, or for all of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PanelMap {
    /// Its name, or where it is, as the status has them.
    pub panel: String,
    pub mode: Option<Mode>,
    /// After those for every panel.
    pub keys: Vec<(Trigger, Action)>,
}

/// What the key of a slot does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The slot is on air.
    #[default]
    Direct,
    /// The slot is in preview; TAKE puts it on air.
    Preview,
}

/// Where a serial panel is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SerialPlace {
    Path(String),
    /// A USB serial adapter or microcontroller by its identity, wherever it is plugged in.
    Usb {
        vendor: u16,
        product: u16,
        /// `None`: the first of its kind.
        serial: Option<String>,
    },
}

impl std::fmt::Display for SerialPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Usb { vendor, product, serial: None } => write!(f, "usb:{vendor:04x}:{product:04x}"),
            Self::Usb { vendor, product, serial: Some(serial) } => write!(f, "usb:{vendor:04x}:{product:04x}:{serial}"),
        }
    }
}

/// Keys and lamps on the box's own pins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpioConfig {
    /// A path, or a chip's name.
    pub chip: String,
    /// Line numbers, key 1 first.
    pub keys: Vec<u32>,
    /// Lines of the red lamps, key 1's first; one LED shows *on air* and *armed*.
    pub red: Vec<u32>,
    /// Lines of the green lamps, for preview.
    pub green: Vec<u32>,
    /// A key closes to ground.
    pub active_low: bool,
    pub pull: Pull,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pull {
    #[default]
    Up,
    Down,
    None,
}

/// A destination of tally over the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TslConfig {
    /// Host and port.
    pub address: String,
    pub version: TslVersion,
    /// Slot 1's address; the others follow.
    pub first: u16,
    /// Version 5 only.
    pub screen: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TslVersion {
    /// 3.1 over UDP.
    V31,
    V50Udp,
    V50Tcp,
}

#[cfg(test)]
mod tests {
    use super::layout::Layout;
    use super::*;

    #[test]
    fn one_panel_may_have_keys_of_its_own() {
        let read =
            |trigger: &str, words: &str| (Trigger::from_words(trigger).unwrap(), Action::from_words(words).unwrap());
        let stage = PanelMap { panel: "stage".to_owned(), mode: Some(Mode::Preview), keys: vec![read("6", "lock")] };
        let desk = PanelMap { panel: "usb-1/input0".to_owned(), mode: None, keys: vec![read("1", "none")] };
        let keys = vec![read("1", "slot 2")];
        let config = PanelConfig { keys, maps: vec![stage, desk], ..PanelConfig::default() };
        let pressed = |id: &str, name: &str, key: u8| {
            let own = config.of(id, name);
            (own.mode, Layout::new(6, &own).action(&Trigger::Press(key)).cloned())
        };
        let action = |words: &str| Some(Action::from_words(words).unwrap());
        assert_eq!(pressed("/dev/ttyACM0", "stage", 6), (Mode::Preview, action("lock")));
        assert_eq!(pressed("/dev/ttyACM0", "stage", 1), (Mode::Preview, action("slot 2")));
        assert_eq!(pressed("usb-1/input0", "deck", 1), (Mode::Direct, None));
        assert_eq!(pressed("usb-2/input0", "deck", 6), (Mode::Direct, action("slate")));
    }
}
