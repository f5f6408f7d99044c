//! A real LiveKit server takes the tokens that are signed here.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use cuebox_core::config::{LegConfig, LegTarget, Secret, TokenSource, Url};
use cuebox_core::credentials::jwt::{Pass, mint};
use futures_util::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;

use super::bench::{BOUND, Folder, Stage, eventually, livekit_leg, now_s};
use super::ports::free_port;

const API_KEY: &str = "devkey";
const API_SECRET: &str = "a-secret-of-at-least-thirty-two-characters";

struct Server {
    child: Child,
    port: u16,
    folder: Folder,
}

impl Server {
    #[track_caller]
    fn start() -> Self {
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
        let program = cache.join("cuebox-bench/bin/livekit-server");
        assert!(program.exists(), "{} is missing: run `make setup-test`", program.display());
        let folder = Folder::new();
        let [port, tcp, udp] = [free_port(), free_port(), free_port()];
        let config = format!(
            "port: {port}\nbind_addresses: [127.0.0.1]\nkeys: {{ {API_KEY}: {API_SECRET} }}\n\
             rtc: {{ tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false, node_ip: 127.0.0.1 }}\n"
        );
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.args(["--config-body", &config]).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap();
        let server = Self { child, port, folder };
        eventually("LiveKit's server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Joins as a client does; gives back the server's first message.
    fn join(&self, stage: &Stage, token: &Secret) -> Result<Vec<u8>, String> {
        let url = format!("ws://127.0.0.1:{}/rtc?protocol=15&access_token={}", self.port, token.reveal());
        let joined = async {
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
            let connected = tokio_tungstenite::client_async(url, stream).await;
            let (mut socket, _) = connected.map_err(|error| error.to_string())?;
            match socket.next().await {
                Some(Ok(Message::Binary(message))) => Ok(message.to_vec()),
                other => Err(format!("{other:?}")),
            }
        };
        stage.runtime.block_on(async { tokio::time::timeout(BOUND, joined).await.unwrap() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn leg(server: &Server, secret: &str) -> LegConfig {
    let mut leg = livekit_leg("main", TokenSource::Minted { key: API_KEY.to_owned(), secret: Secret::new(secret) });
    let LegTarget::Livekit(target) = &mut leg.target else { panic!("a LiveKit leg") };
    target.url = Some(Url::new(format!("ws://127.0.0.1:{}", server.port)));
    leg
}

fn holds(message: &[u8], text: &str) -> bool {
    message.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn a_token_that_is_signed_here_joins_the_room_under_its_names() {
    let (stage, server) = (Stage::new(), Server::start());
    let credentials = stage.ask(&leg(&server, API_SECRET)).unwrap();
    let joined = server.join(&stage, &credentials.secret).unwrap_or_else(|why| panic!("{why}\n{}", server.log()));
    for name in ["wedding-42", "hall-1", "The hall"] {
        assert!(holds(&joined, name), "the answer to the join does not name {name}");
    }
}

#[test]
fn a_wrong_secret_and_an_ended_token_are_turned_away_and_one_without_a_clock_is_not() {
    let (stage, server) = (Stage::new(), Server::start());
    let wrong = stage.ask(&leg(&server, "another-secret-of-thirty-two-characters")).unwrap();
    let refused = server.join(&stage, &wrong.secret).unwrap_err();
    assert!(refused.contains("401"), "{refused}");
    let pass = Pass { room: "wedding-42", identity: "hall-1", name: "The hall" };
    let signed = |now: Option<u64>| mint(API_KEY, &Secret::new(API_SECRET), &pass, now).unwrap().0;
    let ended = server.join(&stage, &signed(Some(now_s() - 7 * 3600))).unwrap_err();
    assert!(ended.contains("401"), "{ended}");
    let ahead = server.join(&stage, &signed(Some(now_s() + 3600)));
    assert!(ahead.is_ok(), "a clock that is an hour ahead: {ahead:?}");
    assert!(server.join(&stage, &signed(None)).is_ok());
}
