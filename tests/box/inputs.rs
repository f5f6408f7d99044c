//! Sources that are not drawn by the box itself: interlaced and foreign-coloured files, and network streams of real
//! servers, judged by what the slots' recordings show.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::harness::{CueBox, Folder, alone, segments};
use super::ports::free_port;
use super::servers::{Nginx, RtspCamera, rtmp_publisher, srt_listener};

const WIDTH: usize = 640;
const HEIGHT: usize = 360;

/// A 640×360 show of 30 fps, one slot for each source.
fn show_of(sources: &[String]) -> String {
    let mut text = String::from("[program]\nsize = \"640x360\"\nfps = 30\n");
    for (number, source) in (1..).zip(sources) {
        text += &format!("[[slot]]\nnumber = {number}\nname = \"Input {number}\"\nsource = {source}\n");
    }
    text
}

fn network(url: &str) -> String {
    format!("{{ kind = \"network\", url = \"{url}\" }}")
}

#[track_caller]
fn ffmpeg(arguments: &[&str], output: &Path) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    let output = command.args(["-v", "error", "-y"]).args(arguments).arg(output).output().unwrap();
    assert!(output.status.success(), "ffmpeg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Makes a two-second film from this graph of filters, whose pictures come out of it as RGB.
#[track_caller]
fn film(folder: &Folder, name: &str, graph: &str, encoding: &[&str]) -> PathBuf {
    let file = folder.path().join(name);
    let before = ["-f", "lavfi", "-i", graph, "-t", "2", "-bf", "0"];
    ffmpeg(&[&before, encoding].concat(), &file);
    file
}

/// A decoded picture, 4:2:0.
struct Picture(Vec<u8>);

impl Picture {
    /// Mean luma of a column between two rows that are in every picture.
    fn column(&self, x: usize) -> u8 {
        let rows = 20..HEIGHT - 20;
        let sum: usize = rows.clone().map(|y| usize::from(self.0[y * WIDTH + x])).sum();
        (sum / rows.len()) as u8
    }

    /// Mean difference of luma between a line and the next; high where two fields of a movement stand in one picture.
    fn line_difference(&self) -> f64 {
        let luma = &self.0[..WIDTH * HEIGHT];
        let pairs = luma.iter().zip(&luma[WIDTH..]);
        let sum: u64 = pairs.map(|(above, below)| u64::from(above.abs_diff(*below))).sum();
        sum as f64 / (WIDTH * (HEIGHT - 1)) as f64
    }

    /// Mean difference of luma from another picture; a picture that is encoded twice does not come out quite the same.
    fn differs_by(&self, other: &Self) -> f64 {
        let pairs = self.0[..WIDTH * HEIGHT].iter().zip(&other.0);
        let sum: u64 = pairs.map(|(one, other)| u64::from(one.abs_diff(*other))).sum();
        sum as f64 / (WIDTH * HEIGHT) as f64
    }

    fn yuv(&self, x: usize, y: usize) -> [u8; 3] {
        let (chroma, quarter) = (WIDTH * HEIGHT + y / 2 * (WIDTH / 2) + x / 2, WIDTH * HEIGHT / 4);
        [self.0[y * WIDTH + x], self.0[chroma], self.0[chroma + quarter]]
    }
}

/// Every picture of a file, in its own range and matrix; with a `filter` before.
#[track_caller]
fn pictures(file: &Path, filter: &str) -> Vec<Picture> {
    let input = file.display().to_string();
    let arguments = [
        "-i",
        &input,
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-vf",
        filter,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
    ];
    let raw = ffmpeg(&arguments, Path::new("-"));
    raw.chunks_exact(WIDTH * HEIGHT * 3 / 2).map(|picture| Picture(picture.to_vec())).collect()
}

/// All pictures that were recorded of a slot.
#[track_caller]
fn recorded(show: &Path, slot: usize) -> Vec<Picture> {
    let files = segments(show, &format!("slot-{slot}"));
    files.iter().flat_map(|(file, _)| pictures(file, "null")).collect()
}

#[track_caller]
fn assert_near(what: &str, found: [u8; 3], expected: [u8; 3]) {
    let far = found.iter().zip(expected).any(|(found, expected)| found.abs_diff(expected) > 4);
    assert!(!far, "{what}: {found:?} instead of {expected:?}");
}

/// A white bar that runs over grey, one position a field, of 50 fields a second. It has as many lines as the show, so
/// that no scaling hides a comb.
fn interlaced(sample_aspect: &str) -> String {
    format!(
        "color=gray:s=480x360:r=50,format=gbrp[back];color=white:s=64x360:r=50,format=gbrp[bar];\
         [back][bar]overlay=format=gbrp:x='mod(n*16,480)',interlace=scan=tff:lowpass=off,setsar={sample_aspect}"
    )
}

#[test]
fn interlaced_films_are_shown_without_combs_and_in_their_shape() {
    let _alone = alone();
    let folder = Folder::new("interlaced");
    let h264 = ["-c:v", "libx264", "-flags", "+ilme+ildct", "-x264opts", "tff=1", "-pix_fmt", "yuv420p"];
    let mpeg2 = ["-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top", "1", "-b:v", "8M", "-pix_fmt", "yuv420p"];
    let narrow = film(&folder, "narrow.mp4", &interlaced("1"), &h264);
    let wide = film(&folder, "wide.ts", &interlaced("4/3"), &mpeg2);
    for film in [&narrow, &wide] {
        let combs = pictures(film, &format!("scale={WIDTH}:{HEIGHT}"))[10].line_difference();
        assert!(combs > 4.0, "{} has fields to be told apart: {combs}", film.display());
    }
    let source = |film: &PathBuf| format!("{{ kind = \"file\", path = \"{}\", loop = true }}", film.display());
    let cuebox = CueBox::start(&folder, &show_of(&[source(&narrow), source(&wide)]));
    cuebox.wait_live(2);
    record_for(&cuebox, 3.0);
    let show = cuebox.show();
    cuebox.stop();
    for (slot, border) in [(1, 80), (2, 0)] {
        let recorded = recorded(&show, slot);
        assert!(recorded.len() >= 60, "slot {slot}: {} pictures", recorded.len());
        let combs = recorded.iter().map(Picture::line_difference).fold(0.0, f64::max);
        assert!(combs < 1.0, "slot {slot} shows combs: {combs}");
        for picture in &recorded {
            let black = (0..WIDTH).take_while(|x| picture.column(*x) < 40).count();
            assert!(black.abs_diff(border) <= 4, "slot {slot}: {black} black columns instead of {border}");
        }
        let moved = recorded.windows(2).filter(|pair| pair[0].differs_by(&pair[1]) > 0.5).count();
        assert!(moved * 10 >= recorded.len() * 7, "slot {slot}: {moved} of {} pictures are new", recorded.len());
    }
}

/// Red on the left; white above black on the right.
const PATCHES: &str = "color=red:s=320x360:r=25,format=gbrp[red];color=white:s=320x180:r=25,format=gbrp[white];\
     color=black:s=320x180:r=25,format=gbrp[black];[white][black]vstack[right];[red][right]hstack";

#[test]
fn films_of_every_range_and_matrix_show_the_same_colours() {
    let _alone = alone();
    let folder = Folder::new("colours");
    let h264 = ["-c:v", "libx264", "-qp", "10"];
    let bt709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"];
    let bt601 = ["-colorspace", "smpte170m", "-color_primaries", "smpte170m", "-color_trc", "smpte170m"];
    let table: [(&str, &str, &[&str]); 5] = [
        ("full-601.mp4", "scale=out_color_matrix=bt601:out_range=pc,format=yuvj420p", &bt601),
        ("full-709.mp4", "scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p", &bt709),
        ("small-709.mp4", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", &bt709),
        ("small-untold.mp4", "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p", &[]),
        ("large-untold.mp4", "scale=1280:720:out_color_matrix=bt709:out_range=tv,format=yuv420p", &[]),
    ];
    let sources = table.map(|(name, conversion, told)| {
        let range = if name.starts_with("full") { ["-color_range", "pc"] } else { ["-color_range", "tv"] };
        let film = film(&folder, name, &format!("{PATCHES},{conversion}"), &[&h264, told, &range].concat());
        format!("{{ kind = \"file\", path = \"{}\", loop = true }}", film.display())
    });
    let cuebox = CueBox::start(&folder, &show_of(&sources));
    cuebox.wait_live(5);
    record_for(&cuebox, 2.0);
    let show = cuebox.show();
    cuebox.stop();
    for (slot, (name, ..)) in (1..).zip(table) {
        let recorded = recorded(&show, slot);
        let picture = recorded.get(20).expect("a picture after the encoder's first");
        assert_near(&format!("{name}: red"), picture.yuv(160, 180), [81, 90, 240]);
        assert_near(&format!("{name}: white"), picture.yuv(480, 90), [235, 128, 128]);
        assert_near(&format!("{name}: black"), picture.yuv(480, 270), [16, 128, 128]);
    }
}

/// Waits until this much more of the show is recorded.
#[track_caller]
fn record_for(cuebox: &CueBox, seconds: f64) {
    let uptime = |status: &Value| status["uptime_s"].as_f64().unwrap_or(0.0);
    let from = uptime(&cuebox.wait("a status", 10, |_| true));
    cuebox.wait("more of the show", 60, |status| uptime(status) > from + seconds);
}

fn slot(status: &Value, number: usize) -> &Value {
    &status["slots"][number - 1]
}

/// Live, at the stream's own rate, with sound that is heard.
fn plays(slot: &Value) -> bool {
    let loud = slot["audio_dbfs"].as_array().is_some_and(|levels| levels.iter().any(|db| db.as_f64() > Some(-40.0)));
    slot["state"] == "live" && loud && slot["fps"].as_f64().is_some_and(|fps| (fps - 30.0).abs() < 2.0)
}

/// Nearly all recorded pictures differ from the one before: the stream moves in each of them.
#[track_caller]
fn assert_moving(show: &Path, slot: usize) {
    let recorded = recorded(show, slot);
    let still = recorded.windows(2).filter(|pair| pair[0].differs_by(&pair[1]) < 0.5).count();
    assert!(recorded.len() >= 120, "slot {slot}: {} pictures", recorded.len());
    assert!(still * 20 <= recorded.len(), "slot {slot}: {still} of {} pictures stand still", recorded.len());
}

#[test]
fn an_rtsp_camera_comes_back_after_it_was_killed_and_after_it_hung() {
    let _alone = alone();
    let folder = Folder::new("rtsp");
    let mut camera = RtspCamera::start();
    let wrong = network(&camera.url("wrong"));
    let cuebox = CueBox::start(&folder, &show_of(&[network(&camera.url("secret")), wrong]));
    let status = cuebox.wait("the camera plays, and a wrong password is told", 40, |status| {
        let why = slot(status, 2)["why"].as_str().unwrap_or_default();
        plays(slot(status, 1)) && why.contains("refuses")
    });
    assert!(!status.to_string().contains("secret"), "the password is shown: {status}");
    record_for(&cuebox, 3.0);

    camera.server.kill();
    cuebox.wait("the slot is lost and the slate is on", 15, |status| {
        slot(status, 1)["state"] != "live" && status["program"]["on_air"].is_null()
    });
    camera.restart();
    cuebox.wait("the camera is back, and on air", 40, |status| {
        plays(slot(status, 1)) && status["program"]["on_air"] == 1
    });

    camera.server.signal("STOP");
    cuebox.wait("the hanging camera is seen", 10, |status| slot(status, 1)["state"] != "live");
    camera.server.signal("CONT");
    cuebox.wait("the camera is back from its sleep", 60, |status| plays(slot(status, 1)));
    let show = cuebox.show();
    assert!(!cuebox.log().contains("secret"), "the password is in the log");
    cuebox.stop();
    assert_moving(&show, 1);
}

#[test]
fn streams_pulled_by_rtmp_and_srt_come_back_when_their_senders_do() {
    let _alone = alone();
    let folder = Folder::new("pull");
    let mut nginx = Nginx::start(&folder);
    let address = format!("{}/camera", nginx.url());
    let mut publisher = rtmp_publisher(&address);
    let port = free_port();
    let mut sender = srt_listener(port);
    let sources = [network(&address), network(&format!("srt://127.0.0.1:{port}?mode=caller"))];
    let cuebox = CueBox::start(&folder, &show_of(&sources));
    cuebox.wait("both streams play", 60, |status| plays(slot(status, 1)) && plays(slot(status, 2)));
    record_for(&cuebox, 4.0);

    publisher.kill();
    sender.kill();
    cuebox.wait("both are lost", 30, |status| (1..=2).all(|number| slot(status, number)["state"] != "live"));
    publisher.restart();
    sender.restart();
    cuebox.wait("both are back", 60, |status| plays(slot(status, 1)) && plays(slot(status, 2)));

    nginx.kill();
    cuebox.wait("the server is lost, and the other stream on air", 15, |status| {
        slot(status, 1)["state"] != "live" && status["program"]["on_air"] == 2
    });
    nginx.restart();
    publisher.kill();
    publisher.restart();
    cuebox.wait("the stream is back from the new server", 60, |status| plays(slot(status, 1)));
    let show = cuebox.show();
    cuebox.stop();
    assert_moving(&show, 1);
    assert_moving(&show, 2);
}
