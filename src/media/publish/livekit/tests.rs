//! Against a real LiveKit server; who watches is the wire tests' business, here the server itself is asked.

mod fuzz;
mod listening;
mod repeater;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cuebox_core::config::{LegConfig, LegTarget, LivekitTarget, PROVES, Publish, Secret, TokenSource, Url};
use cuebox_core::director::{Encode, EncodeJob, ErrorClass, Fact, Job, Leg, Medium, OnAir};
use cuebox_core::encode_plan::{Grant, Profile, RateControl};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{Epoch, LegId, SlotId};

use super::socket;
use crate::media::actor::Actor;
use crate::media::links::Link;
use crate::media::plan::Wish;
use crate::media::publish::tests::livekit::{self as server, Proxy, Server, token};
use crate::media::testkit::{Feed, Stage, bursts, eventually, free_port, pictures};
use repeater::Repeater;

const LONG: Duration = Duration::from_secs(30);
const ROOM: &str = "wedding";
const IDENTITY: &str = "hall-1";

/// The stream encode, the program's sound, and a leg of them.
struct Source {
    stage: Stage,
    encodes: Vec<Actor>,
    feeds: Vec<Feed>,
    leg: Leg,
}

impl Source {
    fn new(url: &str, token: &str) -> Self {
        let stage = Stage::new(320, 180, 30, Path::new("/nonexistent"));
        let target = LivekitTarget {
            url: Some(Url::new(url)),
            room: Some(ROOM.to_owned()),
            identity: IDENTITY.to_owned(),
            publish: Publish::ProgramAndSlots,
            token: TokenSource::Fixed(Secret::new(token)),
            ice_servers: Vec::new(),
        };
        let config = LegConfig {
            name: LegId::new("livekit"),
            uplink: Some(1),
            target: LegTarget::Livekit(target),
            ca_file: None,
            proves: PROVES,
        };
        let leg =
            Leg { epoch: Epoch(1), config, audio_bitrate_bps: 64_000, on_air: None, slots: BTreeMap::new(), unmute: 0 };
        let mut source = Self { stage, encodes: Vec::new(), feeds: Vec::new(), leg };
        source.encode(EncodeJob::Stream, Link::ProgramPicture, Link::ProgramSound);
        source
    }

    fn encode(&mut self, job: EncodeJob, picture: Link, sound: Link) {
        self.feeds.push(pictures(&self.stage.context, picture, |_| false));
        self.feeds.push(bursts(&self.stage.context, sound, FrameIndex(0)));
        let grant = Grant {
            element: "x264enc".to_owned(),
            hardware: false,
            width: 320,
            height: 180,
            fps: 30,
            control: RateControl::Stream { min_bps: 150_000, max_bps: 800_000 },
            profile: Profile::ConstrainedBaseline,
            level: 31,
            gop: 600,
        };
        let picture = grant.picture();
        let wish = Wish::Encode(job, Encode { epoch: Epoch(1), grant, bitrate_bps: 800_000, picture, halved: false });
        self.encodes.push(Actor::start(&self.stage.context, wish, |_| {}).unwrap());
    }

    fn wish(&self) -> Wish {
        Wish::Leg(LegId::new("livekit"), Box::new(self.leg.clone()))
    }

    fn start(&self) -> (Actor, Receiver<()>) {
        let (ended, end) = channel();
        let actor = Actor::start(&self.stage.context, self.wish(), move |_| {
            let _ = ended.send(());
        });
        (actor.unwrap(), end)
    }

    fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&Fact) -> Option<T>) -> T {
        self.stage.wait(what, LONG, |job, fact| matches!(job, Job::Leg(_)).then(|| wanted(fact)).flatten())
    }

    fn connected(&mut self) {
        self.wait("the server's acceptance", |fact| (*fact == Fact::Connected).then_some(()));
    }

    fn failed(&mut self) -> (ErrorClass, String) {
        self.wait("the leg's failure", |fact| {
            let Fact::Failed { class, detail } = fact else { return None };
            Some((*class, detail.clone()))
        })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.encodes.iter().for_each(Actor::stop);
    }
}

/// Somebody else joins with the same name.
fn impersonate(server: &Server) {
    let door =
        socket::Door { url: Url::new(server.url()), token: Secret::new(token(IDENTITY, ROOM, 60)), ca_file: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(door.join()).is_ok());
}

fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

