use std::time::Duration;

use cuebox_core::device::Encoder;
use cuebox_core::director::{Encode, EncodeJob, Fact};
use cuebox_core::encode_plan::{Grant, Profile, RateControl};
use cuebox_core::ids::{Epoch, SlotId};

use super::*;
use crate::media::actor::Actor;
use crate::media::testkit::{Folder, Stage, eventually, pictures};

mod steps;

const LONG: Duration = Duration::from_secs(20);

fn candidate(element: &str) -> Encoder {
    Encoder {
        element: element.to_owned(),
        hardware: false,
        max_sessions: None,
        max_size: None,
        max_pixels_per_s: None,
        max_bitrate_bps: None,
    }
}

fn wish(element: &str, width: u32, height: u32, control: RateControl) -> Encode {
    let grant = Grant {
        element: element.to_owned(),
        hardware: false,
        width,
        height,
        fps: 30,
        control,
        profile: Profile::ConstrainedBaseline,
        level: 31,
        gop: 60,
    };
    let picture = grant.picture();
    Encode { epoch: Epoch(1), grant, bitrate_bps: 1_000_000, picture, halved: false }
}

#[test]
fn the_probe_finds_working_encoders_and_says_why_others_are_not() {
    gst::init().unwrap();
    let folder = Folder::new("probe");
    let cache = folder.0.join("encoders.json");
    let candidates = ["mpph264enc", "x264enc", "openh264enc", "madeupenc"].map(candidate);
    let found = probe("bench", &candidates, Some(&cache));
    let working: Vec<&str> = found.working.iter().map(|encoder| encoder.element.as_str()).collect();
    assert_eq!(working, ["x264enc", "openh264enc"]);
    let why: Vec<&str> = found.broken.iter().map(|broken| broken.why.as_str()).collect();
    assert!(why[0].contains("gstreamer1.0-rockchip1"), "{why:?}");
    assert_eq!(why.len(), 2);

    assert_eq!(probe("bench", &candidates, Some(&cache)), found, "read from the cache");
    let text = std::fs::read_to_string(&cache).unwrap().replace("x264enc", "oldenc");
    std::fs::write(&cache, text).unwrap();
    assert_eq!(probe("bench", &candidates, Some(&cache)), found, "a cache of another machine is not believed");
}

#[test]
fn every_software_encoder_gives_access_units_on_the_grid_at_the_granted_size() {
    let steady = RateControl::Steady { average_bps: 1_000_000 };
    let stream = RateControl::Stream { min_bps: 150_000, max_bps: 2_000_000 };
    let slot = SlotId::new(1).unwrap();
    let table = [
        ("x264enc", 320, 180, stream),
        ("x264enc", 320, 180, steady),
        ("x264enc", 160, 90, steady),
        ("openh264enc", 320, 180, stream),
        ("openh264enc", 160, 90, steady),
    ];
    for (element, width, height, control) in table {
        let mut stage = Stage::new(320, 180, 30, std::path::Path::new("/nonexistent"));
        let _feed = pictures(&stage.context, Link::SlotPicture(slot), |_| false);
        let job = EncodeJob::Slot(slot);
        let actor =
            Actor::start(&stage.context, Wish::Encode(job, wish(element, width, height, control)), |_| {}).unwrap();
        stage.wait("the first access unit", LONG, |_, fact| (*fact == Fact::FirstBuffer).then_some(()));
        assert!(eventually(LONG, || actor.reporter.total() > 35), "{element}: {}", actor.reporter.total());
        let sample = stage.context.links.last_sample(Link::Encoded(job)).unwrap();
        let caps = sample.caps().unwrap().structure(0).unwrap();
        assert_eq!(caps.get::<i32>("width").unwrap(), width as i32, "{element}");
        assert_eq!(caps.get::<i32>("height").unwrap(), height as i32, "{element}");
        assert_eq!(caps.get::<&str>("profile").unwrap(), "constrained-baseline", "{element}");
        let pts = sample.buffer().unwrap().pts().unwrap();
        let (timing, grid) = (&stage.context.timing, stage.context.format.grid);
        assert_eq!(timing.running(grid.time_of(timing.frame_at(grid, pts))), pts, "{element}");
        assert!(stage.context.gauges.lock().unwrap().encodes["slot-1"] > 0);
        actor.stop();
    }
}

#[test]
fn the_bitrate_of_a_running_encode_changes() {
    let mut stage = Stage::new(640, 360, 30, std::path::Path::new("/nonexistent"));
    let _feed = noise(&stage);
    let control = RateControl::Stream { min_bps: 150_000, max_bps: 4_000_000 };
    let mut wish = wish("x264enc", 640, 360, control);
    wish.bitrate_bps = 3_000_000;
    let actor = Actor::start(&stage.context, Wish::Encode(EncodeJob::Stream, wish.clone()), |_| {}).unwrap();
    stage.wait("the first access unit", LONG, |_, fact| (*fact == Fact::FirstBuffer).then_some(()));
    let gauges = stage.context.gauges.clone();
    let now = move || gauges.lock().unwrap().encodes.get("stream").copied().unwrap_or(0);
    assert!(eventually(LONG, || now() > 2_000_000), "{}", now());
    wish.bitrate_bps = 600_000;
    actor.update(Wish::Encode(EncodeJob::Stream, wish));
    assert!(eventually(LONG, || (1..1_200_000).contains(&now())), "{}", now());
    actor.stop();
}

/// Pictures that cost as many bits as the encoder is given.
fn noise(stage: &Stage) -> crate::media::testkit::Feed {
    crate::media::testkit::noise(&stage.context, Link::ProgramPicture)
}
