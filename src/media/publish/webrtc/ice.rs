//! Servers that a connection finds its way by, beside the machine's own addresses.

use gst::prelude::*;

/// TURN in TLS, where no port is named.
const TURNS_PORT: u16 = 5_349;
const TURN_PORT: u16 = 3_478;

/// Where candidates beside the machine's own addresses come from.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:HOST[:PORT]`, `turn:HOST[:PORT][?transport=udp|tcp]` or `turns:…`.
    pub url: String,
    pub username: String,
    pub credential: String,
}

impl IceServer {
    /// Of an address with `USER:PASSWORD@` in front of the host, as a configuration has it.
    pub fn configured(url: &str) -> Self {
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        let rest = rest.trim_start_matches("//");
        let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (username, credential) = login.split_once(':').unwrap_or((login, ""));
        Self { url: format!("{scheme}:{place}"), username: username.to_owned(), credential: credential.to_owned() }
    }

    /// Host and port of a TURN server that is spoken to in TLS; `None`: any other.
    pub fn tls_place(&self) -> Option<(&str, u16)> {
        let (scheme, rest) = self.url.split_once(':')?;
        let place = rest.trim_start_matches("//").split('?').next()?;
        let (host, port) = match place.rsplit_once(':').filter(|_| !place.ends_with(']')) {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (place, TURNS_PORT),
        };
        let host = host.trim_matches(['[', ']']);
        (scheme.eq_ignore_ascii_case("turns") && !host.is_empty()).then_some((host, port))
    }
}

/// To be called before the first description. Servers whose address makes no sense are left out and named.
pub fn use_servers(bin: &gst::Element, servers: &[IceServer]) {
    for server in servers {
        match sdp_server(server) {
            Some(Server::Stun(url)) => bin.set_property("stun-server", url),
            Some(Server::Turn(url)) => {
                if !bin.emit_by_name::<bool>("add-turn-server", &[&url]) {
                    tracing::debug!("the TURN server {} is not taken", server.url);
                }
            }
            None => tracing::debug!("{} is not an ICE server's address", server.url),
        }
    }
}

enum Server {
    Stun(String),
    Turn(String),
}

/// In the form that the element takes: `stun://host:port`, `turn://user:password@host:port?transport=…`.
fn sdp_server(server: &IceServer) -> Option<Server> {
    let (scheme, rest) = server.url.split_once(':')?;
    let rest = rest.trim_start_matches("//");
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    if place.is_empty() || !place.chars().all(|it| it.is_ascii_alphanumeric() || ".-:[]_".contains(it)) {
        return None;
    }
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok() && !place.ends_with(']'));
    let place = if has_port { place.to_owned() } else { format!("{place}:{TURN_PORT}") };
    match scheme.to_ascii_lowercase().as_str() {
        "stun" => Some(Server::Stun(format!("stun://{place}"))),
        // Those in TLS come through a tunnel, as this kind.
        "turn" => {
            let (user, password) = (escaped(&server.username), escaped(&server.credential));
            let query = query.filter(|it| ["transport=udp", "transport=tcp"].contains(it));
            let query = query.map(|it| format!("?{it}")).unwrap_or_default();
            Some(Server::Turn(format!("turn://{user}:{password}@{place}{query}")))
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_in_tls_are_known_by_their_scheme_with_host_and_port() {
        let server = |url: &str| IceServer { url: url.to_owned(), username: String::new(), credential: String::new() };
        let table = [
            ("turns:turn.example:443?transport=tcp", Some(("turn.example", 443))),
            ("TURNS://turn.example", Some(("turn.example", 5_349))),
            ("turns:[2001:db8::1]:443", Some(("2001:db8::1", 443))),
            ("turns:[2001:db8::1]", Some(("2001:db8::1", 5_349))),
            ("turns:turn.example:x", None),
            ("turns:", None),
            ("turn:turn.example:443?transport=tcp", None),
            ("nonsense", None),
        ];
        for (url, expected) in table {
            assert_eq!(server(url).tls_place(), expected, "{url}");
        }
    }
}
