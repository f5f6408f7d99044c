//! Panels that are plugged in, for whoever writes a configuration. Nothing is taken: a box that runs keeps its own.

use std::path::Path;

use cuebox_core::status::PanelKind;
use serde::Serialize;

use super::{deck, keypad, usb};

/// One that a box could use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    pub kind: PanelKind,
    pub name: String,
    /// Where it is, as the status has it.
    pub device: String,
    /// What the configuration says for it to be used, below `[panel]`.
    pub config: String,
    /// Why it cannot be used.
    pub why: Option<String>,
}

/// Looks once.
pub fn found() -> Vec<Found> {
    let mut found = Vec::new();
    for node in deck::nodes() {
        found.extend(deck::known(&node).map(|(name, device, why)| {
            let config = "hid = true".to_owned();
            Found { kind: PanelKind::StreamDeck, name: name.to_owned(), device, config, why }
        }));
    }
    for node in keypad::nodes() {
        found.extend(keypad::known(&node).map(|(name, device)| Found {
            kind: PanelKind::Keypad,
            name,
            device,
            config: "hid = true".to_owned(),
            why: None,
        }));
    }
    found.extend(usb::serial_ports(Path::new("/sys")).into_iter().map(|port| {
        let (name, device) = (port.name, port.place.to_string());
        let config = format!("serial = \"{device}\"");
        Found { kind: PanelKind::Serial, name, device, config, why: None }
    }));
    found.extend(gpiocdev::chip::chips().unwrap_or_default().into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let config = format!("gpio = {{ chip = \"{name}\", … }}");
        let why = std::fs::File::open(&path).err().map(|error| error.to_string());
        Found { kind: PanelKind::Gpio, device: format!("gpio:{name}"), name, config, why }
    }));
    found
}
