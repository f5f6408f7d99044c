//! `kind = "whip"`: WebRTC to any server that speaks it, let in by a bearer token.

use super::super::super::walk::{Section, Walk};
use super::super::super::{TokenSource, Url, WhipTarget};
use super::super::url;
use super::token;
use super::{read_identity, read_room};

const SCHEMES: &[&str] = &["https", "http"];

pub(super) fn read(walk: &mut Walk<'_>, section: &mut Section<'_>, box_id: &str) -> Option<WhipTarget> {
    let url = section.need(walk, "url", "\"https://…\", \"http://…\"", |walk, item| url::read(walk, item, SCHEMES));
    let token_item = section.item(walk, "token");
    let token = token_item.as_ref().map(|item| token::read(walk, item));
    let room = read_room(walk, section);
    let identity = read_identity(walk, section, box_id);
    match &token {
        // No token of ours to be made: nothing says who we are.
        None => {
            for name in ["room", "identity"] {
                if let Some(item) = section.item(walk, name) {
                    walk.warn(&item, "is not used: there is no token to put it into");
                }
            }
        }
        Some(Some(token)) => token::check_place(walk, section, token),
        Some(None) => {}
    }
    let ice_servers = url::read_ice_servers(walk, section);
    let token: Option<TokenSource> = match token {
        Some(read) => Some(read?),
        None => None,
    };
    Some(WhipTarget { url: Url::new(url?), token, room, identity: identity?, ice_servers: ice_servers? })
}
