//! Power cuts: the file as it is after each write of a real recording and its seal.

use super::super::file::{Ledger, Operation, SegmentFile};
use super::super::segment::{Beginning, Segment};
use super::*;
use crate::media::encode::aac::Packet;
use std::sync::atomic::Ordering;

/// A second and a half of pictures and sound, encoded as fast as it goes.
fn material() -> (Vec<gst::Buffer>, gst::Caps, Vec<Packet>) {
    gst::init().unwrap();
    let text = "videotestsrc num-buffers=55 ! video/x-raw,format=NV12,width=320,height=180,framerate=30/1 \
        ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=600 \
        ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=v sync=false \
        audiotestsrc num-buffers=94 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 \
        ! avenc_aac ! appsink name=a sync=false";
    let pipeline = gst::parse::launch(text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = |name: &str| pipeline.by_name(name).unwrap().downcast::<gst_app::AppSink>().unwrap();
    let (video, audio) = (sink("v"), sink("a"));
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut pictures = Vec::new();
    let mut caps = None;
    let sound = std::thread::spawn(move || {
        let pull = || audio.pull_sample().ok();
        let packets = std::iter::from_fn(pull).enumerate().map(|(k, sample)| Packet {
            buffer: sample.buffer_owned().unwrap(),
            caps: sample.caps_owned().unwrap(),
            start: k as u64 * 1024,
        });
        packets.collect::<Vec<_>>()
    });
    while let Ok(sample) = video.pull_sample() {
        caps = sample.caps_owned();
        pictures.push(sample.buffer_owned().unwrap());
    }
    let sound = sound.join().unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    (pictures, caps.unwrap(), sound)
}

/// Everything that was written to a recording that was sealed, in order.
fn operations(folder: &Folder) -> Vec<Operation> {
    let ledger = Arc::new(Ledger::default());
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut file = SegmentFile::create(&folder.0.join("whole.mp4"), ledger.clone()).unwrap();
    file.log = Some(log.clone());
    let segment = filled(file, ledger);
    assert!(segment.is_complete());
    let mut stage = Stage::new(320, 180, 30, &folder.0);
    segment.seal(&stage.context.reporter(Job::Program, Epoch(1)));
    let sealed = stage.wait("the seal", LONG, |_, fact| seal_of(fact).cloned());
    assert!(sealed.clean && sealed.frames == 55, "{sealed:?}");
    log.lock().unwrap().clone()
}

fn decodable(file: &Path) -> usize {
    let arguments = ["-v", "quiet", "-i", file.to_str().unwrap(), "-an", "-f", "rawvideo", "-pix_fmt", "gray", "-"];
    Command::new("ffmpeg").args(arguments).output().unwrap().stdout.len() / (320 * 180)
}

/// Puts back what was written up to operation `upto`, and of that one its first `part` bytes.
fn rebuild(operations: &[Operation], upto: usize, part: Option<usize>) -> Vec<u8> {
    let mut data = Vec::new();
    for (at, operation) in operations.iter().enumerate().take(upto + 1) {
        let Operation::Write(offset, bytes) = operation else { continue };
        let bytes = if at == upto { &bytes[..part.unwrap_or(bytes.len())] } else { bytes };
        let offset = *offset as usize;
        data.resize(data.len().max(offset + bytes.len()), 0);
        data[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    data
}

/// What has reached the disk for certain when only the operations before `upto` were done: everything up to the last
/// sync.
fn frames_synced(operations: &[Operation], upto: usize) -> usize {
    let Some(last) = operations[..upto].iter().rposition(|it| matches!(it, Operation::Sync)) else { return 0 };
    let folder = Folder::new("synced");
    let ledger = Arc::new(Ledger::default());
    let mut file = SegmentFile::create(&folder.0.join("again.mp4"), ledger.clone()).unwrap();
    for operation in &operations[..last] {
        if let Operation::Write(at, bytes) = operation {
            file.write(*at, bytes).unwrap();
        }
    }
    ledger.pictures.load(Ordering::Acquire) as usize
}

#[test]
fn a_power_cut_at_any_write_of_a_recording_leaves_every_synced_fragment_playable() {
    let folder = Folder::new("cuts");
    let operations = operations(&folder);
    let writes = operations.iter().filter(|it| matches!(it, Operation::Write(..))).count();
    assert!(writes >= 5, "fragments, the end and the head: {writes}");
    let file = folder.0.join("cut.mp4");
    for (at, operation) in operations.iter().enumerate() {
        let Operation::Write(offset, bytes) = operation else { continue };
        // The head lies in one sector, which a disk writes whole or not at all; everything else may be torn.
        let head = *offset > 0 && *offset < 512;
        let torn: &[usize] = if head { &[0] } else { &[0, 2, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] };
        for part in torn.iter().map(|part| Some(*part)).chain([None]) {
            std::fs::write(&file, rebuild(&operations, at, part)).unwrap();
            let (synced, found) = (frames_synced(&operations, at), decodable(&file));
            assert!(found >= synced, "write {at}, {part:?} bytes of it: {found} of {synced} pictures");
        }
    }
    assert_eq!(decodable(&file), 55);
    let order: String = operations.iter().map(|it| if matches!(it, Operation::Sync) { 'S' } else { 'W' }).collect();
    let fragments = order.matches("WWS").count();
    assert_eq!(order, "WWS".repeat(fragments) + "WS", "each fragment is synced before the next, the head comes last");
}

/// A segment with all its material, over a file of one's own.
pub fn filled(file: SegmentFile, ledger: Arc<Ledger>) -> Segment {
    let (pictures, caps, sound) = material();
    let beginning = Beginning { number: 1, first: FrameIndex(0), first_sample: 2_000, caps: &caps, fps: 30 };
    let mut segment = Segment::with_file(file, ledger, &beginning).unwrap();
    let count = pictures.len();
    for picture in pictures {
        segment.push_picture(picture).unwrap();
    }
    sound.iter().for_each(|packet| segment.push_sound(packet));
    segment.end_pictures(2_000 + count as u64 * 1_600);
    segment
}

#[test]
fn a_full_disk_is_told_as_such() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ledger = Arc::new(Ledger::default());
    let mut segment = filled(SegmentFile::over(full, ledger.clone()), ledger);
    let mut failure = None;
    assert!(eventually(LONG, || {
        failure = segment.failure();
        failure.is_some()
    }));
    assert_eq!(failure.unwrap().class, ErrorClass::DiskFull);
    let folder = Folder::new("full");
    let mut stage = Stage::new(320, 180, 30, &folder.0);
    segment.seal(&stage.context.reporter(Job::Program, Epoch(1)));
    let sealed = stage.wait("the seal", LONG, |_, fact| seal_of(fact).cloned());
    assert!(!sealed.clean && sealed.frames == 0 && sealed.bytes == 0, "{sealed:?}");
}

#[test]
fn a_file_that_cannot_be_finished_in_time_is_sealed_unclean_and_left_as_it_is() {
    let folder = Folder::new("stuck");
    let path = folder.0.join("stuck.mp4");
    let ledger = Arc::new(Ledger::default());
    let file = SegmentFile::create(&path, ledger.clone()).unwrap();
    let segment = filled(file, ledger.clone());
    assert!(eventually(LONG, || ledger.pictures.load(Ordering::Acquire) >= 30));
    segment.hang();
    let mut stage = Stage::new(320, 180, 30, &folder.0);
    let reporter = stage.context.reporter(Job::Program, Epoch(1));
    let began = std::time::Instant::now();
    segment.seal(&reporter);
    let sealed = stage.wait("the seal", LONG, |_, fact| seal_of(fact).cloned());
    assert!(!sealed.clean, "{sealed:?}");
    assert!((3..6).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert!(decodable(&path) as u64 >= sealed.frames && sealed.frames >= 30, "{sealed:?}");
}
