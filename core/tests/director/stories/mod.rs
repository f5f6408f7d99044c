//! What people rely on, one sentence each.

mod cameras;
mod clocks;
mod commands;
mod disk;
mod failover;
mod inputs;
mod left_out;
mod legs;
mod overload;
mod panels;
mod rates;
mod recordings;
mod restarts;
mod switching;
mod uplink;

use crate::world::{World, slot};
use cuebox_core::command::Answer;
use cuebox_core::config::Config;
use cuebox_core::status::{RecordingState, SlotState};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

fn refused(answer: &Answer) -> &str {
    match answer {
        Answer::Refused { why } => why,
        Answer::Done | Answer::Report { .. } | Answer::Duplicate { .. } | Answer::Conflict { .. } => {
            panic!("not refused: {answer:?}")
        }
    }
}

/// A box whose slots are all live, slot 1 on air.
fn on_air(config: Config) -> World {
    let mut world = World::new(config, 1);
    world.until("slot 1 is on air", SECOND, |world| world.on_air() == Some(slot(1)));
    world.until("all are live", SECOND, |world| world.status().slots.iter().all(|slot| slot.state == SlotState::Live));
    world
}

/// The same with a show that records.
fn recording(config: Config) -> World {
    let mut world = on_air(config);
    world.until("recording", SECOND * 5, |world| world.status().recording.state == RecordingState::Recording);
    world.until("files", SECOND, |world| world.status().recording.files == 6);
    world
}
