//! `[[leg]]`: the publishing destinations. What all kinds have is read here, the rest of each kind in a module of its
//! own.

mod livekit;
mod rtmp;
mod service;
mod srt;
mod token;
mod whip;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::LegId;

use super::super::walk::{Item, Section, Walk, quoted};
use super::super::{LegConfig, LegTarget, PROVES};

const KINDS: &str = "\"livekit\", \"rtmp\", \"srt\", \"whip\"";
/// Longest name of a room or a participant, in characters.
const MAX_NAME_CHARS: usize = 128;

#[derive(Clone, Copy)]
enum Kind {
    Livekit,
    Rtmp,
    Srt,
    Whip,
}

pub(super) fn read_legs(walk: &mut Walk<'_>, item: &Item<'_>, box_id: &str) -> Vec<LegConfig> {
    let mut legs: Vec<LegConfig> = Vec::new();
    let mut ranks: BTreeMap<u32, LegId> = BTreeMap::new();
    for mut section in walk.tables(item) {
        let line = section.line;
        let name_line = section.item(walk, "name").map_or(section.line, |item| item.line);
        let uplink_line = section.item(walk, "uplink").map_or(section.line, |item| item.line);
        let name = section.need(walk, "name", "1–32 of a–z, 0–9 and -", Walk::identifier).map(LegId::new);
        let uplink = section.read(walk, "uplink", |walk, item| walk.whole(item, 1..=100, ""));
        let proves = read_proof(walk, &mut section, uplink);
        let leg = read_leg(walk, section, name.clone(), uplink, proves, box_id);
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
        if let Some(leg) = leg {
            check_identity(walk, line, &leg, &legs);
            legs.push(leg);
        }
    }
    legs
}

fn read_proof(walk: &mut Walk<'_>, section: &mut Section<'_>, uplink: Option<u32>) -> Duration {
    let item = section.item(walk, "proves_s");
    if let (Some(item), None) = (&item, uplink) {
        walk.warn(item, "is not used: a leg without a rank takes over from nobody".to_owned());
    }
    let proves_s = item.and_then(|item| walk.number(&item, 1.0..=600.0, " s"));
    proves_s.map_or(PROVES, Duration::from_secs_f64)
}

fn read_leg(
    walk: &mut Walk<'_>,
    mut section: Section<'_>,
    name: Option<LegId>,
    uplink: Option<u32>,
    proves: Duration,
    box_id: &str,
) -> Option<LegConfig> {
    let kinds = [("livekit", Kind::Livekit), ("rtmp", Kind::Rtmp), ("srt", Kind::Srt), ("whip", Kind::Whip)];
    let kind = section.need(walk, "kind", KINDS, |walk, item| walk.choice(item, &kinds))?;
    let target = match kind {
        Kind::Livekit => livekit::read(walk, &mut section, box_id).map(LegTarget::Livekit),
        Kind::Rtmp => rtmp::read(walk, &mut section, box_id).map(LegTarget::Rtmp),
        Kind::Srt => srt::read(walk, &mut section).map(LegTarget::Srt),
        Kind::Whip => whip::read(walk, &mut section, box_id).map(LegTarget::Whip),
    };
    let ca_item = section.item(walk, "ca_file");
    let ca_file = ca_item.as_ref().and_then(|item| walk.path(item));
    if let (Some(item), Some(why)) = (&ca_item, target.as_ref().and_then(knows_no_tls)) {
        walk.warn(item, format!("is not used: {why}"));
    }
    section.finish(walk);
    Some(LegConfig { name: name?, uplink, target: target?, ca_file, proves })
}

/// Why no connection of the leg, its service and its relays included, is by TLS; `None`: one is, or may be.
fn knows_no_tls(target: &LegTarget) -> Option<&'static str> {
    let addresses = target.url().into_iter().chain(target.service().map(|service| &service.url));
    if addresses.into_iter().any(|url| matches!(url.scheme().as_str(), "rtmps" | "wss" | "https")) {
        return None;
    }
    match target {
        LegTarget::Rtmp(_) => Some("rtmp:// is not encrypted, rtmps:// is"),
        // Whatever its address, the server may name a relay that is spoken to in TLS.
        LegTarget::Livekit(_) => None,
        LegTarget::Whip(whip) if whip.ice_servers.iter().any(|server| server.scheme() == "turns") => None,
        LegTarget::Whip(_) => Some("http:// is not encrypted, https:// is"),
        LegTarget::Srt(_) => Some("SRT knows no certificates, it is encrypted with a passphrase"),
    }
}

/// A server lets the newest of two participants in and throws the other out: two such legs would do that for ever.
fn check_identity(walk: &mut Walk<'_>, line: usize, leg: &LegConfig, others: &[LegConfig]) {
    let LegTarget::Livekit(own) = &leg.target else { return };
    let same = |other: &LegConfig| match &other.target {
        LegTarget::Livekit(other) => {
            (&other.url, &other.room, &other.identity, &other.token) == (&own.url, &own.room, &own.identity, &own.token)
        }
        LegTarget::Rtmp(_) | LegTarget::Srt(_) | LegTarget::Whip(_) => false,
    };
    if let Some(other) = others.iter().find(|other| same(other)) {
        let what = format!(
            "leg {} joins the same room as {}: the server lets only one of them stay",
            quoted(other.name.as_str()),
            quoted(&own.identity)
        );
        walk.conflict(line, "leg.identity", what, Some("another identity for each leg"));
    }
}

/// A secret that a file holds, or, with a warning, that stands in the configuration itself.
/// Outer `None`: none is given. Inner `None`: one is given and is wrong.
#[expect(clippy::option_option, reason = "a secret that is wrong is not one that is missing")]
pub(super) fn read_secret(
    walk: &mut Walk<'_>,
    section: &mut Section<'_>,
    file_key: &'static str,
    plain_key: &'static str,
) -> Option<Option<String>> {
    let file = section.item(walk, file_key);
    let plain = section.item(walk, plain_key);
    if let (Some(_), Some(plain)) = (&file, &plain) {
        walk.conflict(plain.line, &plain.key, format!("is given beside {file_key}"), Some("one of the two"));
    }
    if let Some(item) = file {
        return Some(walk.secret_file(&item));
    }
    let item = plain?;
    walk.warn(&item, format!("is a secret in plain text: {file_key} keeps it out of this file"));
    let text = walk.text(&item, "one line of text")?;
    Some(walk.secret_text(&item, text))
}

fn read_room(walk: &mut Walk<'_>, section: &mut Section<'_>) -> Option<String> {
    section.read(walk, "room", |walk, item| walk.name(item, MAX_NAME_CHARS))
}

/// The box's name where none is given.
fn read_identity(walk: &mut Walk<'_>, section: &mut Section<'_>, box_id: &str) -> Option<String> {
    match section.item(walk, "identity") {
        Some(item) => walk.name(&item, MAX_NAME_CHARS),
        None => Some(box_id.to_owned()),
    }
}
