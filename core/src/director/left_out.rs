//! What is not started, because the box crashed in it again and again; [`crate::crashes`] says what that is.
//!
//! A part stays left out as long as the process runs, unless somebody describes or enables it anew: a slot by another
//! source, a leg by `leg enable`. Everything is tried again when the box is started anew.

use std::collections::BTreeSet;

use crate::crashes::Part;
use crate::ids::SlotId;
use crate::status::Severity;

use super::Director;

const KIND: &str = "left_out";
const MQTT_OFF: &str = "the box crashed in it; a restart tries again";

impl Director {
    /// Leaves these parts out; to be called before the first event.
    pub fn leave_out(&mut self, parts: impl IntoIterator<Item = Part>) {
        for part in parts {
            match &part {
                Part::Slot(slot) => self.inputs.bar(&mut self.context, *slot),
                Part::Sound(slot) => self.inputs.bar_sound(*slot),
                Part::Leg(leg) => self.uplink.bar(leg),
                Part::HardwareEncoders => self.encodes.bar_hardware(),
                Part::Mqtt => self.mqtt.why = Some(MQTT_OFF.to_owned()),
                Part::SlotRecording(_) | Part::Snapshots | Part::Panels => {}
            }
            let text =
                format!("{part} is left out: the box crashed in it again and again; a restart tries it once more");
            self.context.alerts.raise(self.context.now, KIND, &part.key(), Severity::Error, text);
            self.left_out.insert(part);
        }
        self.follow();
    }

    /// The box crashes again and again, and there is nothing to leave out; to be called before the first event.
    pub fn crashes_unexplained(&mut self, marks: &str) {
        let text = format!("the box crashed three times within a minute, and nothing can be left out for it: {marks}");
        self.context.alert_once("crash_loop", "", Severity::Error, text);
    }

    /// Why there are no snapshots, when there are none.
    pub(super) fn snapshots_off(&self) -> Option<&'static str> {
        if self.left_out.contains(&Part::Snapshots) {
            return Some("the box crashed in making snapshots; a restart tries again");
        }
        self.strain.sheds_previews().then_some("the machine does not keep up; snapshots come back when it does")
    }

    /// What was described or enabled anew is in use again.
    pub(super) fn follow_left_out(&mut self) {
        let (inputs, uplink) = (&self.inputs, &self.uplink);
        let is_out = |part: &Part| match part {
            Part::Slot(slot) => inputs.get(*slot).is_some_and(super::input::Slot::is_barred),
            Part::Leg(leg) => uplink.is_barred(leg),
            Part::Sound(_)
            | Part::SlotRecording(_)
            | Part::HardwareEncoders
            | Part::Snapshots
            | Part::Panels
            | Part::Mqtt => true,
        };
        for part in self.left_out.extract_if(.., |part| !is_out(part)) {
            self.context.alerts.clear(KIND, &part.key());
        }
    }
}

/// Slots whose recording is left out.
pub(super) fn unrecorded(left_out: &BTreeSet<Part>) -> BTreeSet<SlotId> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other parts are no recordings")]
    let slot = |part: &Part| match part {
        Part::SlotRecording(slot) => Some(*slot),
        _ => None,
    };
    left_out.iter().filter_map(slot).collect()
}
