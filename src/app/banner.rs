//! What a person at a terminal reads after `cuebox run`: what is running, where the files go, what to type next. Once,
//! when the program runs and the slots are live (or a few seconds have passed); never in a service's log.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use cuebox_core::config::{Config, Source};
use cuebox_core::director::NewShow;
use cuebox_core::status::{RecordingState, SlotState, Status};
use cuebox_core::time::Mono;

/// Slots that are not live by then are told as they are.
const PATIENCE: Duration = Duration::from_secs(4);

pub struct Banner {
    config: Config,
    file: Option<PathBuf>,
    show: Option<NewShow>,
    first: Option<Mono>,
    /// Somebody reads this, and not a service's log.
    at_terminal: bool,
    told: bool,
}

impl Banner {
    pub fn new(config: &Config, file: Option<PathBuf>) -> Self {
        let at_terminal = std::env::var_os("JOURNAL_STREAM").is_none();
        Self { config: config.clone(), file, show: None, first: None, at_terminal, told: !at_terminal }
    }

    pub fn show_opened(&mut self, show: &NewShow) {
        self.show = Some(show.clone());
    }

    /// Tells it when the time has come.
    pub fn status(&mut self, at: Mono, status: &Status) {
        if self.told {
            return;
        }
        let waited = at.since(*self.first.get_or_insert(at));
        let live = status.slots.iter().all(|slot| slot.state == SlotState::Live);
        let recording = self.show.is_some() || !self.config.show.autostart;
        if (live && recording && status.program.armed.is_none()) || waited > PATIENCE {
            self.told = true;
            let mut out = std::io::stdout();
            // A terminal that is gone does not concern the show.
            let _ = out.write_all(self.text(status, out.is_terminal()).as_bytes());
            let _ = out.flush();
        }
    }

    /// The last words to whoever pressed Ctrl-C.
    pub fn ended(&self) {
        if let (true, Some(show)) = (self.at_terminal, &self.show) {
            let text = format!("\nRecordings are sealed in {}/shows/{}\n", near(&self.config.data_dir), show.id);
            let _ = std::io::stdout().write_all(text.as_bytes());
        }
    }

    fn text(&self, status: &Status, colour: bool) -> String {
        let (bold, dim, red, off) =
            if colour { ("\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m") } else { ("", "", "", "") };
        let program = &self.config.program;
        let mut text = format!(
            "\n{bold}Cuebox {}{off} is running: {}×{} at {} frames a second\n\n",
            self.config.box_id, program.width, program.height, program.fps
        );
        for slot in &status.slots {
            let on_air = status.program.on_air == Some(slot.number);
            let lamp = if on_air { format!("{red}● on air{off}") } else { String::new() };
            let source = self.config.slots.get(&slot.number).map(|slot| source(&slot.source)).unwrap_or_default();
            let state = if slot.state == SlotState::Live { "live" } else { slot.why.as_deref().unwrap_or("waiting") };
            text += &format!("  {}  {:<16} {dim}{source}{off}  {state}  {lamp}\n", slot.number, slot.name);
        }
        text += "\n";
        if let Some(show) = &self.show {
            text += &format!("  recording to   {}/shows/{}\n", near(&self.config.data_dir), show.id);
        }
        for leg in &status.legs {
            text += &format!("  publishing to  {} ({})\n", leg.name, leg.kind);
        }
        if let Some(listen) = &self.config.http.listen {
            text += &format!("  status         http://{listen}/api/v1/status\n");
        }
        let ctl = self.ctl();
        text += &format!(
            "\nType in another terminal:\n  {bold}{ctl} cut 3{off}      slot 3 goes on air\n  \
             {bold}{ctl} watch{off}      what is going on, live\n  {bold}{ctl} slate on{off}   the slate\n\n\
             Ctrl-C seals the recordings and ends.\n\n"
        );
        text
    }

    /// How `ctl` is called from where this process was started.
    fn ctl(&self) -> String {
        let program = std::env::args().next().unwrap_or_else(|| "cuebox".to_owned());
        match &self.file {
            Some(file) => format!("{program} ctl --config {}", file.display()),
            None => format!("{program} ctl"),
        }
    }
}

/// What is going on in one line, for whoever looks at the service.
pub fn line(status: &Status) -> String {
    let program = &status.program;
    let on_air = match program.on_air.and_then(|on_air| status.slots.iter().find(|slot| slot.number == on_air)) {
        Some(slot) => format!("{} ({}) on air", slot.number, slot.name),
        None if program.seen => "slate on air".to_owned(),
        None => "nothing on air yet".to_owned(),
    };
    let live = status.slots.iter().filter(|slot| slot.state == SlotState::Live).count();
    let recording = if status.recording.state == RecordingState::Recording { "recording" } else { "not recording" };
    format!("{on_air}, {live} of {} slots live, {recording}", status.slots.len())
}

/// A path as a person would type it here: below the working folder where it lies there.
fn near(path: &str) -> String {
    let Ok(path) = std::fs::canonicalize(path) else { return path.to_owned() };
    let here = std::env::current_dir().ok().filter(|here| here.parent().is_some());
    match here.and_then(|here| path.strip_prefix(here).ok().map(|path| format!("./{}", path.display()))) {
        Some(below) => below,
        None => path.display().to_string(),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::V4l2 { port: Some(port), .. } => format!("camera at {port}"),
        Source::V4l2 { port: None, .. } => "first free camera".to_owned(),
        Source::Test { .. } => "test picture".to_owned(),
        Source::File { path, .. } => format!("file {path}"),
        Source::Network { url } => url.to_string(),
    }
}
