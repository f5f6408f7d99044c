//! Who may speak to the TCP surface while it has no authentication.
//!
//! It is bound to loopback, but a web page that a browser on this machine shows can reach loopback too: directly, then
//! its requests carry the page's `Origin`, or under a name of its own that resolves to loopback, then they carry that
//! name as `Host`. Both must therefore name this machine.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

/// # Errors
/// Why the request is turned away.
pub(super) fn admit(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.get_all(HOST).iter().any(|host| !host.to_str().is_ok_and(is_loopback)) {
        return Err("the Host header must name this machine: localhost, 127.0.0.1 or [::1]");
    }
    let local = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| is_loopback(authority));
    if headers.get_all(ORIGIN).iter().any(|origin| !origin.to_str().is_ok_and(local)) {
        return Err("pages of other hosts may not speak to this box");
    }
    Ok(())
}

/// `host` or `host:port`.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_admitted() {
        let table = [
            (Some("127.0.0.1:8080"), None, true),
            (Some("localhost:8080"), Some("http://localhost:8080"), true),
            (Some("LocalHost"), Some("http://127.0.0.1"), true),
            (Some("[::1]:8080"), Some("http://[::1]:8080"), true),
            (None, None, true),
            (Some("evil.example"), None, false),
            (Some("evil.example:8080"), Some("http://evil.example:8080"), false),
            (Some("127.0.0.1:8080"), Some("https://evil.example"), false),
            (Some("127.0.0.1:8080"), Some("null"), false),
            (Some("127.0.0.1.evil.example"), None, false),
            (Some("localhost@evil.example"), None, false),
            (Some("192.168.1.4:8080"), None, false),
        ];
        for (host, origin, admitted) in table {
            let mut headers = HeaderMap::new();
            host.map(|host| headers.insert(HOST, host.parse().unwrap()));
            origin.map(|origin| headers.insert(ORIGIN, origin.parse().unwrap()));
            assert_eq!(admit(&headers).is_ok(), admitted, "{host:?} {origin:?}");
        }
    }
}
