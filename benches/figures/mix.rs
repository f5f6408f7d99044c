//! The program's path alone: five 1080p30 sources are mixed and the mix is encoded and recorded, nothing else is. Beside
//! it one of the same sources encoded and recorded without a mixer, and voctomix 1.3 with a client that encodes and records
//! what it mixes. voctomix gets its sources over TCP, as it is made to; what it costs to send them is not counted.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gst::prelude::*;

use super::bare::{self, ENCODED, FILE, SOUND};
use super::harness::{decoded_frames, signal, until};
use super::lab::{Lab, Side};
use super::meter::{cores, idle, median, wait};
use super::service::{Process, bare as bare_process, config, measured, service};
use super::{row, scratch};

const ROUNDS: usize = 3;
const SOURCES: u8 = 5;
const WARM_UP: Duration = Duration::from_secs(6);
const SPAN: Duration = Duration::from_secs(15);
/// Where voctomix takes its first source, and gives its mix.
const FIRST_SOURCE: u16 = 10_000;
const MIX: u16 = 11_000;

pub fn program() {
    let (mut ours, mut bare, mut mixing, mut encoding) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut idles = Vec::new();
    for round in 0..ROUNDS {
        let folder = scratch().join(format!("mix-{round}"));
        let file = config(&folder, SOURCES.into(), "1920x1080", "[record]\nslots = false\n");
        ours.push(measured(&service(&file)).0);
        bare.push(measured(&bare_process(SOURCES.into(), 1, &folder.join("bare"))).0);
        let mut voctomix = (0.0, 0.0);
        idles.push(idle(|| voctomix = measured_voctomix(&folder)));
        mixing.push(voctomix.0);
        encoding.push(voctomix.1);
        let _ = std::fs::remove_dir_all(&folder);
    }
    let (own, bare) = (median(&ours), median(&bare));
    let theirs: Vec<f64> = mixing.iter().zip(&encoding).map(|(mixing, encoding)| mixing + encoding).collect();
    let figure = "CPU of the program alone, 5 × 1080p30 in, mixed, encoded, recorded";
    let measured = |reference: f64| format!("{:.2} × ({own:.2} cores)", own / reference);
    row(figure, "≤ 1.3 × bare", &measured(bare), &format!("one of five sources encoded bare {bare:.2} cores"));
    row(
        "the same",
        "≤ 0.6 × voctomix",
        &measured(median(&theirs)),
        &format!(
            "voctomix {:.2} mixing + {:.2} encoding; machine {:.0} % idle",
            median(&mixing),
            median(&encoding),
            median(&idles) * 100.0
        ),
    );
}

/// Cores of voctomix, and of the client that encodes its mix.
fn measured_voctomix(folder: &Path) -> (f64, f64) {
    let lab = Lab::new();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = lab.command(Side::World, program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Process(command.spawn().expect("it is installed"))
    };
    let listens = |port: u16| {
        let mut command = lab.command(Side::World, "ss");
        let output = command.args(["-Hltn", &format!("sport = :{port}")]).output().expect("ss is installed");
        !output.stdout.is_empty()
    };
    let ini = folder.join("voctocore.ini");
    std::fs::write(&ini, configuration()).expect("a file");
    let mixer = run("voctocore", &["-i", &ini.display().to_string()]);
    until("voctomix listens", 20, || listens(MIX));
    let own = std::env::current_exe().expect("a program knows its path").display().to_string();
    let _feeder = run(&own, &["feed", "60"]);
    let mixed = folder.join("voctomix.mp4");
    let text = format!(
        "-e tcpclientsrc host=127.0.0.1 port={MIX} ! matroskademux name=d d. ! queue ! {ENCODED} ! {FILE} ! \
         filesink location={} d. ! queue ! {SOUND} ! m.",
        mixed.display()
    );
    let mut client = run("gst-launch-1.0", &text.split_whitespace().collect::<Vec<_>>());
    wait(WARM_UP);
    let (mut mixing, mut encoding) = (0.0, 0.0);
    std::thread::scope(|scope| {
        scope.spawn(|| mixing = cores(mixer.0.id(), SPAN));
        encoding = cores(client.0.id(), SPAN);
    });
    // What it made is whole: else it would have been cheap for a reason.
    signal(client.0.id(), "INT");
    until("the client has ended", 20, || !Path::new(&format!("/proc/{}/exe", client.0.id())).exists());
    let _ = client.0.wait();
    let frames = decoded_frames(&mixed);
    assert!(frames as f64 >= SPAN.as_secs_f64() * 29.5, "voctomix and its client made {frames} frames");
    (mixing, encoding)
}

fn configuration() -> String {
    let names: Vec<String> = (1..=SOURCES).map(|number| format!("cam{number}")).collect();
    format!(
        "[mix]\nvideocaps = video/x-raw,format=I420,width=1920,height=1080,framerate=30/1,pixel-aspect-ratio=1/1,\
         interlace-mode=progressive\naudiocaps = audio/x-raw,format=S16LE,channels=2,layout=interleaved,rate=48000\n\
         sources = {}\n[previews]\nenabled = false\n[stream-blanker]\nenabled = false\n[mirrors]\nenabled = false\n",
        names.join(",")
    )
}

/// Sends the same five sources to voctomix until the time is over.
pub fn feed(seconds: &str) {
    cuebox::media::requirements::check().expect("all elements are there");
    let context = bare::context(1920, 1080);
    let actors = bare::sources(&context, SOURCES);
    let sent: Vec<_> = (1..=SOURCES)
        .map(|slot| {
            let port = FIRST_SOURCE + u16::from(slot) - 1;
            let text = format!(
                "appsrc name=v ! videoconvert ! video/x-raw,format=I420 ! matroskamux name=m streamable=true ! \
                 tcpclientsink host=127.0.0.1 port={port} \
                 appsrc name=a ! audioconvert ! audio/x-raw,format=S16LE,channels=2 ! m."
            );
            bare::play(&context, slot, &text)
        })
        .collect();
    wait(Duration::from_secs(seconds.parse().expect("a number of seconds")));
    for (pipeline, _) in &sent {
        let _ = pipeline.set_state(gst::State::Null);
    }
    actors.iter().for_each(cuebox::media::actor::Actor::stop);
}
