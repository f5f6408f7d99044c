//! Cuebox's shells around the pure core, and the loop that joins them.
//!
//! Import law, kept by `tests/architecture.rs`: `cuebox-core` knows no shell; a shell knows `cuebox-core` and never
//! another shell; only [`app`] names two shells. `threads` and `mounts` belong to none and know none. GStreamer is imported under `media` alone.

pub mod app;
pub mod cli;
pub mod console;
pub mod devices;
pub mod media;
mod mounts;
pub mod panel;
pub mod platform;
pub mod remote;
pub mod supervise;
mod threads;
pub mod vault;
