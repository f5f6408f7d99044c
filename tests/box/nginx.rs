//! What every nginx of the tests has in common: how it is configured to run alone, and certificates for its TLS ports.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A configuration with the RTMP and stream modules; all of its own files lie in `root`. `own`: its servers.
pub fn configuration(root: &Path, own: &str) -> String {
    let root = root.display();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
         load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
         daemon off; master_process off; worker_processes 1; pid {root}/nginx.pid; error_log {root}/nginx.log info;\n\
         events {{ worker_connections 128; }}\n{own}"
    )
}

/// A certificate and its key.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A certificate authority, for two days.
pub struct Authority(Certificate);

impl Authority {
    /// Its files lie in `folder`, their names begin with `name`.
    #[track_caller]
    pub fn new(folder: &Path, name: &str) -> Self {
        let pair = Certificate::at(folder, &format!("{name}-ca"));
        pair.make(&[&format!("/CN={name}")]);
        Self(pair)
    }

    /// The file that whoever trusts it needs.
    pub fn file(&self) -> &Path {
        &self.0.certificate
    }

    /// A server's certificate; `names` as `DNS:localhost,IP:10.0.0.1`.
    #[track_caller]
    pub fn certificate(&self, names: &str) -> Certificate {
        let stem = self.0.certificate.with_extension("");
        let stem = format!("{}-server", stem.file_name().unwrap_or_default().to_string_lossy());
        let pair = Certificate::at(self.0.certificate.parent().unwrap_or(Path::new(".")), &stem);
        let signer = [self.0.certificate.display().to_string(), self.0.key.display().to_string()];
        pair.make(&[
            "/CN=server",
            "-addext",
            &format!("subjectAltName={names}"),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-CA",
            &signer[0],
            "-CAkey",
            &signer[1],
        ]);
        pair
    }
}

impl Certificate {
    fn at(folder: &Path, stem: &str) -> Self {
        Self { certificate: folder.join(format!("{stem}.pem")), key: folder.join(format!("{stem}.key")) }
    }

    /// `arguments` begin with the subject.
    #[track_caller]
    fn make(&self, arguments: &[&str]) {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        command.arg("-out").arg(&self.certificate).arg("-keyout").arg(&self.key).arg("-subj").args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// As a server of nginx names them.
    pub fn lines(&self) -> String {
        format!("ssl_certificate {}; ssl_certificate_key {};", self.certificate.display(), self.key.display())
    }
}
