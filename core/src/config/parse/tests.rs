mod leg_mistakes;
mod legs;
mod panel;

use super::*;
use crate::config::{LegTarget, RtmpTarget, SlotAudio, Source};
use crate::ids::{LegId, Port};

/// The files that a test's configuration may name.
fn secrets(path: &str) -> Result<String, String> {
    match path {
        "/etc/cuebox/key" => Ok("s3cr3t\n".to_owned()),
        "/etc/cuebox/empty" => Ok("\n".to_owned()),
        "/etc/cuebox/two-lines" => Ok("a\nb\n".to_owned()),
        "/etc/cuebox/passphrase" => Ok("correct horse battery\n".to_owned()),
        _ => Err("no such file".to_owned()),
    }
}

fn read(text: &str) -> Result<Checked, Vec<Problem>> {
    parse(text, "/etc/cuebox", &secrets)
}

fn problems(text: &str) -> Vec<String> {
    read(text).expect_err(text).iter().map(ToString::to_string).collect()
}

fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

#[test]
fn an_empty_file_means_the_built_in_defaults() {
    assert_eq!(read(""), Ok(Checked { config: Config::default(), warnings: Vec::new() }));
    assert_eq!(Config::default().slots.len(), 5);
}

const FULL: &str = r#"
[box]
id = "hall-1"
data_dir = "data"
[program]
size = "1920x1080"
fps = 25
video_bitrate = "6 Mbit/s"
min_video_bitrate = "200 kbit/s"
audio_bitrate = "160 kbit/s"
start_slot = 2
auto_return = "off"
steady_s = 2.5
[[slot]]
number = 1
name = "Altar"
priority = 3
source = { kind = "v4l2", port = "usb-1.2", controls = { power_line_frequency = 1, auto_focus = false, brightness = -5 } }
audio = "hw:CARD=HDMI1,DEV=0"
delay_ms = 80
[[slot]]
number = 2
source = { kind = "test", marks = true, tone_hz = 440 }
[[slot]]
number = 3
source = { kind = "file", path = "a.mp4", loop = true }
[[slot]]
number = 4
source.kind = "network"
source.url = "rtsp://10.0.0.9/cam"
audio = "none"
[[leg]]
name = "main"
kind = "rtmp"
uplink = 1
url = "rtmps://example.org/live"
stream_key_file = "key"
ca_file = "ca.pem"
[[leg]]
name = "second"
kind = "rtmp"
url = "rtmp://example.org/live/open"
[record]
program = true
slots = false
segment_minutes = 0.5
keep_free = "500 MB"
when_full = "stop"
[show]
autostart = false
[http]
socket = "/tmp/c.sock"
listen = "[::1]:0"
"#;

#[test]
fn every_key_is_read_in_its_unit() {
    let Checked { config, warnings } = read(FULL).unwrap();
    assert_eq!(warnings, []);
    assert_eq!((config.box_id.as_str(), config.data_dir.as_str()), ("hall-1", "/etc/cuebox/data"));
    let program = &config.program;
    assert_eq!((program.width, program.height, program.fps), (1920, 1080, 25));
    assert_eq!((program.video_bitrate_bps, program.min_video_bitrate_bps), (6_000_000, 200_000));
    assert_eq!(program.audio_bitrate_bps, 160_000);
    assert_eq!((program.start_slot, program.auto_return), (Some(slot(2)), AutoReturn::Off));
    assert_eq!(program.steady, Duration::from_millis(2_500));

    let altar = &config.slots[&slot(1)];
    let controls = [("auto_focus", 0), ("brightness", -5), ("power_line_frequency", 1)];
    let controls = controls.map(|(name, value)| (name.to_owned(), value)).into();
    assert_eq!((altar.name.as_str(), altar.priority, altar.delay_ms), ("Altar", 3, 80));
    assert_eq!(altar.source, Source::V4l2 { port: Some(Port::new("usb-1.2")), controls });
    assert_eq!(altar.audio, SlotAudio::Alsa("hw:CARD=HDMI1,DEV=0".to_owned()));
    let test = &config.slots[&slot(2)];
    assert_eq!((test.name.as_str(), test.priority), ("Camera 2", 2));
    assert_eq!(test.source, Source::Test { marks: true, tone_hz: Some(440) });
    assert_eq!(config.slots[&slot(3)].source, Source::File { path: "/etc/cuebox/a.mp4".to_owned(), repeat: true });
    assert!(matches!(&config.slots[&slot(4)].source, Source::Network { url } if url.reveal() == "rtsp://10.0.0.9/cam"));
    assert_eq!(config.slots[&slot(4)].audio, SlotAudio::None);
    assert!(!config.slots.contains_key(&slot(5)));

    let main = &config.legs[0];
    assert_eq!((&main.name, main.uplink), (&LegId::new("main"), Some(1)));
    assert_eq!(main.ca_file.as_deref(), Some("/etc/cuebox/ca.pem"));
    let LegTarget::Rtmp(RtmpTarget::Fixed { url, stream_key }) = &main.target else { panic!("a fixed address") };
    assert_eq!(url.reveal(), "rtmps://example.org/live");
    assert_eq!(stream_key.as_ref().map(super::super::Secret::reveal), Some("s3cr3t"));
    assert_eq!(config.legs[1].uplink, None);

    assert!(config.record.program && !config.record.slots);
    assert_eq!(config.record.segment, Duration::from_secs(30));
    assert_eq!((config.record.keep_free_bytes, config.record.when_full), (500_000_000, WhenFull::Stop));
    assert!(!config.show.autostart);
    assert_eq!((config.http.socket.as_str(), config.http.listen.as_deref()), ("/tmp/c.sock", Some("[::1]:0")));
}

