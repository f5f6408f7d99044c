//! A new configuration in a running box: what can be applied is, at once; what cannot stays as it was, and an alert
//! names it.

use serde_json::json;

use crate::command::{Answer, Envelope};
use crate::config::Config;
use crate::config::patch::Patch;
use crate::ids::CommandId;
use crate::status::Severity;

use super::Director;
use super::commands::{Done, RELOADS};
use super::effect::Effect;
use super::timers::Reason;

impl Director {
    pub(super) fn config_loaded(&mut self, mut new: Config) {
        self.fit(&mut new);
        self.take_config(new);
        self.answer_reload(Ok(()));
    }

    /// As `new` is: what a running box cannot change was put back.
    fn take_config(&mut self, mut new: Config) {
        self.keep_names(&mut new);
        let old = std::mem::replace(&mut self.config, new);
        for slot in old.slots.keys().filter(|slot| !self.config.slots.contains_key(slot)) {
            self.program.forget(*slot);
        }
        self.inputs.reconfigure(&mut self.context, &self.config, &old.slots);
        self.audio.reconfigure(&self.config, &old.slots);
        self.uplink.reconfigure(&mut self.context, &self.config);
    }

    pub(super) fn patch(&mut self, envelope: &Envelope, patch: &Patch, check: bool) -> Result<Done, String> {
        if self.patching.is_some() {
            return Err("another change of the configuration is being made".to_owned());
        }
        let id = envelope.id.clone();
        self.patching = Some(id.clone());
        self.context.effects.push_back(Effect::Patch { id, patch: patch.clone(), check });
        self.context.start_timer(Reason::PatchLate, RELOADS);
        Ok(Done::Later)
    }

    pub(super) fn config_patched(&mut self, id: &CommandId, mut new: Config, check: bool) {
        let kept = if check { keep_fixed(&mut new, &self.config) } else { self.fit(&mut new) };
        if !check {
            self.take_config(new);
        }
        let report = json!({ "applied": !check, "restart_needed": kept });
        self.answer_patch(id, Answer::Report { report });
    }

    pub(super) fn answer_patch(&mut self, id: &CommandId, answer: Answer) {
        // One that was answered as late is not answered again.
        if self.patching.take_if(|patching| patching == id).is_some() {
            self.context.timers.stop(&Reason::PatchLate);
            self.answers.persist_as(&mut self.context, id, answer);
        }
    }

    pub(super) fn patch_late(&mut self) {
        if let Some(id) = self.patching.clone() {
            let why = "it could not be checked and kept in time; it may be applied later".to_owned();
            self.answer_patch(&id, Answer::Refused { why });
        }
    }

    /// Puts back what a running box cannot change, and says so; returns the keys.
    fn fit(&mut self, new: &mut Config) -> Vec<&'static str> {
        let kept = keep_fixed(new, &self.config);
        if kept.is_empty() {
            self.context.alerts.clear("restart_needed", "");
        } else {
            let text = format!("a restart is needed for: {}", kept.join(", "));
            self.context.alerts.raise(self.context.now, "restart_needed", "", Severity::Warning, text);
        }
        self.context.alerts.clear("config_rejected", "");
        kept
    }

    pub(super) fn config_rejected(&mut self, why: &str) {
        let text = format!("the configuration was not taken, the one before stays: {why}");
        self.context.alerts.raise(self.context.now, "config_rejected", "", Severity::Warning, text.clone());
        self.answer_reload(Err(text));
    }
}

/// Puts back what a running box cannot change; returns the keys that differ.
fn keep_fixed(new: &mut Config, old: &Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let mut keep = |key: &'static str, differs: bool| {
        if differs {
            kept.push(key);
        }
    };
    keep("box.id", new.box_id != old.box_id);
    keep("box.data_dir", new.data_dir != old.data_dir);
    keep("record.second_dir", new.record.second_dir != old.record.second_dir);
    keep("record.require_mount", new.record.require_mount != old.record.require_mount);
    keep("program.size", (new.program.width, new.program.height) != (old.program.width, old.program.height));
    keep("program.fps", new.program.fps != old.program.fps);
    keep("program.audio_bitrate", new.program.audio_bitrate_bps != old.program.audio_bitrate_bps);
    keep("http", new.http != old.http);
    keep("mqtt", new.mqtt != old.mqtt);
    keep("panel", new.panel != old.panel);
    new.box_id.clone_from(&old.box_id);
    new.data_dir.clone_from(&old.data_dir);
    new.record.second_dir.clone_from(&old.record.second_dir);
    new.record.require_mount = old.record.require_mount;
    new.program.width = old.program.width;
    new.program.height = old.program.height;
    new.program.fps = old.program.fps;
    new.program.audio_bitrate_bps = old.program.audio_bitrate_bps;
    new.http = old.http.clone();
    new.mqtt = old.mqtt.clone();
    new.panel = old.panel.clone();
    kept
}
