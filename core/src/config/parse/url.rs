//! Network addresses: enough is checked to catch a slip of the hand; the rest shows when it is connected to.

use super::super::walk::{Item, Walk, quoted};

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
