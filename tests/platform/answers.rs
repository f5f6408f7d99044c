//! What services answer, and what they answer instead.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Redirect};
use axum::routing::{MethodRouter, any, delete, post};
use cuebox_core::config::{LegTarget, RtmpTarget, Shape, TokenSource, Url};
use cuebox_core::credentials::{CredentialError, CredentialSource as _};
use futures_util::stream;
use serde_json::{Value, json};

use super::bench::{KEY, Stage, asking, eventually, ingress, livekit_leg, log, service, token};
use super::ports::free_port;

/// What a service was sent: the key's header and the body.
type Seen = Arc<Mutex<Vec<(String, Value)>>>;

fn note(seen: &Seen, header: &str, headers: &HeaderMap, body: &Bytes) {
    let key = headers.get(header).map(|key| key.to_str().unwrap().to_owned());
    seen.lock().unwrap().push((key.unwrap_or_default(), serde_json::from_slice(body).unwrap()));
}

/// Counts its calls.
fn called(calls: &Arc<AtomicU64>) -> MethodRouter {
    let calls = calls.clone();
    any(move || async move { calls.fetch_add(1, Ordering::Relaxed).to_string() })
}

#[test]
fn a_pulse_service_lets_the_leg_in() {
    let stage = Stage::new();
    let (seen, given) = (Seen::default(), token(3600));
    let (notes, answer) = (seen.clone(), given.clone());
    let create = post(move |headers: HeaderMap, body: Bytes| async move {
        note(&notes, "x-pulse-key", &headers, &body);
        axum::Json(json!({"token": answer, "server_url": "wss://sfu.example", "room_name": "wedding-42"}))
    });
    let address = stage.serve(Router::new().route("/v1/tokens/create", create));
    let leg = asking(&format!("http://{address}"));
    let credentials = stage.ask(&leg).unwrap();
    assert_eq!(credentials.secret.reveal(), given);
    assert_eq!(credentials.url, Some(Url::new("wss://sfu.example")));
    assert!(credentials.expires_unix_s.is_some());
    // What holds is not asked for again.
    assert_eq!(stage.ask(&leg).unwrap(), credentials);
    let seen = seen.lock().unwrap();
    let [(key, body)] = &seen[..] else { panic!("asked {} times", seen.len()) };
    assert_eq!(
        (key.as_str(), &body["room_name"], &body["participant_name"]),
        (KEY, &json!("wedding-42"), &json!("The hall"))
    );
}

#[test]
fn creator_and_custom_services_let_legs_in() {
    let stage = Stage::new();
    let seen = Seen::default();
    let (creators, customs) = (seen.clone(), seen.clone());
    let creator = post(move |headers: HeaderMap, body: Bytes| async move {
        note(&creators, "authorization", &headers, &body);
        axum::Json(json!({"success": true, "data": {"token": "opaque-1", "wsUrl": "wss://a", "roomId": "r"}}))
    });
    let custom = post(move |headers: HeaderMap, body: Bytes| async move {
        note(&customs, "authorization", &headers, &body);
        axum::Json(json!({"access": [{"jwt": "opaque-2"}], "where": "wss://b"}))
    });
    let router = Router::new().route("/creator-webrtc-token", creator).route("/join", custom);
    let address = stage.serve(router);
    let with = |name: &str, path: &str, shape: Shape| {
        let mut service = service(&format!("http://{address}{path}"));
        (service.header, service.shape) = ("Authorization".to_owned(), shape);
        livekit_leg(name, TokenSource::Service(service))
    };
    let creator = stage.ask(&with("creator", "/creator-webrtc-token", Shape::Creator)).unwrap();
    assert_eq!((creator.secret.reveal(), creator.url), ("opaque-1", Some(Url::new("wss://a"))));
    let shape = Shape::Custom {
        body: r#"{"room":"{room}","who":{"id":"{identity}","label":"{name}"}}"#.to_owned(),
        token: "/access/0/jwt".to_owned(),
        url: Some("/where".to_owned()),
        room: None,
    };
    let custom = stage.ask(&with("custom", "/join", shape)).unwrap();
    assert_eq!((custom.secret.reveal(), custom.url), ("opaque-2", Some(Url::new("wss://b"))));
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|(key, _)| *key == format!("Bearer {KEY}")), "{seen:?}");
    assert_eq!(seen[1].1, json!({"room": "wedding-42", "who": {"id": "hall-1", "label": "The hall"}}));
}

