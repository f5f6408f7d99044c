//! RTMP and RTMPS against a real nginx.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox_core::config::{Ingress, LegConfig, LegTarget, RtmpTarget, Secret, Service, Shape, Url};
use cuebox_core::credentials::{CredentialError, CredentialSource, Credentials};
use cuebox_core::director::ErrorClass;

use super::{LONG, Source, flashes_and_bursts};
use crate::media::links::Link;
use crate::media::testkit::{Folder, eventually, free_port, noise};

/// A real nginx with the RTMP module, on a port of its own.
struct Nginx {
    server: Child,
    port: u16,
    _folder: Folder,
}

impl Nginx {
    fn start() -> Self {
        Self::with(Folder::new("nginx"), |_| String::new())
    }

    /// `front`: more of its configuration, by the port that RTMP has.
    fn with(folder: Folder, front: impl FnOnce(u16) -> String) -> Self {
        let port = free_port();
        let (hook, front) = (refusing_hook(), front(port));
        let path = folder.0.display();
        let text = format!(
            "load_module modules/ngx_rtmp_module.so; load_module modules/ngx_stream_module.so;\n\
             daemon off; master_process off; worker_processes 1; pid {path}/pid; error_log {path}/error.log info;\n\
             events {{ worker_connections 64; }}\n\
             {front}\
             rtmp {{ server {{ listen 127.0.0.1:{port};\n\
               application live {{ live on; }}\n\
               application guarded {{ live on; on_publish http://127.0.0.1:{hook}/; }} }} }}\n"
        );
        let file = folder.0.join("nginx.conf");
        std::fs::write(&file, text.replace("modules/", "/usr/lib/nginx/modules/")).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&folder.0).arg("-c").arg(&file).stdin(Stdio::null());
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(eventually(LONG, listens), "nginx does not start");
        Self { server, port, _folder: folder }
    }

    fn url(&self, application: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{application}", self.port)
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.server.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What nginx asks whether a stream may be published: never. Lives until the process ends.
fn refusing_hook() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let _ = stream.write_all(b"HTTP/1.0 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        }
    });
    port
}

#[test]
fn what_is_published_comes_back_from_the_server_with_picture_and_sound() {
    let nginx = Nginx::start();
    let mut source = Source::marked();
    let (leg, ended) = source.leg(&nginx.url("live"), Some("s3cret"), None);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000), "{}", leg.reporter.total());
    let folder = Folder::new("subscriber");
    let file = folder.0.join("got.mkv");
    let arguments = ["30", "ffmpeg", "-v", "error", "-i", &nginx.url("live/s3cret"), "-t", "6", "-c", "copy"];
    assert!(Command::new("timeout").args(arguments).arg(&file).status().unwrap().success());
    let (flashes, bursts) = flashes_and_bursts(&file);
    assert!(flashes.len() >= 2, "{flashes:?}");
    for flash in flashes {
        let near = bursts.iter().map(|burst| (burst - flash).abs()).min_by(f64::total_cmp);
        assert!(near.is_some_and(|offset| offset < 0.034), "flash at {flash}: bursts at {bursts:?}");
    }
    let bitrate = || source.stage.context.gauges.lock().unwrap().legs.values().map(|leg| leg.bitrate_bps).sum::<u64>();
    assert!(eventually(LONG, || bitrate() > 0));
    let began = Instant::now();
    leg.stop();
    ended.recv_timeout(LONG).unwrap();
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(source.stage.context.gauges.lock().unwrap().legs.is_empty());
}

#[test]
fn a_killed_server_is_seen_within_two_seconds() {
    let mut nginx = Nginx::start();
    let mut source = Source::marked();
    let (leg, _ended) = source.leg(&nginx.url("live"), Some("key"), None);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000));
    nginx.server.kill().unwrap();
    let began = Instant::now();
    let (class, why) = source.failed();
    assert_eq!(class, ErrorClass::NetworkLost, "{why}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_is_stopped_in_its_tracks_makes_no_progress_and_goes_on_when_it_does() {
    for bitrate_bps in [300_000, 4_000_000] {
        let nginx = Nginx::start();
        let mut source = Source::new(bitrate_bps, |stage| noise(&stage.context, Link::ProgramPicture));
        let (leg, ended) = source.leg(&nginx.url("live"), Some("key"), None);
        source.connected();
        assert!(eventually(LONG, || leg.reporter.total() > 100_000));
        nginx.signal("-STOP");
        let (began, mut last, mut since) = (Instant::now(), 0, Instant::now());
        let quiet = eventually(LONG, || {
            let total = leg.reporter.total();
            if total != last {
                (last, since) = (total, Instant::now());
            }
            since.elapsed() > Duration::from_secs(2)
        });
        let moved_for = since.duration_since(began);
        assert!(quiet && moved_for < Duration::from_millis(3_000), "{bitrate_bps}: {moved_for:?}");
        nginx.signal("-CONT");
        assert!(eventually(LONG, || leg.reporter.total() > last + 50_000), "it goes on");
        nginx.signal("-STOP");
        let stopping = Instant::now();
        leg.stop();
        ended.recv_timeout(LONG).unwrap();
        assert!(stopping.elapsed() < Duration::from_secs(3), "{:?}", stopping.elapsed());
        nginx.signal("-CONT");
    }
}

