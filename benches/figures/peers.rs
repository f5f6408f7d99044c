//! What publishing to LiveKit costs, beside GStreamer's own sink for it with the same encoded stream: `make bench-peers`,
//! which builds the peer (`benches/peers`). Both make Opus of their sound, and both have one viewer. And what GStreamer's
//! own WHIP server gets of a WHIP leg.

use std::path::Path;
use std::process::Stdio;

use super::air::{ONE_CAMERA, carries};
use super::lab::{Side, WORLD};
use super::legs::{off, on, rtmp, settled};
use super::meter::{cpu_seconds, median};
use super::row;
use super::service::Process;
use super::stage::{ROOM, Stage, livekit_leg, livekit_url};
use super::viewer::Viewer;

const ROUNDS: usize = 3;

/// What the WHIP server counts, and the port that it listens on.
const WHIP_SECONDS: usize = 30;
const WHIP_PORT: u16 = 8190;

/// `peer`: its program.
pub fn run(peer: &str) {
    cpu(peer);
    whip(peer);
}

/// The server ends after each round: the leg has to find the next one by itself.
fn whip(peer: &str) {
    let stage = Stage::bare("peers-whip");
    let url = format!("http://{WORLD}:{WHIP_PORT}");
    let leg = format!("[[leg]]\nname = \"whip\"\nkind = \"whip\"\nurl = \"{url}/whip/endpoint\"\n");
    let cuebox = stage.start(&(ONE_CAMERA.to_owned() + &leg));
    let seconds = WHIP_SECONDS.to_string();
    let rounds: Vec<String> = (0..ROUNDS)
        .map(|_| {
            let output = stage
                .lab
                .command(Side::World, peer)
                .args(["whip", &url, &seconds])
                .output()
                .expect("the peer is built");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        })
        .collect();
    cuebox.stop();
    let wanted = format!("{} pictures", WHIP_SECONDS * 30);
    row("WHIP leg into whipserversrc, 30 s, each round a new server", &wanted, &rounds.join(" · "), "its own count");
}

fn cpu(peer: &str) {
    let stage = Stage::bare("peers").with_livekit().with_rtmp();
    let viewer = stage.viewer();
    let cuebox = stage.start(&(ONE_CAMERA.to_owned() + &rtmp("first", "live") + &livekit_leg(&livekit_url(), "")));
    carries(&cuebox, "first");
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        off(&cuebox, "livekit");
        let without = settled(cuebox.pid());
        on(&cuebox, "livekit");
        sees(&viewer);
        ours.push(settled(cuebox.pid()) - without);
    }
    cuebox.stop();
    // The encoded stream as the leg beside it had it.
    let clip = stage.nginx.as_ref().expect("it runs").recordings().pop().expect("the RTMP server recorded it");
    let token = stage.host(&["token", ROOM, "peer", "600"]);
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        let without = played(&stage, peer, &["none".as_ref(), &clip], None);
        let url = livekit_url();
        let words = ["livekit".as_ref(), clip.as_path(), url.as_ref(), ROOM.as_ref(), token.as_ref()];
        theirs.push(played(&stage, peer, &words, Some(&viewer)) - without);
    }
    let (own, theirs) = (median(&ours), median(&theirs));
    row(
        "CPU of the LiveKit leg, 720p30 at 2.5 Mbit/s, with sound",
        "≤ 1.15 × livekitwebrtcsink",
        &format!("{:.2} × ({own:.3} cores)", own / theirs),
        &format!("{theirs:.3} cores for the same encoded stream"),
    );
}

fn sees(viewer: &Viewer) {
    let before = viewer.seen().frames.len();
    viewer.wait("the stream arrives", 30, |seen| (seen.frames.len() > before + 30).then_some(()));
}

/// Cores of the peer, once it has settled.
fn played(stage: &Stage, peer: &str, words: &[&Path], viewer: Option<&Viewer>) -> f64 {
    let mut command = stage.lab.command(Side::Box, peer);
    let peer = Process(command.args(words).stdin(Stdio::null()).spawn().expect("the peer is built"));
    if let Some(viewer) = viewer {
        sees(viewer);
    }
    let cores = settled(peer.0.id());
    assert!(
        cpu_seconds(peer.0.id()) > 0.0 && Path::new(&format!("/proc/{}/exe", peer.0.id())).exists(),
        "it has ended"
    );
    cores
}
