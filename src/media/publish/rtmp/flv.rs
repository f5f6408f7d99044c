//! Bodies of RTMP's messages that carry pictures and sound: those of FLV tags. Adobe's "Video File Format" 10.1, E.4.

use super::amf::{self, Value};

/// AAC; the rate, size and channels that stand beside it are fixed for AAC, whatever it really has.
const AAC: u8 = 0xaf;
const AVC: u8 = 7;
const KEY: u8 = 0x10;
const BETWEEN: u8 = 0x20;

/// What a player has to know before the first picture: the decoder's configuration.
pub fn picture_header(codec_data: &[u8]) -> Vec<u8> {
    [&[KEY | AVC, 0, 0, 0, 0], codec_data].concat()
}

/// One access unit with lengths before its parts; shown when it is decoded.
pub fn picture(unit: &[u8], key: bool) -> Vec<u8> {
    [&[if key { KEY } else { BETWEEN } | AVC, 1, 0, 0, 0], unit].concat()
}

pub fn sound_header(codec_data: &[u8]) -> Vec<u8> {
    [&[AAC, 0], codec_data].concat()
}

pub fn sound(packet: &[u8]) -> Vec<u8> {
    [&[AAC, 1], packet].concat()
}

/// What is shown beside the stream; players do not depend on it.
pub fn metadata(width: u32, height: u32, fps: u32, sound_bps: u64) -> Vec<u8> {
    let number = |name: &str, value: f64| (name.to_owned(), Value::Number(value));
    let properties = vec![
        number("width", f64::from(width)),
        number("height", f64::from(height)),
        number("framerate", f64::from(fps)),
        number("videocodecid", 7.0),
        number("audiocodecid", 10.0),
        number("audiodatarate", sound_bps as f64 / 1_000.0),
        number("audiosamplerate", 48_000.0),
        number("audiosamplesize", 16.0),
        ("stereo".to_owned(), Value::Bool(true)),
        ("encoder".to_owned(), Value::text("Cuebox")),
    ];
    amf::write(&[Value::text("@setDataFrame"), Value::text("onMetaData"), Value::Object(properties)])
}
