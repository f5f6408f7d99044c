//! Text → [`Checked`] configuration, or every problem in it.
//!
//! Owns the outward names of keys and their ranges. It reads no file itself: secrets come through a function, and
//! whether a camera, a folder or a server is really there is found out when it is used.

mod leg;
mod mqtt;
mod panel;
mod slot;
mod url;

pub(crate) use url::check as check_address;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeTable;

use crate::ids::SlotId;

use super::problem::{Checked, Problem};
use super::units::{parse_size, show_bitrate};
use super::walk::{Found, Item, Section, Walk, quoted, set, shorten};
use super::{AutoReturn, Config, HttpConfig, ProgramConfig, RecordConfig, ShowConfig, WhenFull};

/// Frame rates of the show's grid, per second.
pub const FRAME_RATES: [u32; 6] = [15, 24, 25, 30, 50, 60];
/// Width and height of the program, pixels. Both are even, because chroma is subsampled.
pub const WIDTHS: RangeInclusive<u32> = 160..=3840;
pub const HEIGHTS: RangeInclusive<u32> = 90..=2160;
/// Bits per second of a video encode.
pub const VIDEO_BITRATES: RangeInclusive<u64> = 50_000..=50_000_000;
/// Bits per second of AAC.
pub const AUDIO_BITRATES: RangeInclusive<u64> = 32_000..=320_000;
/// Longest path of a Unix socket: what the kernel's address takes, less its final zero.
pub const MAX_SOCKET_PATH_BYTES: usize = 107;

/// The key of a problem that is not one key's.
const SYNTAX: &str = "syntax";

/// Problems that are told at once; a file with more is no configuration.
const MAX_PROBLEMS: usize = 100;

