//! Threads bear the name of the part that they work for. A crash is told by it (the threads that a library starts have
//! their starter's name), and `top -H` shows which part uses the processor. Those of parts that may give are lowered
//! ([`super::priority`]).

use std::ffi::CString;

use gst::prelude::*;

use super::priority::{self, Rank};

/// The name of the thread that took it, and what the part's threads do when the processor is too small.
#[derive(Clone)]
pub struct Name {
    name: CString,
    rank: Rank,
}

impl Name {
    pub fn of_this_thread(rank: Rank) -> Self {
        Self { name: rustix::thread::name().unwrap_or_default(), rank }
    }

    /// To be called with each message of a pipeline, on the thread that sends it: a task that is made gets its threads
    /// by the rank, one that begins to stream gives its thread the name.
    pub fn give(&self, message: &gst::Message) {
        let gst::MessageView::StreamStatus(status) = message.view() else { return };
        let task = status.stream_status_object().and_then(|object| object.get::<gst::Task>().ok());
        match (status.get().0, task) {
            (gst::StreamStatusType::Create, Some(task)) if self.rank == Rank::Gives => priority::lower(&task),
            (gst::StreamStatusType::Enter, task) => {
                // A task names its thread after itself, right after this.
                if let (Some(task), Ok(name)) = (task, self.name.to_str()) {
                    task.set_property("name", name);
                }
                // A thread without its name works as well.
                let _ = rustix::thread::set_name(&self.name);
            }
            _ => {}
        }
    }
}

/// Gives the threads of a pipeline whose messages nobody reads the name of this thread, and this rank.
pub fn pass_on(pipeline: &gst::Pipeline, rank: Rank) {
    let name = Name::of_this_thread(rank);
    if let Some(bus) = pipeline.bus() {
        bus.set_sync_handler(move |_, message| {
            name.give(message);
            gst::BusSyncReply::Pass
        });
    }
}
