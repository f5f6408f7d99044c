//! GStreamer errors → the director's error classes, by error domain and code, never by English text.

use cuebox_core::director::{ErrorClass, Fact};
use gst::prelude::*;

/// The fact that an error message means.
pub fn failure(error: &gst::message::Error) -> Fact {
    let from = error.src().map(|src| src.name().to_string()).unwrap_or_default();
    let debug = error.debug().map(|debug| debug.to_string()).unwrap_or_default();
    let detail = if debug.is_empty() {
        format!("{}: {}", from, error.error())
    } else {
        format!("{}: {} ({})", from, error.error(), debug.lines().last().unwrap_or_default())
    };
    Fact::Failed { class: class(&error.error()), detail }
}

/// Class of an error by its domain and code.
pub fn class(error: &gst::glib::Error) -> ErrorClass {
    use gst::{CoreError, ResourceError, StreamError};
    if let Some(kind) = error.kind::<ResourceError>() {
        #[expect(clippy::wildcard_enum_match_arm, reason = "GStreamer may add codes; an unknown one is the device's")]
        return match kind {
            ResourceError::Busy => ErrorClass::Busy,
            ResourceError::NotAuthorized => ErrorClass::Unauthorised,
            ResourceError::NoSpaceLeft => ErrorClass::DiskFull,
            _ => ErrorClass::Device,
        };
    }
    if error.kind::<StreamError>().is_some() {
        return ErrorClass::Format;
    }
    if error.kind::<CoreError>().is_some() {
        return ErrorClass::Internal;
    }
    ErrorClass::Internal
}
