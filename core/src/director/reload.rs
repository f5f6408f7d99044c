//! A new configuration in a running box: what can be applied is, at once; what cannot stays as it was, and an alert
//! names it.

use crate::config::Config;
use crate::status::Severity;

use super::Director;

impl Director {
    pub(super) fn config_loaded(&mut self, mut new: Config) {
        let kept = keep_fixed(&mut new, &self.config);
        if kept.is_empty() {
            self.context.alerts.clear("restart_needed", "");
        } else {
            let text = format!("a restart is needed for: {}", kept.join(", "));
            self.context.alerts.raise(self.context.now, "restart_needed", "", Severity::Warning, text);
        }
        self.context.alerts.clear("config_rejected", "");
        self.keep_names(&mut new);
        let old = std::mem::replace(&mut self.config, new);
        for slot in old.slots.keys().filter(|slot| !self.config.slots.contains_key(slot)) {
            self.program.forget(*slot);
        }
        self.inputs.reconfigure(&mut self.context, &self.config, &old.slots);
        self.audio.reconfigure(&self.config, &old.slots);
        self.uplink.reconfigure(&mut self.context, &self.config);
        self.answer_reload(Ok(()));
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
    keep("program.size", (new.program.width, new.program.height) != (old.program.width, old.program.height));
    keep("program.fps", new.program.fps != old.program.fps);
    keep("program.audio_bitrate", new.program.audio_bitrate_bps != old.program.audio_bitrate_bps);
    keep("http", new.http != old.http);
    keep("mqtt", new.mqtt != old.mqtt);
    keep("panel", new.panel != old.panel);
    new.box_id.clone_from(&old.box_id);
    new.data_dir.clone_from(&old.data_dir);
    new.program.width = old.program.width;
    new.program.height = old.program.height;
    new.program.fps = old.program.fps;
    new.program.audio_bitrate_bps = old.program.audio_bitrate_bps;
    new.http = old.http.clone();
    new.mqtt = old.mqtt.clone();
    new.panel = old.panel.clone();
    kept
}
