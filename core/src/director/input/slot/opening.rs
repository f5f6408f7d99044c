//! How a slot's source is opened: which mode a camera gets, and what it is set to.

use crate::camera_controls;
use crate::capture_mode;
use crate::config::Source;
use crate::director::context::Context;
use crate::director::wanted::{Capture, CaptureSource};
use crate::health::Look;
use crate::status::Severity;

use super::{Measured, Setting, Slot, State};

impl Slot {
    pub(super) fn open(&mut self, context: &mut Context, setting: Setting<'_>) {
        let program = setting.program;
        let show_mfps = u64::from(program.fps) * 1000;
        let (source, nominal_mfps) = match &setting.slot.source {
            Source::V4l2 { .. } => {
                let Some(camera) = &self.camera else {
                    return self.enter(context, State::Empty, Some("nothing is plugged in"));
                };
                let Some(mode) = capture_mode::choose(&camera.modes, program.width, program.height, program.fps) else {
                    return self.fail(context, "it offers no picture format that the box can use");
                };
                let rate = u64::from(mode.rate.numerator) * 1000 / u64::from(mode.rate.denominator.max(1));
                let controls = self.controls(context, setting);
                (CaptureSource::V4l2 { node: camera.node.clone(), mode, controls }, rate.min(show_mfps))
            }
            Source::Test { marks, tone_hz } => (CaptureSource::Test { marks: *marks, tone_hz: *tone_hz }, show_mfps),
            Source::File { path, repeat } => (CaptureSource::File { path: path.clone(), repeat: *repeat }, show_mfps),
            Source::Network { url } => (CaptureSource::Network { url: url.clone() }, show_mfps),
        };
        let (epoch, name) = (context.new_epoch(), setting.slot.name.clone());
        self.capture = Some(Capture { epoch, name, source, own_sound: setting.slot.has_own_sound() });
        self.total = 0;
        self.measured = Measured { nominal_mfps, ..Measured::default() };
        self.look = Look::default();
        self.enter(context, State::Opening, None);
        if let Some(why) = self.signal_trouble() {
            self.signal_lost(context, why);
        }
    }

    /// What the camera is to be set to; what cannot be set is told.
    fn controls(&self, context: &mut Context, setting: Setting<'_>) -> Vec<(u32, i64)> {
        let (Some(camera), Source::V4l2 { controls, .. }) = (&self.camera, &setting.slot.source) else {
            return Vec::new();
        };
        let (set, wrong) = camera_controls::resolve(&camera.controls, controls);
        let about = self.id.to_string();
        if wrong.is_empty() {
            context.alerts.clear("camera_control", &about);
        } else {
            let text = format!("slot {}, {}: {}", self.id, camera.name, wrong.join("; "));
            context.alerts.raise(context.now, "camera_control", &about, Severity::Warning, text);
        }
        set
    }
}
