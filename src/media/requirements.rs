//! Every GStreamer element that the box cannot do without, what for, and who delivers it on Debian.

/// Something of GStreamer's that is needed and is not there, or cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("GStreamer does not start: {0}")]
    Init(#[from] gst::glib::Error),
    #[error("GStreamer element `{element}` ({purpose}) is missing: install the Debian package {package}")]
    MissingElement { element: &'static str, purpose: &'static str, package: &'static str },
    #[error("the media graph's thread does not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// Element, purpose, Debian package.
const NEEDED: &[(&str, &str, &str)] = &[
    ("capsfilter", "fixes formats between elements", "libgstreamer1.0-0"),
    ("identity", "looks into streams", "libgstreamer1.0-0"),
    ("queue", "parts of a pipeline on threads of their own", "libgstreamer1.0-0"),
    ("appsrc", "joins pipelines", "gstreamer1.0-plugins-base"),
    ("appsink", "joins pipelines", "gstreamer1.0-plugins-base"),
    ("compositor", "mixes the program's picture", "gstreamer1.0-plugins-base"),
    ("audiomixer", "mixes the program's sound", "gstreamer1.0-plugins-base"),
    ("videoconvertscale", "brings pictures to the show's size and format", "gstreamer1.0-plugins-base"),
    ("audioconvert", "brings sound to the common format", "gstreamer1.0-plugins-base"),
    ("audioresample", "brings sound to the common rate and clock", "gstreamer1.0-plugins-base"),
    ("textoverlay", "writes texts on the slate and the test picture", "gstreamer1.0-x"),
    ("uridecodebin", "opens file and network sources", "gstreamer1.0-plugins-base"),
    ("alsasrc", "takes sound from sound cards", "gstreamer1.0-alsa"),
    ("v4l2src", "takes pictures from cameras", "gstreamer1.0-plugins-good"),
    ("jpegdec", "decodes cameras that deliver MJPEG", "gstreamer1.0-plugins-good"),
    ("jpegenc", "makes snapshots", "gstreamer1.0-plugins-good"),
    ("deinterlace", "deinterlaces sources", "gstreamer1.0-plugins-good"),
    ("level", "measures sound levels", "gstreamer1.0-plugins-good"),
    ("mpegtsmux", "packs the SRT stream", "gstreamer1.0-plugins-bad"),
    ("aacparse", "packs the SRT stream's sound", "gstreamer1.0-plugins-good"),
    ("srtsink", "publishes over SRT", "gstreamer1.0-plugins-bad"),
    ("mp4mux", "packs recordings", "gstreamer1.0-plugins-good"),
    ("webrtcbin", "publishes over WebRTC", "gstreamer1.0-plugins-bad"),
    ("dtlssrtpenc", "encrypts WebRTC", "gstreamer1.0-plugins-bad"),
    ("srtpenc", "encrypts WebRTC's media", "gstreamer1.0-plugins-bad"),
    ("sctpenc", "carries WebRTC's data channels", "gstreamer1.0-plugins-bad"),
    ("nicesrc", "finds WebRTC's way through networks", "gstreamer1.0-nice"),
    ("nicesink", "finds WebRTC's way through networks", "gstreamer1.0-nice"),
    ("rtpbin", "keeps WebRTC's time and reports", "gstreamer1.0-plugins-good"),
    ("rtph264pay", "packs pictures for WebRTC", "gstreamer1.0-plugins-good"),
    ("rtprtxsend", "sends lost packets again", "gstreamer1.0-plugins-good"),
    ("opusenc", "encodes sound for WebRTC", "gstreamer1.0-plugins-base"),
    ("rtpopuspay", "packs sound for WebRTC", "gstreamer1.0-plugins-good"),
    ("h264parse", "reads H.264 streams", "gstreamer1.0-plugins-bad"),
    ("avdec_h264", "decodes cameras that deliver H.264", "gstreamer1.0-libav"),
    ("voaacenc", "encodes sound", "gstreamer1.0-plugins-bad"),
];

/// Switches off GStreamer's own trap for crashes, which would end the process in its own way when a thread crashes while
/// a plugin is loaded, and forget afterwards who had asked for such signals before. To be called before GStreamer starts.
pub fn leave_crashes_alone() {
    if gst::segtrap_is_enabled() {
        gst::segtrap_set_enabled(false);
    }
}

/// Lets a camera that is closed go whole. GStreamer 1.22 otherwise hands what the driver still holds to nobody (an
/// orphan), and forgets with it seven file descriptors and the element itself, each time that a camera is opened again.
/// Where that is mended the way without orphans works as well: no picture of ours lies in a driver's buffer for longer
/// than it takes to copy it.
///
/// To be called while the process has one thread.
pub fn close_cameras_whole() {
    // SAFETY: nobody reads the environment meanwhile, as there is no other thread.
    #[expect(unsafe_code, reason = "the plugin has no other switch for it")]
    unsafe {
        std::env::set_var("GST_V4L2_FORCE_DRAIN", "1");
    }
}

/// Starts GStreamer and looks for every element.
///
/// # Errors
/// GStreamer does not start, or all the elements that are missing.
pub fn check() -> Result<(), Vec<MediaError>> {
    gst::init().map_err(|error| vec![MediaError::Init(error)])?;
    let missing = missing(NEEDED);
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

fn missing(needed: &[(&'static str, &'static str, &'static str)]) -> Vec<MediaError> {
    needed
        .iter()
        .filter(|(element, ..)| gst::ElementFactory::find(element).is_none())
        .map(|&(element, purpose, package)| MediaError::MissingElement { element, purpose, package })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_element_is_named_with_its_purpose_and_its_package() {
        gst::init().unwrap();
        let missing = missing(&[("appsrc", "joins pipelines", "base"), ("nosuchelement", "dreams", "gstreamer1.0-x")]);
        let [only] = missing.as_slice() else { panic!("{missing:?}") };
        let text = only.to_string();
        assert!(text.contains("nosuchelement") && text.contains("dreams") && text.contains("gstreamer1.0-x"), "{text}");
    }

    #[test]
    fn nothing_is_missing_on_a_machine_that_was_set_up() {
        assert!(check().is_ok(), "{:?}", check());
    }
}
