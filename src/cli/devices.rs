//! `cuebox devices`: what is plugged in, as a technician reads it over the phone: a table with a line for each camera, then
//! all there is to know of each. Which slot a camera would take is asked of the director itself, which is given what the
//! box remembers of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use cuebox_core::config::Config;
use cuebox_core::device::{Camera, Control, ModeGroup, PixelFormat, Signal};
use cuebox_core::director::{CaptureSource, Director, Event};
use cuebox_core::ids::{Port, SlotId};
use cuebox_core::settings::Settings;
use cuebox_core::time::Mono;
use serde_json::json;

use crate::app::{self, FoundPanel, Plugged};

use super::Failure;
use super::config_file::Loaded;

/// Longer than a camera settles before it is opened.
const SETTLED: Mono = Mono(5_000_000_000);

type Seats = BTreeMap<Port, SlotId>;

pub(super) fn list(config: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let config = Loaded::load_without_secrets(config).map_err(|error| Failure::Failed(error.to_string()))?.config;
    let found = app::devices();
    let remembered = app::remembered(&config);
    let seats = seats(config, remembered, &found.cameras);
    let panels = app::panels();
    if !json {
        let text = describe(&found, &seats) + &describe_panels(&panels);
        return Ok(io::stdout().write_all(text.as_bytes())?);
    }
    let mut value = serde_json::to_value(&found).map_err(io::Error::other)?;
    for (index, camera) in found.cameras.iter().enumerate() {
        value["cameras"][index]["slot"] = json!(seats.get(&camera.port));
    }
    value["panels"] = json!(panels);
    Ok(writeln!(io::stdout(), "{value:#}")?)
}

/// Which cameras a box that starts now would open, and in which slots.
fn seats(config: Config, remembered: Option<Settings>, cameras: &[Camera]) -> Seats {
    let mut director = Director::new(config, 0, Mono::default());
    if let Some(settings) = remembered {
        director.restore(settings);
    }
    let mut now = Mono::default();
    for camera in cameras {
        director.handle(now, Event::CameraPlugged(camera.clone()));
        // Cameras come one after the other, so that ties are resolved as they are at a start.
        now = now + Duration::from_nanos(1);
    }
    while let Some((at, _)) = director.poll_deadline().filter(|(at, _)| *at < SETTLED) {
        while director.poll_effect().is_some() {}
        director.handle(at, Event::DeadlineReached);
    }
    let port_of = |node: &str| cameras.iter().find(|camera| camera.node == node).map(|camera| camera.port.clone());
    let opened = director.wanted().captures.iter().filter_map(|(slot, capture)| match &capture.source {
        CaptureSource::V4l2 { node, .. } => Some((port_of(node)?, *slot)),
        CaptureSource::Test { .. } | CaptureSource::File { .. } | CaptureSource::Network { .. } => None,
    });
    opened.collect()
}

fn describe(found: &Plugged, seats: &Seats) -> String {
    let mut text = String::new();
    if found.cameras.is_empty() {
        text.push_str("No camera is plugged in.\n");
    } else {
        text.push_str(&table(found, seats));
    }
    for (number, camera) in found.cameras.iter().enumerate() {
        describe_camera(&mut text, number + 1, camera, seats.get(&camera.port));
    }
    for broken in &found.unusable {
        let _ = writeln!(text, "Cannot be used: {} ({})\n  {}\n", broken.port, broken.node, printable(&broken.why));
    }
    let paired: BTreeSet<_> = found.cameras.iter().filter_map(|camera| camera.card.as_deref()).collect();
    let single: Vec<_> = found.sound.iter().filter(|card| !paired.contains(card.device.as_str())).collect();
    if !single.is_empty() {
        text.push_str("Other sound cards (for a slot's `audio`):\n");
    }
    for card in single {
        let _ = writeln!(text, "  {}  {}  at {}", card.device, printable(&card.name), card.port);
    }
    text
}

