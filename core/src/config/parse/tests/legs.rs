//! `[[leg]]`: what each kind takes, and what is said of each mistake.

use std::time::Duration;

use crate::config::{
    Ingress, LegConfig, LegTarget, LivekitTarget, Publish, RtmpTarget, Secret, Service, Shape, SrtMode, SrtTarget,
    TokenSource, Url, WhipTarget,
};

use super::read;

/// One leg named `a` with these lines after its kind.
pub(super) fn leg(kind: &str, lines: &str) -> String {
    format!("[[leg]]\nname = \"a\"\nkind = \"{kind}\"\n{lines}")
}

fn target(kind: &str, lines: &str) -> LegTarget {
    let text = format!("[box]\nid = \"hall-1\"\n{}", leg(kind, lines));
    let mut checked = read(&text).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
    checked.config.legs.remove(0).target
}

fn service(shape: Shape, header: &str) -> Service {
    let url = Url::new("https://p.example/v1/call");
    Service { url, header: header.to_owned(), key: Some(Secret::new("s3cr3t")), shape }
}

#[test]
fn a_livekit_leg_is_read_with_each_way_to_its_token() {
    let base = LivekitTarget {
        url: Some(Url::new("wss://h")),
        room: Some("r".to_owned()),
        identity: "hall-1".to_owned(),
        publish: Publish::Program,
        token: TokenSource::Fixed(Secret::new("s3cr3t")),
        ice_servers: Vec::new(),
    };
    let custom = Shape::Custom {
        body: "{\"r\":\"{room}\"}".to_owned(),
        token: "/data/t".to_owned(),
        url: Some("/data/u".to_owned()),
        room: None,
    };
    for (lines, expected) in [
        ("url = \"wss://h\"\ntoken = { file = \"key\" }", LivekitTarget { room: None, ..base.clone() }),
        (
            "url = \"wss://h\"\nroom = \"r\"\nidentity = \"me\"\npublish = \"program+slots\"\nice_servers = [\"stun://s:3478\", \"turn://u:p@t:3478?transport=tcp\"]\ntoken = { key = \"devkey\", secret_file = \"key\" }",
            LivekitTarget {
                identity: "me".to_owned(),
                publish: Publish::ProgramAndSlots,
                token: TokenSource::Minted { key: "devkey".to_owned(), secret: Secret::new("s3cr3t") },
                ice_servers: vec![Url::new("stun://s:3478"), Url::new("turn://u:p@t:3478?transport=tcp")],
                ..base.clone()
            },
        ),
        (
            "room = \"r\"\ntoken = { service = \"https://p.example/v1/call\", key_file = \"key\" }",
            LivekitTarget {
                url: None,
                token: TokenSource::Service(service(Shape::Pulse, "X-Pulse-Key")),
                ..base.clone()
            },
        ),
        (
            "token = { service = \"https://p.example/v1/call\", key_file = \"key\", shape = \"creator\" }",
            LivekitTarget {
                url: None,
                room: None,
                token: TokenSource::Service(service(Shape::Creator, "Authorization")),
                ..base.clone()
            },
        ),
        (
            "room = \"r\"\n[leg.token]\nservice = \"https://p.example/v1/call\"\nheader = \"X-Key\"\nkey_file = \"key\"\nshape = \"custom\"\nbody = '{\"r\":\"{room}\"}'\ntoken_at = \"/data/t\"\nurl_at = \"/data/u\"",
            LivekitTarget { url: None, token: TokenSource::Service(service(custom, "X-Key")), ..base.clone() },
        ),
    ] {
        assert_eq!(target("livekit", lines), LegTarget::Livekit(expected), "{lines}");
    }
}

#[test]
fn an_rtmp_legs_address_may_be_told_by_a_service() {
    let lines = "room = \"r\"\ningress = { service = \"https://p.example/v1/call\", key_file = \"key\" }";
    let service = service(Shape::Pulse, "X-Pulse-Key");
    let expected = Ingress { service, room: "r".to_owned(), identity: "hall-1".to_owned() };
    assert_eq!(target("rtmp", lines), LegTarget::Rtmp(RtmpTarget::Ingress(expected)));
}

#[test]
fn an_srt_leg_calls_or_listens() {
    let caller = SrtTarget {
        url: Url::new("srt://h:9000"),
        mode: SrtMode::Caller,
        passphrase: Some(Secret::new("correct horse battery")),
        stream_id: Some("publish/a".to_owned()),
        latency: Duration::from_millis(400),
    };
    let lines = "url = \"srt://h:9000\"\npassphrase_file = \"passphrase\"\nstream_id = \"publish/a\"\nlatency_ms = 400";
    assert_eq!(target("srt", lines), LegTarget::Srt(caller));
    let listener = SrtTarget {
        url: Url::new("srt://:9000"),
        mode: SrtMode::Listener,
        passphrase: None,
        stream_id: None,
        latency: Duration::from_millis(120),
    };
    assert_eq!(target("srt", "url = \"srt://:9000\"\nmode = \"listener\""), LegTarget::Srt(listener));
}

