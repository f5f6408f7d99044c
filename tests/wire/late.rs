//! Those who come late: a picture at once, and no more key frames than the line can bear.

use std::path::Path;
use std::process::Command;

use super::harness::{alone, five_cameras};
use super::lab::WORLD;
use super::servers::{RTMP_PORT, STREAM_KEY};
use super::stage::{ROOM, Stage, is, livekit_leg, livekit_url};
use super::viewer::now_ms;

const VIEWERS: usize = 5;
/// From the join to the first decoded picture. The server passes on one wish for a key frame a second; the last of five
/// who come at once may have to wait for the next, while five decoders start on one machine.
const PICTURE_MS: f64 = 2_000.0;
/// Half of them are not slower than one who comes alone.
const HALF_MS: f64 = 1_000.0;
/// Key frames that were asked for are 500 ms apart; a recording's times are of whole milliseconds and frames.
const APART_S: f64 = 0.45;
/// Nobody asks: a key frame each two seconds.
const REGULAR_S: f64 = 1.9;

#[test]
fn five_who_come_late_have_a_picture_at_once_and_share_their_key_frames() {
    let _alone = alone();
    let stage = Stage::bare("late").with_livekit().with_rtmp();
    // Beside the room, an RTMP server records what the one encode makes for all.
    let record = format!(
        "[[leg]]\nname = \"record\"\nkind = \"rtmp\"\nurl = \"rtmp://{WORLD}:{RTMP_PORT}/live\"\n\
         stream_key = \"{STREAM_KEY}\"\n[record]\nslots = false\n"
    );
    let cuebox = stage.start(&five_cameras(&(livekit_leg(&livekit_url(), "") + &record)));
    for leg in ["livekit", "record"] {
        cuebox.wait(&format!("{leg} carries"), 40, |status| is(status, leg, "carrying"));
    }
    let first = stage.viewer();
    first.wait_frames("program", 60, 30);

    let mut waited: Vec<f64> = (0..VIEWERS)
        .map(|number| stage.viewer_of(ROOM, &format!("late-{number}")))
        .collect::<Vec<_>>()
        .iter()
        .map(|late| {
            let joined = late.wait("a late viewer is in the room", 60, |seen| {
                seen.events("joined").first().map(|it| it["t"].as_f64().unwrap())
            });
            late.wait("a late viewer has a picture", 20, |seen| seen.frames.first().map(|frame| frame.t - joined))
        })
        .collect();
    waited.sort_by(f64::total_cmp);
    println!("first pictures after {waited:.0?} ms");
    assert!(waited[VIEWERS - 1] <= PICTURE_MS, "{waited:.0?}");
    assert!(waited[VIEWERS / 2] <= HALF_MS, "{waited:.0?}");

    first.watch_until(now_ms() + 3_000.0);
    drop(first);
    let recordings = stage.nginx.as_ref().unwrap().recordings();
    stage.end(cuebox);
    let keys = key_frames(&recordings[0]);
    let apart: Vec<f64> = keys.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("key frames apart: {apart:.2?} s");
    assert!(apart.iter().all(|apart| *apart >= APART_S), "{apart:.2?}");
    assert!(apart.iter().any(|apart| *apart < REGULAR_S), "those who came were answered with key frames: {apart:.2?}");
}

/// Times of a recording's key frames, in seconds.
fn key_frames(file: &Path) -> Vec<f64> {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"]);
    let output = probe.arg(file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let key = |line: &str| line.split_once(',').filter(|(_, flags)| flags.starts_with('K'))?.0.parse().ok();
    text.lines().filter_map(key).collect()
}