/// One mistake a row: the file, and the one line that must come out.
const MISTAKES: &[(&str, &str)] = &[
    ("[box]\nid = \"Hall 1\"", "2: box.id: is \"Hall 1\" (allowed: 1–32 of a–z, 0–9 and -)"),
    ("[box]\nid = 7", "2: box.id: is a whole number, not text in quotes (allowed: 1–32 of a–z, 0–9 and -)"),
    ("[box]\n\nnmae = 1\n", "3: box.nmae: is unknown (allowed: data_dir, id)"),
    ("[box]\ndatadir = \"x\"", "2: box.datadir: is unknown, perhaps `data_dir` is meant (allowed: data_dir, id)"),
    ("[box]\ndata_dir = \"\"", "2: box.data_dir: is not a path (allowed: a path, absolute or relative to this file)"),
    ("box = 3", "1: box: is a whole number (allowed: one table, written [box])"),
    ("[[box]]\nid = \"a\"", "1: box: is a list (allowed: one table, written [box])"),
    (
        "[progam]\nfps = 30",
        "1: progam: is unknown, perhaps `program` is meant (allowed: box, http, leg, mqtt, panel, program, record, show, slot)",
    ),
    (
        "[program]\nsize = \"1281x720\"",
        "2: program.size: is \"1281x720\" (allowed: \"WIDTHxHEIGHT\", both even, 160x90 to 3840x2160)",
    ),
    (
        "[program]\nsize = \"720p\"",
        "2: program.size: is \"720p\" (allowed: \"WIDTHxHEIGHT\", both even, 160x90 to 3840x2160)",
    ),
    ("[program]\nfps = 29", "2: program.fps: is 29 (allowed: 15, 24, 25, 30, 50, 60)"),
    ("[program]\nfps = 29.97", "2: program.fps: is 29.97, not a whole number (allowed: 15, 24, 25, 30, 50, 60)"),
    ("[program]\nfps = -30", "2: program.fps: is -30 (allowed: 15, 24, 25, 30, 50, 60)"),
    (
        "[program]\nvideo_bitrate = 4000000",
        "2: program.video_bitrate: is 4000000, not text with a unit (allowed: \"50 kbit/s\" to \"50 Mbit/s\")",
    ),
    (
        "[program]\nvideo_bitrate = \"4 MB\"",
        "2: program.video_bitrate: \"4 MB\" has a unit that is none of bit/s, kbit/s, Mbit/s (allowed: \"50 kbit/s\" to \"50 Mbit/s\")",
    ),
    (
        "[program]\nvideo_bitrate = \"4000\"",
        "2: program.video_bitrate: \"4000\" has no unit (allowed: \"50 kbit/s\" to \"50 Mbit/s\")",
    ),
    (
        "[program]\naudio_bitrate = \"1 Mbit/s\"",
        "2: program.audio_bitrate: is \"1 Mbit/s\" (allowed: \"32 kbit/s\" to \"320 kbit/s\")",
    ),
    (
        "[program]\nvideo_bitrate = \"1 Mbit/s\"\nmin_video_bitrate = \"2 Mbit/s\"",
        "3: program.min_video_bitrate: min_video_bitrate 2 Mbit/s is above video_bitrate 1 Mbit/s (allowed: min_video_bitrate at most video_bitrate)",
    ),
    (
        "[program]\nvideo_bitrate = \"100 kbit/s\"",
        "2: program.video_bitrate: min_video_bitrate 150 kbit/s is above video_bitrate 100 kbit/s (allowed: min_video_bitrate at most video_bitrate)",
    ),
    ("[program]\nstart_slot = 9", "2: program.start_slot: is 9 (allowed: 1–5)"),
    ("[program]\nstart_slot = 3\n[[slot]]\nnumber = 1", "2: program.start_slot: slot 3 is not configured (allowed: 1)"),
    ("[program]\nauto_return = true", "2: program.auto_return: is true (allowed: \"off\", \"steady\")"),
    ("[program]\nsteady_s = -1", "2: program.steady_s: is -1 (allowed: 0–600 s)"),
    ("[program]\nsteady_s = nan", "2: program.steady_s: is nan (allowed: 0–600 s)"),
    ("[slot]\nnumber = 1", "1: slot: is a table (allowed: tables, each written [[slot]])"),
    ("[[slot]]\nname = \"A\"", "1: slot.number: is missing (allowed: 1–5)"),
    ("[[slot]]\nnumber = 6", "2: slot.number: is 6 (allowed: 1–5)"),
    (
        "[[slot]]\nnumber = 2\n[[slot]]\nnumber = 2",
        "4: slot.number: 2 is given to two slots (allowed: each of 1–5 once)",
    ),
    ("[[slot]]\nnumber = 1\nname = \"\"", "3: slot.name: is empty (allowed: 1–64 characters of text)"),
    (
        "[[slot]]\nnumber = 1\nname = \"a\\u001bb\"",
        "3: slot.name: holds a control character (allowed: 1–64 characters of text)",
    ),
    ("[[slot]]\nnumber = 1\npriority = 0", "3: slot.priority: is 0 (allowed: 1–100)"),
    ("[[slot]]\nnumber = 1\ndelay_ms = 1001", "3: slot.delay_ms: is 1001 (allowed: 0–1000 ms)"),
    ("[[slot]]\nnumber = 1\nsource = \"test\"", "3: slot.source: is text (allowed: one table, written [slot.source])"),
    (
        "[[slot]]\nnumber = 1\nsource = { port = \"usb-1\" }",
        "3: slot.source.kind: is missing (allowed: \"v4l2\", \"test\", \"file\", \"network\")",
    ),
    (
        "[[slot]]\nnumber = 1\nsource = { kind = \"ndi\" }",
        "3: slot.source.kind: is \"ndi\" (allowed: \"v4l2\", \"test\", \"file\", \"network\")",
    ),
    (
        "[[slot]]\nnumber = 1\nsource = { kind = \"v4l2\", marks = true }",
        "3: slot.source.marks: is unknown (allowed: controls, kind, port)",
    ),
    (
        "[[slot]]\nnumber = 1\nsource = { kind = \"test\", tone_hz = 5 }",
        "3: slot.source.tone_hz: is 5 (allowed: 20–20000 Hz)",
    ),
    (
        "[[slot]]\nnumber = 1\nsource = { kind = \"file\" }",
        "3: slot.source.path: is missing (allowed: a path, absolute or relative to this file)",
    ),
    (
        "[[slot]]\nnumber = 1\nsource = { kind = \"network\", url = \"http://x/\" }",
        "3: slot.source.url: begins with \"http\" (allowed: \"rtsp://HOST[:PORT]/…\", \"rtmp://HOST[:PORT]/…\", \"srt://HOST[:PORT]/…\")",
    ),
    (
        "[[slot]]\nnumber = 1\nsource = { kind = \"v4l2\", port = \"usb-1\" }\n[[slot]]\nnumber = 2\nsource = { kind = \"v4l2\",\n  port = \"usb-1\" }",
        "7: slot.source.port: port \"usb-1\" is slot 1's already (allowed: one slot for each port)",
    ),
    ("[record]\nprogram = \"yes\"", "2: record.program: is \"yes\" (allowed: true, false)"),
    ("[record]\nsegment_minutes = 0", "2: record.segment_minutes: is 0 (allowed: 0.05–240 min)"),
    (
        "[record]\nkeep_free = \"2 gigs\"",
        "2: record.keep_free: \"2 gigs\" has a unit that is none of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB (allowed: \"1 MB\" to \"10 TB\")",
    ),
    ("[record]\nwhen_full = \"newest\"", "2: record.when_full: is \"newest\" (allowed: \"oldest\", \"stop\")"),
    ("[show]\nautostart = 1", "2: show.autostart: is 1 (allowed: true, false)"),
    (
        "[http]\nlisten = \"0.0.0.0:8080\"",
        "2: http.listen: is \"0.0.0.0:8080\": there is no authentication yet, so only this machine may connect (allowed: \"127.0.0.1:PORT\", \"[::1]:PORT\")",
    ),
    (
        "[http]\nlisten = \"8080\"",
        "2: http.listen: is \"8080\", not an address with a port (allowed: \"127.0.0.1:PORT\", \"[::1]:PORT\")",
    ),
    ("[box]\nid = \"a\"\nid = \"b\"", "3: id: is given twice"),
    ("[box]\nid = hall", "2: syntax: string values must be quoted, expected literal string"),
    ("[box\nid = \"a\"", "1: syntax: unclosed table, expected `]`"),
];

