use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cuebox_core::config::{LegConfig, LegTarget, RtmpTarget, Secret, Url};
use cuebox_core::director::{Encode, EncodeJob, ErrorClass, Fact, Job, Leg};
use cuebox_core::encode_plan::{Grant, Profile, RateControl};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{Epoch, LegId};

use crate::media::actor::Actor;
use crate::media::links::Link;
use crate::media::plan::Wish;
use crate::media::testkit::{Feed, Folder, Stage, bursts, eventually, noise, pictures};

mod srt;

const LONG: Duration = Duration::from_secs(30);

/// A real nginx with the RTMP module, on a port of its own.
struct Nginx {
    server: Child,
    port: u16,
    _folder: Folder,
}

impl Nginx {
    fn start() -> Self {
        let folder = Folder::new("nginx");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let hook = refusing_hook();
        let path = folder.0.display();
        let text = format!(
            "load_module modules/ngx_rtmp_module.so;\n\
             daemon off; master_process off; worker_processes 1; pid {path}/pid; error_log {path}/error.log info;\n\
             events {{ worker_connections 64; }}\n\
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

/// The stream encode and the program's sound.
struct Source {
    stage: Stage,
    encode: Actor,
    _pictures: Feed,
    _sound: Feed,
}

impl Source {
    fn new(bitrate_bps: u64, pictures_of: impl FnOnce(&Stage) -> Feed) -> Self {
        let mut stage = Stage::new(320, 180, 30, Path::new("/nonexistent"));
        let feed = pictures_of(&stage);
        let sound = bursts(&stage.context, Link::ProgramSound, FrameIndex(0));
        let grant = Grant {
            element: "x264enc".to_owned(),
            width: 320,
            height: 180,
            fps: 30,
            control: RateControl::Stream { min_bps: 150_000, max_bps: bitrate_bps },
            profile: Profile::ConstrainedBaseline,
            level: 31,
            gop: 60,
        };
        let picture = grant.picture();
        let wish = Wish::Encode(EncodeJob::Stream, Encode { epoch: Epoch(1), grant, bitrate_bps, picture });
        let encode = Actor::start(&stage.context, wish, |_| {}).unwrap();
        stage.wait("the first access unit", LONG, |_, fact| (*fact == Fact::FirstBuffer).then_some(()));
        Self { stage, encode, _pictures: feed, _sound: sound }
    }

    fn marked() -> Self {
        Self::new(800_000, |stage| pictures(&stage.context, Link::ProgramPicture, |_| false))
    }

    fn leg(&self, url: &str, key: Option<&str>, ca_file: Option<&Path>) -> (Actor, Receiver<()>) {
        let target = RtmpTarget::Fixed { url: Url::new(url), stream_key: key.map(Secret::new) };
        self.publish(LegTarget::Rtmp(target), ca_file)
    }

    fn publish(&self, target: LegTarget, ca_file: Option<&Path>) -> (Actor, Receiver<()>) {
        let config = LegConfig {
            name: LegId::new("leg"),
            uplink: Some(1),
            target,
            ca_file: ca_file.map(|file| file.display().to_string()),
        };
        let leg = Leg {
            epoch: Epoch(3),
            config,
            audio_bitrate_bps: 128_000,
            on_air: None,
            slots: BTreeMap::new(),
            unmute: 0,
        };
        let wish = Wish::Leg(LegId::new("leg"), Box::new(leg));
        let (ended, end) = channel();
        let actor = Actor::start(&self.stage.context, wish, move |_| {
            let _ = ended.send(());
        });
        (actor.unwrap(), end)
    }

    fn connected(&mut self) {
        self.stage.wait("the server's acceptance", LONG, |_, fact| (*fact == Fact::Connected).then_some(()));
    }

    fn failed(&mut self) -> (ErrorClass, String) {
        self.stage.wait("the leg's failure", LONG, |job, fact| match (job, fact) {
            (Job::Leg(_), Fact::Failed { class, detail }) => Some((*class, detail.clone())),
            _ => None,
        })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.encode.stop();
    }
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
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(source.stage.context.gauges.lock().unwrap().legs.is_empty());
}

/// Times in seconds, on one time line, at which the picture is white and at which bursts of sound begin.
fn flashes_and_bursts(file: &Path) -> (Vec<f64>, Vec<f64>) {
    let decode = |arguments: &[&str]| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(file).args(arguments).arg("-");
        command.output().unwrap().stdout
    };
    let gray = decode(&["-an", "-vsync", "cfr", "-r", "30", "-f", "rawvideo", "-pix_fmt", "gray"]);
    let white = gray.chunks_exact(320 * 180).map(|picture| picture[170 * 320 + 160] > 150);
    let white: Vec<bool> = white.collect();
    let begins = (1..white.len()).filter(|at| white[*at] && !white[at - 1]);
    let flashes = begins.map(|at| at as f64 / 30.0).collect();

    let filter = "aresample=async=1:first_pts=0";
    let sound = decode(&["-vn", "-af", filter, "-f", "s16le", "-ac", "1", "-ar", "48000"]);
    let (mut bursts, mut quiet_from) = (Vec::new(), 0);
    for (at, sample) in sound.chunks_exact(2).map(|it| i16::from_le_bytes([it[0], it[1]])).enumerate() {
        if sample.unsigned_abs() > 2_000 {
            if at >= quiet_from {
                bursts.push(at as f64 / 48_000.0);
            }
            quiet_from = at + 4_800;
        }
    }
    (flashes, bursts)
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
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_is_stopped_in_its_tracks_shows_as_progress_that_ends() {
    let nginx = Nginx::start();
    let mut source = Source::new(4_000_000, |stage| noise(&stage.context, Link::ProgramPicture));
    let (leg, ended) = source.leg(&nginx.url("live"), Some("key"), None);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 500_000));
    nginx.signal("-STOP");
    let (began, mut last, mut since) = (Instant::now(), 0, Instant::now());
    let quiet = eventually(LONG, || {
        let total = leg.reporter.total();
        if total != last {
            (last, since) = (total, Instant::now());
        }
        since.elapsed() > Duration::from_secs(2)
    });
    assert!(quiet && began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let stopping = Instant::now();
    leg.stop();
    ended.recv_timeout(LONG).unwrap();
    assert!(stopping.elapsed() < Duration::from_secs(3), "{:?}", stopping.elapsed());
    nginx.signal("-CONT");
}

#[test]
fn what_is_wrong_is_told_apart() {
    let nginx = Nginx::start();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
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
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
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
