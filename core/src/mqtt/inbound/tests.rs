use crate::ids::SlotId;

use super::*;

const NOW: i64 = 1_800_000_000_000_000_000;

fn topics() -> Topics {
    Topics::new("hall-1")
}

fn message<'a>(topic: &'a str, payload: &'a str) -> Message<'a> {
    Message { topic, payload: payload.as_bytes(), retained: false, response_topic: None, correlation: None }
}

fn take(message: &Message<'_>) -> Received {
    read(&topics(), message, CommandId::new("fresh"), Some(NOW))
}

fn cut(number: u8) -> Command {
    Command::Cut { slot: SlotId::new(number).unwrap() }
}

#[track_caller]
fn why(received: &Received) -> String {
    match received {
        Received::Refused { body, .. } => body["why"].as_str().unwrap().to_owned(),
        other @ (Received::Nothing | Received::Command { .. }) => panic!("not refused: {other:?}"),
    }
}

#[test]
fn bodies_and_bare_values_mean_the_same() {
    for payload in [r#"{"slot":3}"#, r#"{"verb":"cut","slot":3}"#, "3", " 3\n", "\"3\""] {
        let Received::Command { id, command, late, reply } = take(&message("cuebox/hall-1/command/cut", payload))
        else {
            panic!("{payload}")
        };
        assert_eq!((id.as_str(), command, late), ("fresh", cut(3), None), "{payload}");
        assert_eq!(reply.topic.as_deref(), Some("cuebox/hall-1/reply/fresh"));
    }
    for (topic, payload, expected) in [
        ("slate", "on", Command::Slate { on: true }),
        ("slate", "true", Command::Slate { on: true }),
        ("stream", "start", Command::Stream { on: true }),
        ("show", "stop", Command::ShowStop),
        ("reload", "", Command::Reload),
    ] {
        let topic = format!("cuebox/hall-1/command/{topic}");
        let Received::Command { command, .. } = take(&message(&topic, payload)) else { panic!("{topic} {payload}") };
        assert_eq!(command, expected);
    }
}

