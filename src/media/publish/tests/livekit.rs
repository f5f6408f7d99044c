//! A LiveKit server of the test's own, what its host can do, and a line to it that can be cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::LONG;
use crate::media::testkit::{Folder, eventually, free_port};

const KEY: &str = "testkey";
const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

pub struct Server {
    child: Child,
    pub port: u16,
    config: String,
    log: PathBuf,
    _folder: Folder,
}

/// What the box joins with, and may listen by; `ttl_s` may lie in the past.
pub fn token(identity: &str, room: &str, ttl_s: i64) -> String {
    sign(identity, &json!({ "roomJoin": true, "room": room, "canUpdateOwnMetadata": true }), ttl_s)
}

/// May listen, not publish.
pub fn token_of_a_listener(identity: &str, room: &str) -> String {
    sign(identity, &json!({ "roomJoin": true, "room": room, "canPublish": false }), 600)
}

/// A JSON Web Token, HS256, by openssl.
fn sign(identity: &str, video: &Value, ttl_s: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let claims = json!({ "iss": KEY, "sub": identity, "exp": now + ttl_s, "video": video });
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let body = format!("{}.{}", part(br#"{"alg":"HS256","typ":"JWT"}"#), part(claims.to_string().as_bytes()));
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-hmac", SECRET, "-binary"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    format!("{body}.{}", part(&child.wait_with_output().unwrap().stdout))
}

fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"))).unwrap();
    cache.join("cuebox-bench/bin/livekit-server")
}

/// An address of this machine that is not the loopback's: ICE offers no loopback candidates. Nothing is sent.
fn own_address() -> Ipv4Addr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("203.0.113.1:9").expect("the machine has a network interface with an address and a route");
    match socket.local_addr().unwrap().ip() {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(address) => panic!("{address}"),
    }
}

impl Server {
    pub fn start() -> Self {
        let folder = Folder::new("livekit");
        let address = own_address();
        let (port, tcp, udp) = (free_port(), free_port(), free_port());
        let config = format!(
            "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nkeys: {{ {KEY}: {SECRET} }}\n\
             rtc: {{ tcp_port: {tcp}, udp_port: {udp}, node_ip: {address}, use_external_ip: false }}\n"
        );
        let log = folder.0.join("log");
        let child = spawn(&config, &log);
        let server = Self { child, port, config, log, _folder: folder };
        server.listens();
        server
    }

    fn listens(&self) {
        let up = || self.call("ListRooms", &json!({})).is_some();
        assert!(eventually(LONG, up), "{}", self.told());
    }

    /// What it has logged.
    pub fn told(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.child = spawn(&self.config, &self.log);
        self.listens();
    }

    /// What a host asks the server; `None`: it says no, or is not there.
    fn call(&self, method: &str, body: &Value) -> Option<Value> {
        let room = body["room"].as_str().unwrap_or_default().to_owned();
        let grants = json!({ "roomAdmin": true, "roomList": true, "roomCreate": true, "room": room });
        let (token, body) = (sign("host", &grants, 60), body.to_string());
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let request = format!(
            "POST /twirp/livekit.RoomService/{method} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| serde_json::from_str(body).unwrap())
    }

    pub fn participant(&self, room: &str, identity: &str) -> Option<Value> {
        self.call("GetParticipant", &json!({ "room": room, "identity": identity }))
    }

    pub fn tracks(&self, room: &str, identity: &str) -> Vec<Value> {
        let participant = self.participant(room, identity).unwrap_or_default();
        participant["tracks"].as_array().cloned().unwrap_or_default()
    }

    pub fn mute(&self, room: &str, identity: &str, kind: &str) {
        let track = self.tracks(room, identity).into_iter().find(|it| it["type"] == kind).unwrap();
        let asked = json!({ "room": room, "identity": identity, "trackSid": track["sid"], "muted": true });
        self.call("MutePublishedTrack", &asked).unwrap();
    }

    pub fn remove(&self, room: &str, identity: &str) {
        self.call("RemoveParticipant", &json!({ "room": room, "identity": identity })).unwrap();
    }

    /// Makes `identity` get what `other` publishes.
    pub fn subscribe(&self, room: &str, identity: &str, other: &str) {
        let sids: Vec<Value> = self.tracks(room, other).into_iter().map(|it| it["sid"].clone()).collect();
        let asked = json!({ "room": room, "identity": identity, "trackSids": sids, "subscribe": true });
        self.call("UpdateSubscriptions", &asked).unwrap();
    }

    pub fn delete(&self, room: &str) {
        self.call("DeleteRoom", &json!({ "room": room })).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(config: &str, log: &PathBuf) -> Child {
    let sink = std::fs::File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(program());
    command.args(["--config-body", config]).stdin(Stdio::null()).stdout(sink.try_clone().unwrap()).stderr(sink);
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error} (`scripts/setup test` installs it)", program().display()))
}

/// Carries TCP connections to a server of this machine, until it is told to cut them.
pub struct Proxy {
    port: u16,
    accepted: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, accepted: Arc::default(), open: Arc::default() };
        let (accepted, open) = (proxy.accepted.clone(), proxy.open.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let mut ends = [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ];
                open.lock().unwrap().extend([near, far]);
                accepted.fetch_add(1, Ordering::SeqCst);
                for (mut from, mut to) in
                    ends.iter_mut().map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
