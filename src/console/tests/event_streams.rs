use super::*;
use cuebox_core::document::delta;
use futures_util::StreamExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

type Events = WebSocketStream<UnixStream>;

async fn join(rig: &Rig) -> Events {
    let stream = UnixStream::connect(&rig.socket).await.unwrap();
    let (events, _) = tokio_tungstenite::client_async("ws://box/api/v1/events", stream).await.unwrap();
    events
}

async fn next(events: &mut Events) -> Value {
    match timeout(BOUND, events.next()).await.expect("no event in time") {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?} where an event belongs"),
    }
}

#[tokio::test]
async fn a_reader_gets_a_snapshot_and_then_numbered_changes() {
    let rig = Rig::start();
    let mut events = join(&rig).await;
    let first = next(&mut events).await;
    assert_eq!((&first["kind"], &first["boot"], &first["seq"]), (&json!("snapshot"), &json!("boot-1"), &json!(0)));
    assert_eq!(first["status"]["seq"], 0);

    rig.command(&json!({"verb": "cut", "slot": 3})).await;
    let event = next(&mut events).await;
    assert_eq!((&event["kind"], &event["seq"], &event["program"]["on_air"]), (&json!("on_air"), &json!(1), &json!(3)));

    rig.change(|status, _| status.slots[1].state = SlotState::Stalled);
    let event = next(&mut events).await;
    assert_eq!((&event["kind"], &event["seq"]), (&json!("slot_state"), &json!(2)));
    assert_eq!((&event["slots"][0]["number"], &event["slots"][0]["state"]), (&json!(2), &json!("stalled")));
}

#[tokio::test]
async fn readers_that_join_at_any_time_come_to_the_same_document() {
    let rig = Rig::start();
    let mut early = join(&rig).await;
    let mut document = next(&mut early).await["status"].take();
    let mut last = document["seq"].as_u64().unwrap();
    for round in 0..40 {
        rig.change(|status, gauges| {
            status.slots[round % 5].health = round as u8;
            gauges.recording_bytes += 1;
        });
        let mut late = join(&rig).await;
        let seen = next(&mut late).await["status"].take();
        while last < seen["seq"].as_u64().unwrap() {
            let event = next(&mut early).await;
            assert!(delta::apply(&mut document, &event), "{event} after {last}");
            last += 1;
        }
        assert_eq!(document["program"], seen["program"]);
        assert_eq!(document["slots"].as_array().unwrap().len(), 5);
        for (mine, theirs) in document["slots"].as_array().unwrap().iter().zip(seen["slots"].as_array().unwrap()) {
            assert_eq!(mine["health"], theirs["health"], "round {round}");
        }
    }
}

#[tokio::test]
async fn a_heartbeat_comes_when_nothing_happens() {
    let rig = Rig::start();
    let mut events = join(&rig).await;
    next(&mut events).await;
    let (first, second) = (next(&mut events).await, next(&mut events).await);
    assert_eq!(first, json!({"kind": "heartbeat", "seq": 1}));
    assert_eq!(second, json!({"kind": "heartbeat", "seq": 2}));
}

#[tokio::test]
async fn a_slow_reader_is_dropped_and_told_so_while_others_go_on() {
    let rig = Rig::start_with(None, Patience { send: Duration::from_secs(2), ..Patience::default() });
    let mut slow = join(&rig).await;
    let mut quick = join(&rig).await;
    next(&mut slow).await;
    let mut last = next(&mut quick).await["seq"].as_u64().unwrap();
    // The reader's socket holds some hundred kilobytes, and the box keeps so many events and no more.
    let long = "x".repeat(2_000);
    for round in 0..3_000 {
        rig.change(|status, _| status.slots[0].name = format!("{round} {long}"));
        let event = next(&mut quick).await;
        assert_eq!(event["seq"], last + 1);
        last += 1;
    }
    let close = loop {
        match timeout(BOUND, slow.next()).await.expect("the slow reader is still served") {
            Some(Ok(Message::Close(frame))) => break frame.expect("with a reason"),
            Some(Ok(_)) => {}
            other => panic!("{other:?} before the close frame"),
        }
    };
    assert_eq!(close.code, CloseCode::Again);
    assert!(close.reason.starts_with("too slow"), "{close:?}");
}

#[tokio::test]
async fn what_a_reader_sends_is_ignored_until_it_is_too_much() {
    use futures_util::SinkExt as _;
    let rig = Rig::start();
    let mut events = join(&rig).await;
    next(&mut events).await;
    events.send(Message::text("{\"verb\":\"cut\"}")).await.unwrap();
    rig.change(|status, _| status.program.held = true);
    assert_eq!(next(&mut events).await["kind"], "on_air");
    // It may be closed while this is being written.
    let _ = events.send(Message::text("x".repeat(1_000_000))).await;
    let ended = timeout(BOUND, async { while let Some(Ok(_)) = events.next().await {} }).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn event_streams_are_bounded() {
    let rig = Rig::start();
    let mut held = Vec::new();
    for _ in 0..limits::MAX_EVENT_STREAMS {
        let mut events = join(&rig).await;
        next(&mut events).await;
        held.push(events);
    }
    let stream = UnixStream::connect(&rig.socket).await.unwrap();
    let refused = tokio_tungstenite::client_async("ws://box/api/v1/events", stream).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
}

#[tokio::test]
async fn readers_are_told_that_the_box_stops() {
    let rig = Rig::start();
    let mut events = join(&rig).await;
    next(&mut events).await;
    let reader = tokio::spawn(async move {
        loop {
            match events.next().await {
                Some(Ok(Message::Close(frame))) => break frame,
                Some(Ok(_)) => {}
                other => panic!("{other:?} before the close frame"),
            }
        }
    });
    let socket = rig.socket.clone();
    rig.console.shutdown(BOUND).await;
    assert_eq!(reader.await.unwrap().unwrap().code, CloseCode::Away);
    assert!(!socket.exists(), "the socket's file is gone");
}
