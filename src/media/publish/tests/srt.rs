//! SRT against its own library's tool, as listener and as caller.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cuebox_core::config::{LegTarget, Secret, SrtMode, SrtTarget, Url};
use cuebox_core::director::{ErrorClass, Fact};

use super::{LONG, Source, flashes_and_bursts};
use crate::media::testkit::{Folder, eventually, free_port};

const PASSPHRASE: &str = "0123456789abc";

/// A real receiver that writes what it gets into a file.
struct Receiver {
    tool: Child,
    file: PathBuf,
    folder: Folder,
}

impl Receiver {
    fn start(address: &str) -> Self {
        let folder = Folder::new("srt");
        let file = folder.0.join("got.ts");
        let out = std::fs::File::create(&file).unwrap();
        let mut command = Command::new("srt-live-transmit");
        command.args(["-q", "-loglevel:fatal", address, "file://con"]).stdin(Stdio::null()).stderr(Stdio::null());
        Self { tool: command.stdout(out).spawn().unwrap(), file, folder }
    }

    /// Listens; returns when it does.
    fn listening(port: u16, query: &str) -> Self {
        let receiver = Self::start(&format!("srt://127.0.0.1:{port}?mode=listener{query}"));
        assert!(eventually(LONG, || UdpSocket::bind(("127.0.0.1", port)).is_err()), "the receiver does not listen");
        receiver
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |it| it.len())
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.tool.id().to_string()]).status().unwrap().success());
    }

    /// What it has got, for an ordinary reader.
    fn copied(&mut self) -> PathBuf {
        let _ = self.tool.kill();
        let _ = self.tool.wait();
        let copy = self.folder.0.join("got.mkv");
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-y", "-i"]).arg(&self.file).args(["-c", "copy"]).arg(&copy);
        assert!(command.status().unwrap().success());
        copy
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.tool.kill();
        let _ = self.tool.wait();
    }
}

fn target(url: &str, mode: SrtMode, passphrase: Option<&str>) -> LegTarget {
    LegTarget::Srt(SrtTarget {
        url: Url::new(url),
        mode,
        passphrase: passphrase.map(Secret::new),
        stream_id: None,
        latency: Duration::from_millis(120),
    })
}

fn caller(port: u16, passphrase: Option<&str>) -> LegTarget {
    target(&format!("srt://127.0.0.1:{port}"), SrtMode::Caller, passphrase)
}

/// Flashes and bursts belong together, in what a receiver got.
fn in_step(file: &Path) {
    let (flashes, bursts) = flashes_and_bursts(file);
    assert!(flashes.len() >= 2, "{flashes:?}");
    let (first, last) = (bursts.first().copied().unwrap_or(f64::MAX), bursts.last().copied().unwrap_or(0.0));
    for flash in flashes.into_iter().filter(|flash| (first - 0.1..last + 0.1).contains(flash)) {
        let near = bursts.iter().map(|burst| (burst - flash).abs()).min_by(f64::total_cmp);
        assert!(near.is_some_and(|offset| offset < 0.040), "flash at {flash}: bursts at {bursts:?}");
    }
}

#[test]
fn a_caller_with_the_right_passphrase_delivers_picture_and_sound_and_tells_how_the_way_is() {
    let port = free_port();
    let mut receiver = Receiver::listening(port, &format!("&passphrase={PASSPHRASE}"));
    let mut source = Source::marked();
    let (leg, ended) = source.publish(caller(port, Some(PASSPHRASE)), None);
    source.connected();
    assert!(eventually(LONG, || receiver.bytes() > 150_000), "{}", receiver.bytes());
    let gauge = || source.stage.context.gauges.lock().unwrap().legs.values().next().cloned();
    let well = || gauge().is_some_and(|it| it.bitrate_bps > 50_000 && it.rtt_ms.is_some());
    assert!(eventually(LONG, well), "{:?}", gauge());
    assert!(leg.reporter.total() > 100_000, "{}", leg.reporter.total());
    leg.stop();
    ended.recv_timeout(LONG).unwrap();
    assert!(source.stage.context.gauges.lock().unwrap().legs.is_empty());
    in_step(&receiver.copied());
}

#[test]
fn a_receiver_that_closes_is_seen_at_once_and_one_that_vanishes_as_progress_that_ends() {
    let port = free_port();
    let receiver = Receiver::listening(port, "");
    let mut source = Source::marked();
    let (leg, _ended) = source.publish(caller(port, None), None);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 50_000));
    receiver.signal("-STOP");
    let (mut last, mut since) = (leg.reporter.total(), Instant::now());
    let began = Instant::now();
    let still = eventually(LONG, || {
        let total = leg.reporter.total();
        if total != last {
            (last, since) = (total, Instant::now());
        }
        since.elapsed() > Duration::from_secs(1)
    });
    assert!(still && since.duration_since(began) < Duration::from_millis(2_500), "{:?}", since.duration_since(began));
    receiver.signal("-CONT");
    assert!(eventually(LONG, || leg.reporter.total() > last), "it went on");

    receiver.signal("-INT");
    let began = Instant::now();
    let (class, why) = source.failed();
    assert_eq!(class, ErrorClass::NetworkLost, "{why}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(receiver);

    let receiver = Receiver::listening(port, "");
    let (_leg, _ended) = source.publish(caller(port, None), None);
    assert!(eventually(LONG, || receiver.bytes() > 50_000), "it came back");
}

#[test]
fn what_is_wrong_with_an_srt_server_is_told_apart() {
    let (port, nobody) = (free_port(), free_port());
    let _receiver = Receiver::listening(port, &format!("&passphrase={PASSPHRASE}"));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let table = [
        (caller(port, Some("wrong-wrong-wrong")), ErrorClass::Unauthorised),
        (caller(port, None), ErrorClass::Unauthorised),
        (caller(nobody, None), ErrorClass::ConnectionRefused),
        (caller(silent.local_addr().unwrap().port(), None), ErrorClass::Timeout),
        (target("srt://no-such-host.invalid:9000", SrtMode::Caller, None), ErrorClass::UnknownHost),
        (target("srt://nonsense", SrtMode::Caller, None), ErrorClass::Format),
    ];
    for (target, expected) in table {
        let mut source = Source::marked();
        let (_leg, _ended) = source.publish(target.clone(), None);
        let (class, why) = source.failed();
        assert_eq!(class, expected, "{target:?}: {why}");
        assert!(!why.contains("wrong-wrong"), "{why}");
    }
}

#[test]
fn a_listener_waits_for_its_caller_and_for_the_next() {
    let port = free_port();
    let mut source = Source::marked();
    let listener = target(&format!("srt://:{port}"), SrtMode::Listener, Some(PASSPHRASE));
    let (leg, ended) = source.publish(listener, None);
    assert!(eventually(LONG, || UdpSocket::bind(("127.0.0.1", port)).is_err()), "it listens");
    let address = format!("srt://127.0.0.1:{port}?mode=caller&passphrase={PASSPHRASE}");
    for _ in 0..2 {
        let before = leg.reporter.total();
        let mut receiver = Receiver::start(&address);
        assert!(eventually(LONG, || receiver.bytes() > 150_000), "{}", receiver.bytes());
        assert!(leg.reporter.total() > before + 50_000);
        in_step(&receiver.copied());
    }
    let connected = |_: &_, fact: &Fact| (*fact == Fact::Connected).then_some(());
    source.stage.wait("a caller", LONG, connected);
    let began = Instant::now();
    leg.stop();
    ended.recv_timeout(LONG).unwrap();
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}