#[test]
fn two_legs_to_one_server_fail_and_recover_alone() {
    let (mut one, other) = (Nginx::start(), Nginx::start());
    let mut source = Source::marked();
    let (first, _first_ended) = source.leg(&one.url("live"), Some("a"), None);
    source.connected();
    let (second, _second_ended) = source.leg(&other.url("live"), Some("b"), None);
    source.connected();
    one.server.kill().unwrap();
    let (class, why) = source.failed();
    assert_eq!(class, ErrorClass::NetworkLost, "{why}");
    let (gone, before) = (first.reporter.total(), second.reporter.total());
    assert!(eventually(LONG, || second.reporter.total() > before + 100_000));
    assert_eq!(first.reporter.total(), gone);
    let (third, _third_ended) = source.leg(&other.url("live"), Some("a"), None);
    source.connected();
    assert!(eventually(LONG, || third.reporter.total() > 20_000), "reconnected elsewhere");
}

#[test]
fn a_viewer_sees_the_picture_step_down_and_up() {
    let nginx = Nginx::start();
    let mut source = Source::marked();
    let (leg, _ended) = source.leg(&nginx.url("live"), Some("steps"), None);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000));
    let folder = Folder::new("steps");
    let file = folder.0.join("sizes");
    // Line by line: what it has seen is asked while it looks.
    let mut command = Command::new("stdbuf");
    command.args(["-oL", "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=width,height"]);
    command.args(["-of", "csv=p=0", &nginx.url("live/steps")]);
    let mut viewer = command.stdout(std::fs::File::create(&file).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let shown = || std::fs::read_to_string(&file).unwrap_or_default();
    let count = |size: &str| shown().lines().filter(|line| line.trim_end_matches(',') == size).count();
    assert!(eventually(LONG, || count("320,180") > 15), "{}", shown());
    source.step(160, 90, 15);
    assert!(eventually(LONG, || count("160,90") > 15), "{}", shown());
    source.step(320, 180, 30);
    let back = || shown().lines().rev().take_while(|line| line.trim_end_matches(',') == "320,180").count();
    assert!(eventually(LONG, || count("160,90") > 15 && back() > 15), "{}", shown());
    let _ = viewer.kill();
    let _ = viewer.wait();
}

/// A service that gives a wrong key first, and counts what it is told.
struct Desk {
    nginx: String,
    asked: Mutex<u32>,
    rejected: Mutex<u32>,
}

impl CredentialSource for Desk {
    fn credentials(&self, leg: &LegConfig) -> Result<Credentials, CredentialError> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        assert_eq!(leg.name.as_str(), "leg");
        let application = match *asked {
            1 => return Err(CredentialError::Unavailable("the desk is closed".to_owned())),
            2 => "guarded",
            _ => "live",
        };
        let url = Some(Url::new(format!("{}/{application}", self.nginx)));
        Ok(Credentials { url, secret: Secret::new("made-today"), expires_unix_s: None })
    }

    fn rejected(&self, _leg: &LegConfig) {
        *self.rejected.lock().unwrap() += 1;
    }

    fn refreshed(&self, _leg: &LegConfig, _token: Secret) {}
}

#[test]
fn address_and_key_of_an_ingress_are_fetched_and_given_back_when_they_do_not_work() {
    let nginx = Nginx::start();
    let mut source = Source::marked();
    let address = nginx.url("x").trim_end_matches("/x").to_owned();
    let desk = Arc::new(Desk { nginx: address, asked: Mutex::new(0), rejected: Mutex::new(0) });
    source.stage.context.credentials = desk.clone();
    let service = Service {
        url: Url::new("https://desk.example"),
        header: "X-Key".to_owned(),
        key: None,
        shape: Shape::default(),
    };
    let ingress = Ingress { service, room: "hall".to_owned(), identity: "hall-1".to_owned() };
    let target = LegTarget::Rtmp(RtmpTarget::Ingress(ingress));
    for (expected, rejected) in [(ErrorClass::TokenService, 0), (ErrorClass::Unauthorised, 1)] {
        let (_leg, _ended) = source.publish(target.clone(), None);
        let (class, why) = source.failed();
        assert_eq!(class, expected, "{why}");
        assert_eq!(*desk.rejected.lock().unwrap(), rejected);
    }
    let (leg, _ended) = source.publish(target, None);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000));
}

