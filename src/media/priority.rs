//! Who waits when the processor is too small: what may give runs at a lower priority than the program.
//!
//! | threads | priority |
//! |---|---|
//! | that encode a slot's pictures or a snapshot | lower |
//! | all others | that of the process |
//!
//! Linux keeps a priority for each thread, and a thread that is started has its starter's: an encoder's own threads are
//! as low as what feeds the encoder. A priority that was lowered stays so for who has no right to raise it, and
//! GStreamer's own pool hands threads from one part to another; so the tasks of these parts get threads that end with
//! them.
//!
//! Only tasks are lowered, and not the actors and their helpers: those hold the locks of links and of their producers,
//! which hand the program its pictures. What a lowered task shares with the program's threads are the queue before it
//! and the counts of what was repeated and encoded, each locked for as long as it takes to put one in or out. Recordings
//! of slots are not lowered either: they cost little, less still while their encodes lag, and a file is to be sealed in
//! time.

use std::sync::LazyLock;

use cuebox_core::director::{EncodeJob, Job};
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

/// Added to the niceness of the process: a tenth of what a thread of the program gets, where both could use more.
const LOWER: i32 = 10;
/// As GStreamer's own threads have. Only what is used of it takes memory.
const STACK_BYTES: usize = 8 << 20;

/// Whether a part is before others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    Stays,
    Gives,
}

impl Rank {
    pub fn of(job: &Job) -> Self {
        match job {
            Job::Encode(EncodeJob::Slot(_) | EncodeJob::SlotStream(_)) => Self::Gives,
            Job::Encode(EncodeJob::Stream | EncodeJob::ProgramRecord)
            | Job::Record(_)
            | Job::Capture(_)
            | Job::Sound(_)
            | Job::Program
            | Job::Leg(_) => Self::Stays,
        }
    }
}

/// Gives this task a thread of its own, at the lower priority, whenever it starts from now on.
pub fn lower(task: &gst::Task) {
    static POOL: LazyLock<gst::TaskPool> = LazyLock::new(|| glib::Object::new::<LowPool>().upcast());
    task.set_pool(&*POOL);
}

glib::wrapper! {
    pub struct LowPool(ObjectSubclass<imp::LowPool>) @extends gst::TaskPool, gst::Object;
}

/// A thread that runs a task.
pub struct Running(std::thread::JoinHandle<()>);

impl gst::TaskHandle for Running {
    fn join(self) {
        // A panic in it has been told by the thread itself.
        let _ = self.0.join();
    }
}

/// Of the calling thread, and of those that it starts from now on.
fn lower_this_thread() {
    let process = rustix::process::getpriority_process(Some(rustix::process::getpid()));
    let lowered = process.and_then(|nice| rustix::process::setpriority_process(None, nice + LOWER));
    if let Err(error) = lowered {
        tracing::debug!(%error, "at normal priority");
    }
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct LowPool;

    #[glib::object_subclass]
    impl ObjectSubclass for LowPool {
        const NAME: &'static str = "CueboxLowPool";
        type Type = super::LowPool;
        type ParentType = gst::TaskPool;
    }

    impl ObjectImpl for LowPool {}
    impl GstObjectImpl for LowPool {}

    impl TaskPoolImpl for LowPool {
        type Handle = Running;

        fn push(&self, task: gst::subclass::TaskPoolFunction) -> Result<Option<Running>, glib::Error> {
            let run = move || {
                lower_this_thread();
                task.call();
            };
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run);
            let failed = |error: std::io::Error| glib::Error::new(gst::CoreError::Thread, &error.to_string());
            Ok(Some(Running(thread.map_err(failed)?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cuebox_core::ids::{SlotId, Track};

    use super::*;
    use crate::media::names;
    use crate::media::testkit::eventually;

    /// Of each of this process's threads with this name.
    fn niceness(name: &str) -> Vec<i32> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
        let of_name = stats.filter_map(|stat| {
            let (it, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
            (it == name).then(|| fields.split(' ').nth(16)?.parse().ok())?
        });
        of_name.collect()
    }

    /// Plays an encoder with threads of its own, from a thread of this name, and gives the niceness of them all.
    fn encode(name: &'static str, rank: Rank) -> Vec<i32> {
        let source = "videotestsrc is-live=true ! video/x-raw,width=640,height=360,framerate=30/1 ! queue";
        let encode = format!("{source} ! x264enc threads=3 speed-preset=ultrafast ! fakesink");
        let pipeline = gst::parse::launch(&encode).unwrap().downcast::<gst::Pipeline>().unwrap();
        let played = pipeline.clone();
        let play = move || {
            names::pass_on(&played, rank);
            played.set_state(gst::State::Playing).unwrap();
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(play).unwrap().join().unwrap();
        // The source's, the queue's, and the encoder's.
        assert!(eventually(Duration::from_secs(20), || niceness(name).len() >= 4), "{:?}", niceness(name));
        let found = niceness(name);
        pipeline.set_state(gst::State::Null).unwrap();
        assert!(eventually(Duration::from_secs(20), || niceness(name).is_empty()), "{rank:?}: they end with it");
        found
    }

    #[test]
    fn what_may_give_streams_and_encodes_at_a_lower_priority_and_nobody_else_gets_its_threads() {
        gst::init().unwrap();
        let process = rustix::process::getpriority_process(Some(rustix::process::getpid())).unwrap();
        for _ in 0..3 {
            let given = encode("may-give", Rank::Gives);
            assert!(given.iter().all(|nice| *nice == (process + LOWER).min(19)), "{given:?}");
            let stays = encode("stays", Rank::Stays);
            assert!(stays.iter().all(|nice| *nice == process), "{stays:?}");
        }
    }

    #[test]
    fn what_belongs_to_slots_gives_and_what_belongs_to_the_program_stays() {
        let slot = SlotId::new(2).unwrap();
        let jobs = [
            (Job::Encode(EncodeJob::Slot(slot)), Rank::Gives),
            (Job::Encode(EncodeJob::SlotStream(slot)), Rank::Gives),
            (Job::Encode(EncodeJob::Stream), Rank::Stays),
            (Job::Encode(EncodeJob::ProgramRecord), Rank::Stays),
            (Job::Record(Track::Slot(slot)), Rank::Stays),
            (Job::Capture(slot), Rank::Stays),
            (Job::Sound(slot), Rank::Stays),
            (Job::Program, Rank::Stays),
        ];
        for (job, rank) in jobs {
            assert_eq!(Rank::of(&job), rank, "{job:?}");
        }
    }
}