/// Reads a configuration. A relative path in it is joined to `base_dir`, the folder of the file. `read_secret` is
/// given such a joined path and answers with the file's text or why it cannot be read.
///
/// # Errors
/// Every problem, in the order of the file. Where the syntax is broken, only what does not depend on the broken part.
pub fn parse(
    text: &str,
    base_dir: &str,
    read_secret: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Checked, Vec<Problem>> {
    let mut walk = Walk::new(text, base_dir, read_secret);
    let (tree, errors) = DeTable::parse_recoverable(text);
    let broken = errors.iter().map(|error| syntax_problem(text, &walk, error)).collect::<Vec<_>>();
    let config = read_all(&mut walk, Section::new(String::new(), 1, tree.get_ref()));

    let found = std::mem::take(&mut walk.problems);
    let mut problems: Vec<Problem> = if broken.is_empty() {
        found.into_iter().map(|found| found.problem).collect()
    } else {
        sure_ones(text, broken, found)
    };
    if problems.is_empty() {
        let mut warnings = walk.warnings;
        warnings.sort_by_key(|warning| warning.line);
        return Ok(Checked { config, warnings });
    }
    problems.sort_by_key(|problem| problem.line);
    problems.truncate(MAX_PROBLEMS);
    Err(problems)
}

/// What can be said in spite of broken syntax. After a broken table header, keys belong to nobody knows which table, so
/// up to the next header only its own line is judged; and nothing is said about what may stand in a broken line.
fn sure_ones(text: &str, broken: Vec<Problem>, found: Vec<Found>) -> Vec<Problem> {
    let broken_lines: BTreeSet<usize> = broken.iter().map(|problem| problem.line).collect();
    let mut adrift = BTreeSet::new();
    let mut header_broken = false;
    for (line, content) in (1..).zip(text.lines()) {
        if content.trim_start().starts_with('[') {
            header_broken = broken_lines.contains(&line);
        } else if header_broken {
            adrift.insert(line);
        }
    }
    let mut seen = BTreeSet::new();
    let syntax = broken.into_iter().filter(|problem| {
        let twice_by_mistake = problem.key != SYNTAX && adrift.contains(&problem.line);
        !twice_by_mistake && seen.insert(problem.line)
    });
    let sure = found.into_iter().filter(|found| {
        let line = found.problem.line;
        !found.needs_whole_file && !broken_lines.contains(&line) && !adrift.contains(&line)
    });
    syntax.chain(sure.map(|found| found.problem)).collect()
}

fn syntax_problem(text: &str, walk: &Walk<'_>, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let line = walk.line_of(span.start.min(text.len()));
    if error.message() == "duplicate key" {
        let key = text.get(span).map_or_else(|| SYNTAX.to_owned(), shorten);
        return Problem { line, key, what: "is given twice".to_owned(), allowed: None };
    }
    Problem { line, key: SYNTAX.to_owned(), what: shorten_message(error.message()), allowed: None }
}

/// The parser's own words hold nothing of the file's text; they are only bounded.
fn shorten_message(message: &str) -> String {
    message.chars().take(200).collect()
}

fn read_all(walk: &mut Walk<'_>, mut root: Section<'_>) -> Config {
    let mut config = Config::default();
    if let Some(section) = root.read(walk, "box", Walk::table) {
        read_box(walk, section, &mut config);
    }
    let program = root.read(walk, "program", Walk::table);
    let start_slot = program.and_then(|section| read_program(walk, section, &mut config.program));
    if let Some(item) = root.item(walk, "slot") {
        let slots = slot::read_slots(walk, &item, &config.program);
        set(&mut config.slots, Some(slots).filter(|slots| !slots.is_empty()));
    }
    if let Some(item) = start_slot {
        check_start_slot(walk, &item, &config);
    }
    if let Some(item) = root.item(walk, "leg") {
        config.legs = leg::read_legs(walk, &item, &config.box_id);
    }
    if let Some(section) = root.read(walk, "record", Walk::table) {
        read_record(walk, section, &mut config.record);
    }
    if let Some(section) = root.read(walk, "show", Walk::table) {
        read_show(walk, section, &mut config.show);
    }
    if let Some(section) = root.read(walk, "http", Walk::table) {
        read_http(walk, section, &mut config.http);
    }
    if let Some(section) = root.read(walk, "mqtt", Walk::table) {
        config.mqtt = mqtt::read(walk, section);
    }
    if let Some(section) = root.read(walk, "panel", Walk::table) {
        panel::read(walk, section, &mut config.panel);
    }
    root.finish(walk);
    config
}

fn read_box(walk: &mut Walk<'_>, mut section: Section<'_>, config: &mut Config) {
    set(&mut config.box_id, section.read(walk, "id", Walk::identifier));
    set(&mut config.data_dir, section.read(walk, "data_dir", Walk::path));
    section.finish(walk);
}

/// Gives back where the start slot stands, to be checked when the slots are known.
fn read_program<'t>(walk: &mut Walk<'_>, mut section: Section<'t>, program: &mut ProgramConfig) -> Option<Item<'t>> {
    if let Some((width, height)) = section.read(walk, "size", read_size) {
        (program.width, program.height) = (width, height);
    }
    set(&mut program.fps, section.read(walk, "fps", read_fps));
    let high = section.item(walk, "video_bitrate");
    let low = section.item(walk, "min_video_bitrate");
    let high_bps = high.as_ref().and_then(|item| walk.bitrate(item, VIDEO_BITRATES));
    let low_bps = low.as_ref().and_then(|item| walk.bitrate(item, VIDEO_BITRATES));
    let read_both = (high.is_some() == high_bps.is_some()) && (low.is_some() == low_bps.is_some());
    set(&mut program.video_bitrate_bps, high_bps);
    set(&mut program.min_video_bitrate_bps, low_bps);
    if let Some(item) = low.as_ref().or(high.as_ref())
        && read_both
        && program.min_video_bitrate_bps > program.video_bitrate_bps
    {
        let (low, high) = (show_bitrate(program.min_video_bitrate_bps), show_bitrate(program.video_bitrate_bps));
        walk.conflict(
            item.line,
            &item.key,
            format!("min_video_bitrate {low} is above video_bitrate {high}"),
            Some("min_video_bitrate at most video_bitrate"),
        );
    }
    set(
        &mut program.audio_bitrate_bps,
        section.read(walk, "audio_bitrate", |walk, item| walk.bitrate(item, AUDIO_BITRATES)),
    );
    let start_slot = section.item(walk, "start_slot");
    program.start_slot = start_slot.as_ref().and_then(|item| read_slot_number(walk, item));
    set(
        &mut program.auto_return,
        section.read(walk, "auto_return", |walk, item| {
            walk.choice(item, &[("off", AutoReturn::Off), ("steady", AutoReturn::Steady)])
        }),
    );
    let steady_s = section.read(walk, "steady_s", |walk, item| walk.number(item, 0.0..=600.0, " s"));
    set(&mut program.steady, steady_s.map(Duration::from_secs_f64));
    section.finish(walk);
    start_slot
}

fn read_size(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<(u32, u32)> {
    let allowed = format!(
        "\"WIDTHxHEIGHT\", both even, {}x{} to {}x{}",
        WIDTHS.start(),
        HEIGHTS.start(),
        WIDTHS.end(),
        HEIGHTS.end()
    );
    let text = walk.text(item, &allowed)?;
    let size = parse_size(text);
    let fits = |(width, height): &(u32, u32)| {
        WIDTHS.contains(width) && HEIGHTS.contains(height) && width % 2 == 0 && height % 2 == 0
    };
    let fitting = size.filter(fits);
    if fitting.is_none() {
        walk.wrong(item, format!("is {}", quoted(text)), allowed);
    }
    fitting
}

fn read_fps(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<u32> {
    let fps = walk.whole(item, 1..=u32::MAX, "");
    // One problem a value: a wrong type or sign is told with the rates as well.
    let rates = FRAME_RATES.map(|rate| rate.to_string()).join(", ");
    match fps {
        Some(fps) if FRAME_RATES.contains(&fps) => Some(fps),
        Some(fps) => {
            walk.wrong(item, format!("is {fps}"), rates);
            None
        }
        None => {
            if let Some(last) = walk.problems.last_mut() {
                last.problem.allowed = Some(rates);
            }
            None
        }
    }
}

fn read_slot_number(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<SlotId> {
    let number = walk.whole(item, 1..=u32::from(SlotId::MAX), "")?;
    u8::try_from(number).ok().and_then(SlotId::new)
}

fn check_start_slot(walk: &mut Walk<'_>, item: &Item<'_>, config: &Config) {
    if let Some(start) = config.program.start_slot.filter(|start| !config.slots.contains_key(start)) {
        let numbers = config.slots.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        walk.conflict(item.line, &item.key, format!("slot {start} is not configured"), Some(&numbers));
    }
}

fn read_record(walk: &mut Walk<'_>, mut section: Section<'_>, record: &mut RecordConfig) {
    set(&mut record.program, section.read(walk, "program", Walk::boolean));
    set(&mut record.slots, section.read(walk, "slots", Walk::boolean));
    let minutes = section.read(walk, "segment_minutes", |walk, item| walk.number(item, 0.05..=240.0, " min"));
    set(&mut record.segment, minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)));
    set(&mut record.require_mount, section.read(walk, "require_mount", Walk::boolean));
    record.second_dir = section.read(walk, "second_dir", Walk::path);
    set(
        &mut record.keep_free_bytes,
        section.read(walk, "keep_free", |walk, item| walk.bytes(item, 1_000_000..=10_000_000_000_000)),
    );
    set(
        &mut record.when_full,
        section.read(walk, "when_full", |walk, item| {
            walk.choice(item, &[("oldest", WhenFull::Oldest), ("stop", WhenFull::Stop)])
        }),
    );
    section.finish(walk);
}

fn read_show(walk: &mut Walk<'_>, mut section: Section<'_>, show: &mut ShowConfig) {
    set(&mut show.autostart, section.read(walk, "autostart", Walk::boolean));
    section.finish(walk);
}

fn read_http(walk: &mut Walk<'_>, mut section: Section<'_>, http: &mut HttpConfig) {
    set(&mut http.socket, section.read(walk, "socket", read_socket));
    http.listen = section.read(walk, "listen", read_listen);
    section.finish(walk);
}

fn read_socket(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<String> {
    let path = walk.path(item)?;
    if path.len() > MAX_SOCKET_PATH_BYTES {
        let what = format!("is {} bytes long with the file's folder before it", path.len());
        walk.wrong(item, what, format!("at most {MAX_SOCKET_PATH_BYTES} bytes, the kernel's limit"));
        return None;
    }
    Some(path)
}

fn read_listen(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<String> {
    const ALLOWED: &str = "\"127.0.0.1:PORT\", \"[::1]:PORT\"";
    let text = walk.text(item, ALLOWED)?;
    match text.parse::<core::net::SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => return Some(address.to_string()),
        Ok(_) => walk.wrong(
            item,
            format!("is {}: there is no authentication yet, so only this machine may connect", quoted(text)),
            ALLOWED,
        ),
        Err(_) => walk.wrong(item, format!("is {}, not an address with a port", quoted(text)), ALLOWED),
    }
    None
}

#[cfg(test)]
mod tests;
