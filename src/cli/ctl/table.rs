//! The status as a table for people: what is on air first, then what feeds it, what it feeds, and what is wrong.

use cuebox_core::director::Medium;
use cuebox_core::document::{Document, Encode, Leg, Recording, Slot};
use cuebox_core::ids::SlotId;
use cuebox_core::status::{LegState, RecordingState, Severity, SlotState};

use super::text::{Line, Paint, Span, columns, dim, plain};

/// The whole table, one line each, cut to `width` characters.
pub(super) fn draw(document: &Document, width: Option<usize>, coloured: bool) -> String {
    lines(document).iter().map(|line| line.print(width, coloured) + "\n").collect()
}

pub(super) fn lines(document: &Document) -> Vec<Line> {
    let mut lines = head(document);
    lines.push(Line::default());
    lines.extend(columns(
        [slot_heading()].into_iter().chain(document.slots.iter().map(|slot| slot_row(document, slot))).collect(),
    ));
    lines.extend(document.spare.iter().map(|spare| {
        Line(vec![dim("  spare  "), plain(format!("{} at {}", spare.name, spare.port)), dim(": no slot is for it")])
    }));
    if !document.legs.is_empty() {
        lines.push(Line::default());
        lines.extend(viewers(document));
        lines.extend(columns([leg_heading()].into_iter().chain(document.legs.iter().map(leg_row)).collect()));
    }
    if !document.encoders.is_empty() {
        lines.push(Line::default());
        let rows = document.encoders.iter().map(encode_row);
        lines.extend(columns([encode_heading()].into_iter().chain(rows).collect()));
    }
    if !document.alerts.is_empty() {
        lines.push(Line::default());
    }
    for alert in &document.alerts {
        let paint = match alert.severity {
            Severity::Warning => Paint::Warning,
            Severity::Error => Paint::Bad,
        };
        let since = dim(format!("  for {}", span_of_time(alert.since_s)));
        lines.push(Line(vec![Span::new(paint, format!("! {}", alert.text)), since]));
    }
    lines
}

fn head(document: &Document) -> Vec<Line> {
    let title = vec![
        Span::new(Paint::Strong, &document.box_id),
        dim(format!("  cuebox {}, up {}", document.version, span_of_time(document.uptime_s))),
    ];
    let show = match &document.show {
        Some(show) => {
            vec![label("show"), plain(&show.name), dim(format!("  {}, since {}", show.id, show.started))]
        }
        None => vec![label("show"), dim("none")],
    };
    vec![Line(title), Line(show), program(document), recording(&document.recording)]
}

fn program(document: &Document) -> Line {
    let program = &document.program;
    let mut spans = vec![label("on air")];
    match program.on_air {
        Some(slot) => spans.push(Span::new(Paint::Live, format!(" {} ", named(document, slot)))),
        None => {
            spans.push(Span::new(Paint::Alarm, " slate "));
            spans.extend(program.why.as_ref().map(|why| plain(format!("  {why}"))));
        }
    }
    spans.extend(program.armed.map(|slot| plain(format!("  going to {}", named(document, slot)))));
    spans.extend(program.preview.map(|slot| plain(format!("  preview {}", named(document, slot)))));
    if program.slate {
        spans.push(Span::new(Paint::Warning, "  slate is on"));
    }
    if program.held {
        spans.push(Span::new(Paint::Warning, "  held: no automatic changes"));
    }
    Line(spans)
}

fn named(document: &Document, slot: SlotId) -> String {
    match document.slots.iter().find(|entry| entry.number == slot) {
        Some(entry) => format!("{slot} {}", entry.name),
        None => slot.to_string(),
    }
}

fn recording(recording: &Recording) -> Line {
    let (text, paint) = match recording.state {
        RecordingState::Idle => ("off", Paint::Dim),
        RecordingState::Preparing => ("preparing", Paint::Warning),
        RecordingState::Recording => ("on", Paint::Good),
        RecordingState::Sealing => ("sealing", Paint::Warning),
        RecordingState::Failed => ("failed", Paint::Bad),
    };
    let mut spans = vec![label("recording"), Span::new(paint, text)];
    if recording.files > 0 {
        spans.push(plain(format!("  {} in {} files", bytes(recording.bytes), recording.files)));
    }
    if recording.free_bytes > 0 {
        spans.push(dim(format!("  {} free", bytes(recording.free_bytes))));
    }
    if let Some(minutes) = recording.minutes_left {
        spans.push(dim(format!(", enough for {}", span_of_time(minutes as f64 * 60.0))));
    }
    spans.extend(recording.why.as_ref().map(|why| Span::new(Paint::Warning, format!("  {why}"))));
    Line(spans)
}

