//! `[mqtt]`: the broker.

use super::super::walk::{Section, Walk};
use super::super::{Secret, Url};
use super::{leg, url};
use crate::mqtt::config::MqttConfig;

const SCHEMES: &[&str] = &["mqtt", "mqtts"];
const MAX_NAME_CHARS: usize = 256;

pub(super) fn read(walk: &mut Walk<'_>, mut section: Section<'_>) -> Option<MqttConfig> {
    let url = section.need(walk, "url", "\"mqtt://HOST[:PORT]\", \"mqtts://…\"", |walk, item| {
        let url = url::read(walk, item, SCHEMES)?;
        if url.contains('@') {
            walk.wrong(item, "holds a user name: username and password_file are keys of their own", "\"mqtts://HOST\"");
            return None;
        }
        Some(url)
    });
    let encrypted = url.as_ref().is_some_and(|url| url.starts_with("mqtts://"));
    let mut file = |name: &'static str| {
        let item = section.item(walk, name)?;
        let path = walk.path(&item)?;
        if url.is_some() && !encrypted {
            walk.warn(&item, "is not used: mqtt:// is not encrypted, mqtts:// is");
        }
        Some((path, item))
    };
    let (ca_file, cert, key) = (file("ca_file"), file("client_cert_file"), file("client_key_file"));
    if let (Some((_, item)), None) | (None, Some((_, item))) = (&cert, &key) {
        let what = "is of no use alone: client_cert_file and client_key_file go together";
        walk.conflict(item.line, &item.key, what, None);
    }
    let username = section.read(walk, "username", |walk, item| walk.name(item, MAX_NAME_CHARS));
    let password = leg::read_secret(walk, &mut section, "password_file", "password");
    if username.is_none() && password.is_some() {
        let name = section.key("username");
        walk.conflict(section.line, &name, "is missing", Some("the name that the password belongs to"));
    }
    let discovery_prefix = section.read(walk, "home_assistant", |walk, item| {
        let prefix = walk.name(item, MAX_NAME_CHARS)?;
        if prefix.contains(['+', '#']) || prefix.starts_with('/') || prefix.ends_with('/') {
            walk.wrong(item, "cannot be the beginning of a topic", "\"homeassistant\"");
            return None;
        }
        Some(prefix)
    });
    section.finish(walk);
    let path = |file: Option<(String, _)>| file.map(|(path, _)| path);
    Some(MqttConfig {
        url: Url::new(url?),
        ca_file: path(ca_file),
        client_cert_file: path(cert),
        client_key_file: path(key),
        username,
        password: password.flatten().map(Secret::new),
        discovery_prefix,
    })
}
