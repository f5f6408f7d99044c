//! What stands on a key.

use cuebox_core::command::{Command, wire};
use cuebox_core::panel::layout::Layout;
use cuebox_core::panel::{Action, Switch};
use cuebox_core::status::{SlotState, Status};
use cuebox_panel::light::{Colour, Light, Pattern};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Face {
    /// A slot's number, or what the key does.
    pub title: String,
    /// A slot's name.
    pub name: String,
    /// A slot's state.
    pub state: &'static str,
    /// Behind it all.
    pub colour: Colour,
}

/// The faces of all keys, key 1's first; `lamps` is what tally says of them.
pub(super) fn faces(status: &Status, layout: &Layout, lamps: &[Light], now_ms: u32) -> Vec<Face> {
    let face = |(key, light): (u8, &Light)| {
        let colour = light.at(now_ms);
        let blank = Face { title: String::new(), name: String::new(), state: "", colour };
        let Some(action) = layout.shown(key) else { return blank };
        let slot = action.slot().and_then(|slot| status.slots.iter().find(|own| own.number == slot));
        match slot {
            Some(slot) => Face {
                title: slot.number.to_string(),
                name: slot.name.clone(),
                state: state(slot.state, *light),
                colour,
            },
            None => Face { title: title(action), ..blank },
        }
    };
    (1..).zip(lamps).map(face).collect()
}

const fn state(state: SlotState, light: Light) -> &'static str {
    match (light.colour, light.pattern, state) {
        (Colour::Red, Pattern::Steady, _) => "ON AIR",
        (Colour::Red, Pattern::Fast, _) => "ARMED",
        (Colour::Green, _, _) => "PREVIEW",
        (_, _, SlotState::Live) => "live",
        (_, _, SlotState::Empty) => "empty",
        (_, _, SlotState::Settling | SlotState::Opening) => "opening",
        (_, _, SlotState::NoSignal) => "no signal",
        (_, _, SlotState::Stalled) => "stalled",
        (_, _, SlotState::Cooling) => "failed",
    }
}

fn title(action: &Action) -> String {
    let word = match action {
        Action::Toggle(Switch::Record) => "REC".to_owned(),
        Action::Toggle(switch) => switch.word().to_uppercase(),
        Action::Do(Command::Marker { .. }) => "MARK".to_owned(),
        Action::Do(command) => wire::to_json(command)["verb"].as_str().unwrap_or_default().to_uppercase(),
        Action::Slot(slot) => slot.to_string(),
        Action::None => String::new(),
    };
    word.chars().take(9).collect()
}

#[cfg(test)]
mod tests {
    use cuebox_core::config::Config;
    use cuebox_core::director::Director;
    use cuebox_core::panel::PanelConfig;
    use cuebox_core::tally;
    use cuebox_core::time::Mono;

    use super::*;

    #[test]
    fn a_key_says_what_it_does_and_how_its_camera_is() {
        let mut status = Director::new(Config::default(), 1, Mono(0)).status();
        status.slots[0].state = SlotState::Live;
        status.slots[0].name = "Altar".to_owned();
        status.slots[1].state = SlotState::NoSignal;
        status.program.seen = true;
        status.program.on_air = Some(status.slots[0].number);
        let layout = Layout::new(15, &PanelConfig::default());
        let lamps = tally::lamps(&status, &layout, false);
        let faces = faces(&status, &layout, &lamps, 0);
        let altar = Face { title: "1".into(), name: "Altar".into(), state: "ON AIR", colour: Colour::Red };
        assert_eq!(faces[0], altar);
        assert_eq!((faces[1].state, faces[1].colour), ("no signal", Colour::Amber));
        let titles: Vec<&str> = faces[5..].iter().map(|face| face.title.as_str()).collect();
        assert_eq!(titles, ["SLATE", "TAKE", "AUTO", "HOLD", "REC", "STREAM", "MARK", "", "", ""]);
    }
}