#[test]
fn what_is_wrong_is_told_apart() {
    let nginx = Nginx::start();
    let nobody = free_port();
    let table = [
        (format!("rtmp://127.0.0.1:{nobody}/live"), ErrorClass::ConnectionRefused),
        ("rtmp://no-such-host.invalid/live".to_owned(), ErrorClass::UnknownHost),
        (nginx.url("no-such-application"), ErrorClass::Unauthorised),
        (nginx.url("guarded"), ErrorClass::Unauthorised),
        ("rtmp:nonsense".to_owned(), ErrorClass::Format),
    ];
    for (url, expected) in table {
        let mut source = Source::marked();
        let (_leg, _ended) = source.leg(&url, Some("hunter2"), None);
        let (class, why) = source.failed();
        assert_eq!(class, expected, "{url}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
}

/// A TLS server with a certificate that nobody has signed but itself; it says nothing.
struct TlsServer {
    server: Child,
    port: u16,
    certificate: PathBuf,
    _folder: Folder,
}

impl TlsServer {
    fn start() -> Self {
        let folder = Folder::new("tls");
        let (certificate, key) = (folder.0.join("cert.pem"), folder.0.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let port = free_port();
        let mut command = Command::new("openssl");
        command
            .args(["s_server", "-quiet", "-accept", &port.to_string(), "-cert"])
            .arg(&certificate)
            .arg("-key")
            .arg(&key);
        let server = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(eventually(LONG, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()));
        Self { server, port, certificate, _folder: folder }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_and_one_that_the_ca_file_names_is_not() {
    let tls = TlsServer::start();
    let url = format!("rtmps://localhost:{}/live", tls.port);
    let mut source = Source::marked();
    let (_leg, _ended) = source.leg(&url, Some("key"), None);
    let (class, why) = source.failed();
    assert_eq!(class, ErrorClass::Tls, "{why}");

    let mut source = Source::marked();
    let (_leg, _ended) = source.leg(&url, Some("key"), Some(Path::new("/no/such/file.pem")));
    let (class, why) = source.failed();
    assert_eq!(class, ErrorClass::Tls, "{why}");
    assert!(why.contains("/no/such/file.pem"), "{why}");

    // The certificate passes; after that this server does not speak RTMP.
    let mut source = Source::marked();
    let (_leg, _ended) = source.leg(&url, Some("key"), Some(&tls.certificate));
    let (class, why) = source.failed();
    assert_ne!(class, ErrorClass::Tls, "{why}");
}

#[test]
fn a_server_behind_tls_is_published_to_when_its_authority_is_named_for_this_leg_alone() {
    let folder = Folder::new("tls-front");
    let at = |name: &str| folder.0.join(name).display().to_string();
    let openssl = |arguments: &[&str]| {
        let made = Command::new("openssl").args(arguments).stderr(Stdio::null()).status();
        assert!(made.unwrap().success(), "{arguments:?}");
    };
    let (ca, ca_key, key, request, certificate) =
        (at("ca.pem"), at("ca.key"), at("key.pem"), at("request.pem"), at("cert.pem"));
    std::fs::write(at("names"), "subjectAltName=DNS:localhost").unwrap();
    openssl(&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test", "-keyout", &ca_key, "-out", &ca]);
    openssl(&["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", &key, "-out", &request]);
    let sign = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", "2"];
    openssl(&[&sign[..], &["-extfile", &at("names"), "-out", &certificate]].concat());
    let port = free_port();
    let nginx = Nginx::with(Folder::new("nginx"), |rtmp| {
        format!(
            "stream {{ server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {certificate};\n\
             ssl_certificate_key {key}; proxy_pass 127.0.0.1:{rtmp}; }} }}\n"
        )
    });
    let url = format!("rtmps://localhost:{port}/live");
    let mut source = Source::marked();
    let (leg, _ended) = source.leg(&url, Some("key"), Some(Path::new(&ca)));
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 50_000));
    // Another leg does not trust it for that.
    let (_other, _other_ended) = source.leg(&url, Some("other"), None);
    let (class, why) = source.failed();
    assert_eq!(class, ErrorClass::Tls, "{why}");
    let before = leg.reporter.total();
    assert!(eventually(LONG, || leg.reporter.total() > before + 50_000));
    drop(nginx);
    let (class, why) = source.failed();
    assert_eq!(class, ErrorClass::NetworkLost, "{why}");
}
