//! `[panel]`: keys, lamps and tally.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::panel::action::MAX_KEYS;
use crate::panel::{
    Action, GpioConfig, Mode, PanelConfig, PanelMap, Pull, SerialPlace, Trigger, TslConfig, TslVersion,
};
use crate::tally::tsl::V31_ADDRESSES;

use super::super::walk::{Item, Section, Walk, quoted, set};

/// Panels on serial lines.
const MAX_SERIAL: usize = 8;
/// Lines of a GPIO chip.
const MAX_LINE: u32 = 1_023;
const MODES: [(&str, Mode); 2] = [("direct", Mode::Direct), ("preview", Mode::Preview)];

pub(super) fn read(walk: &mut Walk<'_>, mut section: Section<'_>, panel: &mut PanelConfig) {
    if let Some(item) = section.item(walk, "serial") {
        panel.serial = read_serial(walk, &item);
    }
    panel.gpio = section.read(walk, "gpio", Walk::table).and_then(|section| read_gpio(walk, section));
    set(&mut panel.hid, section.read(walk, "hid", Walk::boolean));
    set(&mut panel.mode, section.read(walk, "mode", |walk, item| walk.choice(item, &MODES)));
    set(&mut panel.hide_preview, section.read(walk, "hide_preview", Walk::boolean));
    let long_press = section.read(walk, "long_press_ms", |walk, item| walk.whole(item, 200..=5_000, " ms"));
    set(&mut panel.long_press, long_press.map(|ms| Duration::from_millis(u64::from(ms))));
    panel.keys = read_keys(walk, &mut section);
    if let Some(item) = section.item(walk, "map") {
        panel.maps = walk.tables(&item).into_iter().filter_map(|section| read_map(walk, section)).collect();
    }
    if let Some(item) = section.item(walk, "tsl") {
        panel.tsl = walk.tables(&item).into_iter().filter_map(|section| read_tsl(walk, section)).collect();
    }
    section.finish(walk);
}

/// One place, or a list of them.
fn read_serial(walk: &mut Walk<'_>, item: &Item<'_>) -> Vec<SerialPlace> {
    let mut places: Vec<SerialPlace> = Vec::new();
    for item in walk.one_or_more(item) {
        let Some(place) = read_place(walk, &item) else { continue };
        if places.contains(&place) {
            walk.wrong(&item, format!("{} is given twice", quoted(&place.to_string())), "each place once");
        } else if places.len() == MAX_SERIAL {
            walk.wrong(&item, "is one place too many", format!("at most {MAX_SERIAL}"));
        } else {
            places.push(place);
        }
    }
    places
}

fn read_place(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<SerialPlace> {
    const ALLOWED: &str =
        "a device's path, \"usb:VENDOR:PRODUCT\" or \"usb:VENDOR:PRODUCT:SERIAL\", or a list of those";
    let text = walk.text(item, ALLOWED)?;
    let Some(identity) = text.strip_prefix("usb:") else {
        return walk.path(item).map(SerialPlace::Path);
    };
    let mut parts = identity.splitn(3, ':');
    let mut id = || parts.next().filter(|part| part.len() == 4).and_then(|part| u16::from_str_radix(part, 16).ok());
    let (vendor, product) = (id(), id());
    let serial = parts.next().map(str::to_owned);
    let fits = serial.as_ref().is_none_or(|serial| !serial.is_empty() && serial.len() <= 126);
    match (vendor, product) {
        (Some(vendor), Some(product)) if fits => Some(SerialPlace::Usb { vendor, product, serial }),
        _ => {
            walk.wrong(item, format!("is {}", quoted(text)), ALLOWED);
            None
        }
    }
}

fn read_gpio(walk: &mut Walk<'_>, mut section: Section<'_>) -> Option<GpioConfig> {
    let mut taken = BTreeMap::new();
    let allowed = "a chip's name or path: \"gpiochip0\"";
    let chip = section.need(walk, "chip", allowed, |walk, item| walk.name(item, 128));
    let mut lines = |walk: &mut Walk<'_>, name| {
        section.item(walk, name).map(|item| read_lines(walk, &item, &mut taken)).unwrap_or_default()
    };
    let (keys, red, green) = (lines(walk, "keys"), lines(walk, "red"), lines(walk, "green"));
    let active_low = section.read(walk, "active_low", Walk::boolean).unwrap_or(true);
    let pulls = [("up", Pull::Up), ("down", Pull::Down), ("none", Pull::None)];
    let pull = section.read(walk, "pull", |walk, item| walk.choice(item, &pulls)).unwrap_or_default();
    section.finish(walk);
    Some(GpioConfig { chip: chip?, keys, red, green, active_low, pull })
}

