//! The real server on a real socket; behind it a task that answers as the director would.

mod bad_input;
mod calls;
mod event_streams;
mod sockets;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use cuebox_core::command::{Command, Envelope};
use cuebox_core::ids::{CommandId, SlotId};
use cuebox_core::status::{Gauges, ProgramStatus, SlotState, SlotStatus, Status};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

/// Long enough for a machine that is busy with builds; only waited for when something is wrong.
const BOUND: Duration = Duration::from_secs(20);

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("cuebox-console-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A clock that breaks when the test says so.
fn fragile_clock() -> Mono {
    assert!(!BREAK.load(Ordering::Relaxed), "the clock is broken");
    now()
}

static BREAK: AtomicBool = AtomicBool::new(false);

fn now() -> Mono {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    Mono(START.elapsed().as_nanos() as u64 + 1_000_000_000)
}

fn slot(number: u8) -> SlotId {
    SlotId::new(number).unwrap()
}

fn snapshot() -> Snapshot {
    let slots = SlotId::all().map(|number| SlotStatus {
        number,
        name: format!("Camera {number}"),
        state: SlotState::Live,
        since: Mono(0),
        why: None,
        device: None,
        next_try: None,
        health: 100,
        kept_off: None,
    });
    let status = Status {
        box_id: "hall-1".to_owned(),
        show: None,
        program: ProgramStatus { on_air: Some(slot(1)), ..ProgramStatus::default() },
        slots: slots.collect(),
        spare: Vec::new(),
        legs: Vec::new(),
        viewers: Default::default(),
        recording: Default::default(),
        encodes: Vec::new(),
        encoders: Default::default(),
        audio: Default::default(),
        panels: Vec::new(),
        locked: false,
        identifying: false,
        mqtt: cuebox_core::status::MqttStatus::default(),
        alerts: Vec::new(),
        overload: Default::default(),
    };
    Snapshot { status: Arc::new(status), gauges: Arc::new(Gauges::default()) }
}

struct OneShow;

impl Shows for OneShow {
    fn list(&self) -> Result<Value, String> {
        Ok(json!([{ "id": "20261121-183005-3f2a" }]))
    }
    fn show(&self, id: &ShowId) -> Result<Option<Value>, String> {
        Ok((id.as_str() == "20261121-183005-3f2a").then(|| json!({ "id": id, "segments": [] })))
    }
}

/// A console with a stand-in for the loop behind it: slot 5 refuses, `reload` is never answered.
struct Rig {
    console: ConsoleHandle,
    snapshots: watch::Sender<Snapshot>,
    config: HttpConfig,
    deps: Deps,
    socket: PathBuf,
    _folder: Folder,
}

impl Rig {
    fn start() -> Self {
        Self::start_with(None, Patience::default())
    }

    fn start_with(listen: Option<&str>, patience: Patience) -> Self {
        let folder = Folder::new();
        let socket = folder.0.join("run/control.sock");
        let config = HttpConfig { socket: socket.to_str().unwrap().to_owned(), listen: listen.map(str::to_owned) };
        let (snapshots, receiver) = watch::channel(snapshot());
        let answers = Answers::default();
        let (submit, commands) = mpsc::channel(1_000);
        tokio::spawn(answer_commands(commands, answers.clone(), snapshots.clone()));
        let deps = Deps {
            life: Life { boot: "boot-1".to_owned(), version: "0.1.0".to_owned(), started: now() },
            clock: now,
            snapshots: receiver,
            submit: Arc::new(move |envelope| submit.try_send(envelope).map_err(|_| SubmitError::Busy)),
            answers,
            picture: Arc::new(|track| (track != Track::Slot(slot(2))).then(|| Arc::from(&b"\xff\xd8jpeg"[..]))),
            shows: Arc::new(OneShow),
        };
        let console = Console::start_with(&config, deps.clone(), patience).unwrap();
        Self { console, snapshots, config, deps, socket, _folder: folder }
    }

    fn change(&self, change: impl FnOnce(&mut Status, &mut Gauges)) {
        self.snapshots.send_modify(|snapshot| {
            change(Arc::make_mut(&mut snapshot.status), Arc::make_mut(&mut snapshot.gauges));
        });
    }

    async fn call(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        let mut peer = Peer::connect(&self.socket).await;
        peer.request(method, path, body).await;
        peer.reply().await
    }

    async fn command(&self, body: &Value) -> Reply {
        self.call("POST", "/api/v1/commands", body.to_string().as_bytes()).await
    }
}

async fn answer_commands(mut commands: mpsc::Receiver<Envelope>, answers: Answers, snapshots: watch::Sender<Snapshot>) {
    let mut seen: HashMap<CommandId, (Command, cuebox_core::command::Answer)> = HashMap::new();
    use cuebox_core::command::Answer;
    while let Some(Envelope { id, command, .. }) = commands.recv().await {
        let answer = match (seen.get(&id), &command) {
            (Some((first, answer)), _) if *first == command => Answer::Duplicate { first: Box::new(answer.clone()) },
            (Some(_), _) => Answer::Conflict { why: "this id was used for another command".to_owned() },
            (None, Command::Reload) => continue,
            (None, Command::Cut { slot }) if slot.number() == 5 => {
                Answer::Refused { why: "slot 5 is empty".to_owned() }
            }
            (None, Command::Cut { slot }) => {
                snapshots.send_modify(|snapshot| Arc::make_mut(&mut snapshot.status).program.on_air = Some(*slot));
                Answer::Done
            }
            (None, _) => Answer::Done,
        };
        seen.entry(id.clone()).or_insert_with(|| (command, answer.clone()));
        answers.resolve(&id, answer);
    }
}

/// A peer that says exactly what a test wants it to say.
struct Peer(UnixStream);

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Peer {
    async fn connect(socket: &Path) -> Self {
        Self(UnixStream::connect(socket).await.unwrap())
    }

    async fn request(&mut self, method: &str, path: &str, body: &[u8]) {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: box\r\ncontent-length: {}\r\n\r\n", body.len());
        self.0.write_all(head.as_bytes()).await.unwrap();
        self.0.write_all(body).await.unwrap();
    }

    async fn reply(&mut self) -> Reply {
        timeout(BOUND, self.read_reply()).await.expect("no reply in time")
    }

    async fn read_reply(&mut self) -> Reply {
        let mut received = Vec::new();
        let head_end = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert_ne!(self.0.read_buf(&mut received).await.unwrap(), 0, "closed after {received:?}");
        };
        let head = String::from_utf8(received[..head_end].to_vec()).unwrap().to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        while received.len() < head_end + length {
            assert_ne!(self.0.read_buf(&mut received).await.unwrap(), 0, "closed in the middle of a body");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head, body: received[head_end..].to_vec() }
    }

    /// Waits until the box closes; whatever it says before does not matter.
    async fn closed(mut self) {
        let mut rest = Vec::new();
        let _ = timeout(BOUND, self.0.read_to_end(&mut rest)).await.expect("was not closed in time");
    }
}
