//! What viewers of the air wait for: the real box in a network namespace, LiveKit's server, an RTMP server, and LiveKit's
//! own client library as the viewer. The bench of the wire tests carries it.

use std::process::Stdio;
use std::time::Duration;

use super::harness::{CueBox, signal, until};
use super::lab::{Side, WORLD};
use super::meter::{median, percentile, rss_mb, wait};
use super::row;
use super::servers::LIVEKIT_PORT;
use super::service::Process;
use super::stage::{ROOM, Stage, backup_leg, is, livekit_leg, livekit_url};
use super::viewer::{Viewer, now_ms};

const FRAME_MS: f64 = 1000.0 / 30.0;
const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(4);
const SPAN: Duration = Duration::from_secs(12);
const OUTAGES: usize = 20;
const RECONNECTS: usize = 100;

/// One camera of 720p30 at 2.5 Mbit/s, nothing recorded.
pub const ONE_CAMERA: &str = "[program]\nsize = \"1280x720\"\nfps = 30\nvideo_bitrate = \"2.5 Mbit/s\"\nstart_slot = 1\n\
    [[slot]]\nnumber = 1\nname = \"Camera 1\"\nsource = { kind = \"test\", marks = true }\n\
    [record]\nprogram = false\nslots = false\n";

pub fn carries(cuebox: &CueBox, leg: &str) {
    cuebox.wait(&format!("{leg} carries"), 60, |status| is(status, leg, "carrying"));
}

/// What a viewer saw and heard for a while.
struct Watched {
    /// Picture made → picture decoded, ms.
    latencies: Vec<f64>,
    /// Of flashes and their bursts, ms.
    sound_after_picture: Vec<f64>,
}

impl Watched {
    fn of(viewer: &Viewer) -> Self {
        let from = now_ms();
        wait(SPAN);
        let seen = viewer.seen();
        let recent = seen.frames.iter().filter(|frame| frame.t >= from);
        let latencies = recent.filter_map(|frame| Some(frame.t - frame.mark?.pushed_ms as f64)).collect();
        Self { latencies, sound_after_picture: seen.sound_after_picture("program", from, now_ms()) }
    }
}

/// Ours and the bare one's p50 and p99, in turn.
pub fn latency() {
    let (mut p50, mut p99, mut bare_p50, mut bare_p99) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut offsets = Vec::new();
    for _ in 0..ROUNDS {
        let stage = Stage::bare("latency").with_livekit();
        let viewer = stage.viewer();
        let cuebox = stage.start(&(ONE_CAMERA.to_owned() + &livekit_leg(&livekit_url(), "")));
        carries(&cuebox, "livekit");
        wait(WARM_UP);
        let Watched { latencies: mut ours, sound_after_picture } = Watched::of(&viewer);
        offsets.extend(sound_after_picture);
        p50.push(percentile(&mut ours, 0.5));
        p99.push(percentile(&mut ours, 0.99));
        drop((cuebox, viewer));

        let room = format!("{ROOM}-bare");
        let viewer = stage.viewer_of(&room, "viewer");
        let token = stage.host(&["token", &room, "bare", "600"]);
        let own = std::env::current_exe().expect("a program knows its path");
        let mut command = stage.lab.command(Side::Box, &own.display().to_string());
        let host = format!("{WORLD}:{LIVEKIT_PORT}");
        command.args(["bare-air", &host, &token, "60"]).stdin(Stdio::null());
        let _bare = Process(command.spawn().expect("the bare pipeline starts"));
        viewer.wait("the bare stream arrives", 20, |seen| (seen.frames.len() > 30).then_some(()));
        wait(WARM_UP);
        let mut bare = Watched::of(&viewer).latencies;
        bare_p50.push(percentile(&mut bare, 0.5));
        bare_p99.push(percentile(&mut bare, 0.99));
    }
    row(
        "camera → LiveKit viewer, 720p30",
        "≤ bare + 33 ms p50, + 67 ms p99",
        &format!("{:.0} ms p50, {:.0} p99", median(&p50), median(&p99)),
        &format!("bare {:.0} ms p50, {:.0} p99", median(&bare_p50), median(&bare_p99)),
    );
    let more = median(&p50) - median(&bare_p50);
    row("the same, in frames over bare", "≤ 1 p50", &format!("{:+.2}", more / FRAME_MS), "same run");
    let [least, middle, most] = [0.0, 0.5, 1.0].map(|share| percentile(&mut offsets, share));
    row("its sound after its picture", "± 40 ms", &format!("{middle:+.0} ms ({least:+.0} to {most:+.0})"), "same run");
}

