//! Ends readers whose RTMP source is still connecting.
//!
//! An rtmp2src that is stopped between a server's first answer and its last forgets the connection: a socket and another
//! descriptor that stay open for as long as the process lives. A camera that is waited for is tried again and again, so
//! such a source is first let come to an end by itself, on a thread that nobody waits for: the server answers, or goes.
//! One that holds the connection and says nothing is given up after a while, and is forgotten as before.
//!
//! | state | the source sends, ends or fails | the reader ends |
//! |---|---|---|
//! | Settled | | taken down at once |
//! | Connecting | Settled | Left |
//! | Left | Settled, then it is taken down | |
//!
//! What is Left is taken down after [`LIMIT`] in any case.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::prelude::*;

/// A server that answers at all has done so by then.
const LIMIT: Duration = Duration::from_secs(12);

#[derive(Clone, Default)]
pub struct Connecting(Arc<(Mutex<State>, Condvar)>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Settled,
    Connecting,
    Left,
}

impl Connecting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `source` connects, until something comes from it.
    pub fn begin(&self, source: &gst::Element) {
        let Some(output) = source.static_pad("src") else { return };
        *self.state() = State::Connecting;
        let own = self.clone();
        output.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            own.settle();
            gst::PadProbeReturn::Remove
        });
    }

    /// The source is connected, or has told that it will not be.
    pub fn settle(&self) {
        *self.state() = State::Settled;
        self.0.1.notify_all();
    }

    /// Takes the pipeline down as soon as that loses nothing. May be called again.
    pub fn take_down(&self, pipeline: &gst::Pipeline) {
        let mut state = self.state();
        match *state {
            State::Settled => {
                drop(state);
                end(pipeline);
            }
            State::Connecting => {
                *state = State::Left;
                drop(state);
                let (own, left) = (self.clone(), pipeline.clone());
                // Without a name of its own it has that of the part it works for.
                let waiting = std::thread::Builder::new().spawn(move || {
                    let wait = own.0.1.wait_timeout_while(own.state(), LIMIT, |state| *state == State::Left);
                    drop(wait);
                    end(&left);
                });
                if waiting.is_err() {
                    end(pipeline);
                }
            }
            State::Left => {}
        }
    }
}

fn end(pipeline: &gst::Pipeline) {
    if let Some(bus) = pipeline.bus() {
        bus.unset_sync_handler();
    }
    let _ = pipeline.set_state(gst::State::Null);
}
