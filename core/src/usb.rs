//! USB buses: who shares one, and what of it each camera reserves.
//!
//! An isochronous camera reserves its bandwidth before it streams, by what its descriptors say and not by what its
//! pictures need: two sticks of 20 Mbit/s each can be too much for a bus of 480. So what is reserved can be told before
//! anything is started.
//!
//! How a camera asks: for its mode it names the bytes of a microframe (125 µs) that it may need, and the driver takes the
//! smallest of its alternate settings that has as many. Cameras name the worst case: of raw pictures their size times
//! their rate, of compressed ones what the frame descriptor gives as the highest rate.

mod descriptors;

use serde::Serialize;

use crate::config::{Config, Source};
use crate::device::{Camera, Mode, PixelFormat};
use crate::ids::{Port, SlotId};

pub use descriptors::{Frame, Video, parse};

/// Of a high-speed microframe's 7500 bytes, isochronous transfers may have 80 %.
pub const HIGH_SPEED_BYTES: u32 = 6_000;
const MICROFRAMES_PER_S: u64 = 8_000;
/// Of each transaction, beside its data: token, CRC, handshake gap and the host's delay.
const OVERHEAD_BYTES: u32 = 38;

/// The part of a port's name that all ports of its bus share; `None` for what is not USB.
pub fn bus(port: &Port) -> Option<&str> {
    let (bus, _) = port.as_str().split_once("-input").map_or(port.as_str(), |(place, _)| place).rsplit_once('-')?;
    (bus.starts_with("usb-") || bus.starts_with("usb3-")).then_some(bus)
}

/// What to say when a camera finds no bandwidth: `others` are the cameras that are plugged in, with their slots.
pub fn crowded<'a>(port: &Port, others: impl Iterator<Item = (&'a Port, Option<SlotId>)>) -> String {
    let Some(own) = bus(port) else { return format!("the bandwidth of {port} is used up") };
    let shared: Vec<String> = others
        .filter(|(other, _)| *other != port && bus(other) == Some(own))
        .map(|(other, slot)| slot.map_or_else(|| other.to_string(), |slot| format!("{other} (slot {slot})")))
        .collect();
    if shared.is_empty() {
        return format!(
            "the USB bandwidth of {port} is used up, though no other camera is on {own}: move its sound card or disk, \
             or this camera, to another controller"
        );
    }
    format!(
        "the USB bandwidth of {port} is used up: it shares the bus {own} with {}; move one of them to a connector whose \
         port begins otherwise",
        shared.join(", ")
    )
}

/// Bytes of a microframe that the camera reserves in this mode; `None` where it reserves nothing (bulk transfers).
pub fn reserved(video: &Video, mode: &Mode) -> Option<u32> {
    let largest = video.alternates.iter().copied().max()?;
    let frame = video.frames.iter().find(|frame| {
        (frame.compressed, frame.width, frame.height)
            == (matches!(mode.format, PixelFormat::Mjpeg | PixelFormat::H264), mode.width, mode.height)
    });
    // Not a mode of these descriptors: the worst case.
    let Some(frame) = frame else { return Some(with_overhead(largest)) };
    let bits = if frame.compressed { frame.max_bits_per_s } else { raw_bits_per_s(mode) };
    let needed = u32::try_from(bits.div_ceil(8).div_ceil(MICROFRAMES_PER_S)).unwrap_or(u32::MAX);
    let fitting = video.alternates.iter().copied().filter(|bytes| *bytes >= needed).min();
    Some(with_overhead(fitting.unwrap_or(largest)))
}

/// A microframe has a transaction for each 1024 bytes.
fn with_overhead(bytes: u32) -> u32 {
    bytes + bytes.div_ceil(1_024) * OVERHEAD_BYTES
}

fn raw_bits_per_s(mode: &Mode) -> u64 {
    let bits = if mode.format == PixelFormat::Nv12 { 12 } else { 16 };
    let pixels = u64::from(mode.width) * u64::from(mode.height) * bits;
    pixels * u64::from(mode.rate.numerator) / u64::from(mode.rate.denominator.max(1))
}

/// What the cameras of one bus reserve together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Load {
    pub bus: String,
    /// Bytes of each microframe, by port.
    pub cameras: Vec<(Port, u32)>,
}

impl Load {
    pub fn bytes(&self) -> u32 {
        self.cameras.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Percent of what isochronous transfers may have.
    pub fn percent(&self) -> u32 {
        self.bytes() * 100 / HIGH_SPEED_BYTES
    }
}

/// What each bus will carry when the box opens these cameras; buses of USB 3 and without reservation are left out.
pub fn loads(config: &Config, cameras: &[Camera], descriptors: &[(Port, Video)]) -> Vec<Load> {
    let program = &config.program;
    let takes_cameras = config.slots.values().any(|slot| matches!(slot.source, Source::V4l2 { .. }));
    let mut loads: Vec<Load> = Vec::new();
    for (port, video) in descriptors.iter().filter(|_| takes_cameras) {
        let Some(bus) = bus(port).filter(|bus| bus.starts_with("usb-")) else { continue };
        let camera = cameras.iter().find(|camera| camera.port == *port);
        let mode = camera
            .and_then(|camera| crate::capture_mode::choose(&camera.modes, program.width, program.height, program.fps));
        let Some(bytes) = mode.and_then(|mode| reserved(video, &mode)) else { continue };
        match loads.iter_mut().find(|load| load.bus == bus) {
            Some(load) => load.cameras.push((port.clone(), bytes)),
            None => loads.push(Load { bus: bus.to_owned(), cameras: vec![(port.clone(), bytes)] }),
        }
    }
    loads
}

#[cfg(test)]
mod tests;
