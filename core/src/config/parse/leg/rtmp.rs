//! `kind = "rtmp"`: an address with its stream key, or a service that makes an ingress and tells both.

use super::super::super::walk::{Item, Section, Walk};
use super::super::super::{Ingress, RtmpTarget, Secret, Url};
use super::super::url;
use super::service::{self, Purpose};
use super::{read_identity, read_secret};

const SCHEMES: &[&str] = &["rtmp", "rtmps"];
const ALLOWED: &str = "\"rtmp://…\", \"rtmps://…\", or an ingress in its place";

pub(super) fn read(walk: &mut Walk<'_>, section: &mut Section<'_>, box_id: &str) -> Option<RtmpTarget> {
    match section.item(walk, "ingress") {
        Some(item) => read_ingress(walk, section, &item, box_id).map(RtmpTarget::Ingress),
        None => read_fixed(walk, section),
    }
}

fn read_fixed(walk: &mut Walk<'_>, section: &mut Section<'_>) -> Option<RtmpTarget> {
    for name in ["room", "identity"] {
        section.refuse(walk, name, "goes with ingress only");
    }
    let url_item = section.item(walk, "url");
    let url = section.need(walk, "url", ALLOWED, |walk, item| url::read(walk, item, SCHEMES));
    let stream_key = read_secret(walk, section, "stream_key_file", "stream_key");
    if let (Some(item), Some(url)) = (&url_item, &url) {
        check_path(walk, item, url, stream_key.is_some());
    }
    Some(RtmpTarget::Fixed { url: Url::new(url?), stream_key: stream_key.flatten().map(Secret::new) })
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

fn read_ingress(walk: &mut Walk<'_>, section: &mut Section<'_>, item: &Item<'_>, box_id: &str) -> Option<Ingress> {
    for name in ["url", "stream_key", "stream_key_file"] {
        section.refuse(walk, name, "is given beside ingress, which tells it");
    }
    let service = walk.table(item).and_then(|table| service::read(walk, table, Purpose::Ingress));
    let room = section.need(walk, "room", "the room that the service makes an ingress for", |walk, item| {
        walk.name(item, super::MAX_NAME_CHARS)
    });
    let identity = read_identity(walk, section, box_id);
    Some(Ingress { service: service?, room: room?, identity: identity? })
}