#[test]
fn each_mistake_is_told_with_its_line_its_key_and_what_is_allowed() {
    for (text, line) in MISTAKES {
        assert_eq!(problems(text), [*line], "{text}");
    }
}

#[test]
fn a_socket_path_too_long_for_the_kernel_is_refused() {
    let text = format!("[http]\nsocket = \"{}\"", "s".repeat(100));
    assert_eq!(
        problems(&text),
        [
            "2: http.socket: is 112 bytes long with the file's folder before it (allowed: at most 107 bytes, the kernel's limit)"
        ]
    );
}

#[test]
fn a_broker_is_read_and_its_mistakes_are_told() {
    let text = "[mqtt]\nurl = \"mqtts://broker.example\"\nca_file = \"ca.pem\"\nclient_cert_file = \"c.pem\"\n\
                client_key_file = \"k.pem\"\nusername = \"hall-1\"\npassword_file = \"key\"\nhome_assistant = \"ha\"\n";
    let mqtt = read(text).unwrap().config.mqtt.unwrap();
    assert_eq!(mqtt.broker(), ("broker.example".to_owned(), 8883));
    assert_eq!(mqtt.ca_file.as_deref(), Some("/etc/cuebox/ca.pem"));
    assert_eq!((mqtt.password.unwrap().reveal(), mqtt.discovery_prefix.as_deref()), ("s3cr3t", Some("ha")));
    for (section, expected) in [
        ("", "1: mqtt.url: is missing (allowed: \"mqtt://HOST[:PORT]\", \"mqtts://…\")"),
        ("url = \"tcp://h\"", "2: mqtt.url: begins with \"tcp\""),
        ("url = \"mqtt://u:p@h\"", "2: mqtt.url: holds a user name"),
        ("url = \"mqtts://h\"\nclient_key_file = \"k\"", "3: mqtt.client_key_file: is of no use alone"),
        ("url = \"mqtt://h\"\npassword_file = \"key\"", "1: mqtt.username: is missing"),
        ("url = \"mqtt://h\"\nhome_assistant = \"a/#\"", "3: mqtt.home_assistant: cannot be the beginning of a topic"),
        ("url = \"mqtt://h\"\ntopic = \"x\"", "3: mqtt.topic: is unknown"),
    ] {
        let told = problems(&format!("[mqtt]\n{section}\n"));
        assert!(told[0].starts_with(expected), "{told:?}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "[[leg]]\nname = \"A\"\nkind = \"rtmp\"\nurl = \"x\"\nfoo = 1\n[program]\nfps = 31\nsize = \"1x1\"\n[box]\nid = \"\"\n[mqtt]\n";
    let lines: Vec<_> = read(text).unwrap_err().iter().map(|problem| (problem.line, problem.key.clone())).collect();
    let expected = [
        (2, "leg.name"),
        (4, "leg.url"),
        (5, "leg.foo"),
        (7, "program.fps"),
        (8, "program.size"),
        (10, "box.id"),
        (11, "mqtt.url"),
    ];
    assert_eq!(lines, expected.map(|(line, key)| (line, key.to_owned())));
}

#[test]
fn broken_syntax_does_not_hide_what_is_wrong_elsewhere() {
    let text = "[program]\nfps = \nsize = \"1x1\"\n[record]\nprogram = yes\n[[leg]]\nname = \"a\"\n";
    assert_eq!(
        problems(text),
        [
            "2: syntax: string values must be quoted, expected literal string",
            "3: program.size: is \"1x1\" (allowed: \"WIDTHxHEIGHT\", both even, 160x90 to 3840x2160)",
            "5: syntax: string values must be quoted, expected literal string",
        ]
    );
}

#[test]
fn keys_below_a_broken_header_are_not_blamed_on_another_table() {
    let text = "[box]\nid = \"Hall\"\n[program\nfps = 31\nid = 3\n[[slot]\nnumber = 7\n[record]\nslots = 1\n";
    assert_eq!(
        problems(text),
        [
            "2: box.id: is \"Hall\" (allowed: 1–32 of a–z, 0–9 and -)",
            "3: syntax: unclosed table, expected `]`",
            "6: syntax: unclosed array table, expected `]`",
            "9: record.slots: is 1 (allowed: true, false)",
        ]
    );
}

#[test]
fn what_works_and_may_be_regretted_is_a_warning() {
    let text = "[program]\nsize = \"854x480\"\n[[slot]]\nnumber = 1\nsource = { kind = \"test\", marks = true }\n[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://user:hunter2@h/live\"\nstream_key = \"hunter3\"\nca_file = \"ca.pem\"\n[[leg]]\nname = \"b\"\nkind = \"rtmp\"\nurl = \"rtmp://h/live\"";
    let checked = read(text).unwrap();
    let warnings: Vec<_> = checked.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "5: slot.source.marks: marks cannot be exact at 854x480: a cell is width/40 by height/45 pixels",
            "9: leg.url: may hold a password in plain text",
            "10: leg.stream_key: is a secret in plain text: stream_key_file keeps it out of this file",
            "11: leg.ca_file: is not used: rtmp:// is not encrypted, rtmps:// is",
            "15: leg.url: has no stream key: the server is sent an empty stream name",
        ]
    );
}