/// A line for each camera: its number here, the slot that it would take, port, signal, name.
fn table(found: &Plugged, seats: &Seats) -> String {
    let row = |(number, camera): (usize, &Camera)| {
        let slot = seats.get(&camera.port).map_or_else(|| "none".to_owned(), |slot| format!("slot {slot}"));
        let port = camera.port.short().unwrap_or_else(|| camera.port.to_string());
        [(number + 1).to_string(), slot, port, signal(camera.signal).to_owned(), printable(&camera.name)]
    };
    let heads = ["#", "takes", "port", "signal", "name"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heads).chain(found.cameras.iter().enumerate().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", row[4]);
    }
    text.push('\n');
    text
}

const fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Untold => "-",
        Signal::Good => "good",
        Signal::None => "no signal",
        Signal::Unlocked => "no lock",
        Signal::OutOfRange => "out of range",
    }
}

fn describe_panels(panels: &[FoundPanel]) -> String {
    let mut text = String::new();
    if !panels.is_empty() {
        text.push_str("Panels, and what could be one (for `[panel]`):\n");
    }
    for panel in panels {
        let _ = writeln!(text, "  {}  {}  at {}", panel.config, printable(&panel.name), printable(&panel.device));
        if let Some(why) = &panel.why {
            let _ = writeln!(text, "    cannot be used: {}", printable(why));
        }
    }
    text
}

fn describe_camera(text: &mut String, number: usize, camera: &Camera, slot: Option<&SlotId>) {
    let _ = writeln!(text, "Camera {number}: {}", printable(&camera.name));
    let _ = writeln!(text, "  port     {}", camera.port);
    let slot = slot.map_or_else(|| "none: no free slot wants it, it is left alone".to_owned(), ToString::to_string);
    let _ = writeln!(text, "  slot     {slot}");
    if let Some(serial) = &camera.serial {
        let _ = writeln!(text, "  serial   {}", printable(serial));
    }
    let _ = writeln!(text, "  sound    {}", camera.card.as_deref().unwrap_or("none of its own"));
    for (row, format) in formats(&camera.modes).into_iter().enumerate() {
        let _ = writeln!(text, "  {:<8} {format}", if row == 0 { "formats" } else { "" });
    }
    for (row, control) in camera.controls.iter().enumerate() {
        let _ = writeln!(text, "  {:<8} {}", if row == 0 { "controls" } else { "" }, describe_control(control));
    }
    let _ = writeln!(text, "  now at   {}\n", camera.node);
}

/// `name = value (allowed; default)`, as the configuration takes it.
fn describe_control(control: &Control) -> String {
    let Control { name, min, max, default, value, menu, .. } = control;
    let choices: Vec<String> = menu.iter().map(|(value, name)| format!("{value} {}", printable(name))).collect();
    let allowed = if choices.is_empty() { format!("{min} to {max}") } else { choices.join(", ") };
    format!("{name} = {value}  ({allowed}; default {default})")
}

/// One line for each pixel format: its sizes, largest first, with the highest rate of each.
fn formats(modes: &[ModeGroup]) -> Vec<String> {
    let kinds: BTreeSet<_> = modes.iter().map(|mode| mode.format).collect();
    let line = |kind: PixelFormat| {
        let mut sizes: Vec<_> = modes.iter().filter(|mode| mode.format == kind).collect();
        sizes.sort_by_key(|mode| std::cmp::Reverse((u64::from(mode.width) * u64::from(mode.height), mode.width)));
        let size = |mode: &&ModeGroup| {
            let fastest = mode.rates.iter().map(|rate| rate.fps()).fold(0.0, f64::max);
            format!("{}x{} {}/s", mode.width, mode.height, (fastest * 100.0).round() / 100.0)
        };
        format!("{:<6} {}", name(kind), sizes.iter().map(size).collect::<Vec<_>>().join(", "))
    };
    kinds.into_iter().map(line).collect()
}