#[test]
fn the_program_is_published_as_promised_and_taken_back_in_order() {
    let server = Server::start();
    let mut source = Source::new(&server.url(), &token(IDENTITY, ROOM, 600));
    source.leg.on_air = Some(OnAir { slot: slot(3), name: "Altar".to_owned(), frame: FrameIndex(77) });
    let (leg, ended) = source.start();
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 100_000), "{}", leg.reporter.total());
    let tracks = server.tracks(ROOM, IDENTITY);
    let shown: Vec<(&str, &str, &str)> = tracks
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["source"].as_str().unwrap(), it["mime_type"].as_str().unwrap()))
        .collect();
    assert!(shown.contains(&("program", "CAMERA", "video/H264")), "{shown:?}");
    assert!(shown.contains(&("program", "MICROPHONE", "audio/opus")), "{shown:?}");
    assert_eq!(shown.len(), 2);
    let said = r#"{"frame":77,"name":"Altar","on_air":3}"#;
    let attribute = || server.participant(ROOM, IDENTITY).map(|it| it["attributes"]["cuebox.program"].clone());
    assert!(eventually(LONG, || attribute().is_some_and(|it| it == said)), "{:?}", attribute());
    let gauges = || source.stage.context.gauges.lock().unwrap().legs.values().next().copied();
    assert!(
        eventually(LONG, || gauges().is_some_and(|it| it.bitrate_bps > 10_000 && it.rtt_ms.is_some())),
        "{:?}",
        gauges()
    );
    let began = Instant::now();
    leg.stop();
    ended.recv_timeout(LONG).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(eventually(LONG, || server.participant(ROOM, IDENTITY).is_none()));
    assert!(eventually(LONG, || source.stage.context.gauges.lock().unwrap().legs.is_empty()));
}

#[test]
fn a_killed_server_is_seen_within_seconds_and_its_restart_is_survived() {
    let mut server = Server::start();
    let token = token(IDENTITY, ROOM, 600);
    let mut source = Source::new(&server.url(), &token);
    let (leg, ended) = source.start();
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000));
    server.kill();
    let began = Instant::now();
    let (class, why) = source.failed();
    assert!(matches!(class, ErrorClass::NetworkLost | ErrorClass::ConnectionRefused), "{class:?}: {why}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    ended.recv_timeout(LONG).unwrap();
    server.restart();
    source.leg.epoch = Epoch(2);
    let (leg, _ended) = source.start();
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000));
    leg.stop();
}

#[test]
fn a_cut_signal_socket_is_resumed_and_media_never_stops() {
    let server = Server::start();
    let proxy = Proxy::start(server.port);
    let mut source = Source::new(&proxy.url(), &token(IDENTITY, ROOM, 600));
    let (leg, _ended) = source.start();
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000));
    let before = server.participant(ROOM, IDENTITY).unwrap()["sid"].clone();
    for cut in 1..=3 {
        let accepted = proxy.accepted();
        proxy.cut();
        let (mut last, mut moved, mut longest) = (leg.reporter.total(), Instant::now(), Duration::ZERO);
        let resumed = eventually(LONG, || {
            if leg.reporter.total() != last {
                longest = longest.max(moved.elapsed());
                (last, moved) = (leg.reporter.total(), Instant::now());
            }
            proxy.accepted() > accepted
        });
        assert!(resumed, "cut {cut}");
        assert!(longest < Duration::from_millis(2_500), "cut {cut}: nothing acknowledged for {longest:?}");
    }
    // What is said on the new socket reaches the same participant.
    source.leg.on_air = Some(OnAir { slot: slot(2), name: "Choir".to_owned(), frame: FrameIndex(1) });
    leg.update(source.wish());
    let heard = || {
        let own = server.participant(ROOM, IDENTITY);
        own.filter(|it| it["attributes"]["cuebox.program"].as_str().is_some_and(|it| it.contains("Choir")))
    };
    assert!(eventually(LONG, || heard().is_some()));
    assert_eq!(heard().unwrap()["sid"], before);
    leg.stop();
}

#[test]
fn the_host_mutes_and_the_operator_unmutes() {
    let server = Server::start();
    let mut source = Source::new(&server.url(), &token(IDENTITY, ROOM, 600));
    let (leg, _ended) = source.start();
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000));
    let muted = |kind: &str| server.tracks(ROOM, IDENTITY).iter().any(|it| it["type"] == kind && it["muted"] == true);
    for (kind, medium) in [("VIDEO", Medium::Video), ("AUDIO", Medium::Audio)] {
        server.mute(ROOM, IDENTITY, kind);
        source.wait("the host's wish", |fact| (*fact == Fact::Muted { medium, on: true }).then_some(()));
        assert!(eventually(LONG, || muted(kind)), "{kind}");
    }
    // Still alive to whoever judges by progress.
    let before = leg.reporter.total();
    assert!(eventually(Duration::from_secs(8), || leg.reporter.total() > before));
    source.leg.unmute = 1;
    leg.update(source.wish());
    for medium in [Medium::Video, Medium::Audio] {
        let heard = |fact: &Fact| (*fact == Fact::Muted { medium, on: false }).then_some(());
        if !source.stage.facts.iter().any(|(_, fact)| heard(fact).is_some()) {
            source.wait("the unmuting", heard);
        }
    }
    assert!(eventually(LONG, || !muted("VIDEO") && !muted("AUDIO")));
    let before = leg.reporter.total();
    assert!(eventually(LONG, || leg.reporter.total() > before + 10_000));
    leg.stop();
}

