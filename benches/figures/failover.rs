//! A source ends with an error, or falls silent without one: how long the program shows nothing new. A marked clip is
//! pulled from a real RTMP server that is killed, or stopped; the program's recording is read back frame by frame.

use std::time::Duration;

use super::harness::{CueBox, Folder, segments};
use super::marks::{self, Mark};
use super::meter::{percentile, wait};
use super::outside::{Outside, marked_clip};
use super::row;

const RUNS: usize = 100;
const FRAME_MS: f64 = 1000.0 / 30.0;

pub fn gap() {
    tell("source error → other source", "≤ 2 frames", Outside::kill);
    tell("source silent → other source", "≤ 250 ms, or 4 of its frames", |outside| outside.stand_still());
}

fn tell(figure: &str, reach: &str, fail: fn(&mut Outside)) {
    let mut gaps = gaps(fail);
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| percentile(&mut gaps, share));
    let measured = format!("{p50:.0} frames p50 ({:.0} ms), {p99:.0} p99, {most:.0} at most", p50 * FRAME_MS);
    let reference = format!("frame marks in the program's recording; {} runs", gaps.len());
    row(figure, reach, &measured, &reference);
}

/// Of each run the frames of the program between the last new picture of slot 1 and the first of slot 2.
fn gaps(fail: fn(&mut Outside)) -> Vec<f64> {
    let folder = Folder::new("bench-failover");
    let mut outside = Outside::start(folder.path(), marked_clip(&folder.path().join("clip")));
    let config = format!(
        "[program]\nsize = \"640x360\"\nfps = 30\nstart_slot = 1\nauto_return = \"off\"\n[record]\nslots = false\n\
         [[slot]]\nnumber = 1\nsource = {{ kind = \"network\", url = \"{}\" }}\n\
         [[slot]]\nnumber = 2\nsource = {{ kind = \"test\", marks = true }}\n",
        outside.camera()
    );
    let cuebox = CueBox::start(&folder, &config);
    let mut random = 7_u64;
    for _ in 0..RUNS {
        cuebox.wait("slot 1 is live", 30, |status| status["slots"][0]["state"] == "live");
        cuebox.done(&["cut", "1"]);
        cuebox.wait("slot 1 is on air", 10, |status| {
            status["program"]["on_air"] == 1 && status["program"]["armed"].is_null()
        });
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        wait(Duration::from_millis(1_500 + (random >> 40) % 500));
        fail(&mut outside);
        cuebox.wait("slot 2 is on air", 30, |status| status["program"]["on_air"] == 2);
        outside.come_back(&cuebox);
    }
    let show = cuebox.show();
    cuebox.done(&["show", "stop"]);
    cuebox.wait("the show is sealed", 30, |status| status["recording"]["state"] == "idle");
    cuebox.stop();
    let pictures: Vec<Option<Mark>> =
        segments(&show, "program").iter().flat_map(|(file, _)| marks::read(file, 640, 360)).collect();
    let gaps = changes(&pictures);
    assert_eq!(gaps.len(), RUNS, "each failure is one change of the picture");
    gaps
}

/// Frames without anything new before each change from slot 1 to slot 2.
fn changes(pictures: &[Option<Mark>]) -> Vec<f64> {
    let (mut gaps, mut before, mut newest) = (Vec::new(), None::<Mark>, 0);
    for (index, picture) in pictures.iter().enumerate() {
        let Some(mark) = picture else { continue };
        if before.is_some_and(|before| before.slot == 1 && mark.slot == 2) {
            gaps.push((index - newest - 1) as f64);
        }
        if before != *picture {
            newest = index;
        }
        before = *picture;
    }
    gaps
}
