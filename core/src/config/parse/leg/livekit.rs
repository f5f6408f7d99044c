//! `kind = "livekit"`: a room, who we are in it, what is published, and what lets us in.

use super::super::super::walk::{Section, Walk, set};
use super::super::super::{LivekitTarget, Publish, Url};
use super::super::url;
use super::token;
use super::{read_identity, read_room};

const SCHEMES: &[&str] = &["wss", "ws"];

pub(super) fn read(walk: &mut Walk<'_>, section: &mut Section<'_>, box_id: &str) -> Option<LivekitTarget> {
    let url_item = section.item(walk, "url");
    let url = url_item.as_ref().map(|item| url::read(walk, item, SCHEMES));
    let token = section.need(walk, "token", token::ALLOWED, token::read);
    let room = read_room(walk, section);
    let identity = read_identity(walk, section, box_id);
    let mut publish = Publish::Program;
    let choices = [("program", Publish::Program), ("program+slots", Publish::ProgramAndSlots)];
    set(&mut publish, section.read(walk, "publish", |walk, item| walk.choice(item, &choices)));
    let ice_servers = url::read_ice_servers(walk, section);
    let token = token?;
    token::check_place(walk, section, &token);
    if url.is_none() && !token::tells_url(&token) {
        walk.conflict(section.line, &section.key("url"), "is missing", Some("\"wss://…\", \"ws://…\""));
    }
    let url = match url {
        Some(read) => Some(Url::new(read?)),
        None => None,
    };
    Some(LivekitTarget { url, room, identity: identity?, publish, token, ice_servers: ice_servers? })
}
