//! `[mqtt]`: the broker, and what opens it.

use serde::{Deserialize, Serialize};

use crate::config::{Secret, Url};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MqttConfig {
    /// `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`.
    pub url: Url,
    /// Trust this CA as well (PEM file).
    pub ca_file: Option<String>,
    /// Certificate (chain) and key that the broker knows us by, PEM files; both or neither.
    pub client_cert_file: Option<String>,
    pub client_key_file: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// Prefix of Home Assistant's discovery topics; `None`: nothing is announced.
    pub discovery_prefix: Option<String>,
}

impl MqttConfig {
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "mqtts"
    }

    /// Host, without brackets, and port.
    pub fn broker(&self) -> (String, u16) {
        let rest = self.url.reveal().split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let usual = if self.is_encrypted() { 8883 } else { 1883 };
        let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        (host.to_owned(), port.and_then(|port| port.parse().ok()).unwrap_or(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_found_by_its_address() {
        for (url, broker) in [
            ("mqtt://10.0.0.2", ("10.0.0.2", 1883)),
            ("mqtts://broker.example", ("broker.example", 8883)),
            ("mqtts://broker.example:8884/", ("broker.example", 8884)),
            ("mqtt://[::1]:1884", ("::1", 1884)),
            ("mqtt://[::1]", ("::1", 1883)),
        ] {
            let config = MqttConfig {
                url: Url::new(url),
                ca_file: None,
                client_cert_file: None,
                client_key_file: None,
                username: None,
                password: None,
                discovery_prefix: None,
            };
            assert_eq!(config.broker(), (broker.0.to_owned(), broker.1), "{url}");
        }
    }
}
