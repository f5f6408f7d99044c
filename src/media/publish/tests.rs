use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use cuebox_core::config::{LegConfig, LegTarget, PROVES, RtmpTarget, Secret, Url};
use cuebox_core::director::{Encode, EncodeJob, ErrorClass, Fact, Job, Leg, PictureSize};
use cuebox_core::encode_plan::{Grant, Profile, RateControl};
use cuebox_core::grid::FrameIndex;
use cuebox_core::ids::{Epoch, LegId};

use crate::media::actor::Actor;
use crate::media::links::Link;
use crate::media::plan::Wish;
use crate::media::testkit::{Feed, Stage, bursts, pictures};

pub mod livekit;
pub mod random;
mod rtmp;
mod srt;
mod whip;

const LONG: Duration = Duration::from_secs(30);

/// The stream encode and the program's sound.
struct Source {
    stage: Stage,
    encode: Actor,
    wish: Encode,
    _pictures: Feed,
    _sound: Feed,
}

impl Source {
    fn new(bitrate_bps: u64, pictures_of: impl FnOnce(&Stage) -> Feed) -> Self {
        let mut stage = Stage::new(320, 180, 30, Path::new("/nonexistent"));
        let feed = pictures_of(&stage);
        let sound = bursts(&stage.context, Link::ProgramSound, FrameIndex(0));
        let grant = Grant {
            element: "x264enc".to_owned(),
            hardware: false,
            width: 320,
            height: 180,
            fps: 30,
            control: RateControl::Stream { min_bps: 150_000, max_bps: bitrate_bps },
            profile: Profile::ConstrainedBaseline,
            level: 31,
            gop: 60,
        };
        let picture = grant.picture();
        let wish = Encode { epoch: Epoch(1), grant, bitrate_bps, picture, halved: false };
        let encode = Actor::start(&stage.context, Wish::Encode(EncodeJob::Stream, wish.clone()), |_| {}).unwrap();
        stage.wait("the first access unit", LONG, |_, fact| (*fact == Fact::FirstBuffer).then_some(()));
        Self { stage, encode, wish, _pictures: feed, _sound: sound }
    }

    fn marked() -> Self {
        Self::new(800_000, |stage| pictures(&stage.context, Link::ProgramPicture, |_| false))
    }

    fn leg(&self, url: &str, key: Option<&str>, ca_file: Option<&Path>) -> (Actor, Receiver<()>) {
        let target = RtmpTarget::Fixed { url: Url::new(url), stream_key: key.map(Secret::new) };
        self.publish(LegTarget::Rtmp(target), ca_file)
    }

    fn publish(&self, target: LegTarget, ca_file: Option<&Path>) -> (Actor, Receiver<()>) {
        let config = LegConfig {
            name: LegId::new("leg"),
            uplink: Some(1),
            target,
            ca_file: ca_file.map(|file| file.display().to_string()),
            proves: PROVES,
        };
        let leg = Leg {
            epoch: Epoch(3),
            config,
            audio_bitrate_bps: 128_000,
            on_air: None,
            slots: BTreeMap::new(),
            unmute: 0,
        };
        let wish = Wish::Leg(LegId::new("leg"), Box::new(leg));
        let (ended, end) = channel();
        let actor = Actor::start(&self.stage.context, wish, move |_| {
            let _ = ended.send(());
        });
        (actor.unwrap(), end)
    }

    /// Steps the encode to another picture.
    fn step(&self, width: u32, height: u32, fps: u32) {
        let picture = PictureSize { width, height, fps };
        self.encode.update(Wish::Encode(EncodeJob::Stream, Encode { picture, ..self.wish.clone() }));
    }

    fn connected(&mut self) {
        self.stage.wait("the server's acceptance", LONG, |_, fact| (*fact == Fact::Connected).then_some(()));
    }

    fn failed(&mut self) -> (ErrorClass, String) {
        self.stage.wait("the leg's failure", LONG, |job, fact| match (job, fact) {
            (Job::Leg(_), Fact::Failed { class, detail }) => Some((*class, detail.clone())),
            _ => None,
        })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.encode.stop();
    }
}

/// Times in seconds, on one time line, at which the picture is white and at which bursts of sound begin.
fn flashes_and_bursts(file: &Path) -> (Vec<f64>, Vec<f64>) {
    let decode = |arguments: &[&str]| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(file).args(arguments).arg("-");
        command.output().unwrap().stdout
    };
    let gray = decode(&["-an", "-vsync", "cfr", "-r", "30", "-f", "rawvideo", "-pix_fmt", "gray"]);
    let white = gray.chunks_exact(320 * 180).map(|picture| picture[170 * 320 + 160] > 150);
    let white: Vec<bool> = white.collect();
    let begins = (1..white.len()).filter(|at| white[*at] && !white[at - 1]);
    let flashes = begins.map(|at| at as f64 / 30.0).collect();

    let filter = "aresample=async=1:first_pts=0";
    let sound = decode(&["-vn", "-af", filter, "-f", "s16le", "-ac", "1", "-ar", "48000"]);
    let (mut bursts, mut quiet_from) = (Vec::new(), 0);
    for (at, sample) in sound.chunks_exact(2).map(|it| i16::from_le_bytes([it[0], it[1]])).enumerate() {
        if sample.unsigned_abs() > 2_000 {
            if at >= quiet_from {
                bursts.push(at as f64 / 48_000.0);
            }
            quiet_from = at + 4_800;
        }
    }
    (flashes, bursts)
}
