//! The box as a real broker shows it, commanded by a foreign client.

pub mod broker;
mod repeated;

use serde_json::{Value, json};

use std::time::{Duration, Instant};

use crate::harness::{CueBox, Folder, alone, segments, timeline, until};
use broker::{Broker, Certificates, Watcher, now_rfc3339};

/// Two light cameras; what is tested here is not the picture.
fn config(mqtt: &str) -> String {
    let mut text = String::from("[program]\nsize = \"320x180\"\nfps = 15\nstart_slot = 1\n[record]\nslots = false\n");
    for number in 1..=2 {
        text += &format!("[[slot]]\nnumber = {number}\nname = \"Camera {number}\"\nsource = {{ kind = \"test\" }}\n");
    }
    text + "[mqtt]\n" + mqtt
}

fn plain(broker: &Broker) -> String {
    config(&format!("url = \"mqtt://127.0.0.1:{}\"\nhome_assistant = \"homeassistant\"\n", broker.port))
}

#[track_caller]
fn connected(cuebox: &CueBox) {
    cuebox.wait("the broker is connected", 30, |status| status["mqtt"]["state"] == "connected");
}

#[test]
fn a_broker_shows_the_box_and_commands_are_answered() {
    let _alone = alone();
    let folder = Folder::new("mqtt-plain");
    let broker = Broker::start(&folder, "");
    let watcher = Watcher::start(&broker, &[]);
    let cuebox = CueBox::start(&folder, &plain(&broker));
    cuebox.wait_live(2);
    connected(&cuebox);
    watcher.wait("cuebox/hall-1/availability", |text| text == "online");
    watcher.wait_json("cuebox/hall-1/program", |program| program["on_air"] == 1);
    watcher.wait_json("cuebox/hall-1/slot/2/state", |slot| slot["state"] == "live");
    let state = watcher.wait_json("cuebox/hall-1/state", |state| state["mqtt"]["state"] == "connected");
    assert_eq!(state["box"], "hall-1");
    let device = watcher.wait_json("homeassistant/device/cuebox_hall_1/config", |_| true);
    assert_eq!(device["components"]["slot_2"]["state_topic"], "cuebox/hall-1/slot/2/state");

    // A bare value, as a wall panel of a home would send it.
    broker.publish(&["-t", "cuebox/hall-1/command/cut", "-m", "2"]);
    watcher.wait_json("cuebox/hall-1/program", |program| program["on_air"] == 2);
    let event = watcher.wait_json("cuebox/hall-1/event/on_air", |event| event["program"]["on_air"] == 2);
    assert!(event["seq"].as_u64().is_some());

    // An answer where it was asked for, and without that below the id.
    assert_eq!(broker.ask("preview", r#"{"id":"m-1","slot":1}"#), json!({"id": "m-1", "result": "done"}));
    broker.publish(&["-t", "cuebox/hall-1/command/take", "-m", r#"{"id":"m-2"}"#]);
    watcher.wait_json("cuebox/hall-1/reply/m-2", |reply| reply["result"] == "done");
    watcher.wait_json("cuebox/hall-1/program", |program| program["on_air"] == 1);

    // The same id again does nothing, and with another body it is refused.
    assert_eq!(broker.ask("take", r#"{"id":"m-2"}"#), json!({"id": "m-2", "result": "duplicate", "first": "done"}));
    assert_eq!(broker.ask("take", r#"{"id":"m-1"}"#)["result"], "conflict");
    let table = [
        ("cut", r#"{"id":"m-3","slot":2,"at":"2020-01-01T00:00:00Z"}"#, "is not carried out"),
        ("cut", "9", "slot 9 does not exist"),
        ("fly", "1", "unknown verb `fly`"),
        ("cut", "{", "not a command"),
        ("cut", r#"{"slot":1,"id":"a/#"}"#, "`id` holds +, # or /"),
    ];
    for (verb, payload, expected) in table {
        let answer = broker.ask(verb, payload);
        assert_eq!(answer["result"], "refused", "{answer}");
        assert!(answer["why"].as_str().unwrap().contains(expected), "{answer}");
    }
    let fresh = format!(r#"{{"id":"m-4","slot":1,"at":"{}"}}"#, now_rfc3339());
    assert_eq!(broker.ask("cut", &fresh)["result"], "done");

    // A retained command would come back for ever.
    broker.publish(&["-r", "-t", "cuebox/hall-1/command/cut", "-m", r#"{"id":"m-5","slot":2}"#]);
    watcher.wait_json("cuebox/hall-1/reply/m-5", |reply| reply["why"].as_str().unwrap().contains("retained"));
    assert_eq!(watcher.newest_json("cuebox/hall-1/program")["on_air"], 1);

    cuebox.stop();
    watcher.wait("cuebox/hall-1/availability", |text| text == "offline");
}

#[test]
fn an_id_is_known_after_the_box_was_killed() {
    let _alone = alone();
    let folder = Folder::new("mqtt-ids");
    let broker = Broker::start(&folder, "");
    let cuebox = CueBox::start(&folder, &plain(&broker));
    cuebox.wait_live(2);
    connected(&cuebox);
    assert_eq!(broker.ask("rename", r#"{"id":"once","slot":1,"name":"Altar"}"#)["result"], "done");
    assert_eq!(broker.ask("take", r#"{"id":"never"}"#)["result"], "refused");
    let watcher = Watcher::start(&broker, &[]);
    cuebox.kill();
    watcher.wait("cuebox/hall-1/availability", |text| text == "offline");

    let cuebox = CueBox::start(&folder, &plain(&broker));
    connected(&cuebox);
    let again = broker.ask("rename", r#"{"id":"once","slot":1,"name":"Altar"}"#);
    assert_eq!(again["result"], "duplicate", "{again}");
    assert_eq!(broker.ask("rename", r#"{"id":"once","slot":1,"name":"Other"}"#)["result"], "conflict");
    // What was refused stays refused, although it could be done now.
    assert_eq!(broker.ask("preview", "2")["result"], "done");
    let refused = broker.ask("take", r#"{"id":"never"}"#);
    assert_eq!((&refused["result"], &refused["first"]), (&json!("duplicate"), &json!("refused")), "{refused}");
    cuebox.stop();
}

#[test]
fn an_admin_changes_the_configuration_and_asks_how_the_box_is() {
    let _alone = alone();
    let folder = Folder::new("mqtt-admin");
    let broker = Broker::start(&folder, "");
    let cuebox = CueBox::start(&folder, &plain(&broker));
    cuebox.wait_live(2);
    connected(&cuebox);
    let overrides = folder.path().join("data/overrides.toml");

    // What would come of it, and what cannot be.
    let wanted = r#""patch":{"program":{"fps":30},"slot":[{"number":2,"name":"Nave"}]}"#;
    let checked = broker.ask("config", &format!(r#"{{"id":"c-1","action":"check",{wanted}}}"#));
    assert_eq!(checked["report"], json!({"applied": false, "restart_needed": ["program.fps"]}), "{checked}");
    assert!(!overrides.exists());
    let table = [
        (r#"{"action":"patch","patch":{"program":{"fps":31}}}"#, "program.fps: "),
        (r#"{"action":"patch","patch":{"program":{"speed":1}}}"#, "program.speed: is unknown"),
        (r#"{"action":"patch","patch":{"box":{"data_dir":"/tmp"}}}"#, "which only the file can"),
        (r#"{"action":"patch","patch":3}"#, "`patch` is a number"),
        ("patch fps = [", "not TOML"),
    ];
    for (payload, expected) in table {
        let answer = broker.ask("config", payload);
        assert_eq!(answer["result"], "refused", "{answer}");
        assert!(answer["why"].as_str().unwrap().contains(expected), "{answer}");
    }
    assert!(!overrides.exists());

    // Applied at once as far as it can be, and after a restart as a whole.
    let changed = broker.ask("config", &format!(r#"{{"id":"c-2","action":"patch",{wanted}}}"#));
    assert_eq!(changed["report"], json!({"applied": true, "restart_needed": ["program.fps"]}), "{changed}");
    cuebox.wait("the new name", 10, |status| status["slots"][1]["name"] == "Nave");
    assert_eq!(broker.ask("config", &format!(r#"{{"id":"c-2","action":"patch",{wanted}}}"#))["result"], "duplicate");
    let secret = "patch leg = [{ name = \"backup\", kind = \"rtmp\", url = \"rtmp://127.0.0.1:9/live\", stream_key = \"hunter2\" }]";
    assert_eq!(broker.ask("config", secret)["result"], "done");
    cuebox.wait("the new leg", 10, |status| status["legs"][0]["name"] == "backup");
    let kept = std::fs::read_to_string(&overrides).unwrap();
    let before = std::fs::read_to_string(folder.path().join("data/overrides.before.toml")).unwrap();
    assert!(
        kept.contains("hunter2") && kept.contains("Nave") && before.contains("Nave") && !before.contains("hunter2")
    );

    // What was said is in the journal, but for secrets; and the journal can be asked for.
    let told = broker.ask("journal", "50");
    let lines = told["report"]["lines"].as_array().unwrap();
    assert!(lines.len() >= 5 && lines.iter().any(|line| line.to_string().contains("stream_key")), "{told}");
    assert!(!told.to_string().contains("hunter2"), "{told}");
    let doctor = broker.ask("doctor", "");
    let findings = doctor["report"]["findings"].as_array().unwrap();
    let named = |check: &str| findings.iter().find(|finding| finding["check"] == check);
    assert_eq!(named("encoders").unwrap()["level"], "ok", "{doctor}");
    assert!(named("disk_speed").is_some() && named("clock").is_some(), "{doctor}");

    broker.publish(&["-t", "cuebox/hall-1/command/restart", "-m", r#"{"id":"c-3"}"#]);
    cuebox.wait("the box is back", 30, |status| status["encoders"][0]["fps"] == 30);
    let status = cuebox.wait("with its overrides", 10, |status| status["slots"][1]["name"] == "Nave");
    assert_eq!(status["legs"][0]["name"], "backup", "{status}");
    assert!(!status.to_string().contains("hunter2") && !cuebox.log().contains("hunter2"));
    connected(&cuebox);
    let back = broker.ask("config", r#"{"action":"patch","patch":{"program":null,"slot":null,"leg":null}}"#);
    assert_eq!(back["report"], json!({"applied": true, "restart_needed": ["program.fps"]}), "{back}");
    cuebox.wait("the file's name", 10, |status| status["slots"][1]["name"] == "Camera 2");
    cuebox.stop();
}

#[test]
fn a_broker_that_dies_falls_silent_or_forgets_disturbs_nothing() {
    let _alone = alone();
    let folder = Folder::new("mqtt-lost");
    let mut broker = Broker::start(&folder, "");
    let cuebox = CueBox::start(&folder, &plain(&broker));
    cuebox.wait_live(2);
    connected(&cuebox);

    broker.signal("STOP");
    cuebox.wait("silence is noticed", 30, |status| status["mqtt"]["state"] == "trying");
    cuebox.done(&["cut", "2"]);
    broker.signal("CONT");
    connected(&cuebox);

    broker.kill();
    cuebox.wait("death is noticed", 10, |status| status["mqtt"]["state"] == "trying");
    for _ in 0..20 {
        cuebox.done(&["cut", "1"]);
        cuebox.done(&["cut", "2"]);
    }
    // Nothing was kept: everything has to be told anew.
    broker.restart();
    let watcher = Watcher::start(&broker, &[]);
    connected(&cuebox);
    watcher.wait("cuebox/hall-1/availability", |text| text == "online");
    watcher.wait_json("cuebox/hall-1/program", |program| program["on_air"] == 2);
    watcher.wait_json("cuebox/hall-1/state", |state| state["program"]["on_air"] == 2);
    assert_eq!(broker.ask("cut", r#"{"id":"after","slot":1}"#)["result"], "done");
    cuebox.stop();
}

#[test]
fn a_flood_and_what_is_too_large_are_survived() {
    let _alone = alone();
    let folder = Folder::new("mqtt-flood");
    let broker = Broker::start(&folder, "max_queued_messages 10000\n");
    let cuebox = CueBox::start(&folder, &plain(&broker));
    cuebox.wait_live(2);
    connected(&cuebox);
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b'x'; 1_000_000]).unwrap();
    broker.publish(&["-t", "cuebox/hall-1/command/marker", "-f", large.to_str().unwrap()]);
    let watcher = Watcher::start(&broker, &["cuebox/hall-1/reply/+"]);
    let lines: String = (0..2_000).map(|n| format!("{{\"id\":\"f-{n}\",\"slot\":{}}}\n", 1 + n % 2)).collect();
    broker.publish_lines("cuebox/hall-1/command/cut", &lines);
    until("every command is answered", 60, || watcher.topics("cuebox/hall-1/reply/f-").len() >= 2_000);
    let answers = watcher.messages("cuebox/hall-1/reply/f-");
    assert_eq!(answers.len(), 2_000, "each once");
    let done = |text: &str| serde_json::from_str::<Value>(text).unwrap()["result"] == "done";
    assert!(answers.iter().all(|text| done(text)));
    connected(&cuebox);
    cuebox.stop();
}

#[test]
fn a_broker_that_is_killed_again_and_again_loses_no_command_and_doubles_none() {
    let _alone = alone();
    let folder = Folder::new("mqtt-repeated");
    let mut broker = Broker::start_kept(&folder);
    let cuebox = CueBox::start(&folder, &plain(&broker));
    cuebox.wait_live(2);
    connected(&cuebox);
    let plan =
        repeated::Plan { commands: 300, pace: Duration::from_millis(10), restarts: 3, up: Duration::from_secs(1) };
    let is_connected = || cuebox.status().is_some_and(|status| status["mqtt"]["state"] == "connected");
    let outcome = repeated::run(&mut broker, &plan, is_connected);
    println!("{} messages for {} commands", outcome.sent, plan.commands);
    let show = cuebox.show();
    cuebox.stop();
    for (number, answers) in &outcome.answers {
        assert_eq!(answers, &["\"done\""], "command {number}");
    }
    let acted = repeated::markers(&timeline(&show));
    assert_eq!(acted, (0..plan.commands).map(|number| (number, 1)).collect(), "each acted once");
}

/// Resident memory of a process, bytes.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

#[test]
fn a_thousand_commands_a_second_for_half_a_minute_cost_no_frame_and_no_memory() {
    const COMMANDS: usize = 30_000;
    let _alone = alone();
    let folder = Folder::new("mqtt-thousand");
    let broker = Broker::start(&folder, "max_queued_messages 40000\nmax_inflight_messages 0\n");
    let cuebox = CueBox::start(&folder, &plain(&broker));
    cuebox.wait_live(2);
    connected(&cuebox);
    let watcher = Watcher::start(&broker, &["cuebox/hall-1/reply/+"]);
    let before = memory(cuebox.pid());
    let begun = Instant::now();
    let mut lines = broker.lines("cuebox/hall-1/command/cut");
    for n in 0..COMMANDS {
        lines.send(&format!("{{\"id\":\"t-{n}\",\"slot\":{}}}", 1 + n % 2));
        let due = Duration::from_millis(n as u64);
        if n % 50 == 0 {
            until("the next ones are due", 5, || begun.elapsed() >= due);
        }
    }
    lines.end();
    let sent_s = begun.elapsed().as_secs_f64();
    assert!(sent_s < 40.0, "{sent_s:.0} s is no flood");
    let answered = || watcher.topics("cuebox/hall-1/reply/t-").len();
    // This broker holds nothing back, so what a busy machine does not get to in two seconds is dropped, and said so.
    let dropped = || cuebox.log().matches("too many commands at once").count();
    until("every command is answered or counted", 60, || answered() + dropped() >= COMMANDS);
    let answers = watcher.messages("cuebox/hall-1/reply/t-");
    assert_eq!(answers.len() + dropped(), COMMANDS, "each once");
    assert!(dropped() < COMMANDS / 10, "{} were dropped", dropped());
    // A camera whose thread got no processor for 250 ms is not live, and a cut to it refused.
    let refused: Vec<_> = answers.iter().filter(|text| !text.contains("\"done\"")).collect();
    assert!(refused.len() < COMMANDS / 20, "{} were refused", refused.len());
    assert!(refused.iter().all(|text| text.contains("is not live")), "{:?}", refused.first());
    // What is remembered of ten thousand ids, and the journal's lines that wait.
    let more = memory(cuebox.pid()).saturating_sub(before);
    assert!(more < 64 << 20, "{more} bytes more than before");
    connected(&cuebox);
    let show = cuebox.show();
    cuebox.done(&["show", "stop"]);
    cuebox.wait("the show is sealed", 20, |status| status["recording"]["state"] == "idle");
    cuebox.stop();
    let program = segments(&show, "program");
    assert!(program.iter().all(|(_, segment)| segment["repeated"] == 0 && segment["clean"] == true), "{program:?}");
}

#[test]
fn certificates_and_access_lists_keep_strangers_out() {
    let _alone = alone();
    let folder = Folder::new("mqtt-tls");
    let certificates = Certificates::make(&folder, &["hall-1", "operator", "admin"]);
    let broker = Broker::start_tls(&folder, &certificates, include_str!("mqtt/acl"));
    let url = format!("url = \"mqtts://localhost:{}\"\n", broker.port);

    // An authority that nobody here knows.
    let stranger = CueBox::start(&folder, &config(&url));
    let status = stranger.wait("the broker is not trusted", 30, |status| status["mqtt"]["state"] == "refused");
    assert!(status["mqtt"]["why"].as_str().unwrap().contains("certificate"), "{}", status["mqtt"]);
    stranger.stop();

    let own = format!(
        "{url}ca_file = \"{}\"\nclient_cert_file = \"{}\"\nclient_key_file = \"{}\"\n",
        certificates.authority(),
        certificates.certificate("hall-1"),
        certificates.key("hall-1"),
    );
    let cuebox = CueBox::start(&folder, &config(&own));
    cuebox.wait_live(2);
    connected(&cuebox);
    assert_eq!(broker.ask_as("operator", "cut", r#"{"id":"o-1","slot":2}"#)["result"], "done");
    cuebox.wait("the operator's cut is on air", 10, |status| status["program"]["on_air"] == 2);
    // What an operator may not is dropped by the broker; the admin's arrives, and nothing came before it.
    broker.publish_as("operator", &["-t", "cuebox/hall-1/command/rename", "-m", r#"{"id":"o-2","slot":1,"name":"X"}"#]);
    let renamed = broker.ask_as("admin", "rename", r#"{"id":"a-1","slot":2,"name":"Nave"}"#);
    assert_eq!(renamed["result"], "done", "{renamed}");
    let status = cuebox.wait("the admin's name is taken", 10, |status| status["slots"][1]["name"] == "Nave");
    assert_eq!(status["slots"][0]["name"], "Camera 1");
    cuebox.stop();
}
