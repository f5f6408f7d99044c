use super::*;

#[tokio::test]
async fn the_status_is_told() {
    let rig = Rig::start();
    let reply = rig.call("GET", "/api/v1/status", b"").await;
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    let status = reply.json();
    assert_eq!(status["box"], "hall-1");
    assert_eq!(status["program"]["on_air"], 1);
    assert_eq!(status["slots"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn commands_are_answered_by_their_result() {
    let rig = Rig::start();
    let table = [
        (json!({"id": "a", "verb": "cut", "slot": 3}), 200, json!({"id": "a", "result": "done"})),
        (json!({"id": "a", "verb": "cut", "slot": 3}), 200, json!({"id": "a", "result": "duplicate", "first": "done"})),
        (
            json!({"id": "a", "verb": "cut", "slot": 4}),
            409,
            json!({"id": "a", "result": "conflict", "why": "this id was used for another command"}),
        ),
        (
            json!({"id": "b", "verb": "cut", "slot": 5}),
            409,
            json!({"id": "b", "result": "refused", "why": "slot 5 is empty"}),
        ),
        (
            json!({"id": "b", "verb": "cut", "slot": 5}),
            200,
            json!({"id": "b", "result": "duplicate", "first": "refused", "why": "slot 5 is empty"}),
        ),
        (
            json!({"id": "c", "verb": "cut", "slot": 9}),
            409,
            json!({"id": "c", "result": "refused", "why": "slot 9 does not exist (allowed: 1–5)"}),
        ),
        (
            json!({"id": "d", "verb": "explode"}),
            400,
            json!({"id": "d", "result": "malformed", "why": "unknown verb `explode`"}),
        ),
    ];
    for (body, status, answer) in table {
        let reply = rig.command(&body).await;
        assert_eq!((reply.status, reply.json()), (status, answer), "{body}");
    }
}

#[tokio::test]
async fn a_command_without_an_id_gets_one() {
    let rig = Rig::start();
    for body in [json!({"verb": "cut", "slot": 3}), json!({"verb": "cut", "slot": 9})] {
        let (first, second) = (rig.command(&body).await.json(), rig.command(&body).await.json());
        assert!(first["id"].as_str().is_some_and(|id| !id.is_empty()), "{first}");
        assert_ne!(first["id"], second["id"]);
    }
}

#[tokio::test]
async fn the_status_shows_what_a_command_did() {
    let rig = Rig::start();
    rig.command(&json!({"verb": "cut", "slot": 3})).await;
    let mut status = rig.call("GET", "/api/v1/status", b"").await.json();
    while status["program"]["on_air"] != 3 {
        tokio::task::yield_now().await;
        status = rig.call("GET", "/api/v1/status", b"").await.json();
    }
    assert_eq!(status["seq"], 1);
}

#[tokio::test]
async fn a_command_that_nobody_answers_is_said_to_be_unknown() {
    let rig = Rig::start_with(None, Patience { answer: Duration::from_millis(50), ..Patience::default() });
    let reply = rig.command(&json!({"id": "r", "verb": "reload"})).await;
    assert_eq!(reply.status, 504);
    assert_eq!(reply.json()["result"], "unknown");
    assert_eq!(rig.command(&json!({"verb": "take"})).await.status, 200);
}

#[tokio::test]
async fn many_commands_may_share_a_connection() {
    let rig = Rig::start();
    let mut peer = Peer::connect(&rig.socket).await;
    for number in 0..50 {
        let body = json!({"id": format!("n{number}"), "verb": "cut", "slot": number % 4 + 1}).to_string();
        peer.request("POST", "/api/v1/commands", body.as_bytes()).await;
        assert_eq!(peer.reply().await.json(), json!({"id": format!("n{number}"), "result": "done"}));
    }
}

#[tokio::test]
async fn pictures_are_given_or_missed() {
    let rig = Rig::start();
    for path in ["/api/v1/program/snapshot.jpg", "/api/v1/slots/1/snapshot.jpg"] {
        let reply = rig.call("GET", path, b"").await;
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"\xff\xd8jpeg"[..]), "{path}");
        assert!(reply.head.contains("content-type: image/jpeg"));
        assert!(reply.head.contains("cache-control: no-store"));
    }
    for slot in ["2", "0", "6", "256", "one", "-1", "%ff", "1%2f.."] {
        let reply = rig.call("GET", &format!("/api/v1/slots/{slot}/snapshot.jpg"), b"").await;
        assert!(matches!(reply.status, 400 | 404), "{slot}: {reply:?}");
    }
}

#[tokio::test]
async fn shows_are_listed_and_told_one_by_one() {
    let rig = Rig::start();
    assert_eq!(rig.call("GET", "/api/v1/shows", b"").await.json()[0]["id"], "20261121-183005-3f2a");
    let one = rig.call("GET", "/api/v1/shows/20261121-183005-3f2a", b"").await;
    assert_eq!((one.status, &one.json()["id"]), (200, &json!("20261121-183005-3f2a")));
    for id in ["another", "..%2f..%2fetc", "%00", &"x".repeat(4_000)] {
        assert_eq!(rig.call("GET", &format!("/api/v1/shows/{id}"), b"").await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn unknown_calls_and_methods_are_told_so() {
    let rig = Rig::start();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/api/v2/status", 404),
        ("DELETE", "/api/v1/status", 405),
        ("GET", "/api/v1/commands", 405),
    ] {
        let reply = rig.call(method, path, b"").await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(reply.json()["error"].is_string());
    }
}
