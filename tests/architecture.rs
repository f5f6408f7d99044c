//! The import law: who may know whom. Reads the `use` lines and paths of the sources and fails with the rule's text.

#![expect(clippy::unwrap_used, reason = "a test stops where it cannot read the sources")]

use std::path::{Path, PathBuf};

/// (names that are imported, folders or files that may do so, the rule)
const LAW: &[(&[&str], &[&str], &str)] = &[
    (
        &["gst::", "gst_app::", "gst_video::", "gst_audio::", "gst_base::", "gst_utils::"],
        &["src/media/"],
        "GStreamer is imported under src/media alone: every other part speaks of facts and wishes",
    ),
    (&["rusqlite::"], &["src/vault/"], "the index belongs to src/vault alone"),
    (&["rumqttc::"], &["src/remote/"], "MQTT belongs to src/remote alone"),
    (&["axum::"], &["src/console/"], "the HTTP surface belongs to src/console alone"),
    (
        &["reqwest::"],
        &["src/platform/", "src/media/publish/whip/"],
        "calls over HTTP belong to src/platform, and to WHIP, whose signalling is one",
    ),
    (
        &["tokio_serial::", "gpiocdev::", "evdev::", "jpeg_encoder::", "font8x8::"],
        &["src/panel/"],
        "keys and lamps belong to src/panel alone",
    ),
    (
        &["embedded_hal::", "embedded_io::"],
        &["src/panel/", "src/bin/cuebox-panel-sim/"],
        "pins and firmware belong to src/panel, board/panel and the simulated panel",
    ),
    (&["clap::", "clap_complete::"], &["src/cli/", "src/main.rs"], "the command line belongs to src/cli alone"),
];

/// Shells, each of which may be named by itself and by the wiring only.
const SHELLS: &[&str] = &["cli", "console", "devices", "media", "panel", "platform", "remote", "supervise", "vault"];
const WIRING: &[&str] = &["src/app.rs", "src/app/", "src/lib.rs", "src/main.rs"];

/// What a pure core must not touch.
const IMPURE: &[&str] = &[
    "gst::",
    "tokio::",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant::now",
    "SystemTime",
    "axum::",
    "rusqlite::",
    "tracing::",
];

#[test]
fn foreign_crates_stay_in_the_shell_that_owns_them() {
    let broken: Vec<String> = sources("src")
        .iter()
        .flat_map(|file| {
            LAW.iter().flat_map(move |(names, homes, rule)| {
                let lines = if homes.iter().any(|home| file.path.starts_with(home)) { &[] } else { &file.lines[..] };
                let hit = |line: &&(usize, String)| names.iter().any(|name| mentions(&line.1, name));
                lines.iter().filter(hit).map(|(n, _)| format!("{}:{n}: {rule}", file.path)).collect::<Vec<_>>()
            })
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_shell_never_names_another_shell() {
    let mut broken = Vec::new();
    for file in sources("src") {
        if WIRING.iter().any(|wiring| file.path.starts_with(wiring)) {
            continue;
        }
        let own = file.path.split('/').nth(1).unwrap_or_default().trim_end_matches(".rs").to_owned();
        for (n, line) in &file.lines {
            // The command line starts the service, so it may name the wiring and read what the devices shell lists.
            let allowed = |shell: &str| shell == own || (own == "cli" && ["devices", "supervise"].contains(&shell));
            for shell in SHELLS.iter().filter(|shell| !allowed(shell)) {
                if line.contains(&format!("crate::{shell}::")) || line.contains(&format!("cuebox::{shell}::")) {
                    broken.push(format!("{}:{n}: shells know the core and never each other (`{shell}`)", file.path));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let mut broken = Vec::new();
    for file in sources("core/src") {
        for (n, line) in &file.lines {
            if let Some(name) = IMPURE.iter().find(|name| mentions(line, name)) {
                broken.push(format!("{}:{n}: the core has no clock, file, socket or thread (`{name}`)", file.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_law_sees_what_it_forbids() {
    assert!(mentions("use gst::prelude::*;", "gst::"));
    assert!(mentions("    let x = std::fs::read(path);", "std::fs"));
    assert!(!mentions("let longest::<u8> = 1;", "gst::"));
    assert!(sources("src").len() > 10 && sources("core/src").len() > 10);
}

struct Source {
    path: String,
    /// Line numbers and code, without comments.
    lines: Vec<(usize, String)>,
}

/// The name stands there as a whole word.
fn mentions(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join(folder), &mut files);
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
            let lines = text.lines().enumerate().map(|(n, line)| (n + 1, code(line))).collect();
            Source { path: file.strip_prefix(root).unwrap().display().to_string(), lines }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
