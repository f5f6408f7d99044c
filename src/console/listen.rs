//! The sockets: opened without a moment in which somebody else could use them, and served with bounds on the number of
//! connections and on the time a peer may take.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::limits::{MAX_CONNECTIONS, MAX_HEAD};
use super::{ConsoleError, stopped};

/// `sun_path` of Linux, less the byte that ends it.
const MAX_SOCKET_PATH: usize = 107;
const SOCKET_MODE: u32 = 0o660;
const RETRY: Duration = Duration::from_secs(5);
/// After an `accept` that failed, which mostly means that there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 32\r\n\r\n{\"error\":\"too many connections\"}";

/// The Unix socket; its file goes with it.
pub(super) struct Unix {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that another box's socket is never removed.
    identity: (u64, u64),
}

impl Unix {
    /// Takes the place of a socket that nobody listens at. The file appears under its name only when it has its mode.
    pub(super) fn bind(path: &Path) -> Result<Self, ConsoleError> {
        if path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
            return Err(ConsoleError::PathTooLong { path: path.to_owned(), max: MAX_SOCKET_PATH });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|source| ConsoleError::Folder { folder: folder.to_owned(), source })?;
        }
        let fail = |source| ConsoleError::Bind { path: path.to_owned(), source };
        ensure_free(path)?;
        let unfinished = unfinished(path);
        if fs::symlink_metadata(&unfinished).is_ok_and(|left| left.file_type().is_socket()) {
            fs::remove_file(&unfinished).map_err(fail)?;
        }
        let listener = UnixListener::bind(&unfinished).map_err(fail)?;
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(SOCKET_MODE)).map_err(fail)?;
        let metadata = fs::symlink_metadata(&unfinished).map_err(fail)?;
        fs::rename(&unfinished, path).map_err(fail)?;
        Ok(Self { listener, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the control socket stays behind");
        }
    }
}

/// The socket's name while it is prepared: in the same folder and no longer, so that it fits whenever the name does.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().as_bytes().to_vec();
    let mark = if name.pop() == Some(b'~') { b'-' } else { b'~' };
    name.push(mark);
    path.with_file_name(OsStr::from_bytes(&name))
}

fn ensure_free(path: &Path) -> Result<(), ConsoleError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(ConsoleError::NotASocket { path: path.to_owned() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(ConsoleError::InUse { path: path.to_owned() }),
        // Nobody listens; it is replaced by renaming over it.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(source) => Err(ConsoleError::Bind { path: path.to_owned(), source }),
    }
}

pub(super) async fn serve_unix(unix: Unix, app: Router, head: Duration, mut stopping: watch::Receiver<bool>) {
    let mut connections = Connections::new(app, head, stopping.clone());
    loop {
        let accepted = tokio::select! {
            accepted = unix.listener.accept() => accepted,
            () = stopped(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, _)) => connections.serve(stream),
            Err(error) => pause("unix", &error).await,
        }
    }
    drop(unix);
    connections.finish().await;
}

/// Listens at `address` as soon as it can; says where through `bound`.
pub(super) async fn serve_tcp(
    address: String,
    app: Router,
    head: Duration,
    bound: watch::Sender<Option<SocketAddr>>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connections = Connections::new(app, head, stopping.clone());
    let listener = tokio::select! {
        listener = bind_tcp(&address) => listener,
        () = stopped(&mut stopping) => return,
    };
    bound.send_replace(listener.local_addr().ok());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // Events are small and each matters at once.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "no TCP_NODELAY");
                }
                connections.serve(stream);
            }
            Err(error) => pause("tcp", &error).await,
        }
    }
    drop(listener);
    connections.finish().await;
}

async fn bind_tcp(address: &str) -> TcpListener {
    let mut said = false;
    loop {
        let why = match TcpListener::bind(address).await {
            // The configuration's check says so first; this is the last line of defence.
            Ok(listener) if !listener.local_addr().is_ok_and(|at| at.ip().is_loopback()) => {
                "not a loopback address, and there is no authentication yet".to_owned()
            }
            Ok(listener) => return listener,
            Err(error) => error.to_string(),
        };
        if !std::mem::replace(&mut said, true) {
            tracing::warn!(address, why, "cannot listen for HTTP over TCP; trying again every {} s", RETRY.as_secs());
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn pause(surface: &str, error: &io::Error) {
    tracing::debug!(surface, %error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// The connections of one surface.
struct Connections {
    app: Router,
    /// For the head of a request.
    head: Duration,
    free: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
    running: JoinSet<()>,
}

impl Connections {
    fn new(app: Router, head: Duration, stopping: watch::Receiver<bool>) -> Self {
        Self { app, head, free: Arc::new(Semaphore::new(MAX_CONNECTIONS)), stopping, running: JoinSet::new() }
    }

    fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&mut self, mut stream: S) {
        while self.running.try_join_next().is_some() {}
        match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => {
                let (app, head, stopping) = (self.app.clone(), self.head, self.stopping.clone());
                self.running.spawn(async move {
                    serve_connection(stream, app, head, stopping).await;
                    drop(permit);
                });
            }
            Err(_) => {
                // It fits into an empty socket buffer; a peer that does not take it at once is simply closed.
                let _ = stream.write_all(FULL).now_or_never();
            }
        }
    }

    async fn finish(mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    app: Router,
    head: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
