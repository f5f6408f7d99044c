//! `[panel]`: what it takes, and what is said of each mistake.

use std::time::Duration;

use crate::panel::{Action, Mode, Pull, Trigger, TslVersion};

use super::{problems, read};

const FULL: &str = r#"
[panel]
serial = ["/dev/ttyS1", "usb:2E8a:000a", "usb:2e8a:000a:E6:1", "../p"]
gpio = { chip = "gpiochip0", keys = [17, 27], red = 5, active_low = false, pull = "down" }
hid = false
mode = "preview"
hide_preview = true
long_press_ms = 800
keys = { 1 = "slot 2", "6 long" = "stream", "1+2" = "marker here we are" }
[[panel.tsl]]
address = "mixer.local:8900"
[[panel.tsl]]
address = "[::1]:5727"
version = "5.0 tcp"
first = 200
screen = 3
"#;

#[test]
fn every_key_of_a_panel_is_read() {
    let config = read(FULL).unwrap().config;
    let panel = &config.panel;
    let places: Vec<String> = panel.serial.iter().map(ToString::to_string).collect();
    assert_eq!(places, ["/dev/ttyS1", "usb:2e8a:000a", "usb:2e8a:000a:E6:1", "/etc/cuebox/../p"]);
    let gpio = panel.gpio.as_ref().unwrap();
    assert_eq!((gpio.chip.as_str(), &gpio.keys[..], &gpio.red[..]), ("gpiochip0", &[17, 27][..], &[5][..]));
    assert_eq!((gpio.active_low, gpio.pull), (false, Pull::Down));
    assert_eq!((panel.hid, panel.mode, panel.hide_preview), (false, Mode::Preview, true));
    assert_eq!(panel.long_press, Duration::from_millis(800));
    let action = |words| Action::from_words(words).unwrap();
    assert_eq!(
        panel.keys,
        [
            (Trigger::Press(1), action("slot 2")),
            (Trigger::Chord(vec![1, 2]), action("marker here we are")),
            (Trigger::Long(6), action("stream")),
        ]
    );
    let [first, second] = &panel.tsl[..] else { panic!("two destinations") };
    assert_eq!((first.address.as_str(), first.version, first.first), ("mixer.local:8900", TslVersion::V31, 1));
    assert_eq!((second.address.as_str(), second.version, second.first), ("[::1]:5727", TslVersion::V50Tcp, 200));
    assert_eq!((first.screen, second.screen), (0, 3));
}

/// One mistake a row: the file, and the one line that must come out.
const MISTAKES: &[(&str, &str)] = &[
    (
        "[panel]\nserial = [\"/dev/a\", 3]",
        "2: panel.serial: is a whole number, not text in quotes (allowed: a device's path, \"usb:VENDOR:PRODUCT\" or \"usb:VENDOR:PRODUCT:SERIAL\", or a list of those)",
    ),
    (
        "[panel]\nserial = \"usb:12:34\"",
        "2: panel.serial: is \"usb:12:34\" (allowed: a device's path, \"usb:VENDOR:PRODUCT\" or \"usb:VENDOR:PRODUCT:SERIAL\", or a list of those)",
    ),
    (
        "[panel]\nserial = [\n\"/dev/a\",\n\"/dev/a\"]",
        "4: panel.serial: \"/dev/a\" is given twice (allowed: each place once)",
    ),
    ("[panel]\nmode = \"take\"", "2: panel.mode: is \"take\" (allowed: \"direct\", \"preview\")"),
    ("[panel]\nlong_press_ms = 50", "2: panel.long_press_ms: is 50 (allowed: 200–5000 ms)"),
    (
        "[panel]\ngpio = { keys = [1] }",
        "2: panel.gpio.chip: is missing (allowed: a chip's name or path: \"gpiochip0\")",
    ),
    (
        "[panel]\ngpio = { chip = \"gpiochip0\", keys = [17, 27], red = [27] }",
        "2: panel.gpio.red: line 27 is used by panel.gpio.keys already (allowed: each line once)",
    ),
    (
        "[panel]\nkeys = { 65 = \"take\" }",
        "2: panel.keys.65: is no key (allowed: a key \"3\", a long press \"3 long\", a chord \"1+6\")",
    ),
    (
        "[panel.keys]\n\"6 long\" = \"fly\"",
        "2: panel.keys.6 long: is \"fly\": unknown verb `fly` (allowed: \"slot 1\"–\"slot 5\", \"slate\", \"hold\", \"record\", \"stream\", \"lock\", \"none\", a command of `cuebox ctl`)",
    ),
    ("[[panel.tsl]]\nversion = \"3.1\"", "1: panel.tsl.address: is missing (allowed: \"HOST:PORT\")"),
    ("[[panel.tsl]]\naddress = \"10.0.0.5\"", "2: panel.tsl.address: is \"10.0.0.5\" (allowed: \"HOST:PORT\")"),
    ("[[panel.tsl]]\naddress = \"a:1\"\nfirst = 123", "3: panel.tsl.first: is 123 (allowed: 0–122)"),
    (
        "[[panel.tsl]]\naddress = \"a:1\"\nscreen = 1",
        "3: panel.tsl.screen: is given with version 3.1, which has none (allowed: only with version \"5.0\")",
    ),
];

#[test]
fn each_mistake_about_a_panel_is_told() {
    for (text, line) in MISTAKES {
        assert_eq!(problems(text), [*line], "{text}");
    }
}
