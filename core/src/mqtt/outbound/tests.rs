use super::testkit::{document, snapshot};
use super::*;
use crate::status::{SlotState, Status};

const S: Duration = Duration::from_secs(1);

fn life() -> Life {
    Life { boot: "b1".to_owned(), version: "0.1.0".to_owned(), started: Mono::default() }
}

struct Stage {
    mirror: Mirror,
    newest: Snapshot,
    now: Mono,
}

impl Stage {
    fn connected() -> Self {
        let newest = snapshot();
        let mirror = Mirror::new("hall-1", life(), Some("homeassistant".to_owned()), newest.clone());
        let mut stage = Self { mirror, newest, now: Mono(100_000_000_000) };
        stage.mirror.connected(stage.now);
        stage
    }

    fn change(&mut self, change: impl FnOnce(&mut Status)) {
        change(Arc::make_mut(&mut self.newest.status));
        self.mirror.take(self.now, self.newest.clone());
    }

    fn sample(&mut self) {
        Arc::make_mut(&mut self.newest.gauges).free_bytes += 1_000_000;
        self.mirror.take(self.now, self.newest.clone());
    }

    /// Topics below the box's, in order.
    fn topics(&mut self) -> Vec<String> {
        self.drain().into_iter().map(|out| out.topic.replace("cuebox/hall-1/", "")).collect()
    }

    fn drain(&mut self) -> Vec<Out> {
        std::iter::from_fn(|| self.mirror.poll()).collect()
    }
}

fn value(out: &Out) -> Value {
    serde_json::from_slice(&out.payload).unwrap()
}

#[test]
fn a_connection_begins_with_everything() {
    let mut stage = Stage::connected();
    let first: Vec<Out> = stage.drain();
    assert!(first.iter().all(|out| out.retained));
    assert_eq!((first[0].topic.as_str(), &first[0].payload[..]), ("cuebox/hall-1/availability", &b"online"[..]));
    assert_eq!(first[1].topic, "homeassistant/device/cuebox_hall_1/config");
    let topics: Vec<_> = first[2..].iter().map(|out| out.topic.replace("cuebox/hall-1/", "")).collect();
    let slots = (1..=5).map(|slot| format!("slot/{slot}/state"));
    let expected: Vec<String> = ["program".to_owned()].into_iter().chain(slots).chain(["state".to_owned()]).collect();
    assert_eq!(topics, expected);
    let state = value(first.last().unwrap());
    assert_eq!((&state["box"], &state["seq"]), (&json!("hall-1"), &json!(1)));
    stage.mirror.lost();
    stage.mirror.connected(stage.now);
    assert_eq!(stage.topics().len(), first.len(), "and so does the next one");
}

#[test]
fn what_is_on_air_is_told_at_once() {
    let mut stage = Stage::connected();
    stage.drain();
    stage.change(|status| status.program.on_air = SlotId::new(3));
    let told = stage.drain();
    let topics: Vec<_> = told.iter().map(|out| out.topic.as_str()).collect();
    assert_eq!(topics, ["cuebox/hall-1/program", "cuebox/hall-1/state", "cuebox/hall-1/event/on_air"]);
    assert_eq!(value(&told[0]), json!({"on_air": 3, "slate": false}));
    assert_eq!(value(&told[2])["program"]["on_air"], 3);
    assert!(!told[2].retained);
}

#[test]
fn samples_are_told_once_a_second_and_slots_at_once() {
    let mut stage = Stage::connected();
    stage.drain();
    for _ in 0..10 {
        stage.sample();
    }
    assert_eq!(stage.topics(), [] as [&str; 0]);
    assert_eq!(stage.mirror.deadline(), Some(stage.now + S));
    stage.now = stage.now + S;
    stage.mirror.tick(stage.now);
    assert_eq!(stage.topics(), ["state"]);
    assert_eq!(stage.mirror.deadline(), None);
    stage.change(|status| status.slots[1].state = SlotState::Live);
    assert_eq!(stage.topics(), ["slot/2/state", "state", "event/slot_state"]);
}

#[test]
fn of_a_state_only_the_newest_waits_and_of_events_the_newest_ones() {
    let mut stage = Stage::connected();
    stage.drain();
    for n in 0..1_000_u32 {
        stage.change(|status| status.program.on_air = SlotId::new(1 + (n % 5) as u8));
    }
    let waiting = stage.drain();
    assert_eq!(waiting.len(), 2 + MAX_EVENTS);
    assert_eq!(value(&waiting[0]), json!({"on_air": 5, "slate": false}));
    assert_eq!(stage.mirror.dropped(), 1_000 - MAX_EVENTS as u64);
    let seqs: Vec<u64> = waiting[2..].iter().map(|out| value(out)["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted() && seqs[0] > 1_000, "the gap shows");
}

#[test]
fn what_could_not_be_sent_is_next_unless_something_newer_is_there() {
    let mut stage = Stage::connected();
    stage.drain();
    stage.change(|status| status.program.on_air = SlotId::new(2));
    let old = stage.mirror.poll().unwrap();
    stage.change(|status| status.program.on_air = SlotId::new(4));
    stage.mirror.put_back(old);
    let told = stage.drain();
    assert_eq!(told.iter().filter(|out| out.topic.ends_with("/program")).count(), 1);
    assert_eq!(value(&told.iter().find(|out| out.topic.ends_with("/program")).unwrap().clone())["on_air"], 4);
    let reply = Reply { topic: Some("desk".to_owned()), correlation: Some(vec![1]) };
    stage.mirror.answer(reply, &json!({"result": "done"}));
    let answer = stage.mirror.poll().unwrap();
    stage.mirror.put_back(answer.clone());
    assert_eq!(stage.mirror.poll(), Some(answer));
}

#[test]
fn without_a_connection_nothing_waits_but_answers() {
    let mut stage = Stage::connected();
    stage.drain();
    stage.mirror.lost();
    stage.change(|status| status.program.on_air = SlotId::new(2));
    assert_eq!(stage.topics(), [] as [&str; 0]);
    assert_eq!(stage.mirror.deadline(), None);
}

#[test]
fn a_slot_that_is_gone_takes_its_topic_with_it() {
    let mut stage = Stage::connected();
    stage.drain();
    stage.change(|status| drop(status.slots.pop()));
    let told = stage.drain();
    let gone = told.iter().find(|out| out.topic.ends_with("slot/5/state")).unwrap();
    assert!(gone.retained && gone.payload.is_empty());
    assert_eq!(document().slots.len(), 5);
}
