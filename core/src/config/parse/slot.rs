//! `[[slot]]`: the camera positions.

use std::collections::BTreeMap;

use crate::ids::{Port, SlotId};

use super::super::walk::{Item, Section, Walk, quoted, set};
use super::super::{ProgramConfig, SlotAudio, SlotConfig, Source, Url};
use super::{read_slot_number, url};

/// Schemes that a network source is pulled by.
const NETWORK_SCHEMES: &[&str] = &["rtsp", "rtmp", "srt"];
const KINDS: &str = "\"v4l2\", \"test\", \"file\", \"network\"";

pub(super) fn read_slots(
    walk: &mut Walk<'_>,
    item: &Item<'_>,
    program: &ProgramConfig,
) -> BTreeMap<SlotId, SlotConfig> {
    let mut slots = BTreeMap::new();
    let mut ports: BTreeMap<Port, SlotId> = BTreeMap::new();
    for mut section in walk.tables(item) {
        let line = section.item(walk, "number").map_or(section.line, |item| item.line);
        let number = section.need(walk, "number", "1–5", read_slot_number);
        // A slot without a number is read all the same, for the problems that are in it.
        let Some(placeholder) = number.or(SlotId::new(1)) else { continue };
        let (slot, port) = read_slot(walk, section, placeholder, program);
        let Some(number) = number else { continue };
        if let Some((port, port_line)) = port
            && let Some(other) = ports.insert(port.clone(), number)
            && other != number
        {
            let what = format!("port {} is slot {other}'s already", quoted(port.as_str()));
            walk.conflict(port_line, "slot.source.port", what, Some("one slot for each port"));
        }
        if slots.insert(number, slot).is_some() {
            walk.conflict(line, "slot.number", format!("{number} is given to two slots"), Some("each of 1–5 once"));
        }
    }
    slots
}

fn read_slot(
    walk: &mut Walk<'_>,
    mut section: Section<'_>,
    number: SlotId,
    program: &ProgramConfig,
) -> (SlotConfig, Option<(Port, usize)>) {
    let mut slot = SlotConfig::for_slot(number);
    let mut port = None;
    set(&mut slot.name, section.read(walk, "name", |walk, item| walk.name(item, 64)));
    set(&mut slot.priority, section.read(walk, "priority", |walk, item| walk.whole(item, 1..=100, "")));
    if let Some(item) = section.item(walk, "source")
        && let Some(source) = walk.table(&item)
    {
        let port_line = match item.value.as_table().and_then(|table| table.get_key_value("port")) {
            Some((key, _)) => walk.line_of(key.span().start),
            None => item.line,
        };
        set(&mut slot.source, read_source(walk, source, program));
        if let Source::V4l2 { port: Some(given), .. } = &slot.source {
            port = Some((given.clone(), port_line));
        }
    }
    set(&mut slot.audio, section.read(walk, "audio", read_audio));
    set(&mut slot.delay_ms, section.read(walk, "delay_ms", |walk, item| walk.whole(item, 0..=1000, " ms")));
    section.finish(walk);
    (slot, port)
}

fn read_source(walk: &mut Walk<'_>, mut section: Section<'_>, program: &ProgramConfig) -> Option<Source> {
    let names = [("v4l2", "v4l2"), ("test", "test"), ("file", "file"), ("network", "network")];
    let kind = section.need(walk, "kind", KINDS, |walk, item| walk.choice(item, &names))?;
    let source = match kind {
        "test" => Some(read_test(walk, &mut section, program)),
        "file" => {
            let path = section.need(walk, "path", "a path, absolute or relative to this file", Walk::path);
            let repeat = section.read(walk, "loop", Walk::boolean).unwrap_or(false);
            path.map(|path| Source::File { path, repeat })
        }
        "network" => section
            .need(walk, "url", "\"rtsp://…\", \"rtmp://…\", \"srt://…\"", |walk, item| {
                url::read(walk, item, NETWORK_SCHEMES)
            })
            .map(|url| Source::Network { url: Url::new(url) }),
        _ => {
            let port = section.read(walk, "port", |walk, item| walk.name(item, 128)).map(Port::new);
            let controls = section.read(walk, "controls", read_controls).unwrap_or_default();
            Some(Source::V4l2 { port, controls })
        }
    };
    section.finish(walk);
    source
}

/// Names and values are the camera's to judge.
fn read_controls(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<BTreeMap<String, i64>> {
    let section = walk.table(item)?;
    let mut controls = BTreeMap::new();
    for (name, item) in section.into_items(walk) {
        let value = match item.value.as_bool() {
            Some(on) => Some(i64::from(on)),
            None => walk.signed(&item),
        };
        controls.extend(value.map(|value| (name, value)));
    }
    Some(controls)
}

fn read_test(walk: &mut Walk<'_>, section: &mut Section<'_>, program: &ProgramConfig) -> Source {
    let marks_item = section.item(walk, "marks");
    let marks = marks_item.as_ref().and_then(|item| walk.boolean(item)).unwrap_or(false);
    // Forty cells across, each a fortieth of the width and a forty-fifth of the height.
    let uneven = !program.width.is_multiple_of(40) || !program.height.is_multiple_of(45);
    if let Some(item) = marks_item.filter(|_| marks && uneven) {
        let size = format!("{}x{}", program.width, program.height);
        walk.warn(&item, format!("marks cannot be exact at {size}: a cell is width/40 by height/45 pixels"));
    }
    let tone_hz = section.read(walk, "tone_hz", |walk, item| walk.whole(item, 20..=20_000, " Hz"));
    Source::Test { marks, tone_hz }
}

fn read_audio(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<SlotAudio> {
    match walk.text(item, "\"auto\", \"none\", an ALSA name such as \"hw:CARD=HDMI1,DEV=0\"")? {
        "auto" => Some(SlotAudio::Auto),
        "none" => Some(SlotAudio::None),
        _ => walk.name(item, 128).map(SlotAudio::Alsa),
    }
}
