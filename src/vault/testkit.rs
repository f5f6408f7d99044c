//! What the vault's tests share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own, removed at the end.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// Where no disk has to be waited for.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory) } else { Self::new() }
    }

    fn below(folder: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("cuebox-vault-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Real recordings, made once: 5 s of 160×90 at 30 fps with sound, half-second fragments, 150 pictures.
pub struct Recordings {
    /// As the file was just before it was finished: its last fragment has no index yet.
    pub growing: Vec<u8>,
    /// Finished in order.
    pub finished: Vec<u8>,
    /// The other kind of fragmented file: each index before its data.
    pub index_first: Vec<u8>,
    /// Growing, with indexes that the muxer left incomplete: fragments that do not begin with key frames.
    pub incomplete: Vec<u8>,
}

pub fn recordings() -> &'static Recordings {
    static MADE: OnceLock<Recordings> = OnceLock::new();
    MADE.get_or_init(|| {
        let finished = record("first-moov-then-finalise", 15);
        let incomplete = before_the_end(&record("first-moov-then-finalise", 300));
        let index_first = record("dash-or-mss", 15);
        Recordings { growing: before_the_end(&finished), finished, index_first, incomplete }
    })
}

fn record(mode: &str, key_frame_every: u32) -> Vec<u8> {
    let folder = TempDir::new();
    let path = folder.path().join("made.mp4");
    let pipeline = format!(
        "videotestsrc num-buffers=150 ! video/x-raw,width=160,height=90,framerate=30/1 \
         ! x264enc tune=zerolatency key-int-max={key_frame_every} bitrate=100 \
         ! mp4mux name=mux fragment-duration=500 fragment-mode={mode} \
         ! filesink location={} \
         audiotestsrc num-buffers=234 ! audio/x-raw,rate=48000 ! avenc_aac bitrate=32000 ! mux.",
        path.display()
    );
    let made = Command::new("gst-launch-1.0").arg("-q").args(pipeline.split_whitespace()).output();
    assert!(made.expect("gst-launch-1.0").status.success());
    std::fs::read(&path).expect("a recording")
}

/// Takes back what the muxer does at the end: a new index behind everything, the first index renamed to `hoov`, and
/// the head's `mdat` made to span all that lies between.
fn before_the_end(finished: &[u8]) -> Vec<u8> {
    let old_index = finished.windows(4).position(|word| word == b"hoov").expect("the first index");
    let new_index = finished.windows(4).rposition(|word| word == b"moov").expect("the last index") - 4;
    let mut grown = finished[..new_index].to_vec();
    grown[old_index..old_index + 4].copy_from_slice(b"moov");
    grown[32..40].copy_from_slice(b"\0\0\0\x08free");
    let first_data = u32::try_from(old_index - 4 - 40).expect("a small file");
    grown[40..44].copy_from_slice(&first_data.to_be_bytes());
    grown
}

/// Pictures that an independent player decodes; `None` when it refuses the file.
pub fn played(path: &Path) -> Option<u64> {
    let ask = "-v error -count_frames -select_streams v:0 -show_entries stream=nb_read_frames -of csv=p=0";
    let output = Command::new("ffprobe").args(ask.split(' ')).arg(path).output().expect("ffprobe");
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
