//! What each leg costs: the cores that it adds to a box that encodes its stream anyway.

use std::time::Duration;

use super::air::{ONE_CAMERA, carries};
use super::harness::CueBox;
use super::lab::WORLD;
use super::meter::{cores, median, wait};
use super::row;
use super::servers::{RTMP_PORT, SRT_PORT, STREAM_KEY, srt_listener};
use super::stage::{Stage, is};

const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(4);
const SPAN: Duration = Duration::from_secs(10);

pub fn rtmp(name: &str, application: &str) -> String {
    format!(
        "[[leg]]\nname = \"{name}\"\nkind = \"rtmp\"\nurl = \"rtmp://{WORLD}:{RTMP_PORT}/{application}\"\n\
         stream_key = \"{STREAM_KEY}\"\n"
    )
}

pub fn off(cuebox: &CueBox, leg: &str) {
    cuebox.done(&["leg", "disable", leg]);
    cuebox.wait(&format!("{leg} is off"), 20, |status| is(status, leg, "off"));
}

pub fn on(cuebox: &CueBox, leg: &str) {
    cuebox.done(&["leg", "enable", leg]);
    carries(cuebox, leg);
}

/// Cores of a process, once it has settled.
pub fn settled(pid: u32) -> f64 {
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
