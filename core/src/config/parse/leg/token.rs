//! `token = { … }`: given once, made here, or fetched.

use super::super::super::walk::{Item, Section, Walk};
use super::super::super::{Secret, TokenSource};
use super::read_secret;
use super::service::{self, Purpose};

pub(super) const ALLOWED: &str =
    "{ key = \"…\", secret_file = \"…\" }, { file = \"…\" }, { service = \"https://…\", key_file = \"…\" }";
const MAX_KEY_CHARS: usize = 256;

pub(super) fn read(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<TokenSource> {
    let mut section = walk.table(item)?;
    if section.item(walk, "service").is_some() {
        for name in ["file", "value", "secret", "secret_file"] {
            section.refuse(walk, name, "is given beside service, which tells the token");
        }
        return service::read(walk, section, Purpose::Token).map(TokenSource::Service);
    }
    if section.item(walk, "key").is_some() || section.item(walk, "secret_file").is_some() {
        return read_minted(walk, section);
    }
    let token = read_secret(walk, &mut section, "file", "value");
    if token.is_none() {
        walk.conflict(section.line, &item.key, "gives no token", Some(ALLOWED));
    }
    section.finish(walk);
    Some(TokenSource::Fixed(Secret::new(token??)))
}

fn read_minted(walk: &mut Walk<'_>, mut section: Section<'_>) -> Option<TokenSource> {
    for name in ["file", "value"] {
        section.refuse(walk, name, "is given beside key: a token is given or made, not both");
    }
    let key =
        section.need(walk, "key", "the name of the server's API key", |walk, item| walk.name(item, MAX_KEY_CHARS));
    let secret = read_secret(walk, &mut section, "secret_file", "secret");
    if secret.is_none() {
        let name = section.key("secret_file");
        walk.conflict(section.line, &name, "is missing", Some("a file with the secret of that API key"));
    }
    section.finish(walk);
    Some(TokenSource::Minted { key: key?, secret: Secret::new(secret??) })
}

/// Whether the server's address comes with the token.
pub(super) fn tells_url(token: &TokenSource) -> bool {
    match token {
        TokenSource::Service(service) => service::tells_url(&service.shape),
        TokenSource::Fixed(_) | TokenSource::Minted { .. } => false,
    }
}

/// Compares where room and identity stand with what the token needs of them.
pub(super) fn check_place(walk: &mut Walk<'_>, section: &mut Section<'_>, token: &TokenSource) {
    let room = section.item(walk, "room");
    if let TokenSource::Fixed(_) = token {
        for item in room.into_iter().chain(section.item(walk, "identity")) {
            walk.warn(&item, "is not used: the token says it");
        }
        return;
    }
    let needed = match token {
        TokenSource::Minted { .. } => Some("the room that the token is made for"),
        TokenSource::Service(service) => service::needs_room(&service.shape),
        TokenSource::Fixed(_) => None,
    };
    if let (None, Some(what)) = (room, needed) {
        walk.conflict(section.line, &section.key("room"), "is missing", Some(what));
    }
}
