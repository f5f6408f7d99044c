//! `kind = "srt"`: calls a receiver, or waits for one.

use std::time::Duration;

use super::super::super::walk::{Item, Section, Walk, set};
use super::super::super::{Secret, SrtMode, SrtTarget, Url};
use super::super::url;
use super::read_secret;

/// SRT's own default.
const LATENCY_MS: u32 = 120;
/// Bytes of a passphrase, by the protocol.
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 10..=79;
/// Bytes of a stream id, by the protocol.
const MAX_STREAM_ID_BYTES: usize = 512;

pub(super) fn read(walk: &mut Walk<'_>, section: &mut Section<'_>) -> Option<SrtTarget> {
    let mut mode = SrtMode::Caller;
    set(
        &mut mode,
        section.read(walk, "mode", |walk, item| {
            walk.choice(item, &[("caller", SrtMode::Caller), ("listener", SrtMode::Listener)])
        }),
    );
    let url = section.need(walk, "url", "\"srt://HOST:PORT\"", |walk, item| url::read_srt(walk, item, mode));
    let passphrase = read_passphrase(walk, section);
    let stream_id = read_stream_id(walk, section, mode);
    let mut latency_ms = LATENCY_MS;
    set(&mut latency_ms, section.read(walk, "latency_ms", |walk, item| walk.whole(item, 20..=8_000, " ms")));
    Some(SrtTarget {
        url: Url::new(url?),
        mode,
        passphrase: passphrase.map(Secret::new),
        stream_id,
        latency: Duration::from_millis(u64::from(latency_ms)),
    })
}

fn read_passphrase(walk: &mut Walk<'_>, section: &mut Section<'_>) -> Option<String> {
    let place = section.item(walk, "passphrase_file").or_else(|| section.item(walk, "passphrase"));
    let text = read_secret(walk, section, "passphrase_file", "passphrase")??;
    if let Some(item) = place
        && !PASSPHRASE_BYTES.contains(&text.len())
    {
        let allowed = format!("{}–{} bytes", PASSPHRASE_BYTES.start(), PASSPHRASE_BYTES.end());
        walk.wrong(&item, format!("has {} bytes", text.len()), allowed);
        return None;
    }
    Some(text)
}

fn read_stream_id(walk: &mut Walk<'_>, section: &mut Section<'_>, mode: SrtMode) -> Option<String> {
    let item = section.item(walk, "stream_id")?;
    if mode == SrtMode::Listener {
        walk.warn(&item, "is not used: whoever calls a listener brings it");
    }
    check_stream_id(walk, &item)
}

fn check_stream_id(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<String> {
    let id = walk.name(item, MAX_STREAM_ID_BYTES)?;
    if id.len() > MAX_STREAM_ID_BYTES {
        walk.wrong(item, format!("has {} bytes", id.len()), format!("at most {MAX_STREAM_ID_BYTES} bytes"));
        return None;
    }
    Some(id)
}