#[test]
fn an_ingress_is_made_once_and_anew_when_it_stops_working() {
    let stage = Stage::new();
    let (made, removed) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (count, gone) = (made.clone(), removed.clone());
    let create = post(move || async move {
        let n = count.fetch_add(1, Ordering::Relaxed);
        axum::Json(
            json!({"ingress_id": format!("IN_{n}"), "rtmp_url": "rtmp://in.example/live", "rtmp_stream_key": format!("key-{n}")}),
        )
    });
    let remove = delete(move |Path(id): Path<String>, headers: HeaderMap| async move {
        assert_eq!(headers["x-pulse-key"], KEY);
        gone.lock().unwrap().push(id);
        StatusCode::NO_CONTENT
    });
    let router = Router::new().route("/v1/media/ingress/create", create).route("/v1/media/ingress/{id}", remove);
    let leg = ingress(&format!("http://{}", stage.serve(router)));
    assert_eq!(stage.ask(&leg).unwrap().secret.reveal(), "key-0");
    let again = stage.ask(&leg).unwrap();
    assert_eq!((again.secret.reveal(), again.url), ("key-0", Some(Url::new("rtmp://in.example/live"))));
    stage.platform.rejected(&leg);
    assert_eq!(stage.ask(&leg).unwrap().secret.reveal(), "key-1");
    eventually("the ingress that failed is taken away", || *removed.lock().unwrap() == ["IN_0"]);
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[test]
fn every_misbehaviour_has_its_own_name_and_leaks_nothing() {
    let stage = Stage::new();
    let expired = token(-60);
    let (ended, stolen) = (expired.clone(), Arc::new(AtomicU64::new(0)));
    let thief = called(&stolen);
    let router = Router::new()
        .route("/401", post(|| async { (StatusCode::UNAUTHORIZED, format!(r#"{{"error":"bad key {KEY}"}}"#)) }))
        .route("/500", post(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "boom") }))
        .route("/429", post(|| async { StatusCode::TOO_MANY_REQUESTS }))
        .route("/html", post(|| async { Html("<html>maintenance</html>") }))
        .route("/empty", post(|| async {}))
        .route("/number", post(|| async { axum::Json(json!({"token": 7})) }))
        .route("/nothing", post(|| async { axum::Json(json!({"tokens": []})) }))
        .route("/cut", post(|| async { r#"{"token":"abc"# }))
        .route("/no", post(|| async { axum::Json(json!({"success": false, "error": "no such show"})) }))
        .route("/expired", post(move || async move { axum::Json(json!({"token": ended})) }))
        .route("/elsewhere", post(|| async { Redirect::temporary("/stolen") }))
        .route("/stolen", thief)
        .route("/30mb", post(|| async { vec![b' '; 30_000_000] }));
    let address = stage.serve(router);
    let table: &[(&str, bool, &str)] = &[
        ("/401", false, "it does not accept the key (401: bad key ***)"),
        ("/500", true, "it fails (500)"),
        ("/429", true, "it is asked too often (429)"),
        ("/html", true, "its answer is a web page, not JSON"),
        ("/empty", true, "its answer is empty"),
        ("/number", true, "`token` is a number, not a text"),
        ("/nothing", true, "its answer has no `token`"),
        ("/cut", true, "its answer is JSON that breaks off"),
        ("/no", false, "no such show"),
        ("/expired", true, "do both clocks agree?"),
        ("/elsewhere", false, "it leads elsewhere"),
        ("/30mb", true, "its answer is longer than 64 KiB"),
        ("/absent", false, "it has no such call (404)"),
    ];
    for (path, later, expected) in table {
        let error = stage.ask(&asking(&format!("http://{address}{path}"))).unwrap_err();
        let why = error.to_string();
        assert!(why.starts_with(&format!("token service {address}: ")) && why.contains(expected), "{path}: {why}");
        assert_eq!(matches!(error, CredentialError::Unavailable(_)), *later, "{path}: {why}");
        assert!(!why.contains(KEY) && !why.contains(&expired), "{path}: {why}");
    }
    assert_eq!(stolen.load(Ordering::Relaxed), 0, "the key was sent on");
    assert!(!log().contains("hunter2"), "the key was logged");
}

#[test]
fn an_answer_without_an_end_is_cut_off_at_its_bound() {
    let stage = Stage::new();
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    let endless = post(move || async move {
        let part = Bytes::from(vec![b' '; 16 * 1024]);
        let parts = stream::repeat_with(move || {
            count.fetch_add(part.len() as u64, Ordering::Relaxed);
            Ok::<_, Infallible>(part.clone())
        });
        Body::from_stream(parts).into_response()
    });
    let leg = asking(&format!("http://{}/x", stage.serve(Router::new().route("/x", endless))));
    let error = stage.ask(&leg).unwrap_err();
    assert!(error.to_string().ends_with("its answer is longer than 64 KiB"), "{error}");
    // What the two sockets hold at most, and nothing that we asked for.
    assert!(sent.load(Ordering::Relaxed) < 20_000_000, "{} bytes were sent", sent.load(Ordering::Relaxed));
}

/// Serves one connection after the other with raw bytes.
fn raw(answer: &'static [u8], stay: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(answer);
            if stay {
                kept.push(connection);
            }
        }
    });
    address
}

#[test]
fn what_is_no_http_or_breaks_off_is_named() {
    let stage = Stage::new();
    let table: &[(&'static [u8], &str)] = &[
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"token\":", "its answer breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"tok", "its answer breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "its answer breaks off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "its answer breaks off"),
        (b"", "its answer breaks off"),
    ];
    for (answer, expected) in table {
        let error = stage.ask(&asking(&format!("http://{}", raw(answer, false)))).unwrap_err();
        assert!(matches!(error, CredentialError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let unused = format!("127.0.0.1:{}", free_port());
    for (address, expected) in [
        (format!("http://{unused}"), "it cannot be reached: Connection refused"),
        ("https://no-such-host.invalid".to_owned(), "it cannot be reached: "),
        ("http://192.0.2.1".to_owned(), "plain http is allowed to this machine only"),
    ] {
        let error = stage.ask(&asking(&address)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn whoever_keeps_a_leg_waiting_is_left_in_time_and_nobody_else_waits() {
    let stage = Stage::new();
    // A drop of the answer falls as often as the test looks whether somebody still waits.
    let (drops, falling) = tokio::sync::watch::channel(());
    let drip = post(move || async move {
        let parts = stream::unfold(falling, |mut falling| async {
            falling.changed().await.ok()?;
            Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), falling))
        });
        Body::from_stream(parts)
    });
    let drip = stage.serve(Router::new().route("/x", drip));
    let table = [
        (format!("http://{drip}/x"), "it does not answer within 12 s"),
        (format!("http://{}", raw(b"", true)), "it does not answer within 12 s"),
        (
            format!("http://{}", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", true)),
            "it does not answer within 12 s",
        ),
        // A server that never shakes hands.
        (format!("https://{}", raw(b"", true)), "it cannot be reached: "),
    ];
    std::thread::scope(|scope| {
        let mut waiting = Vec::new();
        for (n, (url, expected)) in table.iter().enumerate() {
            let stage = &stage;
            waiting.push(scope.spawn(move || {
                let leg = livekit_leg(&format!("leg-{n}"), TokenSource::Service(service(url)));
                let started = Instant::now();
                let error = stage.ask(&leg).unwrap_err();
                assert!(error.to_string().contains(expected), "{error}");
                assert!(started.elapsed() < Duration::from_secs(15), "{error} after {:?}", started.elapsed());
            }));
        }
        let started = Instant::now();
        let mut own = asking("https://unused.invalid");
        own.target = LegTarget::Rtmp(RtmpTarget::Fixed { url: Url::new("rtmp://h/a"), stream_key: None });
        assert!(stage.ask(&own).is_ok());
        assert!(started.elapsed() < Duration::from_secs(5), "another leg waited {:?}", started.elapsed());
        eventually("somebody is still waiting", || {
            drops.send_replace(());
            waiting.iter().all(std::thread::ScopedJoinHandle::is_finished)
        });
    });
}

#[test]
fn a_mock_key_means_that_there_is_no_platform_and_nobody_is_called() {
    let stage = Stage::new();
    let calls = Arc::new(AtomicU64::new(0));
    let address = stage.serve(Router::new().fallback_service(called(&calls)));
    let mut service = service(&format!("http://{address}"));
    service.key = Some(cuebox_core::config::Secret::new("pulse_mock_abc"));
    let error = stage.ask(&livekit_leg("main", TokenSource::Service(service))).unwrap_err();
    let why = format!("token service {address}: there is no platform, the key begins with pulse_mock_");
    assert_eq!(error, CredentialError::Unavailable(why));
    assert_eq!(calls.load(Ordering::Relaxed), 0, "a mock key was sent");
}
