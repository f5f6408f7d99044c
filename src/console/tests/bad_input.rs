use super::*;

#[tokio::test]
async fn bodies_that_are_no_command_are_refused_with_the_reason() {
    let rig = Rig::start();
    let deep = format!(r#"{{"verb":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let table: &[(&[u8], &str)] = &[
        (b"", "not a command"),
        (b"{\"verb\":", "not a command"),
        (deep.as_bytes(), "recursion limit"),
        (b"{\"verb\":\"\xff\xfe\"}", "UTF-8"),
        (b"{\"verb\":\"cut\"}", "needs `slot`"),
    ];
    for (body, why) in table {
        let reply = rig.call("POST", "/api/v1/commands", body).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        let answer = reply.json();
        assert_eq!(answer["result"], "malformed");
        assert!(answer["why"].as_str().unwrap().contains(why), "{answer}");
    }
    assert_eq!(rig.call("GET", "/api/v1/status", b"").await.json()["seq"], 0, "nothing changed");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_told_so_even_to_a_peer_that_sends_all_of_it() {
    let rig = Rig::start();
    for length in [64 * 1024 + 1, 2_000_000] {
        let reply = rig.call("POST", "/api/v1/commands", &vec![b' '; length]).await;
        assert_eq!(reply.status, 413);
        assert!(reply.json()["error"].as_str().unwrap().contains("65536"));
    }
    let mut fits = json!({"verb": "take"}).to_string().into_bytes();
    fits.resize(64 * 1024, b' ');
    assert_eq!(rig.call("POST", "/api/v1/commands", &fits).await.status, 200);
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off() {
    let rig = Rig::start();
    let mut peer = Peer::connect(&rig.socket).await;
    let head = b"POST /api/v1/commands HTTP/1.1\r\nhost: box\r\ntransfer-encoding: chunked\r\n\r\n";
    peer.0.write_all(head).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while peer.0.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 64 * 1024 * 1024, "still reading after {sent} bytes");
    }
    assert_eq!(rig.call("GET", "/api/v1/status", b"").await.status, 200);
}

#[tokio::test]
async fn a_thousand_commands_at_once_are_answered_or_refused() {
    let rig = Rig::start();
    let mut peers = Vec::new();
    for _ in 0..20 {
        peers.push(Peer::connect(&rig.socket).await);
    }
    let floods = peers.into_iter().map(|mut peer| async move {
        let mut statuses = Vec::new();
        for _ in 0..50 {
            peer.request("POST", "/api/v1/commands", br#"{"verb":"cut","slot":2}"#).await;
            let reply = peer.reply().await;
            if reply.status == 429 {
                assert!(reply.head.contains("retry-after: 1"), "{}", reply.head);
            }
            statuses.push(reply.status);
        }
        statuses
    });
    let started = now();
    let statuses = futures_util::future::join_all(floods).await.concat();
    let allowed = 200 + (now().since(started).as_secs_f64() * 100.0).ceil() as usize + 1;
    let done = statuses.iter().filter(|status| **status == 200).count();
    assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
    assert!((200..=allowed).contains(&done), "{done} done, at most {allowed} allowed");
    assert_eq!(rig.call("GET", "/api/v1/status", b"").await.status, 200, "reading goes on");
}

#[tokio::test]
async fn garbage_on_the_socket_harms_nobody() {
    let rig = Rig::start();
    let long_head = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    for garbage in [b"\0\0\0\0\r\n\r\n".as_slice(), b"GET / HTTP/9.9\r\n\r\n", long_head.as_bytes(), b"\x16\x03\x01"] {
        let mut peer = Peer::connect(&rig.socket).await;
        // The box may close before all of it is written.
        let _ = peer.0.write_all(garbage).await;
        let _ = peer.0.shutdown().await;
        peer.closed().await;
    }
    assert_eq!(rig.call("GET", "/api/v1/status", b"").await.status, 200);
}

#[tokio::test]
async fn a_peer_that_sends_its_request_too_slowly_is_cut() {
    let short = Duration::from_millis(100);
    let rig = Rig::start_with(None, Patience { head: short, body: short, ..Patience::default() });
    let mut head = Peer::connect(&rig.socket).await;
    head.0.write_all(b"GET /api/v1/status HT").await.unwrap();
    let mut body = Peer::connect(&rig.socket).await;
    body.0.write_all(b"POST /api/v1/commands HTTP/1.1\r\nhost: box\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
    let silent = Peer::connect(&rig.socket).await;
    assert_eq!(body.reply().await.status, 408);
    head.closed().await;
    silent.closed().await;
}

#[tokio::test]
async fn connections_beyond_the_bound_are_told_so() {
    let rig = Rig::start();
    let mut held = Vec::new();
    for _ in 0..limits::MAX_CONNECTIONS {
        let mut peer = Peer::connect(&rig.socket).await;
        peer.request("GET", "/api/v1/status", b"").await;
        assert_eq!(peer.reply().await.status, 200);
        held.push(peer);
    }
    let reply = Peer::connect(&rig.socket).await.reply().await;
    assert_eq!((reply.status, reply.json()), (503, json!({"error": "too many connections"})));
    drop(held);
    let answered = timeout(BOUND, async {
        loop {
            let mut peer = Peer::connect(&rig.socket).await;
            // A refused peer is closed at once, perhaps before it has written.
            let _ = peer.0.write_all(b"GET /api/v1/status HTTP/1.1\r\nhost: box\r\n\r\n").await;
            if peer.reply().await.status == 200 {
                return;
            }
        }
    });
    answered.await.expect("places come free again");
}
