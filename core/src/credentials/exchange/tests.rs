use crate::config::{PROVES, Publish, RtmpTarget, WhipTarget};
use crate::ids::LegId;

use super::*;

const KEY: &str = "pulse_key_hunter2";

fn service(shape: Shape) -> Service {
    let key = Some(Secret::new(KEY));
    Service { url: Url::new("https://api.example/"), header: "X-Pulse-Key".to_owned(), key, shape }
}

fn leg(target: LegTarget) -> LegConfig {
    LegConfig { name: LegId::new("main"), uplink: Some(1), target, ca_file: None, proves: PROVES }
}

fn livekit(service: Service, room: Option<&str>) -> LegConfig {
    leg(LegTarget::Livekit(LivekitTarget {
        url: None,
        room: room.map(str::to_owned),
        identity: "hall-1".to_owned(),
        publish: Publish::Program,
        token: TokenSource::Service(service),
        ice_servers: Vec::new(),
    }))
}

fn ingress(service: Service) -> LegConfig {
    let (room, identity) = ("wedding-42".to_owned(), "hall-1".to_owned());
    leg(LegTarget::Rtmp(RtmpTarget::Ingress(Ingress { service, room, identity })))
}

fn whip(service: Service) -> LegConfig {
    leg(LegTarget::Whip(WhipTarget {
        url: Url::new("https://sfu.example/whip"),
        token: Some(TokenSource::Service(service)),
        room: Some("wedding-42".to_owned()),
        identity: "hall-1".to_owned(),
        ice_servers: Vec::new(),
    }))
}

fn custom(body: &str) -> Shape {
    let url = Some("/server/0/address".to_owned());
    Shape::Custom { body: body.to_owned(), token: "/a~1b/token".to_owned(), url, room: None }
}

fn asking(leg: &LegConfig) -> Asking<'_> {
    Asking::of(leg, "The hall").unwrap()
}

fn sent(leg: &LegConfig) -> (String, Value) {
    let request = asking(leg).request().unwrap();
    (request.url.reveal().to_owned(), serde_json::from_str(request.body.unwrap().reveal()).unwrap())
}

fn read(leg: &LegConfig, status: u16, body: &str) -> Result<Granted, CredentialError> {
    asking(leg).read(status, body.as_bytes(), Some(1_800_000_000))
}

fn why(leg: &LegConfig, status: u16, body: &str) -> String {
    match read(leg, status, body).unwrap_err() {
        CredentialError::Unavailable(why) => format!("later: {why}"),
        CredentialError::Refused(why) => format!("never: {why}"),
        CredentialError::Expired(why) => format!("expired: {why}"),
    }
}

#[test]
fn a_room_token_is_asked_for_by_name() {
    let (url, body) = sent(&livekit(service(Shape::Pulse), Some("wedding-42")));
    assert_eq!(url, "https://api.example/v1/tokens/create");
    let expected = json!({"room_name": "wedding-42", "participant_name": "The hall", "participant_identity": "hall-1",
        "can_publish": true, "can_subscribe": false, "can_publish_data": true, "metadata": {}});
    assert_eq!(body, expected);
    let (_, body) = sent(&livekit(service(Shape::Pulse), None));
    assert!(body.get("room_name").is_none(), "the service tells the room");
}

#[test]
fn an_address_with_a_path_is_that_of_the_call() {
    for (configured, called) in [
        ("https://api.example", "https://api.example/v1/tokens/create"),
        ("https://api.example:8443/", "https://api.example:8443/v1/tokens/create"),
        ("https://api.example/v1/tokens/create", "https://api.example/v1/tokens/create"),
        ("https://front.example/pulse", "https://front.example/pulse"),
        ("https://front.example?to=pulse", "https://front.example?to=pulse"),
    ] {
        let (url, _) = sent(&livekit(Service { url: Url::new(configured), ..service(Shape::Pulse) }, None));
        assert_eq!(url, called);
    }
}

