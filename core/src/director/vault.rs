//! What the vault tells, and how the first show begins when it has told all that it found.

use super::context::Cause;
use super::recorder::{self, Start};
use super::{Director, FoundShow, Reason, StartUp, VaultFact, VaultOp};
use crate::status::Severity;

impl Director {
    pub(super) fn vault(&mut self, fact: VaultFact) {
        let context = &mut self.context;
        match fact {
            VaultFact::Persisted { ticket } => self.answers.persisted(context, ticket),
            VaultFact::PersistFailed { ticket, why } => self.answers.persist_failed(context, ticket, &why),
            VaultFact::ShowFound(show) => match &mut self.start {
                StartUp::Waiting { found } => *found = Some(show),
                StartUp::Over if self.recorder.show().is_some_and(|running| running.new.id == show.show.id) => {}
                // Too late to go on: another show runs, or none is wanted.
                StartUp::Over => {
                    let ended = show.show.time_of(show.last_frame);
                    context.vault(VaultOp::CloseShow { show: show.show.id, ended });
                }
            },
            VaultFact::Recovered { segments } => {
                self.library.recovered(segments);
                self.recovery_over();
            }
            VaultFact::ShowOpened { show } => self.recorder.show_made(context, &show, Ok(())),
            VaultFact::ShowFailed { show, why } => self.recorder.show_made(context, &show, Err(&why)),
            // The row was there before the fact: nothing waits for it yet.
            VaultFact::SegmentIndexed { .. } => {}
            VaultFact::SegmentRemoved { segment } => self.library.removed(&segment),
            VaultFact::RemoveFailed { segment, why } => self.library.remove_failed(context, &segment, &why),
            VaultFact::Space { free_bytes, .. } => self.library.space(free_bytes),
            VaultFact::Unwritable { why } => {
                self.recorder.set_unwritable(context, Some(why));
                self.recovery_over();
            }
            VaultFact::Writable => self.recorder.set_unwritable(context, None),
            VaultFact::Moved { folder, segments } => {
                self.recorder.moved(context, folder);
                self.library.moved(segments);
            }
            VaultFact::IndexRebuilt { why } => {
                let text = format!("{why}; it was built again from the recordings, and none of them is missing");
                context.alert_once("index_rebuilt", "", Severity::Warning, text);
            }
            VaultFact::ShowRemoved { show } => self.library.show_removed(&show),
        }
    }

    /// Recovery has told all it knows, or is not waited for: the first show may begin.
    pub(super) fn recovery_over(&mut self) {
        let StartUp::Waiting { found } = std::mem::replace(&mut self.start, StartUp::Over) else { return };
        self.context.timers.stop(&Reason::RecoveryLate);
        let autostart = self.config.show.autostart && self.ending.is_none();
        let (now, wall) = (self.context.now, self.context.wall());
        let goes_on = |found: &FoundShow| autostart && recorder::goes_on(found, &self.config, now, wall);
        let (resumed, left) = match found {
            Some(found) if goes_on(&found) => (Some(found), None),
            found => (None, found),
        };
        if let Some(left) = left {
            let ended = left.show.time_of(left.last_frame);
            self.context.vault(VaultOp::CloseShow { show: left.show.id, ended });
        }
        if autostart && !self.recorder.has_show() {
            self.library.set_running(resumed.as_ref().map(|found| found.show.id.clone()));
            self.recorder.set_recording(true);
            self.uplink.streaming = true;
            let goes_on = resumed.as_ref().map(|found| found.show.id.clone());
            let start = Start { name: None, cause: Cause::own("start"), found: resumed };
            self.recorder.start(&mut self.context, start);
            if let Some(show) = self.returning.take().filter(|show| Some(&show.id) == goes_on.as_ref()) {
                self.restore_show(&show);
            }
        }
    }
}
