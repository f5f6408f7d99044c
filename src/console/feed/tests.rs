use cuebox_core::ids::SlotId;
use cuebox_core::status::{Gauges, ProgramStatus, Status};
use serde_json::{Value, json};

use super::*;

const START: Mono = Mono(100_000_000_000);

fn snapshot() -> Snapshot {
    let status = Status {
        box_id: "hall-1".to_owned(),
        show: None,
        program: ProgramStatus::default(),
        slots: Vec::new(),
        spare: Vec::new(),
        legs: Vec::new(),
        viewers: Default::default(),
        recording: Default::default(),
        encodes: Vec::new(),
        encoders: Default::default(),
        audio: Default::default(),
        panels: Vec::new(),
        locked: false,
        identifying: false,
        mqtt: cuebox_core::status::MqttStatus::default(),
        alerts: Vec::new(),
        overload: Default::default(),
    };
    Snapshot { status: Arc::new(status), gauges: Arc::new(Gauges::default()) }
}

fn feed() -> Feed {
    Feed::new(Life { boot: "b".to_owned(), version: "1".to_owned(), started: START }, START, snapshot())
}

fn read(events: Vec<String>) -> Vec<(String, u64)> {
    let read = |text: String| {
        let event: Value = serde_json::from_str(&text).unwrap();
        (event["kind"].as_str().unwrap().to_owned(), event["seq"].as_u64().unwrap())
    };
    events.into_iter().map(read).collect()
}

fn with(change: impl FnOnce(&mut Status, &mut Gauges)) -> Snapshot {
    let mut snapshot = snapshot();
    change(Arc::make_mut(&mut snapshot.status), Arc::make_mut(&mut snapshot.gauges));
    snapshot
}

#[test]
fn samples_are_told_twice_a_second_at_most_and_the_last_one_is_always_told() {
    let mut feed = feed();
    let mut told = 0;
    let mut now = START;
    for sample in 1..=200 {
        now = now + Duration::from_millis(10);
        told += read(feed.take(now, with(|_, gauges| gauges.free_bytes = sample))).len();
    }
    assert!((3..=5).contains(&told), "{told} in two seconds");
    assert!(feed.deadline() <= now + GAUGE_PACE);
    let events = feed.tick(now + GAUGE_PACE);
    let last: Value = serde_json::from_str(&events[0]).unwrap();
    assert_eq!(last["recording"]["free_bytes"], 200);
}

#[test]
fn a_change_of_state_is_told_at_once_and_does_not_hide_a_sample() {
    let mut feed = feed();
    feed.take(START, with(|_, gauges| gauges.free_bytes = 1));
    let both = with(|status, gauges| {
        status.program.on_air = SlotId::new(1);
        gauges.free_bytes = 2;
    });
    assert_eq!(read(feed.take(START, both)), [("on_air".to_owned(), 2)]);
    assert_eq!(read(feed.tick(START + GAUGE_PACE)), [("gauges".to_owned(), 3)]);
    assert_eq!(feed.deadline(), START + HEARTBEAT);
}

#[test]
fn heartbeats_keep_their_rhythm_and_take_numbers() {
    let mut feed = feed();
    assert_eq!(feed.deadline(), START + HEARTBEAT);
    assert!(feed.tick(START + HEARTBEAT - Duration::from_millis(1)).is_empty());
    assert_eq!(read(feed.tick(START + HEARTBEAT)), [("heartbeat".to_owned(), 1)]);
    assert_eq!(feed.deadline(), START + HEARTBEAT * 2);
}

#[test]
fn the_greeting_goes_before_the_next_event() {
    let mut feed = feed();
    feed.take(START, with(|status, _| status.program.held = true));
    let greeting: Value = serde_json::from_str(&feed.greeting(START)).unwrap();
    assert_eq!((&greeting["seq"], &greeting["status"]["seq"]), (&json!(1), &json!(1)));
    assert_eq!(greeting["status"]["program"]["held"], true);
    assert_eq!(read(feed.take(START, snapshot())), [("on_air".to_owned(), 2)]);
}

#[test]
fn another_set_of_legs_is_told_by_a_whole_snapshot() {
    let mut feed = feed();
    let leg = cuebox_core::status::LegStatus {
        name: cuebox_core::ids::LegId::new("backup"),
        kind: "rtmp".to_owned(),
        state: Default::default(),
        since: START,
        why: None,
        next_try: None,
        rank: None,
        muted: Vec::new(),
        viewers: None,
    };
    let events = feed.take(START, with(|status, _| status.legs.push(leg)));
    let event: Value = serde_json::from_str(&events[0]).unwrap();
    assert_eq!((&event["kind"], &event["seq"], &event["boot"]), (&json!("snapshot"), &json!(1), &json!("b")));
    assert_eq!(event["status"]["legs"][0]["name"], "backup");
    assert_eq!(events.len(), 1);
}