#[test]
fn the_key_goes_into_its_header_and_as_a_bearer_token_into_authorization() {
    for (header, value) in [("X-Pulse-Key", KEY.to_owned()), ("authorization", format!("Bearer {KEY}"))] {
        let leg = livekit(Service { header: header.to_owned(), ..service(Shape::Pulse) }, None);
        let request = asking(&leg).request().unwrap();
        assert_eq!(request.key, Some((header.to_owned(), Secret::new(value))));
        assert!(!format!("{request:?}").contains(KEY));
    }
}

#[test]
fn an_ingress_is_made_and_taken_away_again() {
    let leg = ingress(service(Shape::Pulse));
    let (url, body) = sent(&leg);
    assert_eq!(url, "https://api.example/v1/media/ingress/create");
    assert_eq!(body["ingress_type"], "rtmp");
    let answer = r#"{"ingress_id":"IN_7","rtmp_url":"rtmp://in.example/live","rtmp_stream_key":"k"}"#;
    let granted = read(&leg, 200, answer).unwrap();
    assert_eq!((granted.secret.reveal(), granted.ingress.as_deref()), ("k", Some("IN_7")));
    assert_eq!(granted.url, Some(Url::new("rtmp://in.example/live")));
    let asking = asking(&leg);
    let withdrawal = asking.withdrawal("IN_7").unwrap();
    assert_eq!(withdrawal.url.reveal(), "https://api.example/v1/media/ingress/IN_7");
    assert_eq!(withdrawal.method, Method::Delete);
    assert!(asking.withdrawal("../tokens").is_none());
    assert!(asking.withdrawal("").is_none());
}

