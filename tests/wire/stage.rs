//! A box on its line with the servers of the world, and the questions that every wire test asks at its end: do the
//! recordings miss nothing, and did no secret get out.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bench;
use super::harness::{CueBox, Folder, manifest, program, segments};
use super::lab::{Lab, Side, WORLD, tool};
use super::marks;
use super::servers::{self, API_KEY, API_SECRET, LIVEKIT_PORT, Nginx, RTMP_PORT, STREAM_KEY, Server};
use super::viewer::Viewer;

pub const ROOM: &str = "wedding-42";
pub const IDENTITY: &str = "hall-1";

/// The line, and whatever stands in the world.
pub struct Stage {
    // Dropped in this order: servers before the line that holds their namespace.
    pub livekit: Option<Server>,
    pub nginx: Option<Nginx>,
    pub lab: Lab,
    pub folder: Folder,
}

impl Stage {
    /// A line without servers.
    pub fn bare(name: &str) -> Self {
        let folder = Folder::new(&format!("wire-{name}"));
        for (file, secret) in [("api-secret", API_SECRET), ("stream-key", STREAM_KEY)] {
            std::fs::write(folder.path().join(file), secret).unwrap();
        }
        Self { livekit: None, nginx: None, lab: Lab::new(), folder }
    }

    pub fn with_livekit(self) -> Self {
        self.with_livekit_and("enabled: false")
    }

    /// `turn`: of LiveKit's own TURN server.
    pub fn with_livekit_and(mut self, turn: &str) -> Self {
        self.livekit = Some(servers::livekit(&self.lab, self.folder.path(), turn));
        self
    }

    pub fn with_rtmp(mut self) -> Self {
        self.nginx = Some(Nginx::start(&self.lab, self.folder.path()));
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a box at its end of the line and waits until it answers.
    #[track_caller]
    pub fn start(&self, config: &str) -> CueBox {
        let command = self.lab.command(Side::Box, program());
        let cuebox = CueBox::spawn_as(command, &self.folder, config, &[]);
        cuebox.wait("the box answers", 30, |_| true);
        cuebox
    }

    pub fn viewer(&self) -> Viewer {
        self.viewer_of(ROOM, "viewer")
    }

    pub fn viewer_of(&self, room: &str, identity: &str) -> Viewer {
        Viewer::join(&self.lab, room, identity, &self.path().join(format!("{room}-{identity}.jsonl")))
    }

    /// What a host does in the room; gives what it prints.
    #[track_caller]
    pub fn host(&self, words: &[&str]) -> String {
        let url = format!("ws://{WORLD}:{LIVEKIT_PORT}");
        let output = self
            .lab
            .command(Side::World, &bench::python())
            .args([&tool("admin.py"), &url, API_KEY, API_SECRET])
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "host {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends the box in order; then no secret may be in anything that it wrote or said.
    #[track_caller]
    pub fn end(&self, cuebox: CueBox) -> PathBuf {
        let said = cuebox.status().map(|status| status.to_string()).unwrap_or_default();
        let show = cuebox.show();
        let log = cuebox.log();
        cuebox.stop();
        assert_no_secret("the status", &said);
        assert_no_secret("the log", &log);
        for file in texts(&self.path().join("data")) {
            let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
            assert_no_secret(&file.display().to_string(), &text);
        }
        show
    }
}

/// A LiveKit leg of rank 1 at `address`, which mints its own tokens; `extra` adds keys.
pub fn livekit_leg(url: &str, extra: &str) -> String {
    format!(
        "[[leg]]\nname = \"livekit\"\nkind = \"livekit\"\nuplink = 1\nurl = \"{url}\"\nroom = \"{ROOM}\"\n\
         identity = \"{IDENTITY}\"\ntoken = {{ key = \"{API_KEY}\", secret_file = \"api-secret\" }}\n{extra}\n"
    )
}

/// LiveKit's server of the world, without anything between.
pub fn livekit_url() -> String {
    format!("ws://{WORLD}:{LIVEKIT_PORT}")
}

/// An RTMP leg of rank 2.
pub fn backup_leg() -> String {
    format!(
        "[[leg]]\nname = \"backup\"\nkind = \"rtmp\"\nuplink = 2\nurl = \"rtmp://{WORLD}:{RTMP_PORT}/live\"\n\
         stream_key_file = \"stream-key\"\n"
    )
}

/// The leg of that name in a status.
pub fn leg<'a>(status: &'a Value, name: &str) -> &'a Value {
    let legs = status["legs"].as_array();
    legs.and_then(|legs| legs.iter().find(|leg| leg["name"] == name)).unwrap_or(&Value::Null)
}

pub fn why(status: &Value, name: &str) -> String {
    leg(status, name)["why"].as_str().unwrap_or_default().to_lowercase()
}

pub fn is(status: &Value, name: &str, state: &str) -> bool {
    leg(status, name)["state"] == state
}

/// Frames of the program that begin while the cameras themselves come up; one that has just come may be late.
const COMES_UP: usize = 15;

/// Of so many frames one may show the picture before: the servers and viewers of a test take this machine's processors
/// from its cameras for a moment. That nothing else repeats a frame is proved without them.
const ONE_LATE_IN: usize = 500;

/// The tracks' recordings are one segment each, sealed in order, their frames where the clock says they belong.
#[track_caller]
pub fn assert_recordings_whole(show: &Path, tracks: &[&str], width: usize, height: usize) {
    let origin = manifest(show)["origin"].as_u64().unwrap();
    for track in tracks {
        let segments = segments(show, track);
        assert_eq!(segments.len(), 1, "{track}: the recording was cut");
        let (file, entry) = &segments[0];
        assert_eq!(entry["clean"], true, "{track}");
        let (first, frames) = (entry["first_frame"].as_u64().unwrap(), entry["frames"].as_u64().unwrap());
        let marks = marks::read(file, width, height);
        assert_eq!(marks.len() as u64, frames, "{track}");
        let mut wrong = Vec::new();
        for (k, mark) in marks.iter().enumerate() {
            let expected = ((origin + first + k as u64) & 0xff_ffff) as u32;
            if k >= COMES_UP && mark.is_some_and(|mark| mark.frame != expected) {
                wrong.push(k);
            }
        }
        assert!(
            wrong.len() <= marks.len() / ONE_LATE_IN,
            "{track}: {} of {frames} frames are not their own, at {wrong:?}",
            wrong.len()
        );
    }
}

#[track_caller]
fn assert_no_secret(place: &str, text: &str) {
    // A JSON web token begins with its header, `{"alg":` or `{"typ":` in base 64.
    for secret in [API_SECRET, STREAM_KEY, "eyJhbGciOi", "eyJ0eXAiOi"] {
        assert!(!text.contains(secret), "{place} holds a secret: {secret}");
    }
}

/// Everything under a folder that is not media.
fn texts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else if path.extension().is_none_or(|extension| extension != "mp4") {
            found.push(path);
        }
    }
    found
}
