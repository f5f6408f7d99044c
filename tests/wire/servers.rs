//! What runs in the world: LiveKit's server, nginx (RTMP with recordings, TLS before both), SRT's own tool. Each is
//! killed when dropped; the addresses and ports are fixed, because the namespace is the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::bench;
use super::harness::{signal, until};
use super::lab::{Lab, Side, WORLD};
use super::nginx::{Authority, Certificate, configuration};

/// The key that LiveKit's server knows, and its secret.
pub const API_KEY: &str = "benchkey";
pub const API_SECRET: &str = "a-secret-of-the-bench-that-is-long-enough";
/// The one stream key that the RTMP server takes.
pub const STREAM_KEY: &str = "wedding-stream-key";

pub const LIVEKIT_PORT: u16 = 7880;
pub const RTMP_PORT: u16 = 1935;
/// TLS before the RTMP server, and before LiveKit's.
pub const RTMPS_PORT: u16 = 1936;
pub const WSS_PORT: u16 = 7443;
pub const SRT_PORT: u16 = 9710;

/// A server process in the world.
pub struct Server {
    name: &'static str,
    /// How it is started, again and again.
    command: Vec<String>,
    port: Option<u16>,
    log: PathBuf,
    child: Child,
}

impl Server {
    #[track_caller]
    fn start(lab: &Lab, name: &'static str, folder: &Path, command: Vec<String>, port: Option<u16>) -> Self {
        let log = folder.join(format!("{name}.log"));
        let child = spawn(lab, &command, &log);
        let mut server = Self { name, command, port, log, child };
        server.wait_listening(lab);
        server
    }

    #[track_caller]
    fn wait_listening(&mut self, lab: &Lab) {
        let Some(port) = self.port else { return };
        let log = self.log.clone();
        until(&format!("{} listens (log: {})", self.name, log.display()), 20, || listens(lab, port));
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// As if its machine lost power: no connection is closed in order, but the kernel resets what comes.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[track_caller]
    pub fn restart(&mut self, lab: &Lab) {
        self.child = spawn(lab, &self.command, &self.log);
        self.wait_listening(lab);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(lab: &Lab, command: &[String], log: &Path) -> Child {
    let sink = std::fs::File::options().create(true).append(true).open(log).unwrap();
    let (program, arguments) = command.split_first().unwrap();
    lab.command(Side::World, program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(sink.try_clone().unwrap())
        .stderr(sink)
        .spawn()
        .unwrap()
}

/// Somebody listens on this TCP port of the world.
fn listens(lab: &Lab, port: u16) -> bool {
    let output = lab.command(Side::World, "ss").args(["-Hltn", &format!("sport = :{port}")]).output().unwrap();
    !output.stdout.is_empty()
}

/// `turn`: its own TURN server, as its configuration has it.
#[track_caller]
pub fn livekit(lab: &Lab, folder: &Path, turn: &str) -> Server {
    let config = folder.join("livekit.yaml");
    std::fs::write(
        &config,
        format!(
            "port: {LIVEKIT_PORT}\nbind_addresses: [\"0.0.0.0\"]\n\
             rtc: {{ tcp_port: 7881, udp_port: 7882, use_external_ip: false, node_ip: {WORLD} }}\n\
             turn: {{ {turn} }}\nkeys: {{ {API_KEY}: {API_SECRET} }}\nlogging: {{ level: info, json: true }}\n"
        ),
    )
    .unwrap();
    let command = vec![bench::livekit_server(), "--config".to_owned(), config.display().to_string()];
    Server::start(lab, "livekit", folder, command, Some(LIVEKIT_PORT))
}

/// nginx: an RTMP server that takes one stream key and records what it gets, a file for each connection, and TLS before
/// it and before LiveKit's server.
pub struct Nginx {
    pub server: Server,
    recordings: PathBuf,
}

impl Nginx {
    #[track_caller]
    pub fn start(lab: &Lab, folder: &Path) -> Self {
        let recordings = folder.join("rtmp");
        std::fs::create_dir_all(&recordings).unwrap();
        let tls = certificate(folder).lines();
        let config = folder.join("nginx.conf");
        let (root, files) = (folder.display(), recordings.display());
        // It is root at least in its namespace, and knows no other user there. The name of a recording is its start, so
        // that a second connection does not go on in the first one's file.
        let own = format!(
            "user root;\n\
             http {{ access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;\n\
               fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;\n\
               server {{ listen 127.0.0.1:8088; location /publish {{\n\
                 if ($arg_name != \"{STREAM_KEY}\") {{ return 403; }} return 200; }} }} }}\n\
             rtmp {{ access_log off; server {{ listen {RTMP_PORT}; chunk_size 4096; application live {{ live on;\n\
               on_publish http://127.0.0.1:8088/publish; notify_method get;\n\
               record all; record_path {files}; record_unique on; }}\n\
               application cameras {{ live on; }} }} }}\n\
             stream {{ {tls}\n\
               server {{ listen {RTMPS_PORT} ssl; proxy_pass 127.0.0.1:{RTMP_PORT}; }}\n\
               server {{ listen {WSS_PORT} ssl; proxy_pass 127.0.0.1:{LIVEKIT_PORT}; }} }}\n"
        );
        let text = configuration(folder, &own);
        std::fs::write(&config, text).unwrap();
        let prefix = folder.display().to_string();
        let command =
            ["/usr/sbin/nginx", "-c", &config.display().to_string(), "-p", &prefix].map(str::to_owned).to_vec();
        Self { server: Server::start(lab, "nginx", folder, command, Some(RTMP_PORT)), recordings }
    }

    /// What it recorded, in the order in which it began.
    pub fn recordings(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&self.recordings).unwrap().flatten().map(|entry| entry.path()).collect();
        files.sort_by_key(|file| std::fs::metadata(file).and_then(|meta| meta.created()).unwrap());
        files
    }

    /// Bytes of all recordings so far.
    pub fn recorded_bytes(&self) -> u64 {
        self.recordings().iter().filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum()
    }
}

/// The file with the bench's authority, which a leg must be told to trust.
pub fn authority_file(folder: &Path) -> PathBuf {
    folder.join("bench-ca.pem")
}

/// A certificate of the world's address, by the bench's authority.
#[track_caller]
pub fn certificate(folder: &Path) -> Certificate {
    Authority::new(folder, "bench").certificate(&format!("IP:{WORLD},DNS:world.test"))
}

/// SRT's own tool as a listener that writes what it gets into a file.
#[track_caller]
pub fn srt_listener(lab: &Lab, folder: &Path, passphrase: Option<&str>, file: &Path) -> Server {
    let secret = passphrase.map(|phrase| format!("&passphrase={phrase}")).unwrap_or_default();
    let url = format!("srt://0.0.0.0:{SRT_PORT}?mode=listener{secret}");
    // It writes to its standard output only; another caller is let in after one has left.
    let line = format!("exec srt-live-transmit -loglevel:error '{url}' file://con >'{}'", file.display());
    let command = ["sh", "-c", &line].map(str::to_owned).to_vec();
    Server::start(lab, "srt", folder, command, None)
}
