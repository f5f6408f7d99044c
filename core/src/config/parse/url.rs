//! Network addresses: enough is checked to catch a slip of the hand; the rest shows when it is connected to.

use super::super::SrtMode;
use super::super::walk::{Item, Section, Walk, quoted};

const ICE_SCHEMES: &[&str] = &["stun", "turn", "turns"];
/// More of them only delay a connection.
const MAX_ICE_SERVERS: usize = 8;

/// An address with one of these schemes, a host, and, when it has a port, a possible one. A wrong address is not
/// repeated in the problem when it may hold a password.
pub(super) fn read(walk: &mut Walk<'_>, item: &Item<'_>, schemes: &[&str]) -> Option<String> {
    let allowed = schemes.iter().map(|scheme| format!("\"{scheme}://HOST[:PORT]/…\"")).collect::<Vec<_>>().join(", ");
    let text = walk.text(item, &allowed)?;
    match check(text, schemes) {
        Ok(()) => {
            if authority(text).is_some_and(|authority| authority.contains('@')) {
                walk.warn(item, "may hold a password in plain text");
            }
            Some(text.to_owned())
        }
        Err(what) => {
            walk.wrong(item, what, allowed);
            None
        }
    }
}

/// A receiver's address; a listener's may leave out the host, and then listens on every address of the machine.
pub(super) fn read_srt(walk: &mut Walk<'_>, item: &Item<'_>, mode: SrtMode) -> Option<String> {
    let (allowed, filled) = match mode {
        SrtMode::Caller => ("\"srt://HOST:PORT\"", false),
        SrtMode::Listener => ("\"srt://:PORT\", \"srt://ADDRESS:PORT\"", true),
    };
    let text = walk.text(item, allowed)?;
    let with_host = match text.strip_prefix("srt://:") {
        Some(rest) if filled => format!("srt://[::]:{rest}"),
        Some(_) | None => text.to_owned(),
    };
    let what = match check(&with_host, &["srt"]) {
        Err(what) => what,
        Ok(()) if authority(&with_host).is_none_or(|authority| !has_port(authority)) => "has no port".to_owned(),
        Ok(()) if text.contains(['?', '#', '@']) => {
            "holds options: passphrase_file, stream_id, mode and latency_ms are keys of their own".to_owned()
        }
        Ok(()) => return Some(text.to_owned()),
    };
    walk.wrong(item, what, allowed);
    None
}

/// A platform's service: a key is never sent over the network in the clear.
pub(super) fn read_service(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<String> {
    let text = read(walk, item, &["https", "http"])?;
    if text.starts_with("http://") && !is_loopback(&text) {
        walk.wrong(
            item,
            "would send the key unencrypted over the network",
            "\"https://…\", or http:// to this machine",
        );
        return None;
    }
    Some(text)
}

/// `None` when one of them is wrong.
pub(super) fn read_ice_servers(walk: &mut Walk<'_>, section: &mut Section<'_>) -> Option<Vec<super::super::Url>> {
    const ALLOWED: &str = "\"stun://HOST:PORT\", \"turn://USER:PASSWORD@HOST:PORT\", \"turns://…\"";
    let Some(item) = section.item(walk, "ice_servers") else { return Some(Vec::new()) };
    let problems = walk.problems.len();
    let texts = walk.names(&item);
    if texts.len() > MAX_ICE_SERVERS {
        walk.wrong(&item, format!("holds {}", texts.len()), format!("at most {MAX_ICE_SERVERS}"));
    }
    for text in &texts {
        let relayed = !text.starts_with("stun://");
        let named = authority(text).is_some_and(|authority| {
            authority
                .rsplit_once('@')
                .is_some_and(|(user, _)| user.split_once(':').is_some_and(|(name, _)| !name.is_empty()))
        });
        let what = match check(text, ICE_SCHEMES) {
            Err(what) => what,
            Ok(()) if relayed && !named => "has a relay without user name and password".to_owned(),
            Ok(()) => continue,
        };
        walk.wrong(&item, what, ALLOWED);
    }
    if texts.iter().any(|text| text.contains('@')) {
        walk.warn(&item, "may hold a password in plain text");
    }
    (walk.problems.len() == problems).then(|| texts.into_iter().map(super::super::Url::new).collect())
}

fn has_port(authority: &str) -> bool {
    matches!(split_port(authority), Ok((_, Some(_))))
}

/// Whether the host is this machine, by name or by address.
fn is_loopback(text: &str) -> bool {
    let authority = authority(text).unwrap_or_default();
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let Ok((host, _)) = split_port(host_and_port) else { return false };
    host == "localhost" || host.parse::<core::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What is wrong with an address, in words that go after its name.
pub(crate) fn check(text: &str, schemes: &[&str]) -> Result<(), String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("holds a blank or a control character".to_owned());
    }
    if text.len() > 2048 {
        return Err("is longer than 2048 bytes".to_owned());
    }
    let Some((scheme, _)) = text.split_once("://") else { return Err("is not an address".to_owned()) };
    if !schemes.contains(&scheme) {
        return Err(format!("begins with {}", quoted(scheme)));
    }
    let authority = authority(text).unwrap_or_default();
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = split_port(host_and_port)?;
    if host.is_empty() {
        return Err("names no host".to_owned());
    }
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        Some(Ok(0) | Err(_)) => Err("has a port that is not 1–65535".to_owned()),
    }
}

/// What stands between `://` and the path.
fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    Some(rest.split(['/', '?', '#']).next().unwrap_or(rest))
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    let Some(inner) = text.strip_prefix('[') else {
        return Ok(text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))));
    };
    let Some((host, after)) = inner.split_once(']') else { return Err("has a [ without its ]".to_owned()) };
    match (after.is_empty(), after.strip_prefix(':')) {
        (true, _) => Ok((host, None)),
        (false, Some(port)) => Ok((host, Some(port))),
        (false, None) => Err("has text after its ]".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn addresses_are_checked_for_slips() {
        for good in [
            "rtmp://example.org/live",
            "rtmp://10.0.0.1:1935/live/a?b=c",
            "rtmp://u:p@h:80/x",
            "rtmp://[::1]:1935/live",
        ] {
            assert_eq!(check(good, &["rtmp"]), Ok(()), "{good}");
        }
        for (bad, what) in [
            ("example.org/live", "is not an address"),
            ("http://example.org/live", "begins with \"http\""),
            ("RTMP//x", "is not an address"),
            ("rtmp:///live", "names no host"),
            ("rtmp://:1935/live", "names no host"),
            ("rtmp://user:pass@/live", "names no host"),
            ("rtmp://h:0/live", "has a port that is not 1–65535"),
            ("rtmp://h:65536/live", "has a port that is not 1–65535"),
            ("rtmp://h:/live", "has a port that is not 1–65535"),
            ("rtmp://[::1/live", "has a [ without its ]"),
            ("rtmp://a b/live", "holds a blank or a control character"),
        ] {
            assert_eq!(check(bad, &["rtmp"]).unwrap_err(), what, "{bad}");
        }
    }
}