const fn name(format: PixelFormat) -> &'static str {
    match format {
        PixelFormat::Nv12 => "NV12",
        PixelFormat::Yuyv => "YUYV",
        PixelFormat::Uyvy => "UYVY",
        PixelFormat::Mjpeg => "MJPEG",
        PixelFormat::H264 => "H.264",
    }
}

/// Names come from devices: what could steer a terminal is blanked.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use cuebox_core::device::Rate;
    use cuebox_core::ids::Port;

    use super::*;

    fn plugged(cameras: Vec<Camera>) -> Plugged {
        Plugged { cameras, sound: Vec::new(), unusable: Vec::new(), usb: Vec::new() }
    }

    #[test]
    fn a_camera_is_told_by_its_port_with_its_formats_largest_first() {
        let mode = |format, width, height, fps| ModeGroup {
            format,
            width,
            height,
            rates: vec![Rate::new(5, 1), Rate::new(fps, 1)],
        };
        let camera = Camera {
            port: Port::new("usb-0000:01:00.0-1.2"),
            name: "Cam\u{1b}[2J Link".to_owned(),
            serial: None,
            node: "/dev/video0".to_owned(),
            modes: vec![
                mode(PixelFormat::Yuyv, 640, 480, 30),
                mode(PixelFormat::Mjpeg, 1920, 1080, 30),
                mode(PixelFormat::Yuyv, 1280, 720, 10),
            ],
            card: Some("hw:CARD=Link,DEV=0".to_owned()),
            signal: Signal::Untold,
            controls: vec![Control {
                id: 9,
                name: "power_line_frequency".to_owned(),
                min: 0,
                max: 2,
                step: 1,
                default: 2,
                value: 1,
                menu: vec![(0, "Disabled".to_owned()), (1, "50 Hz".to_owned())],
                leads: false,
            }],
        };
        let found = plugged(vec![camera]);
        let seats = seats(Config::default(), None, &found.cameras);
        let expected = "\
#  takes   port     signal  name
1  slot 1  usb-1.2  -       Cam [2J Link

Camera 1: Cam [2J Link
  port     usb-0000:01:00.0-1.2
  slot     1
  sound    hw:CARD=Link,DEV=0
  formats  YUYV   1280x720 10/s, 640x480 30/s
           MJPEG  1920x1080 30/s
  controls power_line_frequency = 1  (0 Disabled, 1 50 Hz; default 2)
  now at   /dev/video0

";
        assert_eq!(describe(&found, &seats), expected);
    }

    #[test]
    fn nothing_plugged_in_is_said() {
        let found = plugged(Vec::new());
        assert_eq!(describe(&found, &Seats::new()), "No camera is plugged in.\n");
    }

    #[test]
    fn a_camera_is_told_the_slot_that_is_configured_for_its_port() {
        let camera = |port: &str| Camera {
            port: Port::new(port),
            name: "Camera".to_owned(),
            serial: None,
            node: format!("/dev/video-{port}"),
            modes: vec![ModeGroup {
                format: PixelFormat::Yuyv,
                width: 1280,
                height: 720,
                rates: vec![Rate::new(30, 1)],
            }],
            card: None,
            signal: Signal::Good,
            controls: Vec::new(),
        };
        let cameras: Vec<_> = ["usb-1", "usb-2", "usb-3"].map(camera).into();
        let text = "[[slot]]\nnumber = 4\nsource = { kind = \"v4l2\", port = \"usb-2\" }\n\
                    [[slot]]\nnumber = 5\nsource = { kind = \"v4l2\" }\n";
        let config = cuebox_core::config::parse(text, "/etc", &|_| Ok(String::new())).unwrap().config;
        let told: Vec<_> =
            seats(config, None, &cameras).into_iter().map(|(port, slot)| (port.to_string(), slot.number())).collect();
        assert_eq!(told, [("usb-1".to_owned(), 5), ("usb-2".to_owned(), 4)]);
    }
}
