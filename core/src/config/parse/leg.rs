//! `[[leg]]`: the publishing destinations.

use std::collections::BTreeMap;

use crate::ids::LegId;

use super::super::walk::{Item, Section, Walk, quoted};
use super::super::{LegConfig, LegTarget, RtmpTarget, Secret, Url};
use super::url;

const RTMP_SCHEMES: &[&str] = &["rtmp", "rtmps"];
const KINDS: &str = "\"rtmp\"";
/// Kinds that are known and that this version cannot publish to.
const LATER_KINDS: &[&str] = &["livekit", "srt", "whip"];

pub(super) fn read_legs(walk: &mut Walk<'_>, item: &Item<'_>) -> Vec<LegConfig> {
    let mut legs: Vec<LegConfig> = Vec::new();
    let mut ranks: BTreeMap<u32, LegId> = BTreeMap::new();
    for mut section in walk.tables(item) {
        let name_line = section.item(walk, "name").map_or(section.line, |item| item.line);
        let uplink_line = section.item(walk, "uplink").map_or(section.line, |item| item.line);
        let name = section.need(walk, "name", "1–32 of a–z, 0–9 and -", Walk::identifier).map(LegId::new);
        let uplink = section.read(walk, "uplink", |walk, item| walk.whole(item, 1..=100, ""));
        let leg = read_leg(walk, section, name.clone(), uplink);
        let Some(name) = name else { continue };
        if legs.iter().any(|other| other.name == name) {
            walk.conflict(name_line, "leg.name", format!("{} is given to two legs", quoted(name.as_str())), None);
        }
        if let Some(rank) = uplink
            && let Some(other) = ranks.insert(rank, name)
        {
            let what = format!("rank {rank} is leg {}'s already", quoted(other.as_str()));
            walk.conflict(uplink_line, "leg.uplink", what, Some("each rank once"));
        }
        legs.extend(leg);
    }
    legs
}

fn read_leg(
    walk: &mut Walk<'_>,
    mut section: Section<'_>,
    name: Option<LegId>,
    uplink: Option<u32>,
) -> Option<LegConfig> {
    section.need(walk, "kind", KINDS, read_kind)?;
    let url_item = section.item(walk, "url");
    let url =
        section.need(walk, "url", "\"rtmp://…\", \"rtmps://…\"", |walk, item| url::read(walk, item, RTMP_SCHEMES));
    let stream_key = read_stream_key(walk, &mut section);
    if let (Some(item), Some(url)) = (&url_item, &url) {
        check_path(walk, item, url, stream_key.is_some());
    }
    let ca_item = section.item(walk, "ca_file");
    let ca_file = ca_item.as_ref().and_then(|item| walk.path(item));
    if let (Some(item), Some(url)) = (&ca_item, &url)
        && Url::new(url).scheme() == "rtmp"
    {
        walk.warn(item, "is not used: rtmp:// is not encrypted, rtmps:// is");
    }
    section.finish(walk);
    Some(LegConfig {
        name: name?,
        uplink,
        target: LegTarget::Rtmp(RtmpTarget::Fixed {
            url: Url::new(url?),
            stream_key: stream_key.flatten().map(Secret::new),
        }),
        ca_file,
    })
}

/// `None` for a kind that is not ours to judge further: its other keys are not looked at.
fn read_kind(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<()> {
    match item.value.as_str() {
        Some("rtmp") => Some(()),
        Some(kind) if LATER_KINDS.contains(&kind) => {
            walk.wrong(item, format!("{} is not supported by this version", quoted(kind)), KINDS);
            None
        }
        _ => walk.choice(item, &[("rtmp", ())]),
    }
}

/// Outer `None`: none is given. Inner `None`: one is given and is wrong.
fn read_stream_key(walk: &mut Walk<'_>, section: &mut Section<'_>) -> Option<Option<String>> {
    let file = section.item(walk, "stream_key_file");
    let plain = section.item(walk, "stream_key");
    if let (Some(_), Some(plain)) = (&file, &plain) {
        walk.conflict(plain.line, &plain.key, "is given beside stream_key_file", Some("one of the two"));
    }
    if let Some(item) = file {
        return Some(walk.secret_file(&item));
    }
    let item = plain?;
    walk.warn(&item, "is a secret in plain text: stream_key_file keeps it out of this file");
    let text = walk.text(&item, "one line of text")?;
    Some(walk.secret_text(&item, text))
}

/// An RTMP address is `rtmp://host/app` and the stream's name, which is the key.
fn check_path(walk: &mut Walk<'_>, item: &Item<'_>, url: &str, has_key: bool) {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let parts = path.split(['/', '?']).filter(|part| !part.is_empty()).count();
    if parts == 0 {
        walk.wrong(item, "names no application", "\"rtmp://HOST/APP\" with the stream key in stream_key_file");
    } else if parts == 1 && !has_key {
        walk.warn(item, "has no stream key: the server is sent an empty stream name");
    }
}