fn label(text: &str) -> Span {
    dim(format!("{text:<11}"))
}

fn heading<const N: usize>(titles: [&str; N]) -> Vec<Span> {
    titles.into_iter().map(dim).collect()
}

fn slot_heading() -> Vec<Span> {
    heading(["  SLOT", "STATE", "FOR", "HEALTH", "FPS", "SOUND dBFS", "DEVICE, REASON"])
}

fn slot_row(document: &Document, slot: &Slot) -> Vec<Span> {
    let program = &document.program;
    let (mark, name_paint) = match Some(slot.number) {
        number if number == program.on_air => ("▶ ", Paint::Live),
        number if number == program.armed => ("▷ ", Paint::Strong),
        number if number == program.preview => ("▷ ", Paint::Plain),
        _ => ("  ", Paint::Plain),
    };
    let (state, paint) = match slot.state {
        SlotState::Empty => ("empty", Paint::Dim),
        SlotState::Settling => ("settling", Paint::Warning),
        SlotState::Opening => ("opening", Paint::Warning),
        SlotState::Live => ("live", Paint::Good),
        SlotState::NoSignal => ("no signal", Paint::Bad),
        SlotState::Stalled => ("stalled", Paint::Bad),
        SlotState::Cooling => ("cooling", Paint::Bad),
    };
    let live = slot.state == SlotState::Live;
    let shown = |text: String| if live { plain(text) } else { plain("") };
    let sound = slot.audio_dbfs.iter().map(|db| format!("{db:>6.1}")).collect::<Vec<_>>().join(" ");
    let mut detail: Vec<_> = slot.device.iter().chain(&slot.why).cloned().collect();
    detail.extend(slot.next_try_s.map(|seconds| format!("next try in {}", span_of_time(seconds))));
    vec![
        Span::new(name_paint, format!("{mark}{} {}", slot.number, slot.name)),
        Span::new(paint, state),
        plain(span_of_time(slot.since_s)),
        Span::new(if slot.health < 80 && live { Paint::Warning } else { Paint::Plain }, format!("{:>6}", slot.health)),
        shown(format!("{:.1}", slot.fps)),
        shown(sound),
        plain(detail.join(", ")),
    ]
}

/// Where a destination counts them.
fn viewers(document: &Document) -> Option<Line> {
    let now = document.viewers.now?;
    let peak = document.viewers.peak.map(|peak| dim(format!("  at most {peak}")));
    Some(Line([label("viewers"), plain(now.to_string())].into_iter().chain(peak).collect()))
}

fn leg_heading() -> Vec<Span> {
    heading(["  LEG", "STATE", "FOR", "RATE", "RTT", "LOST", "REASON"])
}

fn leg_row(leg: &Leg) -> Vec<Span> {
    let (state, paint) = match leg.state {
        LegState::Off => ("off", Paint::Dim),
        LegState::Trying => ("trying", Paint::Warning),
        LegState::Proving => ("proving", Paint::Warning),
        LegState::Carrying => ("carrying", Paint::Good),
        LegState::Standby => ("standby", Paint::Plain),
        LegState::Distressed => ("distressed", Paint::Bad),
        LegState::Refused => ("refused", Paint::Bad),
    };
    let carries = leg.bitrate_bps > 0;
    let mut detail: Vec<_> = leg.why.iter().cloned().collect();
    detail.extend(leg.next_try_s.map(|seconds| format!("next try in {}", span_of_time(seconds))));
    detail.extend(leg.muted.iter().map(|medium| match medium {
        Medium::Audio => "sound muted by the host".to_owned(),
        Medium::Video => "picture muted by the host".to_owned(),
    }));
    detail.extend(leg.quality_why.iter().cloned());
    // The uplink's rank, as on the air the first one that can carries.
    let rank = leg.uplink.map_or_else(|| " ".to_owned(), |rank| rank.to_string());
    vec![
        plain(format!("{rank} {} ({})", leg.name, leg.kind)),
        Span::new(paint, state),
        plain(span_of_time(leg.since_s)),
        plain(if carries { bitrate(leg.bitrate_bps) } else { String::new() }),
        plain(leg.rtt_ms.map(|ms| format!("{ms} ms")).unwrap_or_default()),
        plain(if leg.lost_percent > 0.0 { format!("{:.1} %", leg.lost_percent) } else { String::new() }),
        plain(detail.join(", ")),
    ]
}

fn encode_heading() -> Vec<Span> {
    heading(["  ENCODE", "BY", "SIZE", "RATE", "REASON"])
}

