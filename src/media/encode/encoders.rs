//! The H.264 encoders that are known: how each is fed, and how its rate, key frames and threads are set.
//!
//! The only place that knows an encoder's property names and units. Adding an encoder is a row in [`KNOWN`] and a
//! function that sets it up. All are set for no B-frames, key frames only at the granted distance and on request, and
//! parameter sets in the stream.

use cuebox_core::encode_plan::{Grant, Profile, RateControl};
use gst::prelude::*;

/// What an element is fed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// NV12 in system memory, the format of all pictures between pipelines.
    Nv12,
    /// Planar 4:2:0 in system memory.
    I420,
    /// NV12 in the Jetson's own memory, brought there by `nvvidconv`.
    Nvmm,
}

/// Everything that is particular about one encoder element.
pub struct Known {
    pub element: &'static str,
    /// Debian package, or who else delivers it.
    pub package: &'static str,
    pub input: Input,
    /// The element takes its level from the caps behind it; others choose one and would not agree to be told.
    pub level_by_caps: bool,
    setup: fn(&gst::Element, &Grant, u64),
    rate: fn(&gst::Element, &Grant, u64),
}

/// Best first.
pub const KNOWN: &[Known] = &[
    Known {
        element: "mpph264enc",
        package: "gstreamer1.0-rockchip1",
        input: Input::Nv12,
        level_by_caps: false,
        setup: mpp_setup,
        rate: mpp_rate,
    },
    Known {
        element: "v4l2h264enc",
        package: "gstreamer1.0-plugins-good",
        input: Input::Nv12,
        level_by_caps: true,
        setup: v4l2_setup,
        rate: v4l2_rate,
    },
    Known {
        element: "vah264enc",
        package: "gstreamer1.0-plugins-bad",
        input: Input::Nv12,
        level_by_caps: false,
        setup: va_setup,
        rate: kbit_rate,
    },
    Known {
        element: "vah264lpenc",
        package: "gstreamer1.0-plugins-bad",
        input: Input::Nv12,
        level_by_caps: false,
        setup: va_setup,
        rate: kbit_rate,
    },
    Known {
        element: "nvv4l2h264enc",
        package: "nvidia-l4t-gstreamer",
        input: Input::Nvmm,
        level_by_caps: false,
        setup: nv_setup,
        rate: nv_rate,
    },
    Known {
        element: "qsvh264enc",
        package: "gstreamer1.0-plugins-bad",
        input: Input::Nv12,
        level_by_caps: false,
        setup: qsv_setup,
        rate: kbit_rate,
    },
    Known {
        element: "x264enc",
        package: "gstreamer1.0-plugins-ugly",
        input: Input::Nv12,
        level_by_caps: true,
        setup: x264_setup,
        rate: kbit_rate,
    },
    Known {
        element: "openh264enc",
        package: "gstreamer1.0-plugins-bad",
        input: Input::I420,
        level_by_caps: false,
        setup: openh264_setup,
        rate: openh264_rate,
    },
];

/// An encoder's row; `None` for an element that nobody has described.
pub fn known(element: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.element == element)
}

impl Known {
    /// Sets everything that must be set before the element starts.
    pub fn set_up(&self, encoder: &gst::Element, grant: &Grant, bitrate_bps: u64) {
        (self.setup)(encoder, grant, bitrate_bps);
        (self.rate)(encoder, grant, bitrate_bps);
    }

    /// Changes the bitrate, also while the element runs.
    pub fn set_rate(&self, encoder: &gst::Element, grant: &Grant, bitrate_bps: u64) {
        (self.rate)(encoder, grant, bitrate_bps);
    }

    /// Caps behind the encoder. A profile is an upper bound: every decoder of Main plays constrained baseline.
    pub fn output_caps(&self, grant: &Grant) -> gst::Caps {
        let profiles = match grant.profile {
            Profile::ConstrainedBaseline => gst::List::new(["constrained-baseline"]),
            Profile::Main => gst::List::new(["main", "constrained-baseline"]),
        };
        let caps = gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .field("profile", profiles);
        if self.level_by_caps { caps.field("level", level_name(grant.level)).build() } else { caps.build() }
    }
}

/// `31` → `3.1`, `40` → `4`, as caps write levels.
fn level_name(level: u32) -> String {
    if level.is_multiple_of(10) { (level / 10).to_string() } else { format!("{}.{}", level / 10, level % 10) }
}

/// Bits per second the stream's buffer model may reach: the target itself for a live stream, half as much again for a
/// recording, whose picture decides.
fn peak_bps(grant: &Grant, bitrate_bps: u64) -> u64 {
    match grant.control {
        RateControl::Stream { .. } => bitrate_bps,
        RateControl::Steady { .. } => bitrate_bps.saturating_mul(3) / 2,
    }
}

fn steady(grant: &Grant) -> bool {
    matches!(grant.control, RateControl::Steady { .. })
}