#[test]
fn each_shape_is_read_where_it_keeps_its_parts() {
    let pulse =
        read(&livekit(service(Shape::Pulse), None), 201, r#"{"token":"t","server_url":"wss://s","room_name":"r"}"#);
    let pulse = pulse.unwrap();
    assert_eq!((pulse.secret.reveal(), pulse.url, pulse.room.as_deref()), ("t", Some(Url::new("wss://s")), Some("r")));

    let body = r#"{"success":true,"data":{"token":"t","wsUrl":"ws://s","roomId":"r"}}"#;
    let creator = read(&livekit(service(Shape::Creator), None), 200, body).unwrap();
    assert_eq!((creator.secret.reveal(), creator.url), ("t", Some(Url::new("ws://s"))));

    let body = r#"{"a/b":{"token":"t"},"server":[{"address":"https://w"}]}"#;
    let custom = read(&whip(service(custom("{}"))), 200, body).unwrap();
    assert_eq!((custom.secret.reveal(), custom.url), ("t", Some(Url::new("https://w"))));
}

#[test]
fn a_template_is_filled_in_and_cannot_be_broken_out_of() {
    let body = r#"{"room":"{room}","who":["{identity} at {room}"],"{room}":"{other}","n":1}"#;
    let (_, sent) = sent(&livekit(service(custom(body)), Some("a\",\"admin\":true,\"x\":\"{identity}")));
    assert_eq!(sent["room"], "a\",\"admin\":true,\"x\":\"{identity}");
    assert_eq!(sent["who"][0], "hall-1 at a\",\"admin\":true,\"x\":\"{identity}");
    assert_eq!(sent["{room}"], "{other}");
    assert!(sent.get("admin").is_none());
}

#[test]
fn what_cannot_be_asked_says_what_to_mend() {
    let mock = Service { key: Some(Secret::new("pulse_mock_1")), ..service(Shape::Pulse) };
    for (leg, expected) in [
        (livekit(mock, None), "there is no platform, the key begins with pulse_mock_"),
        (livekit(service(custom("{")), None), "the body in the configuration is no JSON"),
        (livekit(service(custom(r#"{"r":"{room}"}"#)), None), "the leg has no `room`"),
        (ingress(service(Shape::Creator)), "the creator shape makes no ingress"),
    ] {
        let why = asking(&leg).request().unwrap_err().to_string();
        assert!(why.contains(expected) && why.starts_with("token service api.example: "), "{why}");
        assert!(!why.contains(KEY), "{why}");
    }
}

#[test]
fn each_wrong_answer_has_its_own_reason() {
    let pulse = livekit(service(Shape::Pulse), None);
    let table: &[(u16, &str, &str)] = &[
        (200, "", "later: token service api.example: its answer is empty"),
        (200, "<!doctype html>", "later: token service api.example: its answer is a web page, not JSON"),
        (200, r#"{"token":"x"#, "later: token service api.example: its answer is JSON that breaks off"),
        (200, "token=x", "later: token service api.example: its answer is no JSON"),
        (200, "[]", "later: token service api.example: its answer has no `token`"),
        (200, r#"{"token":null}"#, "later: token service api.example: its answer has no `token`"),
        (200, r#"{"token":7}"#, "later: token service api.example: `token` is a number, not a text"),
        (200, r#"{"token":""}"#, "later: token service api.example: `token` is no token"),
        (200, r#"{"token":"a\nb"}"#, "later: token service api.example: `token` is no token"),
        (
            200,
            r#"{"token":"t","server_url":"file:///etc"}"#,
            "later: token service api.example: `server_url` begins with \"file\" (allowed: ws, wss)",
        ),
        (
            200,
            r#"{"token":"t","server_url":["x"]}"#,
            "later: token service api.example: `server_url` is a list, not a text",
        ),
        (200, r#"{"success":false,"error":"no such show"}"#, "never: token service api.example: no such show"),
        (
            302,
            "",
            "never: token service api.example: it leads elsewhere; the configuration must name the final address (302)",
        ),
        (400, "[]", "never: token service api.example: it refuses (400)"),
        (401, "<html>", "never: token service api.example: it does not accept the key (401)"),
        (
            403,
            r#"{"error":{"message":"key pulse_key_hunter2 is\nrevoked"}}"#,
            "never: token service api.example: it does not accept the key (403: key *** is revoked)",
        ),
        (404, "", "never: token service api.example: it has no such call (404)"),
        (429, "", "later: token service api.example: it is asked too often (429)"),
        (500, r#"{"token":"t"}"#, "later: token service api.example: it fails (500)"),
        (503, r#"{"message":"back soon"}"#, "later: token service api.example: it fails (503: back soon)"),
    ];
    for (status, body, expected) in table {
        assert_eq!(why(&pulse, *status, body), *expected, "{status} {body}");
    }
    let no_address = why(&ingress(service(Shape::Pulse)), 200, r#"{"rtmp_stream_key":"k"}"#);
    assert_eq!(no_address, "later: token service api.example: its answer has no `rtmp_url`");
}

#[test]
fn long_words_and_deep_json_stay_bounded() {
    let pulse = livekit(service(Shape::Pulse), None);
    let long = format!(r#"{{"error":"{}"}}"#, "ä".repeat(10_000));
    assert!(why(&pulse, 500, &long).chars().count() < 200);
    let deep = "[".repeat(60_000);
    assert!(why(&pulse, 200, &deep).contains("JSON"), "{}", why(&pulse, 200, &deep));
    let long = format!(r#"{{"token":"{}"}}"#, "a".repeat(20_000));
    assert!(why(&pulse, 200, &long).contains("is no token"));
}

#[test]
fn an_address_is_shown_without_its_password() {
    let url = Url::new("https://user:hunter2@api.example:8443/x?secret=hunter2");
    let leg = livekit(Service { url, ..service(Shape::Creator) }, None);
    assert_eq!(why(&leg, 500, ""), "later: token service api.example:8443: it fails (500)");
}

#[test]
fn a_token_that_has_ended_already_is_no_use() {
    // {"exp":1799999990}
    let body = r#"{"token":"e30.eyJleHAiOjE3OTk5OTk5OTB9.s"}"#;
    let pulse = livekit(service(Shape::Pulse), None);
    let expected = "later: token service api.example: its token ended 10 s ago; do both clocks agree?";
    assert_eq!(why(&pulse, 200, body), expected);
    assert!(asking(&pulse).read(200, body.as_bytes(), None).is_ok());
}
