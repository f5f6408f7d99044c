//! Finds out which encoders really work, by encoding a few frames with each: an element that is installed may still
//! have no device behind it, or a driver that refuses. What was found is kept until kernel or plugins change.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use cuebox_core::device::{BrokenEncoder, Encoder, Encoders};
use cuebox_core::encode_plan::{Grant, Profile, RateControl};
use cuebox_core::grid::Grid;
use gst::prelude::*;
use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::encoders;
use crate::media::names;
use crate::media::priority::Rank;
use crate::media::timing::ShowFormat;

/// One encoder may take this long; a driver that hangs is left behind.
const LIMIT: Duration = Duration::from_secs(5);
/// Encoders that gather a few frames before the first comes out get enough.
const FRAMES: u64 = 12;
const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;
const FPS: u32 = 30;

/// The probe's result with what it depends on.
#[derive(Serialize, Deserialize)]
struct Cached {
    machine: String,
    encoders: Encoders,
}

/// Tries the candidates in their order (best first). The result is read from `cache_file` when it was found with the
/// same kernel, plugins and candidates, and written there otherwise; a cache that cannot be read or written is only
/// logged.
pub fn probe(board: &str, candidates: &[Encoder], cache_file: Option<&Path>) -> Encoders {
    let machine = machine(board, candidates);
    if let Some(encoders) = cache_file.and_then(|file| read(file, &machine)) {
        return encoders;
    }
    let mut encoders = Encoders { board: board.to_owned(), ..Encoders::default() };
    for candidate in candidates {
        match try_one(candidate) {
            Ok(()) => encoders.working.push(candidate.clone()),
            Err(why) => {
                tracing::info!(element = candidate.element, why, "encoder skipped");
                encoders.broken.push(BrokenEncoder { element: candidate.element.clone(), why });
            }
        }
    }
    if let Some(file) = cache_file {
        write(file, &Cached { machine, encoders: encoders.clone() });
    }
    encoders
}

/// Kernel, GStreamer, and of each candidate the limits and the plugin's version.
fn machine(board: &str, candidates: &[Encoder]) -> String {
    let kernel = rustix::system::uname();
    let mut text = format!(
        "{board} {} {} gstreamer {}",
        kernel.release().to_string_lossy(),
        kernel.version().to_string_lossy(),
        gst::version_string()
    );
    for candidate in candidates {
        let plugin = gst::ElementFactory::find(&candidate.element)
            .and_then(|factory| factory.plugin())
            .map_or_else(|| "missing".to_owned(), |plugin| plugin.version().to_string());
        text += &format!("; {candidate:?} {plugin}");
    }
    text
}

fn read(file: &Path, machine: &str) -> Option<Encoders> {
    let cached: Cached = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    (cached.machine == machine).then_some(cached.encoders)
}

fn write(file: &Path, cached: &Cached) {
    let written = serde_json::to_vec_pretty(cached).map_err(std::io::Error::from).and_then(|text| {
        let part = file.with_extension("part");
        std::fs::write(&part, text)?;
        std::fs::rename(part, file)
    });
    if let Err(error) = written {
        tracing::debug!(%error, file = %file.display(), "the encoders' probe is not kept");
    }
}

/// Encodes a few frames on a thread of its own, because a driver may hang in any call.
fn try_one(candidate: &Encoder) -> Result<(), String> {
    let Some(known) = encoders::known(&candidate.element) else {
        return Err("nobody has described this encoder".to_owned());
    };
    if gst::ElementFactory::find(known.element).is_none() {
        return Err(format!("the element is not there (Debian package {})", known.package));
    }
    let (done, result) = mpsc::channel();
    let hardware = candidate.hardware;
    std::thread::Builder::new()
        .name(if hardware { "hw-probe" } else { "probe" }.to_owned())
        .spawn(move || {
            let _ = done.send(encode_some(known.element, hardware));
        })
        .map_err(|error| format!("no thread: {error}"))?;
    result.recv_timeout(LIMIT).unwrap_or_else(|_| Err(format!("did not answer within {} s", LIMIT.as_secs())))
}

fn encode_some(element: &str, hardware: bool) -> Result<(), String> {
    let format = ShowFormat { width: WIDTH, height: HEIGHT, grid: Grid::new(FPS) };
    let grant = Grant {
        element: element.to_owned(),
        hardware,
        width: WIDTH,
        height: HEIGHT,
        fps: FPS,
        control: RateControl::Stream { min_bps: 150_000, max_bps: 1_000_000 },
        profile: Profile::ConstrainedBaseline,
        level: 31,
        gop: 2 * FPS,
    };
    let chain = Chain::build(&format, &grant, grant.picture(), 1_000_000).map_err(|failure| failure.detail)?;
    names::pass_on(&chain.pipeline, Rank::Stays);
    let result = run(&chain);
    let _ = chain.pipeline.set_state(gst::State::Null);
    result
}

fn run(chain: &Chain) -> Result<(), String> {
    chain.source.set_is_live(false);
    if chain.pipeline.set_state(gst::State::Playing).is_err() {
        return Err(bus_error(chain).unwrap_or_else(|| "does not start and does not say why".to_owned()));
    }
    let size = (WIDTH * HEIGHT * 3 / 2) as usize;
    for frame in 0..FRAMES {
        let mut picture = gst::Buffer::from_mut_slice(vec![128_u8; size]);
        if let Some(picture) = picture.get_mut() {
            let length = gst::ClockTime::from_nseconds(1_000_000_000 / u64::from(FPS));
            picture.set_pts(length * frame);
            picture.set_duration(length);
        }
        if chain.source.push_buffer(picture).is_err() {
            break;
        }
    }
    let _ = chain.source.end_of_stream();
    let limit = gst::ClockTime::from_mseconds(u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX));
    match chain.sink.try_pull_sample(limit) {
        Some(sample) if sample.buffer().is_some_and(|buffer| buffer.size() > 0) => Ok(()),
        _ => Err(bus_error(chain).unwrap_or_else(|| "took frames and gave none back".to_owned())),
    }
}

fn bus_error(chain: &Chain) -> Option<String> {
    let message = chain.pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
    if let gst::MessageView::Error(error) = message.view() { Some(error.error().to_string()) } else { None }
}
