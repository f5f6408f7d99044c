use super::*;
use crate::ids::ShowId;

fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn patch(fields: &Value) -> crate::config::patch::Patch {
    crate::config::patch::Patch::from_json(fields).unwrap()
}

/// Command line, JSON body and meaning of every form that exists.
fn forms() -> Vec<(&'static str, Value, Command)> {
    use Command::*;
    vec![
        ("cut 3", json!({"verb":"cut","slot":3}), Cut { slot: slot(3) }),
        ("preview 5", json!({"verb":"preview","slot":5}), Preview { slot: slot(5) }),
        ("take", json!({"verb":"take"}), Take),
        ("auto fade 500", json!({"verb":"auto","kind":"fade","ms":500}), Auto { kind: Transition::Fade, ms: 500 }),
        ("auto dip 40", json!({"verb":"auto","kind":"dip","ms":40}), Auto { kind: Transition::Dip, ms: 40 }),
        ("slate on", json!({"verb":"slate","on":true}), Slate { on: true }),
        ("hold off", json!({"verb":"hold","on":false}), Hold { on: false }),
        (
            "audio mode follow",
            json!({"verb":"audio","action":"mode","mode":"follow"}),
            Audio(AudioCommand::Mode(AudioMode::Follow)),
        ),
        (
            "audio mode slot 2",
            json!({"verb":"audio","action":"mode","mode":"slot","slot":2}),
            Audio(AudioCommand::Mode(AudioMode::Slot(slot(2)))),
        ),
        (
            "audio mode mix",
            json!({"verb":"audio","action":"mode","mode":"mix"}),
            Audio(AudioCommand::Mode(AudioMode::Mix)),
        ),
        (
            "audio mute 1 on",
            json!({"verb":"audio","action":"mute","slot":1,"on":true}),
            Audio(AudioCommand::Mute { slot: slot(1), on: true }),
        ),
        (
            "audio gain 1 -6.5",
            json!({"verb":"audio","action":"gain","slot":1,"db":-6.5}),
            Audio(AudioCommand::Gain { slot: slot(1), db: -6.5 }),
        ),
        (
            "audio delay 4 80",
            json!({"verb":"audio","action":"delay","slot":4,"ms":80}),
            Audio(AudioCommand::Delay { slot: slot(4), ms: 80 }),
        ),
        ("show start", json!({"verb":"show","action":"start"}), ShowStart { name: None }),
        (
            "show start Anna and Ben",
            json!({"verb":"show","action":"start","name":"Anna and Ben"}),
            ShowStart { name: Some("Anna and Ben".to_owned()) },
        ),
        ("show stop", json!({"verb":"show","action":"stop"}), ShowStop),
        (
            "show delete 20261121-183005-3f2a",
            json!({"verb":"show","action":"delete","show":"20261121-183005-3f2a"}),
            ShowDelete { show: ShowId::new("20261121-183005-3f2a") },
        ),
        ("stream start", json!({"verb":"stream","action":"start"}), Stream { on: true }),
        ("stream stop", json!({"verb":"stream","action":"stop"}), Stream { on: false }),
        ("record start", json!({"verb":"record","action":"start"}), Record { on: true }),
        ("record stop", json!({"verb":"record","action":"stop"}), Record { on: false }),
        ("marker the rings", json!({"verb":"marker","text":"the rings"}), Marker { text: "the rings".to_owned() }),
        ("snapshot 2", json!({"verb":"snapshot","slot":2}), Snapshot { slot: slot(2) }),
        (
            "rename 2 Main aisle",
            json!({"verb":"rename","slot":2,"name":"Main aisle"}),
            Rename { slot: slot(2), name: "Main aisle".to_owned() },
        ),
        (
            "leg enable backup",
            json!({"verb":"leg","action":"enable","name":"backup"}),
            Leg { name: LegId::new("backup"), on: true },
        ),
        (
            "leg disable backup",
            json!({"verb":"leg","action":"disable","name":"backup"}),
            Leg { name: LegId::new("backup"), on: false },
        ),
        (
            "leg reconnect main",
            json!({"verb":"leg","action":"reconnect","name":"main"}),
            LegReconnect { name: LegId::new("main") },
        ),
        (
            "leg unmute main",
            json!({"verb":"leg","action":"unmute","name":"main"}),
            LegUnmute { name: LegId::new("main") },
        ),
        ("lock on", json!({"verb":"lock","on":true}), Lock { on: true }),
        ("identify", json!({"verb":"identify"}), Identify),
        (
            "config patch program.fps = 25",
            json!({"verb":"config","action":"patch","patch":{"program":{"fps":25}}}),
            Config { patch: patch(&json!({"program": {"fps": 25}})), check: false },
        ),
        (
            "config check mqtt.password = \"hunter2\"",
            json!({"verb":"config","action":"check","patch":{"mqtt":{"password":"hunter2"}}}),
            Config { patch: patch(&json!({"mqtt": {"password": "hunter2"}})), check: true },
        ),
        ("journal 20", json!({"verb":"journal","lines":20}), Tail { lines: 20 }),
        ("doctor", json!({"verb":"doctor"}), Doctor),
        ("reload", json!({"verb":"reload"}), Reload),
        ("restart", json!({"verb":"restart"}), Restart),
    ]
}

