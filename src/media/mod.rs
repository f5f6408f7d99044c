//! The media graph: the only importer of GStreamer.
//!
//! One failure domain, one pipeline: every capture, every sound card, the program, every encode, every recording and
//! every leg is a pipeline of its own with an actor of its own. They are joined by [`links`] on one clock and one
//! base time ([`timing`]), so that a PTS means the same instant everywhere.
//!
//! | module | what it does |
//! |---|---|
//! | [`graph`] | owner thread: compares wanted with real, executes the difference |
//! | [`plan`] | that comparison, pure |
//! | [`part`] | what each kind of pipeline is to its actor, and how it fails |
//! | [`context`] | what all parts share, and how they tell facts |
//! | [`actor`] | one thread per pipeline: builds it, plays it, hears its bus, ends it within a deadline |
//! | [`names`] | which part a thread works for |
//! | [`priority`] | which parts' threads wait when the processor is too small |
//! | [`memory`] | what ended pipelines leave |
//! | [`links`] | named meeting places of pipelines: who produces, who consumes, what was dropped |
//! | [`lag`] | how far behind encodes and mixer are |
//! | [`repeats`] | which frames stand for a lost picture |
//! | [`ticker`] | calls back on each frame of the show's grid |
//! | [`bus`] | GStreamer errors → error classes |
//!
//! Media decides nothing: it knows [`Wanted`] and answers with facts. Callbacks on streaming threads only translate
//! and send; no state of a pipeline is changed from one.
//!
//! Lock order: `links` before any GStreamer object lock; no lock of ours is held while a pipeline changes its state.

pub mod actor;
pub mod bus;
pub mod capture;
pub mod context;
pub mod encode;
pub mod graph;
mod lag;
pub mod links;
pub mod memory;
mod names;
pub mod part;
pub mod picture;
pub mod plan;
pub mod preview;
mod priority;
pub mod program;
pub mod publish;
pub mod record;
pub mod repeats;
pub mod requirements;
#[cfg(test)]
pub(crate) mod testkit;
pub mod ticker;
pub mod timing;

pub use context::Context;
pub use graph::Media;
pub use requirements::MediaError;
