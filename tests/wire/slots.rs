//! Slots published beside the program, each as a pair of tracks of its own.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use super::harness::alone;
use super::lab::{Lab, Side, WORLD};
use super::seen::Seen;
use super::servers::RTMP_PORT;
use super::stage::{IDENTITY, Stage, is, livekit_leg, livekit_url};
use super::viewer::now_ms;

/// A camera in the network: an encoder that publishes to the RTMP server of the world.
struct Camera(Child);

impl Camera {
    fn plug(lab: &Lab) -> Self {
        let url = format!("rtmp://127.0.0.1:{RTMP_PORT}/cameras/five");
        let child = lab
            .command(Side::World, "ffmpeg")
            .args(["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"])
            .args(["-f", "lavfi", "-i", "sine=frequency=800:sample_rate=48000"])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-c:a", "aac"])
            .args(["-f", "flv", &url])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn config() -> String {
    let mut text =
        "[program]\nsize = \"640x360\"\nfps = 30\nvideo_bitrate = \"1.5 Mbit/s\"\nstart_slot = 1\n".to_owned();
    for number in 1..=4 {
        text += &format!(
            "[[slot]]\nnumber = {number}\nname = \"Camera {number}\"\n\
             source = {{ kind = \"test\", marks = true, tone_hz = {} }}\n",
            300 + 100 * number
        );
    }
    text += &format!(
        "[[slot]]\nnumber = 5\nname = \"Garden\"\n\
         source = {{ kind = \"network\", url = \"rtmp://{WORLD}:{RTMP_PORT}/cameras/five\" }}\n"
    );
    text + &livekit_leg(&livekit_url(), "publish = \"program+slots\"") + "[record]\nslots = false\n"
}

/// Tracks with picture and with sound that the viewer has had since then.
fn tracks_since(seen: &Seen, from: f64) -> (BTreeSet<String>, BTreeSet<String>) {
    let pictures = seen.frames.iter().filter(|frame| frame.t >= from).map(|frame| frame.track.clone());
    let sounds = seen.sounds.iter().filter(|sound| sound.t >= from).map(|sound| sound.track.clone());
    (pictures.collect(), sounds.collect())
}

#[test]
fn each_live_slot_is_a_pair_of_tracks_and_one_that_is_unplugged_goes_and_comes_back() {
    let _alone = alone();
    let stage = Stage::bare("slots").with_livekit().with_rtmp();
    let camera = Camera::plug(&stage.lab);
    let cuebox = stage.start(&config());
    let viewer = stage.viewer();
    cuebox.wait("five slots are live", 60, |status| super::harness::live_slots(status) == 5);
    cuebox.wait("the leg carries", 30, |status| is(status, "livekit", "carrying"));
    let all: BTreeSet<String> = ["program", "slot-1", "slot-2", "slot-3", "slot-4", "slot-5"].map(str::to_owned).into();
    let from = now_ms();
    viewer.wait("six tracks with picture and sound", 30, |seen| {
        (tracks_since(seen, from) == (all.clone(), all.clone())).then_some(())
    });
    let from = now_ms();
    viewer.watch_until(from + 8_000.0);
    assert_each_is_its_own(&viewer.seen(), from, from + 8_000.0);

    drop(camera);
    viewer.wait("the lost slot's tracks are withdrawn", 30, |seen| {
        let gone = seen
            .events("unpublished")
            .into_iter()
            .filter(|event| event["track"] == "slot-5" && event["who"] == IDENTITY);
        (gone.count() == 2).then_some(())
    });
    let from = now_ms();
    viewer.watch_until(from + 3_000.0);
    assert!(viewer.seen().longest_stall("program", from, from + 3_000.0) < 900.0);
    let _camera = Camera::plug(&stage.lab);
    let back = viewer.wait_frames("slot-5", 30, 60);
    let program = viewer.seen().longest_stall("program", from, back);
    println!("longest stall of the program while a slot went and came: {program:.0} ms");
    assert!(program < 900.0, "the program stood for {program:.0} ms");
    drop(viewer);
    stage.end(cuebox);
}

fn assert_each_is_its_own(seen: &Seen, from: f64, to: f64) {
    for number in 1..=4u64 {
        let track = format!("slot-{number}");
        let frames = seen.frames(&track, from, to);
        let fps = frames.len() as f64 * 1e3 / (to - from);
        let own = frames.iter().filter(|frame| frame.mark.is_some_and(|mark| mark.slot == number)).count();
        let pitch = seen.pitch(&track, from, to);
        println!("{track}: {fps:.1} frames a second of {}×{}, {pitch:?} Hz", frames[0].width, frames[0].height);
        assert!(own * 10 >= frames.len() * 9, "{track}: {own} of {} frames are its own", frames.len());
        assert!(fps >= 5.0, "{track}: {fps:.1} frames a second");
        assert!(pitch.is_some_and(|hz| (hz - (300 + 100 * number) as f64).abs() < 5.0), "{track}: {pitch:?} Hz");
    }
}