#[test]
fn every_command_has_one_meaning_in_words_and_in_json() {
    for (line, body, command) in forms() {
        assert_eq!(from_words(&words(line)), Ok(command.clone()), "{line}");
        assert_eq!(from_json(&body), Ok(Request { id: None, command: command.clone() }), "{line}");
        assert_eq!(to_json(&command), body, "{line}");
    }
}

#[test]
fn every_row_of_the_table_can_be_sent() {
    let lines: Vec<_> = forms().into_iter().map(|(line, _, _)| words(line)).collect();
    for verb in VERBS {
        let tried = lines.iter().any(|line| {
            line[0] == verb.name && verb.action.is_none_or(|action| line.get(1).is_some_and(|word| word == action))
        });
        assert!(tried, "no form of {verb} in this test");
    }
}

#[test]
fn a_body_may_carry_an_id_and_a_time() {
    let request = parse_request(br#"{"id":"k-17","at":"2026-11-21T04:00:00Z","verb":"cut","slot":3}"#).unwrap();
    assert_eq!(request, Request { id: Some(CommandId::new("k-17")), command: Command::Cut { slot: slot(3) } });
}

#[test]
fn bad_bodies_are_told_what_is_wrong_and_what_is_allowed() {
    let long_marker = format!(r#"{{"verb":"marker","text":"{}"}}"#, "x".repeat(501));
    let long_name = format!(r#"{{"verb":"rename","slot":1,"name":"{}"}}"#, "ä".repeat(65));
    let table: &[(&str, &str)] = &[
        ("", "not a command: EOF while parsing a value at line 1 column 0"),
        ("[1]", "not a command: a list where an object with a `verb` belongs"),
        ("{}", "not a command: it has no `verb`"),
        (r#"{"verb":3}"#, "not a command: `verb` is a number, not text"),
        (r#"{"verb":"ctu"}"#, "unknown verb `ctu` (did you mean `cut`?)"),
        (r#"{"verb":"explode"}"#, "unknown verb `explode`"),
        (r#"{"verb":"cut"}"#, "`cut` needs `slot` (allowed: 1–5)"),
        (r#"{"verb":"cut","slot":null}"#, "`cut` needs `slot` (allowed: 1–5)"),
        (r#"{"verb":"cut","slot":"3"}"#, "`slot` is \"3\", not a whole number (allowed: 1–5)"),
        (r#"{"verb":"cut","slot":1.5}"#, "`slot` is 1.5, not a whole number (allowed: 1–5)"),
        (r#"{"verb":"cut","slot":[[1]]}"#, "`slot` is a list, not a whole number (allowed: 1–5)"),
        (r#"{"verb":"cut","slot":1,"ms":5}"#, "`cut` has no `ms` (allowed: slot, id, at)"),
        (r#"{"verb":"cut","slot":1,"id":7}"#, "`id` is 7, not text (allowed: 1–128 characters of text)"),
        (r#"{"verb":"cut","slot":1,"id":""}"#, "`id` is empty (allowed: 1–128 characters of text)"),
        (r#"{"verb":"auto","kind":"wipe","ms":500}"#, "`kind` is \"wipe\" (allowed: fade, dip)"),
        (r#"{"verb":"auto","kind":"fade","ms":39}"#, "`ms` is 39 (allowed: 40–10000 ms)"),
        (r#"{"verb":"auto","kind":"fade","ms":1e300}"#, "`ms` is 1e+300 (allowed: 40–10000 ms)"),
        (
            r#"{"verb":"auto","kind":"fade","ms":18446744073709551615}"#,
            "`ms` is 18446744073709551615 (allowed: 40–10000 ms)",
        ),
        (r#"{"verb":"slate","on":"on"}"#, "`on` is \"on\" (allowed: true, false)"),
        (r#"{"verb":"show"}"#, "`show` needs `action` (allowed: start, stop, delete)"),
        (r#"{"verb":"show","action":"pause"}"#, "`action` is \"pause\" (allowed: start, stop, delete)"),
        (r#"{"verb":"show","action":"stop","name":"x"}"#, "`show` has no `name` (allowed: action, id, at)"),
        (
            r#"{"verb":"show","action":"delete","show":"../a"}"#,
            "`show` is \"../a\" (allowed: the id of a show: letters, digits, `-`)",
        ),
        (r#"{"verb":"audio","action":"mode","mode":"slot"}"#, "`audio` needs `slot` (allowed: 1–5)"),
        (
            r#"{"verb":"audio","action":"mode","mode":"mix","slot":1}"#,
            "`slot` does not go with mode mix (allowed: only with mode slot)",
        ),
        (r#"{"verb":"audio","action":"gain","slot":1,"db":12.1}"#, "`db` is 12.1 (allowed: -60 to 12 dB)"),
        (r#"{"verb":"audio","action":"delay","slot":1,"ms":-1}"#, "`ms` is -1 (allowed: 0–1000 ms)"),
        (r#"{"verb":"marker","text":"  "}"#, "`text` is empty (allowed: 1–500 characters of text)"),
        (r#"{"verb":"marker","text":"a\nb"}"#, "`text` holds a control character (allowed: 1–500 characters of text)"),
        (&long_marker, "`text` has 501 characters (allowed: 1–500 characters of text)"),
        (&long_name, "`name` has 65 characters (allowed: 1–64 characters of text)"),
    ];
    for (body, text) in table {
        let error = parse_request(body.as_bytes()).expect_err(body);
        assert_eq!(error.to_string(), *text, "{body}");
        assert!(!error.is_refusal(), "{body}");
    }
}

#[test]
fn a_slot_that_does_not_exist_is_refused_rather_than_malformed() {
    for given in ["9", "0", "-1", "6.0", "1e19", "256"] {
        let error = parse_request(format!(r#"{{"verb":"cut","slot":{given}}}"#).as_bytes()).expect_err(given);
        assert!(error.is_refusal(), "{given}: {error}");
    }
    let error = from_words(&words("cut 9")).unwrap_err();
    assert_eq!(error.to_string(), "slot 9 does not exist (allowed: 1–5)");
}

#[test]
fn a_verb_that_this_version_cannot_do_is_refused() {
    let error = parse_request(br#"{"verb":"overlay","text":"Anna"}"#).unwrap_err();
    assert!(error.is_refusal());
    assert_eq!(error.to_string(), "`overlay` is not supported by this version");
    assert_eq!(from_words(&words("upload pause")), Err(WireError::Unsupported { verb: "upload" }));
}

#[test]
fn bad_command_lines_are_told_what_is_wrong() {
    let table = [
        ("", "not a command: it has no verb"),
        ("cut", "`cut` needs `slot` (allowed: 1–5)"),
        ("cut three", "`slot` is \"three\", not a whole number (allowed: 1–5)"),
        ("cut 3 4", "not a command: `4` is one word too many (usage: cut SLOT)"),
        ("slate maybe", "`on` is \"maybe\" (allowed: on, off)"),
        ("audio", "`audio` needs `action` (allowed: mode, mute, gain, delay)"),
        ("audio gain 1 loud", "`db` is \"loud\", not a number (allowed: -60 to 12 dB)"),
        ("recrod start", "unknown verb `recrod` (did you mean `record`?)"),
    ];
    for (line, text) in table {
        assert_eq!(from_words(&words(line)).expect_err(line).to_string(), text, "{line}");
    }
    assert_eq!(from_words(&words("audio gain 1 +6")), from_words(&words("audio gain 1 6")));
}

#[test]
fn hostile_bodies_are_refused_without_harm() {
    let deep = format!(r#"{{"verb":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let echo = format!(r#"{{"verb":"{}"}}"#, "v".repeat(60_000));
    for body in
        [deep.as_bytes(), echo.as_bytes(), b"{\"verb\":\"\xff\xfe\"}", b"\0\0\0", b"{\"verb\":\"cut\",\"slot\":1e999}"]
    {
        let error = parse_request(body).unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
        assert!(!error.is_refusal());
    }
    assert_eq!(
        parse_request(b"{\"verb\":\"\xff\"}").unwrap_err().to_string(),
        "not a command: invalid UTF-8 at byte 9"
    );
}

#[test]
fn usage_lines_read_as_they_are_typed() {
    let usage: Vec<_> = VERBS.iter().map(ToString::to_string).collect();
    for line in
        ["cut SLOT", "auto fade|dip MS", "slate on|off", "audio mode follow|slot|mix [SLOT]", "show start [NAME]"]
    {
        assert!(usage.iter().any(|row| row == line), "{line} not in {usage:?}");
    }
}

/// xorshift: the same bodies on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

#[test]
fn whatever_is_understood_is_written_back_with_the_same_meaning() {
    let values = [
        json!(1),
        json!(9),
        json!(-6.5),
        json!(500),
        json!(true),
        json!("fade"),
        json!("slot"),
        json!("start"),
        json!("x"),
        json!(null),
        json!([]),
        json!({}),
        json!(1e300),
    ];
    let names = ["slot", "on", "ms", "db", "kind", "mode", "name", "text", "action", "id", "at", "more"];
    let mut random = Random(0xc0de_5eed);
    let (mut understood, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let (_, mut body, _) = forms().swap_remove(random.below(27));
        for _ in 0..random.below(3) {
            body[names[random.below(names.len())]] = values[random.below(values.len())].clone();
        }
        match from_json(&body) {
            Ok(request) => {
                understood += 1;
                let written = to_json(&request.command);
                assert_eq!(from_json(&written), Ok(Request { id: None, command: request.command }), "{body}");
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(understood > 1_000 && refused > 1_000, "{understood} understood, {refused} refused");
}
