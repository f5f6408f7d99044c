//! WHIP against a LiveKit server's own endpoint; the server itself is asked what it gets.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cuebox_core::config::{LegTarget, Secret, TokenSource, Url, WhipTarget};
use cuebox_core::credentials::Configured;
use cuebox_core::director::ErrorClass;

use super::livekit::{Server, token};
use super::{LONG, Source};
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

/// A server that gives every caller the same answer; gives its port, and what callers said.
fn answering(answer: String) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keeps = heard.clone();
    std::thread::spawn(move || {
        for mut caller in listener.incoming().flatten() {
            let (mut said, mut part) = (Vec::new(), [0; 4096]);
            // Head and body: an offer ends with a line's end, and the connection stays open.
            while !said.windows(4).any(|it| it == b"\r\n\r\n") || !said.ends_with(b"\r\n") {
                match caller.read(&mut part) {
                    Ok(count) if count > 0 => said.extend_from_slice(&part[..count]),
                    _ => break,
                }
            }
            keeps.lock().unwrap().push(String::from_utf8_lossy(&said).into_owned());
            let _ = caller.write_all(answer.as_bytes());
        }
    });
    (port, heard)
}

fn redirecting(to: &str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let head = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nConnection: close";
    answering(format!("{head}\r\nLocation: {to}\r\n\r\n"))
}

#[test]
fn a_redirection_is_followed_and_the_session_ended_where_it_is() {
    let server = Server::start();
    let mut source = Source::marked();
    let (port, _) = redirecting(&endpoint(&server));
    let url = format!("http://127.0.0.1:{port}/shared");
    let (leg, ended) = source.publish(target(&url, Some(token(IDENTITY, ROOM, 600))), None);
    source.connected();
    assert!(eventually(LONG, || leg.reporter.total() > 20_000));
    leg.stop();
    ended.recv_timeout(LONG).unwrap();
    assert!(eventually(Duration::from_secs(5), || server.participant(ROOM, IDENTITY).is_none()), "it left at once");
}

#[test]
fn a_redirection_ends_somewhere_and_takes_the_token_to_no_other_host() {
    let refusing = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
    let (elsewhere, heard) = answering(refusing);
    let (first, asked) = redirecting(&format!("http://127.0.0.1:{elsewhere}/whip"));
    let (endless, _) = redirecting("/again");
    let table = [
        (format!("http://localhost:{first}/whip"), ErrorClass::Unauthorised),
        (format!("http://127.0.0.1:{endless}/whip"), ErrorClass::Format),
    ];
    for (url, expected) in table {
        let mut source = Source::marked();
        source.stage.context.credentials = Arc::new(Configured);
        let (_leg, _ended) = source.publish(target(&url, Some("a.secret.token".to_owned())), None);
        let (class, why) = source.failed();
        assert_eq!(class, expected, "{url}: {why}");
    }
    let carried = |heard: &Mutex<Vec<String>>| heard.lock().unwrap().iter().any(|it| it.contains("secret"));
    assert!(carried(&asked), "its own host gets it");
    assert!(!heard.lock().unwrap().is_empty() && !carried(&heard), "{:?}", heard.lock().unwrap());
}
