//! A platform's HTTP service: where it is, what opens it, and the form of its answer.

use serde_json::Value;

use super::super::super::walk::{Item, Section, Walk, quoted};
use super::super::super::{Secret, Service, Shape, Url};
use super::super::url;
use super::read_secret;

/// What the service is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Token,
    /// An RTMP address with its stream key.
    Ingress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Pulse,
    Creator,
    Custom,
}

/// Names in braces that a body is filled in with.
const PLACES: &[&str] = &["room", "identity", "name"];
const CUSTOM_KEYS: [&str; 4] = ["body", "token_at", "url_at", "room_at"];
const POINTER: &str = "a JSON pointer like \"/data/token\"";

pub(super) fn read(walk: &mut Walk<'_>, mut section: Section<'_>, purpose: Purpose) -> Option<Service> {
    let url = section.need(walk, "service", "\"https://…\"", url::read_service);
    let forms: &[(&str, Form)] = match purpose {
        Purpose::Token => &[("pulse", Form::Pulse), ("creator", Form::Creator), ("custom", Form::Custom)],
        Purpose::Ingress => &[("pulse", Form::Pulse), ("custom", Form::Custom)],
    };
    let form = match section.item(walk, "shape") {
        Some(item) => walk.choice(&item, forms),
        None => Some(Form::Pulse),
    };
    let header_item = section.item(walk, "header");
    let header = match &header_item {
        Some(item) => read_header(walk, item),
        None if form == Some(Form::Pulse) => Some("X-Pulse-Key".to_owned()),
        None => Some("Authorization".to_owned()),
    };
    let key = read_secret(walk, &mut section, "key_file", "key");
    if let (Some(item), None) = (&header_item, &key) {
        walk.warn(item, "is not used: there is no key_file to put into it");
    }
    let shape = match form {
        Some(Form::Custom) => read_custom(walk, &mut section, purpose),
        Some(form) => {
            for name in CUSTOM_KEYS {
                section.refuse(walk, name, "goes with shape = \"custom\" only");
            }
            Some(if form == Form::Creator { Shape::Creator } else { Shape::Pulse })
        }
        None => {
            for name in CUSTOM_KEYS {
                section.item(walk, name);
            }
            None
        }
    };
    section.finish(walk);
    let key = match key {
        Some(read) => Some(Secret::new(read?)),
        None => None,
    };
    Some(Service { url: Url::new(url?), header: header?, key, shape: shape? })
}

/// What the room is needed for, when the request names it.
pub(super) fn needs_room(shape: &Shape) -> Option<&'static str> {
    const WHAT: &str = "the room that the service is asked about";
    match shape {
        Shape::Pulse => Some(WHAT),
        Shape::Creator => None,
        Shape::Custom { body, .. } => body.contains("{room}").then_some(WHAT),
    }
}

/// Whether the server's address comes with the answer.
pub(super) const fn tells_url(shape: &Shape) -> bool {
    match shape {
        Shape::Pulse | Shape::Creator => true,
        Shape::Custom { url, .. } => url.is_some(),
    }
}

fn read_custom(walk: &mut Walk<'_>, section: &mut Section<'_>, purpose: Purpose) -> Option<Shape> {
    let body = section.need(walk, "body", "the request as JSON text", read_body);
    let token = section.need(walk, "token_at", POINTER, read_pointer);
    let url_item = section.item(walk, "url_at");
    let url = url_item.as_ref().map(|item| read_pointer(walk, item));
    let room_item = section.item(walk, "room_at");
    let room = room_item.as_ref().map(|item| read_pointer(walk, item));
    if purpose == Purpose::Ingress && url_item.is_none() {
        walk.conflict(section.line, &section.key("url_at"), "is missing", Some(POINTER));
    }
    // Given and wrong is a problem that was told; absent is fine.
    if matches!(url, Some(None)) || matches!(room, Some(None)) {
        return None;
    }
    Some(Shape::Custom { body: body?, token: token?, url: url.flatten(), room: room.flatten() })
}

fn read_header(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<String> {
    const ALLOWED: &str = "1–64 of A–Z, a–z, 0–9 and -";
    let text = walk.text(item, ALLOWED)?;
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !fits {
        walk.wrong(item, format!("is {}", quoted(text)), ALLOWED);
    }
    fits.then(|| text.to_owned())
}

/// A template is JSON once its places are filled in, and has no place that nothing is filled into.
fn read_body(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<String> {
    const ALLOWED: &str = "JSON in which {room}, {identity} and {name} are filled in";
    let text = walk.text(item, ALLOWED)?;
    let filled = PLACES.iter().fold(text.to_owned(), |text, place| text.replace(&format!("{{{place}}}"), "x"));
    let what = if text.len() > 8_192 {
        "is longer than 8192 bytes".to_owned()
    } else if serde_json::from_str::<Value>(&filled).is_err() {
        "is not JSON".to_owned()
    } else if let Some(unknown) = open_place(&filled) {
        format!("holds {{{unknown}}}, which nothing is filled into")
    } else {
        return Some(text.to_owned());
    };
    walk.wrong(item, what, ALLOWED);
    None
}

/// A name in braces. JSON itself never has a bare word between braces.
fn open_place(text: &str) -> Option<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).find(|name| {
        !name.is_empty() && name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

/// RFC 6901: empty, or begins with a slash; a tilde stands before 0 or 1.
fn read_pointer(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<String> {
    let text = walk.text(item, POINTER)?;
    let tildes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if !text.starts_with('/') || !tildes || text.chars().any(char::is_control) {
        walk.wrong(item, format!("is {}", quoted(text)), POINTER);
        return None;
    }
    Some(text.to_owned())
}
