//! What the lamps show: a pure function of the status, so that every panel shows the same truth.
//!
//! | lamp of | shows | when |
//! |---|---|---|
//! | a slot | red | a frame has shown it: it is on air |
//! | | red, fast | it is armed: chosen, and no frame has shown it yet |
//! | | amber (slow: it is coming up) | it has no picture |
//! | | red, slow | the slate is on air, and this slot is live: everybody stay ready |
//! | | green | it is in preview; can be hidden, because talent takes any light for *on air* |
//! | slate | red (fast: armed) | it is on air (asked for); amber, slow: it stands in for a lost source |
//! | take, auto | green | there is a preview to take, and it is live |
//! | hold, lock | amber | it is on |
//! | record, stream | white (slow: on its way) | it runs; amber, fast: it should and does not |
//! | marker | white | a show runs, so there is a timeline to write into |
//!
//! `identify` makes every lamp white, fast. While a panel is lost, the last lamp of every other one is blue, slow,
//! unless it is red or amber.

pub mod tsl;

use cuebox_panel::light::{Colour, Light, Pattern};

use crate::command::Command;
use crate::ids::SlotId;
use crate::panel::action::{Action, Switch};
use crate::panel::layout::Layout;
use crate::panel::meaning::is_on;
use crate::status::{LegState, PanelState, RecordingState, SlotState, Status};

/// The lamps of a panel with this layout, key 1's first.
pub fn lamps(status: &Status, layout: &Layout, hide_preview: bool) -> Vec<Light> {
    let lamp = |key| layout.shown(key).map_or(Light::OFF, |action| of_action(status, action, hide_preview));
    let mut lamps: Vec<Light> = (1..=layout.keys()).map(lamp).collect();
    if status.identifying {
        lamps.fill(Light::new(Colour::White, Pattern::Fast));
    } else if status.panels.iter().any(|panel| panel.state == PanelState::Lost)
        && let Some(last) = lamps.last_mut().filter(|last| !matches!(last.colour, Colour::Red | Colour::Amber))
    {
        *last = Light::new(Colour::Blue, Pattern::Slow);
    }
    lamps
}

/// The lamp of a slot.
pub fn of_slot(status: &Status, slot: SlotId, hide_preview: bool) -> Light {
    let program = &status.program;
    let Some(own) = status.slots.iter().find(|own| own.number == slot) else { return Light::OFF };
    let live = own.state == SlotState::Live;
    if program.seen && program.on_air == Some(slot) {
        Light::steady(Colour::Red)
    } else if program.armed == Some(slot) {
        Light::new(Colour::Red, Pattern::Fast)
    } else if !live {
        let coming = matches!(own.state, SlotState::Settling | SlotState::Opening);
        Light::new(Colour::Amber, if coming { Pattern::Slow } else { Pattern::Steady })
    } else if slate_is_on_air(status) {
        Light::new(Colour::Red, Pattern::Slow)
    } else if program.preview == Some(slot) && !hide_preview {
        Light::steady(Colour::Green)
    } else {
        Light::OFF
    }
}

/// A frame has shown the slate, and none has shown a slot since.
pub fn slate_is_on_air(status: &Status) -> bool {
    status.program.seen && status.program.on_air.is_none()
}

fn of_action(status: &Status, action: &Action, hide_preview: bool) -> Light {
    if let Some(slot) = action.slot() {
        return of_slot(status, slot, hide_preview);
    }
    match action {
        Action::Toggle(switch) => of_switch(status, *switch),
        Action::Do(Command::Take | Command::Auto { .. }) => {
            let ready = |slot: &&crate::status::SlotStatus| {
                Some(slot.number) == status.program.preview && slot.state == SlotState::Live
            };
            lit(Colour::Green, status.slots.iter().any(|slot| ready(&slot)))
        }
        Action::Do(Command::Marker { .. }) => lit(Colour::White, status.show.is_some()),
        Action::Do(Command::Slate { .. }) => of_switch(status, Switch::Slate),
        Action::Do(Command::Hold { .. }) => of_switch(status, Switch::Hold),
        Action::Do(Command::Record { .. }) => of_switch(status, Switch::Record),
        Action::Do(Command::Stream { .. }) => of_switch(status, Switch::Stream),
        Action::Do(Command::Lock { .. }) => of_switch(status, Switch::Lock),
        Action::Slot(_) | Action::Do(_) | Action::None => Light::OFF,
    }
}

fn of_switch(status: &Status, switch: Switch) -> Light {
    let on = is_on(switch, status);
    match switch {
        Switch::Hold | Switch::Lock => lit(Colour::Amber, on),
        Switch::Slate => match (on, slate_is_on_air(status)) {
            (true, true) => Light::steady(Colour::Red),
            (true, false) => Light::new(Colour::Red, Pattern::Fast),
            (false, true) => Light::new(Colour::Amber, Pattern::Slow),
            (false, false) => Light::OFF,
        },
        Switch::Record => match status.recording.state {
            RecordingState::Idle => Light::OFF,
            RecordingState::Recording => Light::steady(Colour::White),
            RecordingState::Preparing | RecordingState::Sealing => Light::new(Colour::White, Pattern::Slow),
            RecordingState::Failed => Light::new(Colour::Amber, Pattern::Fast),
        },
        Switch::Stream => {
            let any = |states: &[LegState]| status.legs.iter().any(|leg| states.contains(&leg.state));
            if !on {
                Light::OFF
            } else if any(&[LegState::Carrying]) {
                Light::steady(Colour::White)
            } else if any(&[LegState::Trying, LegState::Proving]) {
                Light::new(Colour::White, Pattern::Slow)
            } else {
                Light::new(Colour::Amber, Pattern::Fast)
            }
        }
    }
}

const fn lit(colour: Colour, on: bool) -> Light {
    if on { Light::steady(colour) } else { Light::OFF }
}

#[cfg(test)]
mod tests;