#[test]
fn a_secret_is_never_shown_whatever_is_wrong_with_it() {
    for text in [
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://u:hunter2@h:0/live\"\nstream_key = \"hunter2\"",
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"hunter2@h\"\nstream_key = \"hunter2\\n\"",
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/a\"\nstream_key = hunter2",
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/a\"\nstream_key = [\"hunter2\"]",
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/a\"\nstream_key = { x = \"hunter2\" }",
    ] {
        let shown = format!("{:?}", read(text));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// xorshift: the same bytes on every machine.
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
fn no_text_whatever_stops_the_reader() {
    const SCRAPS: &[&str] =
        &["[", "]", "[[", "\"", "=", "\n", "{", "}", "'", ".", "#", "-", "9e999", "\u{0}", "ä", "slot", "0x"];
    let mut random = Random(0x5eed_c0de);
    let lines: Vec<&str> = FULL.lines().collect();
    for round in 0..4_000 {
        let mut text = if round % 4 == 0 { String::new() } else { FULL.to_owned() };
        for _ in 0..=random.below(6) {
            let mut at = random.below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            match random.below(4) {
                0 => text.truncate(at),
                1 => text.insert_str(at, lines[random.below(lines.len())]),
                2 if at < text.len() => drop(text.remove(at)),
                _ => text.insert_str(at, SCRAPS[random.below(SCRAPS.len())]),
            }
        }
        let line_count = text.split('\n').count();
        let outcome = read(&text);
        assert!(outcome.is_err() || DeTable::parse(&text).is_ok(), "broken syntax was accepted:\n{text}");
        if let Err(found) = outcome {
            assert!(!found.is_empty() && found.len() <= MAX_PROBLEMS, "{text}");
            for problem in found {
                assert!((1..=line_count).contains(&problem.line), "{problem}\n{text}");
                assert!(!problem.to_string().contains('\n'), "{problem:?}");
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for text in [format!("a = {}1{}", "[".repeat(5_000), "]".repeat(5_000)), format!("{}a = 1", "a.".repeat(5_000))] {
        assert!(!problems(&text).is_empty());
    }
}

const MANUAL: &str = include_str!("../../../../config/cuebox.toml");
const DEMO: &str = include_str!("../../../../config/demo.toml");

/// The manual with its examples made live: a `#` with no blank after it stands before an example.
fn manual_with_examples() -> String {
    let live = |line: &str| match line.strip_prefix('#') {
        Some(example) if !example.is_empty() && !example.starts_with(' ') => example.to_owned(),
        _ => line.to_owned(),
    };
    MANUAL.lines().map(live).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_manual_states_the_built_in_defaults() {
    assert_eq!(read(MANUAL), Ok(Checked { config: Config::default(), warnings: Vec::new() }));
}

#[test]
fn the_examples_in_the_manual_are_valid() {
    let keys = |path: &str| Ok(format!("key of {path}"));
    let checked = parse(&manual_with_examples(), "/etc/cuebox", &keys).expect("examples parse");
    assert_eq!(checked.config.slots.len(), 5);
    let kinds: BTreeSet<_> = checked.config.legs.iter().map(|leg| leg.target.kind()).collect();
    assert_eq!(kinds, BTreeSet::from(["livekit", "rtmp", "srt", "whip"]));
    let warnings: Vec<_> = checked.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(warnings, ["leg.ice_servers", "leg.stream_key"], "only the plain password and key are doubtful");
}

#[test]
fn the_manual_names_every_key_that_the_reader_knows() {
    let manual = manual_with_examples();
    // An unknown key makes the reader list the known ones.
    for section in [
        "",
        "[box]",
        "[program]",
        "[record]",
        "[show]",
        "[http]",
        "[panel]",
        "[panel.gpio]\nchip = \"gpiochip0\"",
        "[[panel.tsl]]\naddress = \"h:1\"",
        "[[slot]]\nnumber = 1",
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/l/k\"",
        "[[leg]]\nname = \"a\"\nkind = \"livekit\"\nurl = \"wss://h\"\ntoken = { file = \"key\" }",
        "[[leg]]\nname = \"a\"\nkind = \"srt\"\nurl = \"srt://h:1\"",
        "[[leg]]\nname = \"a\"\nkind = \"whip\"\nurl = \"https://h\"",
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nroom = \"r\"\n[leg.ingress]\nservice = \"https://h\"",
        "[[leg]]\nname = \"a\"\nkind = \"livekit\"\nurl = \"wss://h\"\n[leg.token]\nfile = \"key\"",
        "[[leg]]\nname = \"a\"\nkind = \"livekit\"\nurl = \"wss://h\"\nroom = \"r\"\n[leg.token]\nkey = \"k\"\nsecret_file = \"key\"",
        "[[leg]]\nname = \"a\"\nkind = \"livekit\"\nroom = \"r\"\n[leg.token]\nshape = \"custom\"\nservice = \"https://h\"\nbody = \"{}\"\ntoken_at = \"/t\"\nurl_at = \"/u\"",
        "[slot.source]\nkind = \"v4l2\"",
        "[slot.source]\nkind = \"test\"",
        "[slot.source]\nkind = \"file\"\npath = \"a\"",
        "[slot.source]\nkind = \"network\"\nurl = \"srt://h:1\"",
    ] {
        let slot = if section.starts_with("[slot.") { "[[slot]]\nnumber = 1\n" } else { "" };
        let found = read(&format!("{slot}{section}\nzzzzzzzz = 1")).unwrap_err();
        let unknown = found.iter().find(|problem| problem.key.ends_with("zzzzzzzz"));
        let allowed = unknown.and_then(|problem| problem.allowed.clone()).unwrap();
        for key in allowed.split(", ") {
            let forms = [format!("{key} = "), format!("[{key}]"), format!(".{key}]")];
            let named = forms.iter().any(|form| manual.contains(form.as_str()));
            assert!(named, "`{key}` of {section:?} is not in the manual");
        }
    }
}

#[test]
fn the_demo_is_valid_and_needs_nothing() {
    let checked = parse(DEMO, "/src/config", &secrets).expect("the demo parses");
    assert_eq!(checked.warnings, []);
    assert_eq!(checked.config.slots.len(), 5);
    assert!(checked.config.slots.values().all(|slot| matches!(slot.source, Source::Test { .. })));
    assert!(checked.config.legs.is_empty());
    assert_eq!(checked.config.data_dir, "/src/config/../demo-data");
}
