//! A token service of one's own on a free loopback port, legs that ask it, and everything that was logged meanwhile.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use cuebox::platform::Platform;
use cuebox_core::config::{
    Ingress, LegConfig, LegTarget, LivekitTarget, PROVES, Publish, RtmpTarget, Secret, Service, Shape, TokenSource, Url,
};
use cuebox_core::credentials::jwt::{Pass, mint};
use cuebox_core::credentials::{CredentialError, CredentialSource as _, Credentials};
use cuebox_core::ids::LegId;
use cuebox_core::time::{Trust, Wall};
use tokio::runtime::Runtime;

/// Long enough for a machine that is busy with builds; only waited for when something is wrong.
pub const BOUND: Duration = Duration::from_secs(30);
/// What the service's key is, and what must never be seen.
pub const KEY: &str = "pulse_key_hunter2";

/// A platform's client with a runtime of its own, as in the program.
pub struct Stage {
    pub runtime: Runtime,
    pub platform: Arc<Platform>,
}

impl Stage {
    pub fn new() -> Self {
        listen_to_the_log();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let platform = Arc::new(Platform::start(runtime.handle().clone(), "The hall", wall));
        Self { runtime, platform }
    }

    /// Serves `router` on a free port of this machine.
    pub fn serve(&self, router: Router) -> SocketAddr {
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        self.runtime.spawn(async move { axum::serve(listener, router).await });
        address
    }

    pub fn ask(&self, leg: &LegConfig) -> Result<Credentials, CredentialError> {
        self.platform.credentials(leg)
    }
}

pub fn wall() -> Wall {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Wall { unix_ns: i64::try_from(now.as_nanos()).unwrap(), trust: Trust::Ntp }
}

pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token that ends in `life_s` seconds, in the past when negative.
pub fn token(life_s: i64) -> String {
    let pass = Pass { room: "wedding-42", identity: "hall-1", name: "The hall" };
    let made = |at: u64| mint("devkey", &Secret::new("secret"), &pass, Some(at)).unwrap();
    let (_, end) = made(0);
    made((now_s() - end).saturating_add_signed(life_s)).0.reveal().to_owned()
}

pub fn service(url: &str) -> Service {
    let (header, key) = ("X-Pulse-Key".to_owned(), Some(Secret::new(KEY)));
    Service { url: Url::new(url), header, key, shape: Shape::Pulse }
}

pub fn livekit_leg(name: &str, token: TokenSource) -> LegConfig {
    let target = LivekitTarget {
        url: None,
        room: Some("wedding-42".to_owned()),
        identity: "hall-1".to_owned(),
        publish: Publish::Program,
        token,
        ice_servers: Vec::new(),
    };
    LegConfig {
        name: LegId::new(name),
        uplink: Some(1),
        target: LegTarget::Livekit(target),
        ca_file: None,
        proves: PROVES,
    }
}

/// A LiveKit leg whose token a service tells.
pub fn asking(url: &str) -> LegConfig {
    livekit_leg("main", TokenSource::Service(service(url)))
}

pub fn ingress(url: &str) -> LegConfig {
    let (room, identity) = ("wedding-42".to_owned(), "hall-1".to_owned());
    let target = LegTarget::Rtmp(RtmpTarget::Ingress(Ingress { service: service(url), room, identity }));
    LegConfig { name: LegId::new("backup"), uplink: Some(2), target, ca_file: None, proves: PROVES }
}

/// Waits until it holds.
#[track_caller]
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let (pause, gone) = (std::sync::Mutex::new(()), std::sync::Condvar::new());
    let end = Instant::now() + BOUND;
    let mut guard = pause.lock().unwrap();
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        guard = gone.wait_timeout(guard, Duration::from_millis(20)).unwrap().0;
    }
}

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("cuebox-platform-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Everything that any part of this process logged so far, at every level.
pub fn log() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

fn listen_to_the_log() {
    struct Log;
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            LOG.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        log.with_writer(|| Log).init();
    });
}