fn clamp(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn clamp_int(value: u64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// For elements whose `bitrate` is in kbit/s.
fn kbit_rate(encoder: &gst::Element, grant: &Grant, bitrate_bps: u64) {
    encoder.set_property("bitrate", clamp(peak_bps(grant, bitrate_bps) / 1000).max(1));
}

/// Quality of recordings: x264's rate factor; bounded by the buffer model above the average that was granted.
const X264_QUALITY: u32 = 23;
/// Largest frame of a stream, as the time that its bits take at the target bitrate: how long a key frame holds up those
/// behind it. On random pictures, stepped from 2.5 to 0.4 Mbit/s, no frame was late by more than 0.4 s on a line that
/// carries just the target.
const X264_STREAM_BUFFER_MS: u32 = 300;
/// Above this many luma pixels per second one thread is not enough on the smallest boards that encode in software.
const X264_ONE_THREAD: u64 = 1920 * 1080 * 35;

/// `zerolatency` for recordings as well: they need no look-ahead, and a bounded queue upstream. One thread up to
/// 1080p30: with several encodes on few cores, slices cost more than they win.
fn x264_setup(encoder: &gst::Element, grant: &Grant, _bitrate_bps: u64) {
    encoder.set_property_from_str("tune", "zerolatency");
    encoder.set_property_from_str("speed-preset", "ultrafast");
    encoder.set_property("key-int-max", grant.gop);
    encoder.set_property("bframes", 0_u32);
    let pixels = u64::from(grant.width) * u64::from(grant.height) * u64::from(grant.fps);
    encoder.set_property("threads", if pixels <= X264_ONE_THREAD { 1_u32 } else { 0 });
    if steady(grant) {
        encoder.set_property_from_str("pass", "qual");
        encoder.set_property("quantizer", X264_QUALITY);
        encoder.set_property("vbv-buf-capacity", 2_000_u32);
    } else {
        encoder.set_property("vbv-buf-capacity", X264_STREAM_BUFFER_MS);
    }
}

fn openh264_setup(encoder: &gst::Element, grant: &Grant, _bitrate_bps: u64) {
    encoder.set_property("gop-size", grant.gop);
    encoder.set_property_from_str("complexity", "low");
    encoder.set_property_from_str("rate-control", if steady(grant) { "quality" } else { "bitrate" });
    // Otherwise it makes key frames of its own, which a recording would not expect.
    encoder.set_property("scene-change-detection", false);
}

fn openh264_rate(encoder: &gst::Element, grant: &Grant, bitrate_bps: u64) {
    encoder.set_property("max-bitrate", clamp(peak_bps(grant, bitrate_bps)));
    encoder.set_property("bitrate", clamp(bitrate_bps));
}

/// V4L2 controls by their names in GStreamer's `extra-controls`. `video_bitrate_mode`: 0 variable, 1 constant.
fn v4l2_controls(grant: &Grant, bitrate_bps: u64) -> gst::Structure {
    gst::Structure::builder("controls")
        .field("repeat_sequence_header", 1_i32)
        .field("h264_i_frame_period", clamp_int(u64::from(grant.gop)))
        .field("video_gop_size", clamp_int(u64::from(grant.gop)))
        .field("video_b_frames", 0_i32)
        .field("video_bitrate_mode", i32::from(!steady(grant)))
        .field("video_bitrate", clamp_int(bitrate_bps))
        .build()
}

fn v4l2_setup(encoder: &gst::Element, grant: &Grant, bitrate_bps: u64) {
    encoder.set_property("extra-controls", v4l2_controls(grant, bitrate_bps));
}

/// Before GStreamer 1.30 the element has no `bitrate` of its own; the controls are sent when they are set.
fn v4l2_rate(encoder: &gst::Element, grant: &Grant, bitrate_bps: u64) {
    if encoder.find_property("bitrate").is_some() {
        encoder.set_property("bitrate", clamp(bitrate_bps));
    } else {
        encoder.set_property("extra-controls", v4l2_controls(grant, bitrate_bps));
    }
}

fn mpp_setup(encoder: &gst::Element, grant: &Grant, _bitrate_bps: u64) {
    encoder.set_property("gop", clamp_int(u64::from(grant.gop)));
    encoder.set_property_from_str("header-mode", "each-idr");
    encoder.set_property_from_str("rc-mode", if steady(grant) { "vbr" } else { "cbr" });
    encoder.set_property_from_str("profile", if grant.profile == Profile::Main { "main" } else { "baseline" });
}

fn mpp_rate(encoder: &gst::Element, grant: &Grant, bitrate_bps: u64) {
    encoder.set_property("bps-max", clamp(peak_bps(grant, bitrate_bps)));
    encoder.set_property("bps", clamp(bitrate_bps));
}

fn va_setup(encoder: &gst::Element, grant: &Grant, _bitrate_bps: u64) {
    encoder.set_property("key-int-max", grant.gop);
    encoder.set_property("b-frames", 0_u32);
    encoder.set_property_from_str("rate-control", if steady(grant) { "vbr" } else { "cbr" });
}

fn qsv_setup(encoder: &gst::Element, grant: &Grant, _bitrate_bps: u64) {
    encoder.set_property("gop-size", grant.gop);
    encoder.set_property("b-frames", 0_u32);
    encoder.set_property("low-latency", true);
    encoder.set_property_from_str("rate-control", if steady(grant) { "vbr" } else { "cbr" });
}

/// `maxperf` off keeps the encoder from spending its budget on key frames; the quantiser's range is clamped for them.
fn nv_setup(encoder: &gst::Element, grant: &Grant, _bitrate_bps: u64) {
    encoder.set_property("insert-sps-pps", true);
    encoder.set_property("iframeinterval", grant.gop);
    encoder.set_property("idrinterval", grant.gop);
    encoder.set_property_from_str("control-rate", if steady(grant) { "variable_bitrate" } else { "constant_bitrate" });
    encoder.set_property("qp-range", "10,45:20,45:20,45");
    encoder.set_property_from_str("profile", if grant.profile == Profile::Main { "2" } else { "0" });
}

fn nv_rate(encoder: &gst::Element, grant: &Grant, bitrate_bps: u64) {
    if steady(grant) {
        encoder.set_property("peak-bitrate", clamp(peak_bps(grant, bitrate_bps)));
    }
    encoder.set_property("bitrate", clamp(bitrate_bps));
}
