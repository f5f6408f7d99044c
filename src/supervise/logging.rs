//! Where log lines go, and how they look: to stderr, so that stdout belongs to answers.
//!
//! On a terminal a line is short and coloured. Under systemd (its journal is connected to stderr), or with
//! `CUEBOX_LOG_FORMAT=json`, a line is one JSON object. `CUEBOX_LOG` says what is logged: a level (`debug`), or levels
//! by target (`info,cuebox::console=debug`); without it, `info`.
//!
//! Levels: error = our own fault, warn = the world misbehaves, info = what an operator would see, debug = decisions,
//! trace = every buffer.

use std::env;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging for the whole process. A second call does nothing.
pub fn init() {
    let wish = env::var("CUEBOX_LOG").ok();
    let (filter, problem) = match filter(wish.as_deref()) {
        Ok(filter) => (filter, None),
        Err(problem) => (default_filter(), Some(problem)),
    };
    let stderr = io::stderr();
    let colour = stderr.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if wants_json() {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.compact().with_ansi(colour).with_target(false).with_timer(ClockOfDay).boxed()
    };
    let started = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    if let (Ok(()), Some(problem)) = (started, problem) {
        tracing::warn!(
            "CUEBOX_LOG is ignored: {problem} (allowed: error, warn, info, debug, trace, or target=level,…)"
        );
    }
}

fn default_filter() -> Targets {
    Targets::new().with_default(Level::INFO)
}

fn filter(wish: Option<&str>) -> Result<Targets, String> {
    match wish.map(str::trim) {
        None | Some("") => Ok(default_filter()),
        Some(wish) => wish.parse::<Targets>().map_err(|error| error.to_string()),
    }
}

fn wants_json() -> bool {
    match env::var("CUEBOX_LOG_FORMAT").as_deref() {
        Ok("json") => true,
        Ok("text") => false,
        Ok(_) | Err(_) => env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stderr(&stream)),
    }
}

/// `$JOURNAL_STREAM` is `device:inode` of the stream to the journal; it is inherited, so it counts only while stderr
/// still is that stream.
fn is_stderr(stream: &str) -> bool {
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Hours, minutes and seconds, local time, with milliseconds: what a person at the terminal compares with a watch.
struct ClockOfDay;

impl tracing_subscriber::fmt::time::FormatTime for ClockOfDay {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        let now = jiff::Zoned::now();
        write!(writer, "{:02}:{:02}:{:02}.{:03}", now.hour(), now.minute(), now.second(), now.millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_a_level_or_levels_by_target() {
        let enables = |wish, target, level| filter(wish).unwrap().would_enable(target, &level);
        assert!(enables(None, "cuebox::app", Level::INFO));
        assert!(!enables(None, "cuebox::app", Level::DEBUG));
        assert!(enables(Some("debug"), "cuebox::app", Level::DEBUG));
        assert!(enables(Some("warn,cuebox::console=trace"), "cuebox::console", Level::TRACE));
        assert!(!enables(Some("warn,cuebox::console=trace"), "cuebox::app", Level::INFO));
        assert!(filter(Some("cuebox=loudly")).is_err());
    }
}
