//! What each command does. A command is refused with its reason in words and changes nothing, or it acts at once. One
//! exception: whoever asks for a slot's picture has it tried again at once, also where it is not there yet.

use std::time::Duration;

use crate::command::{Answer, Command, Envelope, Origin};
use crate::ids::{ShowId, SlotId};

use super::Director;
use super::context::Cause;
use super::effect::{Effect, Report, VaultOp};
use super::program::Switched;
use super::recorder::Start;
use super::timers::Reason;

/// Reading a configuration takes no longer than this.
pub(super) const RELOADS: Duration = Duration::from_secs(10);

/// What an accepted command came to.
pub(super) enum Done {
    /// Something changed: answered when it is durable.
    Changed,
    /// It was so already, or it leaves no trace: answered at once.
    Nothing,
    /// Answered by what comes of it.
    Later,
}

impl From<bool> for Done {
    fn from(changed: bool) -> Self {
        if changed { Self::Changed } else { Self::Nothing }
    }
}

impl Director {
    pub(super) fn command(&mut self, envelope: &Envelope) {
        if !self.answers.admit(&mut self.context, envelope) {
            return;
        }
        match self.act(envelope) {
            Ok(Done::Changed) => self.answers.persist(&mut self.context, &envelope.id),
            Ok(Done::Nothing) => self.answers.give(&mut self.context, &envelope.id, Answer::Done),
            Ok(Done::Later) => {}
            Err(why) if envelope.origin == Origin::Mqtt => {
                self.answers.persist_as(&mut self.context, &envelope.id, Answer::Refused { why });
            }
            Err(why) => self.answers.give(&mut self.context, &envelope.id, Answer::Refused { why }),
        }
    }

    fn act(&mut self, envelope: &Envelope) -> Result<Done, String> {
        if self.ending.is_some() {
            return Err("the box is shutting down".to_owned());
        }
        self.panels.admit(envelope)?;
        let cause = Cause::command(envelope.origin, &envelope.id);
        match &envelope.command {
            Command::Cut { slot } => {
                self.configured(*slot)?;
                self.inputs.insist(&mut self.context, *slot);
                self.switch(|program, field| program.cut(field, *slot, cause))
            }
            Command::Preview { slot } => {
                self.configured(*slot)?;
                self.inputs.insist(&mut self.context, *slot);
                self.switch(|program, _| program.preview(*slot))
            }
            Command::Take => self.switch(|program, field| program.take(field, cause, None)),
            Command::Auto { kind, ms } => {
                let transition = Some((*kind, Duration::from_millis(u64::from(*ms))));
                self.switch(|program, field| program.take(field, cause, transition))
            }
            Command::Slate { on } => self.switch(|program, _| program.set_slate(*on, cause)),
            Command::Hold { on } => self.switch(|program, _| program.set_hold(*on, cause)),
            Command::Audio(audio) => self.audio.command(*audio).map(Done::from),
            Command::ShowStart { name } => self.show_start(name.clone(), cause),
            Command::ShowStop => self.show_stop(&cause),
            Command::ShowDelete { show } => self.show_delete(show),
            Command::Stream { on } => self.stream(*on),
            Command::Record { on } => Ok(self.record(*on, cause)),
            Command::Marker { text } => self.recorder.marker(&mut self.context, text, &cause).map(|()| Done::Changed),
            Command::Snapshot { slot } => self.snapshot(*slot),
            Command::Rename { slot, name } => self.rename(*slot, name),
            Command::Leg { name, on } => self.uplink.enable(&mut self.context, name, *on).map(Done::from),
            Command::LegReconnect { name } => self.uplink.reconnect(&mut self.context, name).map(|()| Done::Changed),
            Command::LegUnmute { name } => self.uplink.unmute(name).map(|()| Done::Changed),
            Command::Lock { on } => Ok(Done::from(self.panels.lock(*on))),
            Command::Identify => {
                self.panels.identify(&mut self.context);
                Ok(Done::Nothing)
            }
            Command::Config { patch, check } => self.patch(envelope, patch, *check),
            Command::Tail { lines } => Ok(self.report(envelope, Report::Journal { lines: *lines })),
            Command::Doctor => Ok(self.report(envelope, Report::Doctor)),
            Command::Reload => Ok(self.reload(envelope)),
            Command::Restart => {
                self.end(&cause, true);
                Ok(Done::Changed)
            }
        }
    }

