//! WHIP against a LiveKit server's own endpoint; the server itself is asked what it gets.

use std::time::{Duration, Instant};

use cuebox_core::config::{LegTarget, Secret, TokenSource, Url, WhipTarget};
use cuebox_core::credentials::Configured;
use cuebox_core::director::ErrorClass;

use super::{LONG, Source};
use crate::media::publish::livekit::tests::server::{Server, token};
use crate::media::testkit::{eventually, free_port};

const ROOM: &str = "whip-room";
const IDENTITY: &str = "hall-1";

fn target(url: &str, token: Option<String>) -> LegTarget {
    LegTarget::Whip(WhipTarget {
        url: Url::new(url),
        token: token.map(|token| TokenSource::Fixed(Secret::new(token))),
        room: None,
        identity: IDENTITY.to_owned(),
        ice_servers: Vec::new(),
    })
}

fn endpoint(server: &Server) -> String {
    format!("{}/whip/v1", server.url().replace("ws://", "http://"))
}

#[test]
fn a_whip_server_gets_picture_and_sound_and_hears_the_farewell() {
    let server = Server::start();
    let mut source = Source::marked();
    let (leg, ended) = source.publish(target(&endpoint(&server), Some(token(IDENTITY, ROOM, 600))), None);
    source.connected();
    let two = || server.tracks(ROOM, IDENTITY).len() == 2;
    assert!(eventually(LONG, two), "{:?}", server.participant(ROOM, IDENTITY));
    assert!(eventually(LONG, || leg.reporter.total() > 100_000), "{}", leg.reporter.total());
    let gauge = || source.stage.context.gauges.lock().unwrap().legs.values().next().cloned();
    assert!(eventually(LONG, || gauge().is_some_and(|it| it.bitrate_bps > 50_000)), "{:?}", gauge());
    source.step(160, 90, 15);
    let before = leg.reporter.total();
    assert!(eventually(LONG, || leg.reporter.total() > before + 20_000), "the smaller picture goes on");
    let began = Instant::now();
    leg.stop();
    ended.recv_timeout(LONG).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(eventually(Duration::from_secs(5), || server.participant(ROOM, IDENTITY).is_none()), "it left at once");
    assert!(source.stage.context.gauges.lock().unwrap().legs.is_empty());
}

#[test]
fn a_whip_server_that_dies_shows_as_progress_that_ends_and_is_published_to_again_when_it_is_back() {
    let mut server = Server::start();
    let mut source = Source::marked();
    let publish = |source: &Source| source.publish(target(&endpoint(&server), Some(token(IDENTITY, ROOM, 600))), None);
    let (leg, ended) = publish(&source);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 50_000));
    server.kill();
    let (began, mut last, mut since) = (Instant::now(), 0, Instant::now());
    let quiet = eventually(LONG, || {
        let total = leg.reporter.total();
        if total != last {
            (last, since) = (total, Instant::now());
        }
        since.elapsed() > Duration::from_secs(1)
    });
    let moved_for = since.duration_since(began);
    assert!(quiet && moved_for < Duration::from_millis(2_500), "{moved_for:?}");
    leg.stop();
    ended.recv_timeout(LONG).unwrap();
    server.restart();
    let url = endpoint(&server);
    let (leg, _ended) = source.publish(target(&url, Some(token(IDENTITY, ROOM, 600))), None);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 50_000), "it is back");
}

#[test]
fn what_is_wrong_with_a_whip_server_is_told_apart() {
    let server = Server::start();
    let nobody = free_port();
    let good = || Some(token(IDENTITY, ROOM, 600));
    let table = [
        (target(&endpoint(&server), Some(token(IDENTITY, ROOM, -60))), ErrorClass::Unauthorised),
        (target(&endpoint(&server), None), ErrorClass::Unauthorised),
        (target(&format!("{}x", endpoint(&server)), good()), ErrorClass::Unauthorised),
        (target(&format!("http://127.0.0.1:{nobody}/whip"), good()), ErrorClass::ConnectionRefused),
        (target("http://no-such-host.invalid/whip", good()), ErrorClass::UnknownHost),
        (target(&endpoint(&server).replace("http:", "https:"), good()), ErrorClass::Tls),
        (target("ftp://127.0.0.1/whip", good()), ErrorClass::Format),
    ];
    for (target, expected) in table {
        let mut source = Source::marked();
        source.stage.context.credentials = std::sync::Arc::new(Configured);
        let (_leg, _ended) = source.publish(target.clone(), None);
        let (class, why) = source.failed();
        assert_eq!(class, expected, "{target:?}: {why}");
    }
}
