//! The RTMP leg against a real nginx with its RTMP module: read back, killed, wedged, restarted, refused.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::{CueBox, Folder, alone, five_cameras, segments};
use super::nginx::Authority;
use super::ports::free_port;
use super::servers::Nginx;

fn with_leg(url: &str) -> String {
    five_cameras(&format!(
        "[[leg]]\nname = \"backup\"\nkind = \"rtmp\"\nuplink = 1\nurl = \"{url}\"\nstream_key = \"wedding\"\n"
    ))
}

fn leg(status: &Value) -> &Value {
    &status["legs"][0]
}

/// Codec names and the number of video packets that a viewer gets in some seconds.
fn watch(url: &str, seconds: u32) -> (Vec<String>, u64) {
    let mut viewer = Command::new("ffmpeg")
        .args(["-v", "info", "-t", &seconds.to_string(), "-i", &format!("{url}/wedding")])
        .args(["-map", "0", "-c", "copy", "-f", "null", "-"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(viewer.stderr.take().unwrap())
        .split(b'\n')
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).replace('\r', "\n"))
        .collect();
    viewer.wait().unwrap();
    let text = lines.join("\n");
    let codecs = ["h264", "aac"].iter().filter(|codec| text.contains(&format!(": {codec}"))).map(|it| (*it).to_owned());
    let frames = text.rsplit("frame=").next().and_then(|tail| tail.split_whitespace().next()?.parse().ok());
    (codecs.collect(), frames.unwrap_or(0))
}

#[test]
fn viewers_of_the_rtmp_server_get_picture_and_sound_whatever_happens_to_it_meanwhile() {
    let _alone = alone();
    let folder = Folder::new("rtmp");
    let mut nginx = Nginx::start(&folder);
    let cuebox = CueBox::start(&folder, &with_leg(&nginx.url()));
    cuebox.wait_live(5);
    let status = cuebox.wait("the leg carries", 30, |status| leg(status)["state"] == "carrying");
    assert_eq!(leg(&status)["kind"], "rtmp");
    let (codecs, frames) = watch(&nginx.url(), 4);
    assert_eq!(codecs, ["h264", "aac"]);
    assert!(frames >= 60, "a viewer got {frames} frames in 4 s");

    nginx.kill();
    let killed = Instant::now();
    let status = cuebox.wait("the closed connection is seen", 10, |status| leg(status)["state"] != "carrying");
    let took = killed.elapsed();
    println!("closed connection seen after {took:.1?}: {}", leg(&status)["why"]);
    assert!(took < Duration::from_secs(4), "{took:?}");
    let status = cuebox.wait("the refusal is told", 30, |status| {
        leg(status)["why"].as_str().is_some_and(|why| why.contains("refused"))
    });
    assert!(leg(&status)["next_try_s"].as_f64().is_some() || leg(&status)["state"] == "trying");

    nginx.restart();
    cuebox.wait("the leg carries again", 60, |status| leg(status)["state"] == "carrying");
    let (codecs, frames) = watch(&nginx.url(), 4);
    assert_eq!(codecs, ["h264", "aac"]);
    assert!(frames >= 60, "after the restart a viewer got {frames} frames in 4 s");

    nginx.signal("STOP");
    let wedged = Instant::now();
    cuebox.wait("the wedged server is seen", 40, |status| leg(status)["state"] != "carrying");
    println!("wedged server seen after {:.1?}", wedged.elapsed());
    assert!(wedged.elapsed() < Duration::from_secs(25));
    nginx.signal("CONT");
    cuebox.wait("the leg carries after the wedge", 90, |status| leg(status)["state"] == "carrying");

    let show = cuebox.show();
    cuebox.stop();
    for track in ["program", "slot-3"] {
        let segments = segments(&show, track);
        assert_eq!(segments.len(), 1, "{track}: a leg's trouble cut the recording");
        assert_eq!(segments[0].1["clean"], true);
    }
}

#[test]
fn reasons_of_a_leg_that_cannot_connect_are_told_apart() {
    let _alone = alone();
    let folder = Folder::new("rtmp-why");
    let nginx = Nginx::start(&folder);
    let closed = free_port();
    let legs = format!(
        "[[leg]]\nname = \"nobody\"\nkind = \"rtmp\"\nurl = \"rtmp://127.0.0.1:{closed}/live\"\n\
         [[leg]]\nname = \"nowhere\"\nkind = \"rtmp\"\nurl = \"rtmp://no-such-host.invalid/live\"\n\
         [[leg]]\nname = \"wrong\"\nkind = \"rtmp\"\nurl = \"rtmp://127.0.0.1:{}/other\"\nstream_key = \"x\"\n",
        nginx.port
    );
    let cuebox = CueBox::start(&folder, &five_cameras(&legs));
    let why = |status: &Value, n: usize| status["legs"][n]["why"].as_str().unwrap_or_default().to_lowercase();
    let status = cuebox.wait("each leg says its own reason", 60, |status| {
        let server = why(status, 2);
        why(status, 0).contains("refused")
            && why(status, 1).contains("host")
            && !server.is_empty()
            && !server.contains("encoder")
    });
    assert_ne!(why(&status, 0), why(&status, 2));
    assert!(!why(&status, 2).contains("host"), "{}", why(&status, 2));
    cuebox.stop();
}

#[test]
fn a_leg_is_switched_off_and_on_without_touching_the_recording() {
    let _alone = alone();
    let folder = Folder::new("rtmp-off");
    let nginx = Nginx::start(&folder);
    let cuebox = CueBox::start(&folder, &with_leg(&nginx.url()));
    cuebox.wait("the leg carries", 40, |status| leg(status)["state"] == "carrying");
    cuebox.done(&["leg", "disable", "backup"]);
    cuebox.wait("the leg is off", 10, |status| leg(status)["state"] == "off");
    cuebox.done(&["leg", "enable", "backup"]);
    cuebox.wait("the leg carries again", 40, |status| leg(status)["state"] == "carrying");
    cuebox.done(&["stream", "stop"]);
    let status = cuebox.wait("streaming stopped", 10, |status| leg(status)["state"] == "off");
    assert_eq!(status["recording"]["state"], "recording");
    let show = cuebox.show();
    cuebox.stop();
    assert_eq!(segments(&show, "program").len(), 1);
}

#[test]
fn a_leg_with_tls_trusts_the_authority_of_its_file_and_no_other() {
    let _alone = alone();
    let folder = Folder::new("rtmps");
    let (ours, foreign) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "foreign"));
    let nginx = Nginx::with_tls(&folder, &[&ours, &foreign]);
    let leg_of = |name: &str, url: String| {
        format!(
            "[[leg]]\nname = \"{name}\"\nkind = \"rtmp\"\nurl = \"{url}\"\nstream_key = \"{name}\"\nca_file = \"{}\"\n",
            ours.file().display()
        )
    };
    let legs = leg_of("wedding", nginx.tls_url(0)) + &leg_of("stranger", nginx.tls_url(1));
    let cuebox = CueBox::start(&folder, &five_cameras(&legs));
    // Legs are listed by name.
    let status = cuebox.wait("one leg carries and the other says why not", 60, |status| {
        let why = status["legs"][0]["why"].as_str().unwrap_or_default();
        status["legs"][1]["state"] == "carrying" && why.contains("certificate")
    });
    assert_ne!(status["legs"][0]["state"], "carrying");
    let (codecs, frames) = watch(&nginx.url(), 4);
    assert_eq!(codecs, ["h264", "aac"]);
    assert!(frames >= 60, "a viewer got {frames} frames in 4 s");
    cuebox.stop();
}
