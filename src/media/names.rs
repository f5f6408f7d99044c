//! Threads bear the name of the part that they work for. A crash is told by it (the threads that a library starts have
//! their starter's name), and `top -H` shows which part uses the processor.

use std::ffi::CString;

use gst::prelude::*;

/// The name of the thread that took it.
#[derive(Clone)]
pub struct Name(CString);

impl Name {
    pub fn of_this_thread() -> Self {
        Self(rustix::thread::name().unwrap_or_default())
    }

    /// To be called with each message of a pipeline, on the thread that sends it: one that begins to stream gets the
    /// name.
    pub fn give(&self, message: &gst::Message) {
        let gst::MessageView::StreamStatus(status) = message.view() else { return };
        if status.get().0 != gst::StreamStatusType::Enter {
            return;
        }
        // A task names its thread after itself, right after this.
        let task = status.stream_status_object().and_then(|object| object.get::<gst::Task>().ok());
        if let (Some(task), Ok(name)) = (task, self.0.to_str()) {
            task.set_property("name", name);
        }
        // A thread without its name works as well.
        let _ = rustix::thread::set_name(&self.0);
    }
}

/// Gives the threads of a pipeline whose messages nobody reads the name of this thread.
pub fn pass_on(pipeline: &gst::Pipeline) {
    let name = Name::of_this_thread();
    if let Some(bus) = pipeline.bus() {
        bus.set_sync_handler(move |_, message| {
            name.give(message);
            gst::BusSyncReply::Pass
        });
    }
}
