//! Certificate authorities beside the system's.
//!
//! The RTMP sink checks certificates against its TLS library's default database and takes no other, so a leg's
//! `ca_file` is added to that default: it is trusted by every leg of this process from then on. That is wider than
//! asked for, and still only authorities that the operator named.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cuebox_core::director::ErrorClass;
use gio::prelude::TlsBackendExt;

use crate::media::actor::Failure;

/// Where distributions keep the system's authorities in one file.
const SYSTEM: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

static TRUSTED: Mutex<Trusted> = Mutex::new(Trusted { files: BTreeSet::new(), bundle: None });

struct Trusted {
    files: BTreeSet<PathBuf>,
    /// All of them and the system's in one file; the library reads it when it first checks a certificate.
    bundle: Option<PathBuf>,
}

/// Trusts the authorities in a PEM file as well, from now on.
pub fn trust(file: &Path) -> Result<(), Failure> {
    let mut trusted = TRUSTED.lock().unwrap_or_else(PoisonError::into_inner);
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::new(ErrorClass::Tls, format!("the CA file {} cannot be used: {error}", file.display()))
    };
    let mut files = trusted.files.clone();
    files.insert(file.to_owned());
    let mut bundle = Vec::new();
    for one in &files {
        bundle.extend(std::fs::read(one).map_err(|error| unreadable(&error))?);
        bundle.push(b'\n');
    }
    bundle.extend(SYSTEM.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default());
    let path = std::env::temp_dir().join(format!("cuebox-ca-{}.pem", uuid::Uuid::now_v7()));
    let mut options = std::fs::OpenOptions::new();
    let written = options.write(true).create_new(true).open(&path).and_then(|mut it| it.write_all(&bundle));
    written.map_err(|error| unreadable(&error))?;
    let database = gio::TlsFileDatabase::new(&path).map_err(|error| unreadable(&error))?;
    gio::TlsBackend::default().set_default_database(Some(&database));
    trusted.files = files;
    if let Some(before) = trusted.bundle.replace(path) {
        let _ = std::fs::remove_file(before);
    }
    Ok(())
}