#[test]
fn an_id_names_the_answers_topic_and_correlation_data_is_one() {
    let topic = "cuebox/hall-1/command/take";
    let Received::Command { id, reply, .. } = take(&message(topic, r#"{"id":"k-1"}"#)) else { panic!() };
    assert_eq!((id.as_str(), reply.topic.as_deref()), ("k-1", Some("cuebox/hall-1/reply/k-1")));
    let mut correlated = message(topic, "");
    (correlated.response_topic, correlated.correlation) = (Some("desk/7"), Some(&[0, 255][..]));
    let Received::Command { id, reply, .. } = take(&correlated) else { panic!() };
    assert!(id.as_str().starts_with("c-") && id.as_str().ends_with("-00ff"), "{id}");
    assert_eq!(reply, Reply { topic: Some("desk/7".to_owned()), correlation: Some(vec![0, 255]) });
    correlated.response_topic = Some("desk/8");
    let Received::Command { id: other, .. } = take(&correlated) else { panic!() };
    assert_ne!(id, other, "another sender may count alike");
}

#[test]
fn what_acts_twice_when_sent_twice_needs_an_id() {
    for (verb, payload) in [("take", "{}"), ("take", ""), ("auto", "fade 500"), ("marker", "rings")] {
        let refused = why(&take(&message(&format!("cuebox/hall-1/command/{verb}"), payload)));
        assert!(refused.contains("need an `id` or correlation data"), "{refused}");
    }
}

#[test]
fn a_retained_command_is_refused_and_a_cleared_one_is_nothing() {
    let mut retained = message("cuebox/hall-1/command/cut", "3");
    retained.retained = true;
    assert!(why(&take(&retained)).contains("retained"));
    retained.payload = b"";
    assert_eq!(take(&retained), Received::Nothing);
}

#[test]
fn an_old_command_is_late_and_without_a_clock_none_is() {
    let topic = "cuebox/hall-1/command/cut";
    for (at, expected) in [
        ("\"2027-01-15T08:00:00Z\"", false),
        ("\"2027-01-15T07:59:51Z\"", false),
        ("\"2027-01-15T08:59:50+01:00\"", true),
        ("1799999990", true),
        ("1799999990.5", false),
        ("1800000100", false),
    ] {
        let body = format!(r#"{{"slot":3,"at":{at}}}"#);
        let Received::Command { late, .. } = take(&message(topic, &body)) else { panic!("{at}") };
        assert_eq!(late.is_some(), expected, "{at}: {late:?}");
        let unset = read(&topics(), &message(topic, &body), CommandId::new("f"), None);
        assert!(matches!(unset, Received::Command { late: None, .. }));
    }
    assert!(why(&take(&message(topic, r#"{"slot":3,"at":"yesterday"}"#))).contains("`at` is no time"));
}

#[test]
fn what_is_no_command_says_why() {
    for (topic, payload, expected) in [
        ("cuebox/hall-1/command/cut", "{\"slot\":", "not a command: "),
        ("cuebox/hall-1/command/cut", "[3]", "neither an object nor words"),
        ("cuebox/hall-1/command/cut", "9", "slot 9 does not exist"),
        ("cuebox/hall-1/command/cut", "1e400", "`slot` "),
        ("cuebox/hall-1/command/cut", "-1", "slot -1 does not exist"),
        ("cuebox/hall-1/command/cut", "", "needs `slot`"),
        ("cuebox/hall-1/command/cut", r#"{"verb":"take","id":"x"}"#, "another one than the topic's"),
        ("cuebox/hall-1/command/cut", r#"{"slot":3,"id":"a/+/#"}"#, "`id` holds +, # or /"),
        ("cuebox/hall-1/command/cut", r#"{"slot":3,"id":7}"#, "`id` is 7, not text"),
        ("cuebox/hall-1/command/cutt", "3", "unknown verb `cutt` (did you mean `cut`?)"),
        ("cuebox/hall-1/command/cut/3", "3", "unknown verb `cut/3`"),
        ("cuebox/hall-2/command/cut", "3", "not on a command's topic"),
    ] {
        let received = take(&message(topic, payload));
        assert!(why(&received).contains(expected), "{payload}: {}", why(&received));
        let Received::Refused { reply, .. } = received else { panic!() };
        assert!(reply.topic.is_some_and(|topic| !topic.contains(['+', '#'])), "{payload}");
    }
    let bytes = Message { payload: b"\xff\xfe", ..message("cuebox/hall-1/command/cut", "") };
    assert!(why(&take(&bytes)).contains("invalid UTF-8 at byte 0"));
    let long = "x".repeat(MAX_PAYLOAD_BYTES + 1);
    assert!(why(&take(&message("cuebox/hall-1/command/marker", &long))).contains("longer than"));
    let deep = "[".repeat(60_000);
    assert!(why(&take(&message("cuebox/hall-1/command/cut", &deep))).contains("not a command"));
}

#[test]
fn an_answer_never_goes_where_it_would_be_a_command() {
    for response_topic in ["cuebox/hall-1/command/cut", "a/+/b", "#", ""] {
        let asked = Message { response_topic: Some(response_topic), ..message("cuebox/hall-1/command/cut", "3") };
        let Received::Command { reply, .. } = take(&asked) else { panic!() };
        assert_eq!(reply.topic.as_deref(), Some("cuebox/hall-1/reply/fresh"), "{response_topic}");
    }
}

/// Random bytes on random topics: never a panic, always an answer or a command. The seed is fixed.
#[test]
fn nothing_that_a_stranger_sends_breaks_it() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let parts = [
        "{", "}", "\"id\"", ":", "\"x\"", ",", "3", "\"slot\"", "[", "null", "-", "1e9", "\u{fffd}", "on", " ",
        "\\u0000",
    ];
    let verbs = ["cut", "take", "slate", "audio", "show", "marker", "auto", "", "#", "x/y"];
    for _ in 0..20_000 {
        let payload: String = (0..random() % 12).map(|_| parts[(random() % 16) as usize]).collect();
        let topic = topics().command(verbs[(random() % 10) as usize]);
        let raw: Vec<u8> = (0..random() % 8).map(|_| random() as u8).collect();
        let mut given = message(&topic, &payload);
        given.retained = random() % 5 == 0;
        given.correlation = (random() % 2 == 0).then_some(&raw);
        if random() % 4 == 0 {
            given.payload = &raw;
        }
        match take(&given) {
            Received::Nothing => assert!(given.payload.is_empty()),
            Received::Command { reply, .. } | Received::Refused { reply, .. } => assert!(reply.topic.is_some()),
        }
    }
}

/// xorshift: the same messages on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// How many messages; `CUEBOX_FUZZ_INPUTS` asks for more than a test run has time for.
fn inputs() -> u64 {
    std::env::var("CUEBOX_FUZZ_INPUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(60_000)
}

/// A payload that was good before some of its bytes were changed, cut off or repeated.
fn spoilt(random: &mut Random) -> Vec<u8> {
    const GOOD: [&str; 12] = [
        r#"{"id":"k-1","slot":3}"#,
        r#"{"verb":"cut","slot":3,"at":"2026-11-21T18:30:05.250Z"}"#,
        r#"{"kind":"fade","ms":800,"id":"k"}"#,
        r#"{"action":"patch","patch":{"program":{"fps":25},"slot":[{"number":1}]}}"#,
        r#"{"action":"patch","patch":"program.fps = 25"}"#,
        r#"{"action":"gain","slot":1,"db":-6.5}"#,
        r#"{"on":true}"#,
        "patch program.fps = 25",
        "on",
        "3",
        "start Anna & Ben",
        "",
    ];
    let mut bytes = GOOD[random.below(GOOD.len())].as_bytes().to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
            2 if at < bytes.len() => bytes[at] = br#"{}[]",:\0+-eE"#[random.below(13)],
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

#[test]
fn no_message_whatever_is_more_than_a_command_or_a_refusal_that_can_be_answered() {
    const VERBS: [&str; 12] =
        ["cut", "take", "auto", "slate", "audio", "show", "marker", "config", "journal", "rename", "fly", ""];
    let (mut random, mut taken, mut refused) = (Random(0x6d71_7474), 0_u64, 0_u64);
    for _ in 0..inputs() {
        let payload = spoilt(&mut random);
        let mut topic = format!("cuebox/hall-1/command/{}", VERBS[random.below(VERBS.len())]);
        if random.below(8) == 0 {
            topic.truncate(random.below(topic.len() + 1));
        }
        let correlation = payload.get(..random.below(payload.len() + 1));
        let message = Message {
            topic: &topic,
            payload: &payload,
            retained: random.below(9) == 0,
            response_topic: [None, Some("reply/a"), Some("")][random.below(3)],
            correlation: correlation.filter(|_| random.below(2) == 0),
        };
        match read(&topics(), &message, CommandId::new("fresh"), (random.below(2) == 0).then_some(NOW)) {
            Received::Nothing => assert!(message.retained && payload.is_empty()),
            Received::Command { id, command, .. } => {
                taken += 1;
                assert!(!message.retained && (1..=wire::MAX_ID_CHARS).contains(&id.as_str().chars().count()));
                let back = wire::from_json(&wire::to_json(&command)).unwrap();
                assert_eq!(back.command, command, "what is taken can be written");
            }
            Received::Refused { body, reply } => {
                refused += 1;
                assert!(body["why"].as_str().is_some_and(|why| why.len() < 600), "{body}");
                assert!(reply.topic.is_none_or(|topic| !topic.contains(['+', '#', '\0'])), "{body}");
            }
        }
    }
    assert!(taken > inputs() / 50 && refused > inputs() / 50, "{taken} taken, {refused} refused");
}
