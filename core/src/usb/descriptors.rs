//! USB descriptors of a camera, as sysfs shows them: which bandwidths it can reserve, and what its frames need.
//!
//! Bytes of strangers: whatever they say, reading them ends, and means at worst nothing.

const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
const CLASS_SPECIFIC: u8 = 0x24;

const CLASS_VIDEO: u8 = 14;
const SUBCLASS_STREAMING: u8 = 2;
const ISOCHRONOUS: u8 = 1;

const FRAME_UNCOMPRESSED: u8 = 5;
const FRAME_MJPEG: u8 = 7;
const FRAME_BASED: u8 = 0x11;

/// What the descriptors of one device say of its pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Video {
    /// Bytes of a microframe that each isochronous alternate setting reserves; empty where pictures come in bulk.
    pub alternates: Vec<u32>,
    pub frames: Vec<Frame>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub compressed: bool,
    pub width: u32,
    pub height: u32,
    /// At its highest rate.
    pub max_bits_per_s: u64,
}

/// Reads the file `descriptors` of a USB device. `None`: it has no pictures to stream.
pub fn parse(bytes: &[u8]) -> Option<Video> {
    let mut video = Video::default();
    let (mut streaming, mut found) = (false, false);
    for descriptor in each(bytes) {
        match descriptor[1] {
            INTERFACE => {
                let class = (byte(descriptor, 5), byte(descriptor, 6));
                streaming = class == (CLASS_VIDEO, SUBCLASS_STREAMING);
                found |= streaming;
            }
            ENDPOINT if streaming && byte(descriptor, 3) & 3 == ISOCHRONOUS => {
                let packet = u32::from(byte(descriptor, 4)) | u32::from(byte(descriptor, 5)) << 8;
                // Bits 11 and 12: transactions of a microframe beyond the first.
                video.alternates.push((packet & 0x7ff) * ((packet >> 11 & 3) + 1));
            }
            CLASS_SPECIFIC if streaming => video.frames.extend(frame(descriptor)),
            _ => {}
        }
    }
    found.then_some(video)
}

fn frame(descriptor: &[u8]) -> Option<Frame> {
    let compressed = match byte(descriptor, 2) {
        FRAME_UNCOMPRESSED => false,
        FRAME_MJPEG | FRAME_BASED => true,
        _ => return None,
    };
    let word = |at: usize| u32::from(byte(descriptor, at)) | u32::from(byte(descriptor, at + 1)) << 8;
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 2)) << 16;
    Some(Frame { compressed, width: word(5), height: word(7), max_bits_per_s: long(13) })
}

fn each(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::from(*bytes.first()?);
        // A length that leads nowhere ends it.
        let (descriptor, rest) = (length >= 2).then(|| bytes.split_at_checked(length))??;
        bytes = rest;
        Some(descriptor)
    })
}

fn byte(descriptor: &[u8], at: usize) -> u8 {
    descriptor.get(at).copied().unwrap_or_default()
}