/// Line numbers; no line is used twice.
fn read_lines(walk: &mut Walk<'_>, item: &Item<'_>, taken: &mut BTreeMap<u32, String>) -> Vec<u32> {
    let mut lines = Vec::new();
    for place in walk.one_or_more(item) {
        let Some(line) = walk.whole(&place, 0..=MAX_LINE, "") else { continue };
        if let Some(other) = taken.insert(line, item.key.clone()) {
            walk.wrong(&place, format!("line {line} is used by {other} already"), "each line once");
        }
        lines.push(line);
    }
    if lines.len() > usize::from(MAX_KEYS) {
        walk.wrong(item, format!("holds {} lines", lines.len()), format!("at most {MAX_KEYS}"));
    }
    lines
}

fn read_keys(walk: &mut Walk<'_>, section: &mut Section<'_>) -> Vec<(Trigger, Action)> {
    let Some(keys) = section.read(walk, "keys", Walk::table) else { return Vec::new() };
    keys.into_items(walk).iter().filter_map(|(name, item)| read_key(walk, name, item)).collect()
}

fn read_map(walk: &mut Walk<'_>, mut section: Section<'_>) -> Option<PanelMap> {
    let allowed = "a panel's name or its device, as `cuebox ctl status --json` has them";
    let panel = section.need(walk, "panel", allowed, |walk, item| walk.name(item, 128));
    let mode = section.read(walk, "mode", |walk, item| walk.choice(item, &MODES));
    let keys = read_keys(walk, &mut section);
    section.finish(walk);
    Some(PanelMap { panel: panel?, mode, keys })
}

fn read_key(walk: &mut Walk<'_>, name: &str, item: &Item<'_>) -> Option<(Trigger, Action)> {
    const TRIGGERS: &str = "a key \"3\", a long press \"3 long\", a chord \"1+6\"";
    let trigger = Trigger::from_words(name);
    if trigger.is_none() {
        walk.wrong(item, "is no key", TRIGGERS);
    }
    let allowed = "\"slot 1\"–\"slot 5\", \"slate\", \"hold\", \"record\", \"stream\", \"lock\", \"none\", a command of `cuebox ctl`";
    let words = walk.text(item, allowed)?;
    match Action::from_words(words) {
        Ok(action) => trigger.map(|trigger| (trigger, action)),
        Err(why) => {
            walk.wrong(item, format!("is {}: {why}", quoted(words)), allowed);
            None
        }
    }
}

fn read_tsl(walk: &mut Walk<'_>, mut section: Section<'_>) -> Option<TslConfig> {
    let versions = [("3.1", TslVersion::V31), ("5.0", TslVersion::V50Udp), ("5.0 tcp", TslVersion::V50Tcp)];
    let address = section.need(walk, "address", "\"HOST:PORT\"", read_address);
    let version = section.read(walk, "version", |walk, item| walk.choice(item, &versions)).unwrap_or(TslVersion::V31);
    // Five slots follow each other.
    let last = if version == TslVersion::V31 { u32::from(V31_ADDRESSES) - 4 } else { 65_530 };
    let first = section.read(walk, "first", |walk, item| walk.whole(item, 0..=last, ""));
    let screen_item = section.item(walk, "screen");
    let screen = screen_item.as_ref().and_then(|item| walk.whole(item, 0..=65_534, ""));
    if let Some(item) = screen_item.filter(|_| version == TslVersion::V31) {
        walk.wrong(&item, "is given with version 3.1, which has none", "only with version \"5.0\"");
    }
    section.finish(walk);
    let small = |number: u32| u16::try_from(number).unwrap_or_default();
    Some(TslConfig { address: address?, version, first: first.map_or(1, small), screen: screen.map_or(0, small) })
}

fn read_address(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<String> {
    const ALLOWED: &str = "\"HOST:PORT\"";
    let text = walk.text(item, ALLOWED)?;
    let good = text.rsplit_once(':').filter(|(host, port)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        !host.is_empty()
            && host.len() <= 253
            && host.chars().all(plain)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if good.is_none() {
        walk.wrong(item, format!("is {}", quoted(text)), ALLOWED);
    }
    good.map(|_| text.to_owned())
}
