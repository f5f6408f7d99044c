//! Where `scripts/setup test` put the pinned programs of the bench.

use std::path::PathBuf;

/// The folder of the servers and of the viewer's Python.
pub fn home() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"));
    cache.join("cuebox-bench")
}

#[track_caller]
fn installed(path: &str) -> String {
    let path = home().join(path);
    assert!(path.exists(), "{} is missing: run `make setup-test`", path.display());
    path.display().to_string()
}

#[track_caller]
pub fn livekit_server() -> String {
    installed("bin/livekit-server")
}

/// Python with LiveKit's client library.
#[track_caller]
pub fn python() -> String {
    installed("venv/bin/python")
}
