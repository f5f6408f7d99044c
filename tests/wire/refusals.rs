//! Each thing that can be wrong with a destination shows its own reason, and is tried again as that reason deserves.

use std::collections::BTreeSet;

use serde_json::Value;

use super::harness::{alone, five_cameras};
use super::lab::WORLD;
use super::servers::{API_KEY, RTMP_PORT, RTMPS_PORT, STREAM_KEY, WSS_PORT, authority_file};
use super::stage::{IDENTITY, ROOM, Stage, backup_leg, is, leg, livekit_leg, livekit_url, why};
use super::viewer::now_ms;

/// A network that may be back at any moment is tried this soon.
const SOON_S: f64 = 15.0;

/// Name, the rest of its table, words of its reason, and whether it counts as refused: then it is tried slowly.
fn wrong_legs(expired: &str) -> Vec<(&'static str, String, &'static [&'static str], bool)> {
    let rtmp = |url: String, key: &str| format!("kind = \"rtmp\"\nurl = \"{url}\"\nstream_key = \"{key}\"");
    let livekit = |url: String, name: &str, token: &str| {
        format!("kind = \"livekit\"\nurl = \"{url}\"\nroom = \"{ROOM}\"\nidentity = \"{name}\"\ntoken = {token}")
    };
    let minted = format!("{{ key = \"{API_KEY}\", secret_file = \"api-secret\" }}");
    let forged = format!("{{ key = \"{API_KEY}\", secret = \"not-the-secret-of-this-server-at-all\" }}");
    vec![
        ("wrong-key", rtmp(format!("rtmp://{WORLD}:{RTMP_PORT}/live"), "not-the-key"), &["key"], true),
        ("unknown-ca", rtmp(format!("rtmps://{WORLD}:{RTMPS_PORT}/live"), STREAM_KEY), &["certificate"], true),
        ("unknown-ca-wss", livekit(format!("wss://{WORLD}:{WSS_PORT}"), "a", &minted), &["certificate"], true),
        ("no-host", rtmp("rtmp://no-such-host.invalid/live".to_owned(), "x"), &["unknown host", "invalid"], false),
        ("no-host-ws", livekit("ws://no-such-host.invalid".to_owned(), "b", &minted), &["unknown host"], false),
        ("nobody", rtmp(format!("rtmp://{WORLD}:1999/live"), "x"), &["refused by", "1999"], false),
        ("nobody-ws", livekit(format!("ws://{WORLD}:7999"), "c", &minted), &["refused by", "7999"], false),
        ("expired", livekit(livekit_url(), "d", &format!("{{ file = \"{expired}\" }}")), &["expired"], true),
        ("forged", livekit(livekit_url(), "e", &forged), &["token", "refused"], true),
    ]
}

#[test]
fn every_fault_of_a_destination_is_told_apart_and_tried_as_it_deserves() {
    let _alone = alone();
    let stage = Stage::bare("reasons").with_livekit().with_rtmp();
    std::fs::write(stage.path().join("expired"), stage.host(&["token", ROOM, "d", "-600"])).unwrap();
    let wrong = wrong_legs("expired");
    let mut text = five_cameras("[record]\nslots = false\n");
    for (name, table, _, _) in &wrong {
        text += &format!("[[leg]]\nname = \"{name}\"\n{table}\n");
    }
    let ca = authority_file(stage.path());
    for (name, url, table) in [
        (
            "secure",
            format!("rtmps://{WORLD}:{RTMPS_PORT}/cameras"),
            format!("kind = \"rtmp\"\nstream_key = \"{STREAM_KEY}\"\n"),
        ),
        (
            "secure-ws",
            format!("wss://{WORLD}:{WSS_PORT}"),
            format!(
                "kind = \"livekit\"\nroom = \"{ROOM}\"\nidentity = \"s\"\ntoken = {{ key = \"{API_KEY}\", secret_file = \"api-secret\" }}\n"
            ),
        ),
    ] {
        text += &format!("[[leg]]\nname = \"{name}\"\nurl = \"{url}\"\nca_file = \"{}\"\n{table}", ca.display());
    }
    let cuebox = stage.start(&text);
    for (name, _, words, refused) in &wrong {
        let status = cuebox.wait(&format!("{name} says {words:?}"), 60, |status| {
            words.iter().all(|word| why(status, name).contains(word)) && leg(status, name)["next_try_s"].is_number()
        });
        let leg = leg(&status, name);
        println!("{name}: {} ({}), next try in {} s", leg["why"], leg["state"], leg["next_try_s"]);
        assert_eq!(leg["state"] == "refused", *refused, "{leg}");
        if !refused {
            assert!(leg["next_try_s"].as_f64().unwrap() <= SOON_S, "{leg}");
        }
    }
    for name in ["secure", "secure-ws"] {
        cuebox.wait(&format!("{name} carries, its authority known"), 40, |status| is(status, name, "carrying"));
    }
    let status = cuebox.status().unwrap();
    // The same fault of two kinds of leg may be told in the same words.
    let faults = ["wrong-key", "unknown-ca", "no-host", "nobody", "expired", "forged"];
    let reasons: BTreeSet<String> = faults.iter().map(|name| why(&status, name)).collect();
    assert_eq!(reasons.len(), faults.len(), "each fault has a reason of its own: {reasons:#?}");
    stage.end(cuebox);
}

#[test]
fn what_a_host_does_to_the_box_is_told_and_answered_each_in_its_own_way() {
    let _alone = alone();
    let stage = Stage::bare("host").with_livekit().with_rtmp();
    let legs = livekit_leg(&livekit_url(), "") + &backup_leg() + "[record]\nslots = false\n";
    let cuebox = stage.start(&five_cameras(&legs));
    let carries = || cuebox.wait("livekit carries", 90, |status| is(status, "livekit", "carrying"));
    let told = |words: &[&str]| -> Value {
        let begun = now_ms();
        let status = cuebox.wait(&format!("the box says {words:?}"), 10, |status| {
            words.iter().all(|word| why(status, "livekit").contains(word))
        });
        let leg = leg(&status, "livekit");
        println!(
            "{} ({}) after {:.1} s, next try in {} s",
            leg["why"],
            leg["state"],
            (now_ms() - begun) / 1e3,
            leg["next_try_s"]
        );
        leg.clone()
    };
    let mut reasons = BTreeSet::new();
    carries();
    stage.host(&["delete", ROOM]);
    reasons.insert(told(&["room"])["why"].to_string());
    cuebox.wait("the fallback takes over, or livekit is back", 20, |status| {
        is(status, "backup", "carrying") || is(status, "livekit", "carrying")
    });
    // The operator knows better than any waiting time.
    again(&cuebox);
    carries();
    stage.host(&["remove", ROOM, IDENTITY]);
    reasons.insert(told(&["removed"])["why"].to_string());
    again(&cuebox);
    carries();
    let twin = stage.viewer_of(ROOM, IDENTITY);
    reasons.insert(told(&["same identity"])["why"].to_string());
    drop(twin);
    again(&cuebox);
    carries();
    assert_eq!(reasons.len(), 3, "{reasons:#?}");
    stage.end(cuebox);
}

/// Tries the leg again, now.
fn again(cuebox: &super::harness::CueBox) {
    cuebox.done(&["leg", "disable", "livekit"]);
    cuebox.done(&["leg", "enable", "livekit"]);
}

#[test]
fn a_wedged_rtmp_server_is_noticed_within_five_seconds_and_taken_again_when_it_moves() {
    let _alone = alone();
    let stage = Stage::bare("wedged").with_rtmp();
    let cuebox = stage.start(&five_cameras(&(backup_leg() + "[record]\nslots = false\n")));
    cuebox.wait("the leg carries", 30, |status| is(status, "backup", "carrying"));
    let server = &stage.nginx.as_ref().unwrap().server;
    server.signal("STOP");
    let wedged = now_ms();
    let status = cuebox.wait("the wedge is noticed", 20, |status| !is(status, "backup", "carrying"));
    let took = (now_ms() - wedged) / 1e3;
    println!("wedged: {} after {took:.1} s", leg(&status, "backup"));
    assert!(took <= 5.5, "{took:.1} s");
    let status = cuebox.wait("the reason is told", 20, |status| !why(status, "backup").is_empty());
    assert!(!why(&status, "backup").contains("refused"), "{}", leg(&status, "backup"));
    server.signal("CONT");
    cuebox.wait("the leg carries again", 60, |status| is(status, "backup", "carrying"));
    stage.end(cuebox);
}
