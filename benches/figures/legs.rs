//! What each leg costs: the cores that it adds to a box that encodes its stream anyway, and beside them what somebody
//! else's LiveKit publisher takes for the same stream.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::air::{ONE_CAMERA, carries};
use super::harness::CueBox;
use super::lab::{Side, WORLD};
use super::meter::{cores, median, wait};
use super::row;
use super::servers::{RTMP_PORT, SRT_PORT, STREAM_KEY, srt_listener};
use super::service::Process;
use super::stage::{Stage, is, livekit_leg, livekit_url};

const ROUNDS: usize = 3;
const WHIP_PORT: u16 = 8190;
const WARM_UP: Duration = Duration::from_secs(4);
const SPAN: Duration = Duration::from_secs(10);
/// Of the stream that the other publisher is given.
const RECORDED: Duration = Duration::from_secs(25);

fn rtmp(name: &str, application: &str) -> String {
    format!(
        "[[leg]]\nname = \"{name}\"\nkind = \"rtmp\"\nurl = \"rtmp://{WORLD}:{RTMP_PORT}/{application}\"\n\
         stream_key = \"{STREAM_KEY}\"\n"
    )
}

fn off(cuebox: &CueBox, leg: &str) {
    cuebox.done(&["leg", "disable", leg]);
    cuebox.wait(&format!("{leg} is off"), 20, |status| is(status, leg, "off"));
}

fn on(cuebox: &CueBox, leg: &str) {
    cuebox.done(&["leg", "enable", leg]);
    carries(cuebox, leg);
}

/// Cores of a process, once it has settled.
fn settled(pid: u32) -> f64 {
    wait(WARM_UP);
    cores(pid, SPAN)
}

/// Cores that one more leg of a kind takes, without an encode of its own.
pub fn legs() {
    let stage = Stage::bare("legs").with_rtmp();
    let _srt = srt_listener(&stage.lab, stage.path(), None, &stage.path().join("srt.ts"));
    let srt = format!("[[leg]]\nname = \"srt\"\nkind = \"srt\"\nurl = \"srt://{WORLD}:{SRT_PORT}\"\n");
    let cuebox = stage.start(&(ONE_CAMERA.to_owned() + &rtmp("first", "live") + &rtmp("second", "cameras") + &srt));
    carries(&cuebox, "first");
    let (mut second, mut third) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        off(&cuebox, "second");
        off(&cuebox, "srt");
        let without = settled(cuebox.pid());
        on(&cuebox, "second");
        let with_rtmp = settled(cuebox.pid());
        on(&cuebox, "srt");
        second.push(with_rtmp - without);
        third.push(settled(cuebox.pid()) - with_rtmp);
    }
    for (figure, steps) in [("one more RTMP leg", second), ("one more SRT leg", third)] {
        let reference = "the same box without it, in turn";
        row(figure, "≤ 0.03 cores", &format!("{:+.3} cores", median(&steps)), reference);
    }
}

/// Where `make bench` built the other publisher.
fn peers() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its path");
    let target = own.ancestors().nth(3).expect("benches lie in the target folder");
    target.join("peers/release/cuebox-peers")
}

fn peer(stage: &Stage, words: &[&str]) -> Process {
    let mut command = stage.lab.command(Side::Box, &peers().display().to_string());
    command.args(words).stdin(Stdio::null());
    Process(command.spawn().expect("the other publisher starts"))
}

/// What the box's LiveKit leg adds to it, and what `livekitwebrtcsink` takes for a recording of the same stream.
pub fn publisher() {
    assert!(peers().exists(), "{} is missing: run `make bench`", peers().display());
    let stage = Stage::bare("publisher").with_livekit().with_rtmp();
    let config =
        ONE_CAMERA.to_owned() + &rtmp("first", "live") + &livekit_leg(&livekit_url(), "").replace("uplink = 1\n", "");
    let cuebox = stage.start(&config);
    carries(&cuebox, "first");
    wait(RECORDED);
    let file = stage.path().join("stream.flv");
    let recorded = stage.nginx.as_ref().map(super::servers::Nginx::recordings).unwrap_or_default();
    std::fs::copy(&recorded[0], &file).expect("the stream was recorded");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        off(&cuebox, "livekit");
        let without = settled(cuebox.pid());
        on(&cuebox, "livekit");
        ours.push(settled(cuebox.pid()) - without);
        theirs.push(other(&stage, &file, round));
    }
    let (own, other) = (median(&ours), median(&theirs));
    row(
        "the LiveKit leg, 2.5 Mbit/s and sound",
        "≤ 1.15 × livekitwebrtcsink",
        &format!("{:.2} × ({own:.3} cores)", own / other),
        &format!("livekitwebrtcsink {other:.3} cores"),
    );
}

/// Pictures that somebody else's WHIP server decodes.
pub fn whip() {
    assert!(peers().exists(), "{} is missing: run `make bench`", peers().display());
    let stage = Stage::bare("whip");
    let mut command = stage.lab.command(Side::World, &peers().display().to_string());
    command.args(["whip", &format!("http://{WORLD}:{WHIP_PORT}")]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = Process(command.spawn().expect("the WHIP server starts"));
    let mut lines = BufReader::new(server.0.stdout.take().expect("its standard output")).lines();
    let mut decoded = || -> u64 {
        let line = lines.next().and_then(Result::ok).expect("the WHIP server goes on");
        line.parse().expect("a number of pictures")
    };
    decoded();
    let url = format!("http://{WORLD}:{WHIP_PORT}/whip/endpoint");
    let cuebox = stage
        .start(&(ONE_CAMERA.to_owned() + &format!("[[leg]]\nname = \"whip\"\nkind = \"whip\"\nurl = \"{url}\"\n")));
    carries(&cuebox, "whip");
    // What was written while nobody read is read first.
    let mut first = decoded();
    while first == 0 {
        first = decoded();
    }
    let (seconds, from) = (20, decoded());
    let until = (0..seconds).map(|_| decoded()).last().unwrap_or(from);
    let measured = format!("{} pictures in {seconds} s", until - from);
    row("WHIP to `whipserversrc`, decoded there", "30 a second", &measured, "gst-plugins-rs");
}

/// Cores that `livekitwebrtcsink` takes beside reading the file.
fn other(stage: &Stage, file: &Path, round: usize) -> f64 {
    let file = file.display().to_string();
    let token = stage.host(&["token", &format!("peer-{round}"), "peer", "600"]);
    let reading = alone(peer(stage, &["nowhere", &file]));
    alone(peer(stage, &["livekit", &livekit_url(), &token, &file])) - reading
}

fn alone(mut process: Process) -> f64 {
    let taken = settled(process.0.id());
    assert!(process.0.try_wait().expect("a child can be asked").is_none(), "the other publisher ended by itself");
    taken
}