#[test]
fn what_ends_a_session_is_told_apart() {
    let server = Server::start();
    type End = (&'static str, ErrorClass, fn(&Server));
    let ends: [End; 3] = [
        ("removed", ErrorClass::Removed, |server| server.remove(ROOM, IDENTITY)),
        ("deleted", ErrorClass::RoomDeleted, |server| server.delete(ROOM)),
        ("duplicate", ErrorClass::DuplicateIdentity, |server| impersonate(server)),
    ];
    for (what, expected, end) in ends {
        let mut source = Source::new(&server.url(), &token(IDENTITY, ROOM, 600));
        let (_leg, ended) = source.start();
        source.connected();
        end(&server);
        let (class, why) = source.failed();
        assert_eq!(class, expected, "{what}: {why}");
        ended.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn what_keeps_the_box_out_is_told_apart() {
    let server = Server::start();
    let good = token(IDENTITY, ROOM, 600);
    let nobody = free_port();
    let ended = token(IDENTITY, ROOM, -600);
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let listener = server::token_of_a_listener(IDENTITY, ROOM);
    let table = [
        ("nobody", format!("ws://127.0.0.1:{nobody}"), good.clone(), ErrorClass::ConnectionRefused),
        ("unknown", "ws://no-such-host.invalid".to_owned(), good.clone(), ErrorClass::UnknownHost),
        ("nonsense", "http//nowhere".to_owned(), good.clone(), ErrorClass::Format),
        ("ended", server.url(), ended, ErrorClass::TokenExpired),
        ("forged", server.url(), forged, ErrorClass::Unauthorised),
        ("listener", server.url(), listener, ErrorClass::Unauthorised),
        ("no tls there", server.url().replace("ws:", "wss:"), good, ErrorClass::Tls),
    ];
    for (what, url, token, expected) in table {
        let mut source = Source::new(&url, &token);
        let (_leg, ended) = source.start();
        let (class, why) = source.failed();
        assert_eq!(class, expected, "{what}: {why}");
        assert!(!token.split('.').any(|part| why.contains(part)), "{what}: {why}");
        ended.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn slots_are_published_beside_the_program_and_withdrawn() {
    let server = Server::start();
    let mut source = Source::new(&server.url(), &token(IDENTITY, ROOM, 600));
    for number in [1, 2] {
        source.encode(
            EncodeJob::SlotStream(slot(number)),
            Link::SlotPicture(slot(number)),
            Link::SlotSound(slot(number)),
        );
    }
    source.leg.slots.insert(slot(1), "Altar".to_owned());
    let (leg, _ended) = source.start();
    source.connected();
    let names = || {
        let tracks = server.tracks(ROOM, IDENTITY);
        let mut names: Vec<String> = tracks.iter().map(|it| format!("{} {}", it["name"], it["type"])).collect();
        names.sort();
        names
    };
    let both = |slots: &[u8]| {
        let slots = slots.iter().map(|it| format!("slot-{it}"));
        let names = std::iter::once("program".to_owned()).chain(slots);
        names.flat_map(|it| ["AUDIO", "VIDEO"].map(|kind| format!("\"{it}\" \"{kind}\""))).collect::<Vec<_>>()
    };
    for slots in [&[1][..], &[1, 2], &[2], &[], &[1, 2]] {
        source.leg.slots = slots.iter().map(|it| (slot(*it), format!("Camera {it}"))).collect();
        leg.update(source.wish());
        assert!(eventually(LONG, || names() == both(slots)), "{slots:?}: {:?}", names());
        let before = leg.reporter.total();
        assert!(eventually(LONG, || leg.reporter.total() > before + 10_000), "{slots:?}");
    }
    assert!(!source.stage.facts.iter().any(|(_, fact)| matches!(fact, Fact::Failed { .. })));
    leg.stop();
}

#[test]
fn answers_that_come_twice_and_late_change_nothing() {
    let server = Server::start();
    let line = Repeater::start(server.port);
    let mut source = Source::new(&line.url(), &token(IDENTITY, ROOM, 600));
    source.encode(EncodeJob::SlotStream(slot(1)), Link::SlotPicture(slot(1)), Link::SlotSound(slot(1)));
    let (leg, _ended) = source.start();
    source.connected();
    let before = server.participant(ROOM, IDENTITY).unwrap()["sid"].clone();
    for round in 1..=4 {
        if round % 2 == 1 {
            source.leg.slots.insert(slot(1), "Altar".to_owned());
        } else {
            source.leg.slots.clear();
        }
        leg.update(source.wish());
        let tracks = if round % 2 == 1 { 4 } else { 2 };
        assert!(eventually(LONG, || server.tracks(ROOM, IDENTITY).len() == tracks), "round {round}");
        let sent = leg.reporter.total();
        assert!(eventually(LONG, || leg.reporter.total() > sent + 10_000), "round {round}");
    }
    assert!(eventually(LONG, || line.copies() >= 9), "{} copies", line.copies());
    assert_eq!(server.participant(ROOM, IDENTITY).unwrap()["sid"], before);
    assert!(!source.stage.facts.iter().any(|(_, fact)| matches!(fact, Fact::Failed { .. })));
    leg.stop();
}
