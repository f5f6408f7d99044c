//! How the broker is connected to.

use std::sync::Arc;
use std::time::Duration;

use cuebox_core::mqtt::Topics;
use cuebox_core::mqtt::config::MqttConfig;
use rumqttc::{AckMode, LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A broker that says nothing for one and a half of these is gone. Commands are not believed gone sooner.
const KEEP_ALIVE_S: u16 = 5;
/// What the broker keeps for us: commands sent during a short absence arrive, older ones would surprise.
const SESSION_S: u32 = 10;
/// Messages that the broker may have under way to us at once. Not every broker keeps to it.
pub const UNDER_WAY: u16 = 32;
/// Longest packet that is taken, a command of 64 KiB with its topic and properties; the broker drops what is longer.
const MAX_PACKET_BYTES: u32 = 72 * 1024;
const CONNECT: Duration = Duration::from_secs(5);

/// What keeps the box from even trying. Somebody has to mend it.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("{path}: {why}")]
    File { path: String, why: String },
    #[error("the certificate and its key do not fit: {0}")]
    Identity(rustls::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

pub fn options(config: &MqttConfig, topics: &Topics, box_id: &str) -> Result<MqttOptions, OptionsError> {
    let (host, port) = config.broker();
    let mut options = MqttOptions::new(format!("cuebox-{box_id}"), (host, port));
    options
        .set_keep_alive(KEEP_ALIVE_S)
        .set_connect_timeout(CONNECT)
        .set_clean_start(true)
        .set_session_expiry_interval(Some(SESSION_S))
        .set_receive_maximum(Some(UNDER_WAY))
        .set_max_packet_size(Some(MAX_PACKET_BYTES))
        .set_ack_mode(AckMode::Manual)
        .set_last_will(LastWill::new(topics.availability(), "offline", QoS::AtLeastOnce, true, None));
    match (&config.username, &config.password) {
        (Some(name), Some(password)) => drop(options.set_credentials(name, password.reveal().to_owned())),
        (Some(name), None) => drop(options.set_username(name)),
        (None, _) => {}
    }
    if config.is_encrypted() {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls(config)?))));
    }
    Ok(options)
}

fn tls(config: &MqttConfig) -> Result<ClientConfig, OptionsError> {
    let mut roots = RootCertStore::empty();
    // What the system has and cannot be read is left out, as every client does.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &config.ca_file {
        for authority in certificates(path)? {
            roots.add(authority).map_err(|error| file(path, error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(OptionsError::Tls)?.with_root_certificates(roots);
    match (&config.client_cert_file, &config.client_key_file) {
        (Some(certificate), Some(key)) => {
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error.to_string()))?;
            builder.with_client_auth_cert(certificates(certificate)?, private).map_err(OptionsError::Identity)
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, OptionsError> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| file(path, error.to_string()))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| file(path, error.to_string()))?;
    if found.is_empty() { Err(file(path, "holds no PEM certificate".to_owned())) } else { Ok(found) }
}

fn file(path: &str, why: String) -> OptionsError {
    OptionsError::File { path: path.to_owned(), why }
}
