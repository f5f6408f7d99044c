//! The real servers that a box talks to, each on free loopback ports of its own; SIGKILLed when dropped.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use super::harness::{Folder, until};
use super::nginx::{Authority, configuration};
use super::ports::free_port;

/// A server's process, which a test may kill, freeze and start again.
pub struct Server {
    command: Command,
    child: Child,
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { command, child }
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.child = self.command.spawn().unwrap();
    }

    pub fn signal(&self, name: &str) {
        super::harness::signal(self.child.id(), name);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A frozen process dies of SIGKILL as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait_listening(what: &str, port: u16) {
    until(&format!("{what} listens"), 30, || TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// nginx with its RTMP module, and in front of it a TLS port for each authority.
pub struct Nginx {
    server: Server,
    pub port: u16,
    tls_ports: Vec<u16>,
}

impl Nginx {
    pub fn start(folder: &Folder) -> Self {
        Self::with_tls(folder, &[])
    }

    pub fn with_tls(folder: &Folder, authorities: &[&Authority]) -> Self {
        let port = free_port();
        let tls_ports: Vec<u16> = authorities.iter().map(|_| free_port()).collect();
        let front = |(authority, tls_port): (&&Authority, &u16)| {
            let lines = authority.certificate("DNS:localhost").lines();
            format!("server {{ listen 127.0.0.1:{tls_port} ssl; {lines} proxy_pass 127.0.0.1:{port}; }}\n")
        };
        let fronts: String = authorities.iter().zip(&tls_ports).map(front).collect();
        let conf = folder.path().join("nginx.conf");
        let own = format!(
            "rtmp {{ server {{ listen 127.0.0.1:{port}; chunk_size 4096; application live {{ live on; record off; }} }} }}\n\
             stream {{ {fronts} }}\n"
        );
        let text = configuration(folder.path(), &own);
        std::fs::write(&conf, text).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(conf).arg("-p").arg(folder.path());
        let nginx = Self { server: Server::start(command), port, tls_ports };
        wait_listening("nginx", port);
        nginx
    }

    pub fn kill(&mut self) {
        self.server.kill();
    }

    pub fn restart(&mut self) {
        self.server.restart();
        wait_listening("nginx", self.port);
    }

    pub fn signal(&self, name: &str) {
        self.server.signal(name);
    }

    pub fn url(&self) -> String {
        format!("rtmp://127.0.0.1:{}/live", self.port)
    }

    /// The address of the TLS port of the authority that was given as number `index`.
    pub fn tls_url(&self, index: usize) -> String {
        format!("rtmps://localhost:{}/live", self.tls_ports[index])
    }
}

/// A moving picture of 30 fps with a tone, as ffmpeg makes it, in real time and without an end.
fn moving_picture(command: &mut Command) {
    command.args(["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"]);
    command.args(["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]);
    command.args([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-g",
        "15",
        "-pix_fmt",
        "yuv420p",
    ]);
    command.args(["-c:a", "aac"]);
}

/// Somebody who publishes to an RTMP server.
pub fn rtmp_publisher(url: &str) -> Server {
    let mut command = Command::new("ffmpeg");
    moving_picture(&mut command);
    command.args(["-f", "flv", url]);
    Server::start(command)
}

/// Somebody who waits on this port for one SRT caller.
pub fn srt_listener(port: u16) -> Server {
    let mut command = Command::new("ffmpeg");
    moving_picture(&mut command);
    command.args(["-f", "mpegts", &format!("srt://127.0.0.1:{port}?mode=listener")]);
    Server::start(command)
}

/// An IP camera: RTSP with a password, H.264 and AAC.
pub struct RtspCamera {
    pub server: Server,
    port: u16,
}

impl RtspCamera {
    pub fn start() -> Self {
        let port = free_port();
        // Debian's own python: it is the one that has the bindings.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/box/rtsp_camera.py")).arg(port.to_string());
        let camera = Self { server: Server::start(command), port };
        wait_listening("the RTSP camera", port);
        camera
    }

    pub fn restart(&mut self) {
        self.server.restart();
        wait_listening("the RTSP camera", self.port);
    }

    pub fn url(&self, password: &str) -> String {
        format!("rtsp://viewer:{password}@127.0.0.1:{}/camera", self.port)
    }
}