/// The leg is switched on → the viewer has its first picture.
pub fn join() {
    let stage = Stage::bare("join").with_livekit();
    let viewer = stage.viewer();
    let cuebox = stage.start(&(ONE_CAMERA.to_owned() + &livekit_leg(&livekit_url(), "")));
    carries(&cuebox, "livekit");
    let mut times = Vec::new();
    for _ in 0..10 {
        cuebox.done(&["leg", "disable", "livekit"]);
        wait(Duration::from_secs(1));
        let began = now_ms();
        cuebox.done(&["leg", "enable", "livekit"]);
        times.push((viewer.wait_frames("program", 1, 30) - began) / 1e3);
        carries(&cuebox, "livekit");
    }
    let (mut sorted, most) = (times.clone(), times.iter().copied().fold(0.0, f64::max));
    let measured = format!("{:.2} s p50, {most:.2} at most", percentile(&mut sorted, 0.5));
    row("LiveKit join → first picture at a viewer", "≤ 1.5 s", &measured, "10 joins");
}

/// LiveKit's server is killed and started again: until the fallback's stream arrives, until viewers are back.
pub fn outages() {
    let mut stage = Stage::bare("outages").with_livekit().with_rtmp();
    let viewer = stage.viewer();
    let cuebox = stage.start(&(ONE_CAMERA.to_owned() + &livekit_leg(&livekit_url(), "") + &backup_leg()));
    let (mut falls, mut returns) = (Vec::new(), Vec::new());
    for _ in 0..OUTAGES {
        carries(&cuebox, "livekit");
        // What fails again and again must prove itself for longer each time, which is not what is measured.
        cuebox.done(&["leg", "reconnect", "livekit"]);
        cuebox.wait("livekit carries alone", 60, |status| {
            is(status, "livekit", "carrying") && !is(status, "backup", "carrying")
        });
        viewer.wait_frames("program", 30, 60);
        let bytes = |stage: &Stage| stage.nginx.as_ref().map_or(0, super::servers::Nginx::recorded_bytes);
        let before = bytes(&stage);
        let Some(livekit) = stage.livekit.as_mut() else { return };
        livekit.kill();
        let killed = now_ms();
        until("the fallback's stream arrives", 30, || bytes(&stage) > before);
        falls.push((now_ms() - killed) / 1e3);
        carries(&cuebox, "backup");
        let Stage { livekit: Some(livekit), lab, .. } = &mut stage else { return };
        livekit.restart(lab);
        let restarted = now_ms();
        returns.push((viewer.wait_frames("program", 1, 120) - restarted) / 1e3);
    }
    let told = |times: &mut [f64]| {
        let [p50, p90, most] = [0.5, 0.9, 1.0].map(|share| percentile(times, share));
        format!("{p50:.1} s p50, {p90:.1} p90, {most:.1} at most")
    };
    row("LiveKit's server killed → the fallback's stream arrives", "≤ 5 s", &told(&mut falls), "20 kills");
    row("LiveKit's server is back → its viewers have the program", "by itself", &told(&mut returns), "20 kills");
}

/// Memory over many new joins.
pub fn reconnects() {
    let stage = Stage::bare("reconnects").with_livekit();
    let cuebox = stage.start(&(ONE_CAMERA.to_owned() + &livekit_leg(&livekit_url(), "")));
    let again = |times: usize| {
        for _ in 0..times {
            cuebox.done(&["leg", "disable", "livekit"]);
            cuebox.wait("the leg is off", 20, |status| is(status, "livekit", "off"));
            cuebox.done(&["leg", "enable", "livekit"]);
            carries(&cuebox, "livekit");
        }
    };
    carries(&cuebox, "livekit");
    again(10);
    let before = rss_mb(cuebox.pid());
    again(RECONNECTS);
    let after = rss_mb(cuebox.pid());
    signal(cuebox.pid(), "INT");
    let measured = format!("{:+.1} MB", after - before);
    row(
        "memory over 100 joins of the LiveKit leg",
        "≤ 5 MB",
        &measured,
        &format!("{before:.0} MB after the first ten"),
    );
}
