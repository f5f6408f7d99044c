//! A service behind TLS, with an authority that is made here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cuebox_core::credentials::CredentialError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::bench::{Folder, Stage, asking, token};

/// Runs openssl in a folder.
#[track_caller]
fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "openssl {arguments}");
}

/// An authority, and a server's certificate that it signed for `name`, good for `days`.
fn authority(folder: &Path, name: &str, days: i32) -> PathBuf {
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Venue -keyout ca.key -out ca.pem");
    openssl(folder, &format!("req -newkey rsa:2048 -nodes -subj /CN={name} -keyout key.pem -out request.pem"));
    std::fs::write(folder.join("names"), format!("subjectAltName=DNS:{name}\n")).unwrap();
    let sign = "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out cert.pem";
    openssl(folder, &format!("{sign} -days {days}"));
    folder.join("ca.pem")
}

/// Answers every call over TLS with a token.
fn serve(stage: &Stage, folder: &Path) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = stage.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    stage.runtime.spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let Ok(mut connection) = acceptor.accept(connection).await else { continue };
            let _ = connection.read(&mut [0; 8192]).await;
            let body = format!(r#"{{"token":"{}","server_url":"wss://sfu.example"}}"#, token(3600));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = connection.write_all((head + &body).as_bytes()).await;
            let _ = connection.shutdown().await;
        }
    });
    address
}

#[test]
fn a_certificate_is_taken_from_a_known_authority_only() {
    let (stage, folder) = (Stage::new(), Folder::new());
    let ca = authority(folder.path(), "localhost", 2);
    let address = serve(&stage, folder.path());
    let mut leg = asking(&format!("https://localhost:{}", address.port()));
    let unknown = stage.ask(&leg).unwrap_err();
    assert!(matches!(unknown, CredentialError::Unavailable(_)), "{unknown}");
    assert!(unknown.to_string().contains("UnknownIssuer"), "{unknown}");

    leg.ca_file = Some(ca.display().to_string());
    assert!(stage.ask(&leg).is_ok());

    // The same authority, and a name that it did not sign for.
    let mut other = asking(&format!("https://127.0.0.1:{}", address.port()));
    other.ca_file = leg.ca_file;
    let misnamed = stage.ask(&other).unwrap_err();
    assert!(misnamed.to_string().contains("not valid for name"), "{misnamed}");
}

#[test]
fn an_authority_that_cannot_be_read_is_named_and_refused() {
    let (stage, folder) = (Stage::new(), Folder::new());
    let not_pem = folder.path().join("not.pem");
    std::fs::write(&not_pem, "hello").unwrap();
    for (path, expected) in [
        ("/no/such/ca.pem", "ca_file /no/such/ca.pem: No such file"),
        (not_pem.to_str().unwrap(), "holds no PEM certificate"),
        (folder.path().to_str().unwrap(), "ca_file "),
    ] {
        let mut leg = asking("https://localhost:1");
        leg.ca_file = Some(path.to_owned());
        let error = stage.ask(&leg).unwrap_err();
        assert!(matches!(error, CredentialError::Refused(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_certificate_that_has_ended_is_refused() {
    let (stage, folder) = (Stage::new(), Folder::new());
    let ca = authority(folder.path(), "localhost", -1);
    let mut leg = asking(&format!("https://localhost:{}", serve(&stage, folder.path()).port()));
    leg.ca_file = Some(ca.display().to_string());
    let error = stage.ask(&leg).unwrap_err();
    assert!(error.to_string().contains("certificate: Expired"), "{error}");
}