    fn switch(
        &mut self,
        change: impl FnOnce(&mut super::program::Program, &super::field::Field<'_>) -> Switched,
    ) -> Result<Done, String> {
        let (inputs, context, program) = (&self.inputs, &self.context, &mut self.program);
        let why = |slot| inputs.why(slot);
        let field = inputs.field(context, &self.config, &why);
        match change(program, &field) {
            Switched::Yes => Ok(Done::Changed),
            Switched::Nothing => Ok(Done::Nothing),
            Switched::Refused(why) => Err(why),
        }
    }

    fn show_start(&mut self, name: Option<String>, cause: Cause) -> Result<Done, String> {
        if self.recorder.has_show() {
            let name = self.recorder.show_status().map_or_else(String::new, |show| format!(": {}", show.name));
            return Err(format!("a show is running already{name}"));
        }
        self.recorder.set_recording(true);
        self.uplink.streaming = true;
        self.recorder.start(&mut self.context, Start { name, cause, found: None });
        Ok(Done::Changed)
    }

    fn show_stop(&mut self, cause: &Cause) -> Result<Done, String> {
        if !self.recorder.has_show() {
            return Err("no show is running".to_owned());
        }
        self.uplink.streaming = false;
        self.recorder.stop(&mut self.context, true, cause);
        Ok(Done::Changed)
    }

    fn show_delete(&mut self, show: &ShowId) -> Result<Done, String> {
        if self.recorder.show().is_some_and(|running| running.new.id == *show) || !self.library.may_remove(show) {
            return Err("that show is running: stop it first".to_owned());
        }
        self.context.vault(VaultOp::RemoveShow { show: show.clone() });
        Ok(Done::Changed)
    }

    fn stream(&mut self, on: bool) -> Result<Done, String> {
        if on && !self.uplink.has_legs() {
            return Err("no leg is configured to stream to".to_owned());
        }
        Ok(Done::from(std::mem::replace(&mut self.uplink.streaming, on) != on))
    }

    fn record(&mut self, on: bool, cause: Cause) -> Done {
        if !on {
            return Done::from(self.recorder.set_recording(false));
        }
        let starts = !self.recorder.has_show();
        let changed = self.recorder.set_recording(true);
        if starts {
            self.recorder.start(&mut self.context, Start { name: None, cause, found: None });
        }
        Done::from(changed || starts)
    }

    fn snapshot(&mut self, slot: SlotId) -> Result<Done, String> {
        self.configured(slot)?;
        if !self.inputs.get(slot).is_some_and(super::input::Slot::is_live) {
            return Err(format!("slot {slot} is not live: {}", self.inputs.why(slot)));
        }
        if let Some(why) = self.snapshots_off() {
            return Err(why.to_owned());
        }
        self.context.effects.push_back(Effect::Snapshot { slot });
        Ok(Done::Nothing)
    }

    pub(super) fn rename(&mut self, slot: SlotId, name: &str) -> Result<Done, String> {
        self.configured(slot)?;
        if let Some(own) = self.config.slots.get_mut(&slot) {
            if own.name == name {
                return Ok(Done::Nothing);
            }
            name.clone_into(&mut own.name);
        }
        self.inputs.rename(slot, name);
        Ok(Done::Changed)
    }

    /// Whoever carries the effect out gives the answer.
    fn report(&mut self, envelope: &Envelope, what: Report) -> Done {
        let Envelope { id, origin, .. } = envelope;
        self.answers.told_elsewhere(id);
        self.context.effects.push_back(Effect::Report { id: id.clone(), origin: *origin, what });
        Done::Later
    }

    fn reload(&mut self, envelope: &Envelope) -> Done {
        if self.reloads.is_empty() {
            self.context.effects.push_back(Effect::Reload);
            self.context.start_timer(Reason::ReloadLate, RELOADS);
        }
        self.reloads.push(envelope.id.clone());
        Done::Later
    }

    pub(super) fn answer_reload(&mut self, result: Result<(), String>) {
        self.context.timers.stop(&Reason::ReloadLate);
        for id in std::mem::take(&mut self.reloads) {
            match &result {
                Ok(()) => self.answers.persist(&mut self.context, &id),
                Err(why) => self.answers.give(&mut self.context, &id, Answer::Refused { why: why.clone() }),
            }
        }
    }

    fn configured(&self, slot: SlotId) -> Result<(), String> {
        if self.config.slots.contains_key(&slot) { Ok(()) } else { Err(format!("slot {slot} is not configured")) }
    }
}