fn encode_row(encode: &Encode) -> Vec<Span> {
    vec![
        plain(format!("  {}", encode.job)),
        match &encode.element {
            Some(element) => plain(element),
            None => Span::new(Paint::Bad, "nobody"),
        },
        plain(format!("{}x{} {}/s", encode.width, encode.height, encode.fps)),
        plain(if encode.bitrate_bps > 0 { bitrate(encode.bitrate_bps) } else { String::new() }),
        plain(encode.why.as_deref().unwrap_or_default()),
    ]
}

/// Two digits of meaning are enough to read: `3 s`, `12 min`, `3 h 05 min`, `4 d 2 h`.
pub(super) fn span_of_time(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min", whole / 60),
        3_600..86_400 => format!("{} h {:02} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3_600 % 24),
    }
}

pub(super) fn bytes(count: u64) -> String {
    let scaled = |unit: u64| count as f64 / unit as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.0} kB", scaled(1_000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", scaled(1_000_000)),
        _ => format!("{:.1} GB", scaled(1_000_000_000)),
    }
}

fn bitrate(bps: u64) -> String {
    match bps {
        0..1_000_000 => format!("{:.0} kbit/s", bps as f64 / 1e3),
        _ => format!("{:.2} Mbit/s", bps as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        let slot = |number: u8, state: &str, why: Option<&str>| {
            json!({"number": number, "name": format!("Camera {number}"), "state": state, "since_s": 75.0, "why": why,
                "next_try_s": why.map(|_| 3.0), "health": 100, "fps": 30.0, "device": null, "audio_dbfs": [-18.2, -100.0]})
        };
        let status = json!({
            "box": "hall-1", "version": "0.1.0", "boot": "b", "seq": 4, "uptime_s": 11_100.0, "show": null,
            "program": {"on_air": 1, "armed": null, "preview": 2, "slate": false, "held": true, "why": null},
            "slots": [slot(1, "live", None), slot(2, "live", None), slot(3, "cooling", Some("the device is busy"))],
            "legs": [{"name": "backup", "kind": "rtmp", "state": "carrying", "why": null, "since_s": 9.0,
                "bitrate_bps": 2_450_000, "rtt_ms": 3, "lost_percent": 0.0, "next_try_s": null, "uplink": 2,
                "muted": ["audio"]}],
            "recording": {"state": "recording", "why": null, "bytes": 1_234_567_890, "free_bytes": 50_000_000_000_u64,
                "minutes_left": 812, "files": 6},
            "encoders": [{"job": "stream", "element": "x264enc", "bitrate_bps": 2_450_000, "width": 1280, "height": 720,
                "fps": 30, "why": null}],
            "probe": {"board": "", "working": [], "broken": []},
            "audio": {"mode": "follow", "slots": {}}, "viewers": {"now": 3, "peak": 9}, "panel": [], "locked": false,
            "spare": [{"port": "usb-6", "name": "USB Video"}], "mqtt": {"state": "off"}, "dropped": {}, "abandoned": 0,
            "alerts": [{"kind": "disk_slow", "severity": "warning", "text": "The disk is slow", "since_s": 5.0}],
        });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn the_table_reads_from_what_is_on_air_to_what_is_wrong() {
        let expected = "\
hall-1  cuebox 0.1.0, up 3 h 05 min
show       none
on air      1 Camera 1   preview 2 Camera 2  held: no automatic changes
recording  on  1.2 GB in 6 files  50.0 GB free, enough for 13 h 32 min

  SLOT        STATE    FOR    HEALTH  FPS   SOUND dBFS     DEVICE, REASON
▶ 1 Camera 1  live     1 min     100  30.0   -18.2 -100.0
▷ 2 Camera 2  live     1 min     100  30.0   -18.2 -100.0
  3 Camera 3  cooling  1 min     100                       the device is busy, next try in 3 s
  spare  USB Video at usb-6: no slot is for it

viewers    3  at most 9
  LEG            STATE     FOR  RATE         RTT   LOST  REASON
2 backup (rtmp)  carrying  9 s  2.45 Mbit/s  3 ms        sound muted by the host

  ENCODE  BY       SIZE           RATE         REASON
  stream  x264enc  1280x720 30/s  2.45 Mbit/s

! The disk is slow  for 5 s
";
        assert_eq!(draw(&document(), None, false), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [1, 20, 40, 79] {
            let drawn = draw(&document(), Some(width), false);
            assert!(drawn.lines().all(|line| line.chars().count() <= width), "{width}: {drawn}");
        }
        assert!(draw(&document(), Some(40), true).contains("\x1b["));
    }

    #[test]
    fn the_slate_says_why() {
        let mut document = document();
        document.program.on_air = None;
        document.program.why = Some("no camera is live".to_owned());
        assert!(draw(&document, None, false).contains("on air      slate   no camera is live"));
    }
}
