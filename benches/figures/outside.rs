//! An RTMP server that fails and comes back, and whoever pushes a camera to it: a source and a destination of a box.
//!
//! What fails again and again is tried more and more seldom, up to half a minute. A bench has no time for that: each time
//! the server comes back, the camera has another name, and the box is told so.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::harness::{CueBox, newest_show, pause, signal, until};
use super::meter::wait;
use super::nginx::configuration;
use super::service::{Process, config, service};

pub struct Outside {
    root: PathBuf,
    clip: PathBuf,
    port: u16,
    /// How often it was started.
    turn: usize,
    server: Option<Process>,
    pusher: Option<Process>,
}

impl Outside {
    /// Starts both; the camera is `clip`, again and again.
    pub fn start(root: &Path, clip: PathBuf) -> Self {
        let port = super::ports::free_port();
        let own = format!("rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}\n");
        std::fs::write(root.join("nginx.conf"), configuration(root, &own)).expect("a file");
        let mut outside = Self { root: root.to_owned(), clip, port, turn: 0, server: None, pusher: None };
        outside.serve();
        outside
    }

    /// Where streams go to and come from.
    pub fn url(&self) -> String {
        format!("rtmp://127.0.0.1:{}/live", self.port)
    }

    /// The camera's address at this turn.
    pub fn camera(&self) -> String {
        format!("{}/camera-{}", self.url(), self.turn)
    }

    /// As if its machine lost power.
    pub fn kill(&mut self) {
        (self.server, self.pusher) = (None, None);
    }

    /// Nothing comes any more, and nobody is told.
    pub fn stand_still(&self) {
        if let Some(server) = &self.server {
            signal(server.0.id(), "STOP");
        }
    }

    /// Serves again, and tells the box the camera's new address.
    pub fn come_back(&mut self, cuebox: &CueBox) {
        let before = self.camera();
        self.kill();
        self.turn += 1;
        self.serve();
        let text = std::fs::read_to_string(cuebox.config()).expect("the box's configuration");
        std::fs::write(cuebox.config(), text.replace(&before, &self.camera())).expect("a file");
        cuebox.done(&["reload"]);
    }

    fn serve(&mut self) {
        let mut nginx = Command::new("/usr/sbin/nginx");
        nginx.arg("-c").arg(self.root.join("nginx.conf")).arg("-p").arg(&self.root).stderr(Stdio::null());
        self.server = Some(Process(nginx.spawn().expect("nginx is installed")));
        until("nginx listens", 10, || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        self.keep_pushing();
    }

    /// It ends when the server does.
    pub fn keep_pushing(&mut self) {
        if self.pusher.as_mut().is_some_and(|pusher| pusher.0.try_wait().is_ok_and(|ended| ended.is_none())) {
            return;
        }
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "quiet", "-re", "-stream_loop", "-1", "-i"]).arg(&self.clip);
        ffmpeg.args(["-c", "copy", "-f", "flv", &self.camera()]).stdin(Stdio::null());
        self.pusher = ffmpeg.spawn().ok().map(Process);
    }
}

/// Eight seconds of a marked test camera at 640x360, as the box itself records it.
pub fn marked_clip(folder: &Path) -> PathBuf {
    let file = config(folder, 1, "640x360", "");
    let mut process = service(&file);
    wait(std::time::Duration::from_secs(10));
    // Ctrl-C, so that the recording is sealed.
    signal(process.0.id(), "INT");
    while process.0.try_wait().is_ok_and(|ended| ended.is_none()) {
        pause();
    }
    newest_show(&folder.join("data")).join("slot-1/0001.mp4")
}
