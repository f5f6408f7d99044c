//! Recorded shows as tables for people. What the box tells of them is read by name, so that a box of a newer version
//! can tell more.

use serde_json::Value;

use super::table::{bytes, span_of_time};
use super::text::{Line, Span, columns, dim, plain};

pub(in crate::cli) fn list(shows: &Value) -> String {
    let shows = shows.as_array().map(Vec::as_slice).unwrap_or_default();
    if shows.is_empty() {
        return "No show was recorded yet.\n".to_owned();
    }
    let row = |show: &Value| {
        let ended = if show["ended"].is_null() { "runs" } else { "ended" };
        vec![
            plain(text(show, "id")),
            plain(text(show, "name")),
            plain(text(show, "started")),
            plain(show["ended"].as_str().unwrap_or(ended)),
            plain(format!("{:>5}", number(show, "files"))),
            plain(format!("{:>9}", bytes(number(show, "bytes")))),
        ]
    };
    print(columns(
        [heading(["ID", "NAME", "STARTED", "ENDED", "FILES", "SIZE"])]
            .into_iter()
            .chain(shows.iter().map(row))
            .collect(),
    ))
}

pub(in crate::cli) fn one(show: &Value) -> String {
    let mut lines = vec![
        Line(vec![plain(text(show, "name")), dim(format!("  {}", text(show, "id")))]),
        Line(vec![dim(format!(
            "{}, {} frames/s, started {}",
            text(show, "size"),
            number(show, "fps"),
            text(show, "started")
        ))]),
        Line::default(),
    ];
    let fps = number(show, "fps").max(1);
    let segment = |segment: &Value| {
        let flag = |key: &str| segment[key].as_bool().unwrap_or_default();
        let state = match (flag("sealed"), flag("clean")) {
            (false, _) => "grows",
            (true, true) => "sealed",
            (true, false) => "sealed, not in order",
        };
        let frames = number(segment, "frames");
        // Of a file that grows, nobody has counted the frames yet.
        let counted = |text: String| if flag("sealed") { text } else { String::new() };
        vec![
            plain(text(segment, "file")),
            plain(format!("{:>10}", number(segment, "first_frame"))),
            plain(counted(format!("{frames:>8}"))),
            plain(counted(span_of_time(frames as f64 / fps as f64))),
            plain(format!("{:>9}", bytes(number(segment, "bytes")))),
            plain(state),
        ]
    };
    let segments = show["segments"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = [heading(["FILE", "FROM FRAME", "FRAMES", "LENGTH", "SIZE", "STATE"])].into_iter();
    lines.extend(columns(rows.chain(segments.iter().map(segment)).collect()));
    let timeline = show["timeline"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !timeline.is_empty() {
        lines.push(Line::default());
        let rows = [heading(["FRAME", "TIME", "WHAT", "BY"])].into_iter();
        lines.extend(columns(rows.chain(timeline.iter().map(entry)).collect()));
    }
    print(lines)
}

fn entry(entry: &Value) -> Vec<Span> {
    let detail = ["slot", "name", "text", "why"].into_iter().find_map(|key| match &entry[key] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(format!("slot {number}")),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    let what = text(entry, "kind").replace('_', " ");
    vec![
        plain(format!("{:>8}", number(entry, "frame"))),
        plain(clock(number(entry, "t_ns"))),
        plain(detail.map_or(what.clone(), |detail| format!("{what}: {detail}"))),
        plain(text(entry, "by")),
    ]
}

/// Hours, minutes, seconds and milliseconds into the show.
fn clock(t_ns: u64) -> String {
    let ms = t_ns / 1_000_000;
    format!("{}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}

fn heading<const N: usize>(titles: [&str; N]) -> Vec<Span> {
    titles.into_iter().map(dim).collect()
}

fn print(lines: Vec<Line>) -> String {
    let coloured = super::coloured();
    lines.iter().map(|line| line.print(None, coloured) + "\n").collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_show_is_told_with_its_files_and_its_timeline() {
        let show = json!({
            "id": "20261121-183005-3f2a", "name": "Anna and Ben", "started": "2026-11-21T18:30:05Z", "ended": null,
            "size": "1280x720", "fps": 30, "files": 1, "bytes": 1_500_000,
            "segments": [{"file": "shows/20261121-183005-3f2a/program/0001.mp4", "first_frame": 0, "frames": 3600,
                "bytes": 1_500_000, "sealed": true, "clean": true}],
            "timeline": [{"frame": 0, "t_ns": 0, "kind": "show_started", "name": "Anna and Ben"},
                {"frame": 111_690, "t_ns": 3_723_004_000_000_u64, "kind": "on_air", "slot": 3, "by": "panel"}],
        });
        let told = one(&show);
        let squeezed = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "Anna and Ben 20261121-183005-3f2a 1280x720, 30 frames/s, started 2026-11-21T18:30:05Z",
            "program/0001.mp4 0 3600 2 min 1.5 MB sealed",
            "0 0:00:00.000 show started: Anna and Ben",
            "111690 1:02:03.004 on air: slot 3 panel",
        ] {
            assert!(squeezed.contains(part), "{part} is not in\n{told}");
        }
        let all = list(&json!([show]));
        assert!(all.contains("2026-11-21T18:30:05Z  runs"), "{all}");
        assert_eq!(list(&json!([])), "No show was recorded yet.\n");
    }
}
