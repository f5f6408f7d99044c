//! Halls whose network lets little out: media finds its way over TCP, or over the server's TURN.

use super::harness::{alone, five_cameras};
use super::lab::WORLD;
use super::seen::Arrival;
use super::servers::{authority_file, certificate};
use super::stage::{Stage, is, leg, livekit_leg, livekit_url, why};
use super::viewer::now_ms;

const WATCHED_MS: f64 = 10_000.0;

/// LiveKit's signalling, and nothing of its media.
const SIGNALLING: [&str; 2] = ["tcp dport 7880", "tcp sport 7880"];

/// The picture that viewers get of a box for which nothing is open but `open`.
#[track_caller]
fn watched(stage: Stage, open: &[&str], extra: &str) {
    stage.lab.only(open);
    let cuebox = stage.start(&five_cameras(&(livekit_leg(&livekit_url(), extra) + "[record]\nslots = false\n")));
    let viewer = stage.viewer();
    let began = now_ms();
    cuebox.wait("the leg carries", 60, |status| is(status, "livekit", "carrying"));
    viewer.wait_frames("program", 60, 30);
    let carries = (now_ms() - began) / 1e3;
    let from = now_ms();
    viewer.watch_until(from + WATCHED_MS);
    let seen = viewer.leave();
    let arrival = Arrival::of(&seen.frames("program", from, from + WATCHED_MS));
    let stall = seen.longest_stall("program", from, from + WATCHED_MS);
    println!("carries after {carries:.1} s, {arrival:?}, longest stall {stall:.0} ms");
    assert!(arrival.share() >= 0.99 && arrival.backwards == 0, "{arrival:?}");
    assert!(stall < 500.0, "the picture stood for {stall:.0} ms");
    stage.end(cuebox);
}

#[test]
fn where_no_udp_passes_media_goes_over_tcp() {
    let _alone = alone();
    watched(Stage::bare("ice-tcp").with_livekit(), &["ip protocol tcp"], "");
}

#[test]
fn where_only_the_turn_port_is_open_media_goes_over_turn() {
    let _alone = alone();
    let stage = Stage::bare("turn-udp").with_livekit_and("enabled: true, udp_port: 3478");
    let [to, from] = SIGNALLING;
    watched(stage, &[to, from, "udp dport 3478", "udp sport 3478"], "");
}

#[test]
fn where_only_the_web_port_is_open_media_goes_over_turn_in_tls() {
    let _alone = alone();
    let stage = Stage::bare("turn-tls");
    let pair = certificate(stage.path());
    let turn = format!(
        "enabled: true, domain: {WORLD}, tls_port: 443, cert_file: {}, key_file: {}",
        pair.certificate.display(),
        pair.key.display()
    );
    let trusted = format!("ca_file = \"{}\"", authority_file(stage.path()).display());
    let [to, from] = SIGNALLING;
    watched(stage.with_livekit_and(&turn), &[to, from, "tcp dport 443", "tcp sport 443"], &trusted);
}

#[test]
fn where_nothing_but_the_signalling_passes_the_leg_says_that_no_media_does() {
    let _alone = alone();
    let stage = Stage::bare("no-media").with_livekit();
    stage.lab.only(&SIGNALLING);
    let cuebox = stage.start(&five_cameras(&(livekit_leg(&livekit_url(), "") + "[record]\nslots = false\n")));
    let status = cuebox.wait("the leg says why", 60, |status| why(status, "livekit").contains("no media reaches"));
    println!("{}", leg(&status, "livekit"));
    assert!(is(&status, "livekit", "trying"), "{status}");
    stage.end(cuebox);
}
