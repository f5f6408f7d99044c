//! An element that webrtcbin asks for by a signal.

use gst::glib;
use gst::prelude::*;

/// The value to answer with. The reference in it is taken by putting the element into a bin, which takes it only when it
/// is floating, as elements are that C has just made; Rust's never are, and each one stayed for ever, with 0.4 MB.
#[expect(unsafe_code, reason = "no safe call makes a reference floating")]
pub fn over(element: gst::Element) -> glib::Value {
    // SAFETY: the pointer is that of a living object, which `element` holds; the flag is one of every object.
    unsafe { glib::gobject_ffi::g_object_force_floating(element.as_ptr().cast()) };
    element.to_value()
}
