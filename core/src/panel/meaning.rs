//! An action at this moment → a command. A switch is turned to what it is not: which of the two is meant is read from
//! the status, so that a panel that was away never turns the wrong way.

use crate::command::Command;
use crate::status::{LegState, RecordingState, Status};

use super::Mode;
use super::action::{Action, Switch};

/// `None`: nothing is to be done.
pub fn command(action: &Action, mode: Mode, status: &Status) -> Option<Command> {
    match action {
        Action::None => None,
        Action::Slot(slot) => Some(match mode {
            Mode::Direct => Command::Cut { slot: *slot },
            Mode::Preview => Command::Preview { slot: *slot },
        }),
        Action::Do(command) => Some(command.clone()),
        Action::Toggle(switch) => {
            let on = !is_on(*switch, status);
            Some(match switch {
                Switch::Slate => Command::Slate { on },
                Switch::Hold => Command::Hold { on },
                Switch::Record => Command::Record { on },
                Switch::Stream => Command::Stream { on },
                Switch::Lock => Command::Lock { on },
            })
        }
    }
}

/// Whether it was asked for, not whether it works.
pub fn is_on(switch: Switch, status: &Status) -> bool {
    match switch {
        Switch::Slate => status.program.slate,
        Switch::Hold => status.program.held,
        Switch::Record => !matches!(status.recording.state, RecordingState::Idle | RecordingState::Sealing),
        Switch::Stream => status.legs.iter().any(|leg| leg.state != LegState::Off),
        Switch::Lock => status.locked,
    }
}