#[test]
fn a_whip_leg_has_an_address_and_perhaps_a_token() {
    let open = WhipTarget {
        url: Url::new("https://h/whip/a"),
        token: None,
        room: None,
        identity: "hall-1".to_owned(),
        ice_servers: Vec::new(),
    };
    assert_eq!(target("whip", "url = \"https://h/whip/a\""), LegTarget::Whip(open.clone()));
    let token = Some(TokenSource::Minted { key: "k".to_owned(), secret: Secret::new("s3cr3t") });
    let minted = WhipTarget { token, room: Some("r".to_owned()), ..open };
    let lines = "url = \"https://h/whip/a\"\nroom = \"r\"\ntoken = { key = \"k\", secret_file = \"key\" }";
    assert_eq!(target("whip", lines), LegTarget::Whip(minted));
}

#[test]
fn what_a_leg_does_not_use_or_may_regret_is_a_warning() {
    for (kind, lines, expected) in [
        (
            "livekit",
            "url = \"ws://h\"\nca_file = \"ca.pem\"\ntoken = { value = \"x\" }",
            // The server may name a relay that is spoken to in TLS.
            &["6: leg.token.value: is a secret in plain text: file keeps it out of this file"][..],
        ),
        (
            "livekit",
            "url = \"wss://h\"\nroom = \"r\"\nidentity = \"i\"\nca_file = \"ca.pem\"\ntoken = { file = \"key\" }",
            &["5: leg.room: is not used: the token says it", "6: leg.identity: is not used: the token says it"],
        ),
        (
            "livekit",
            "room = \"r\"\nca_file = \"ca.pem\"\ntoken = { service = \"http://127.0.0.1:8080/t\", header = \"X-Key\" }",
            &["6: leg.token.header: is not used: there is no key_file to put into it"],
        ),
        (
            "livekit",
            "room = \"r\"\ntoken = { service = \"http://localhost/t\", key = \"k\" }",
            &["5: leg.token.key: is a secret in plain text: key_file keeps it out of this file"],
        ),
        (
            "livekit",
            "room = \"r\"\nurl = \"wss://h\"\nice_servers = [\"turn://u:p@t:1\"]\ntoken = { key = \"k\", secret = \"s\" }",
            &[
                "6: leg.ice_servers: may hold a password in plain text",
                "7: leg.token.secret: is a secret in plain text: secret_file keeps it out of this file",
            ],
        ),
        (
            "srt",
            "url = \"srt://:9000\"\nmode = \"listener\"\nstream_id = \"x\"\nca_file = \"ca.pem\"",
            &[
                "6: leg.stream_id: is not used: whoever calls a listener brings it",
                "7: leg.ca_file: is not used: SRT knows no certificates, it is encrypted with a passphrase",
            ],
        ),
        (
            "whip",
            "url = \"http://h/w\"\nroom = \"r\"\nca_file = \"ca.pem\"",
            &[
                "5: leg.room: is not used: there is no token to put it into",
                "6: leg.ca_file: is not used: http:// is not encrypted, https:// is",
            ],
        ),
        (
            "whip",
            "url = \"http://h/w\"\nproves_s = 2\nice_servers = [\"turns://u:p@t:1\"]\nca_file = \"ca.pem\"",
            &[
                "5: leg.proves_s: is not used: a leg without a rank takes over from nobody",
                "6: leg.ice_servers: may hold a password in plain text",
            ],
        ),
        ("rtmp", "room = \"r\"\nca_file = \"ca.pem\"\ningress = { service = \"https://h/t\" }", &[]),
    ] {
        let text = leg(kind, lines);
        let warnings: Vec<_> = read(&text).expect(&text).warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, expected, "{text}");
    }
}

#[test]
fn two_legs_may_join_one_room_under_two_names() {
    let one = |name: &str, identity: &str| {
        format!(
            "[[leg]]\nname = \"{name}\"\nkind = \"livekit\"\nurl = \"wss://h\"\nroom = \"r\"\nidentity = \"{identity}\"\ntoken = {{ key = \"k\", secret_file = \"key\" }}\n"
        )
    };
    let legs: Vec<LegConfig> = read(&(one("a", "x") + &one("b", "y"))).expect("both are read").config.legs;
    assert_eq!(legs.len(), 2);
}

#[test]
fn a_legs_secrets_are_never_shown() {
    for lines in [
        "url = \"wss://h\"\nroom = \"r\"\ntoken = { key = \"k\", secret = \"hunter2\" }",
        "url = \"wss://h\"\ntoken = { value = \"hunter2\" }\nice_servers = [\"turn://u:hunter2@t:1\"]",
        "url = \"wss://h\"\ntoken = { value = \"hunter2\" }\nice_servers = [\"turn://u:hunter2@t:0\"]",
        "room = \"r\"\ntoken = { service = \"https://h/t\", key = \"hunter2\" }",
        "room = \"r\"\ntoken = { service = \"https://h/t\", key = [\"hunter2\"] }",
    ] {
        let shown = format!("{:?}", read(&leg("livekit", lines)));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for lines in ["url = \"srt://h:1\"\npassphrase = \"hunter2\"", "url = \"srt://h:1?passphrase=hunter2\""] {
        let shown = format!("{:?}", read(&leg("srt", lines)));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
