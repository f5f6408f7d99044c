//! TLS of sockets that are ours: the system's certificate authorities, and a leg's own beside them.

use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use cuebox_core::director::ErrorClass;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::media::actor::Failure;

/// What a client trusts and offers. Cryptography is named here and not left to whichever crate comes first.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(file) = ca_file {
        let wrong = |why: String| {
            Failure::new(ErrorClass::Tls, format!("the CA file {} cannot be used: {why}", file.display()))
        };
        let text = std::fs::File::open(file).map_err(|error| wrong(error.to_string()))?;
        let mut found = 0;
        for certificate in CertificateDer::pem_reader_iter(BufReader::new(text)) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(wrong("it holds no certificate".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Failure::internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
