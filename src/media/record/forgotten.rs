//! Gives back what mp4mux forgets.
//!
//! In the mode `first-moov-then-finalise` the muxer ends a fragment for all tracks at once, but lets go of the list of
//! waiting buffers of one track only; for the others it allocates the next list over the one before. That is 4 KiB with
//! each fragment of a file with sound: 3 MB a minute with six recordings, as long as the process lives. In this mode the
//! lists are never used, so each can go as soon as it is there.
//!
//! A list lies in a private part of its pad: `{ guint size; guint len; gpointer data; }`, `size` 512 as the muxer makes
//! it. It is looked for by these values, and only in the GStreamer whose muxer was read and measured (1.22, of Debian 12
//! and Yocto scarthgap); any other is left alone. Whoever pushes is the one thread that touches the lists, hence the probe.

#![expect(unsafe_code, reason = "a leak in a muxer's private part can be mended nowhere else")]

use std::ffi::c_void;
use std::mem::size_of;

use gst::glib;
use gst::prelude::*;

/// As the muxer makes each list.
const PLACES: u32 = 512;

#[repr(C)]
struct List {
    size: u32,
    len: u32,
    data: *mut c_void,
}

/// Gives back, whenever the muxer pushes, what it is about to forget. `muxer` is in the mode that is named above.
pub fn give_back(muxer: &gst::Element) {
    let (major, minor, ..) = gst::version();
    if (major, minor) != (1, 22) || !cfg!(target_pointer_width = "64") {
        return;
    }
    let Some(output) = muxer.static_pad("src") else { return };
    output.add_probe(gst::PadProbeType::BUFFER, |output, _| {
        let muxer = output.parent_element();
        for input in muxer.iter().flat_map(ElementExtManual::sink_pads) {
            free_list(&input);
        }
        gst::PadProbeReturn::Ok
    });
}

/// False: it has none at the moment. Only for the thread that pushes.
fn free_list(input: &gst::Pad) -> bool {
    let mut query =
        glib::gobject_ffi::GTypeQuery { type_: 0, type_name: std::ptr::null(), class_size: 0, instance_size: 0 };
    // SAFETY: the type is that of a living object, the answer is written to where it is told.
    unsafe { glib::gobject_ffi::g_type_query(glib::translate::IntoGlib::into_glib(input.type_()), &raw mut query) };
    let end = (query.instance_size as usize).saturating_sub(size_of::<List>());
    let begin = size_of::<gst_base::ffi::GstAggregatorPad>().next_multiple_of(align_of::<List>());
    for at in (begin..=end).step_by(align_of::<List>()) {
        // SAFETY: `at` and the list's size after it lie in the instance, which is aligned for any of its members and which
        // its class filled with zeros when it was made.
        let list = unsafe { input.as_ptr().cast::<u8>().add(at).cast::<List>() };
        // SAFETY: as above; any bytes are a valid `List`.
        let found = unsafe { list.read() };
        if found.size == PLACES && found.len == 0 && !found.data.is_null() {
            // SAFETY: the muxer allocated it by `g_malloc` and, at length 0, neither reads nor writes what it points to. It
            // takes a null pointer for no list.
            unsafe {
                (*list).data = std::ptr::null_mut();
                glib::ffi::g_free(found.data);
            }
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_muxer_forgets_a_list_with_each_fragment_and_it_is_found() {
        gst::init().unwrap();
        let text = "videotestsrc num-buffers=1800 ! video/x-raw,width=64,height=36,framerate=30/1 ! \
             x264enc speed-preset=ultrafast tune=zerolatency key-int-max=15 threads=1 ! h264parse ! queue ! \
             mp4mux name=m fragment-duration=500 fragment-mode=first-moov-then-finalise ! fakesink \
             audiotestsrc num-buffers=2812 wave=silence ! audio/x-raw,rate=48000,channels=2 ! voaacenc ! queue ! m.";
        let pipeline = gst::parse::launch(text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let muxer = pipeline.by_name("m").unwrap();
        let [freed, fragments] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let (count, begun) = (freed.clone(), fragments.clone());
        muxer.static_pad("src").unwrap().add_probe(gst::PadProbeType::BUFFER, move |output, info| {
            let map = info.buffer().unwrap().map_readable().unwrap();
            begun.fetch_add(usize::from(map.get(4..8) == Some(b"moof")), Ordering::Relaxed);
            for input in output.parent_element().unwrap().sink_pads() {
                count.fetch_add(usize::from(free_list(&input)), Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends).unwrap();
        assert!(matches!(end.view(), gst::MessageView::Eos(_)), "{end:?}");
        pipeline.set_state(gst::State::Null).unwrap();
        // Of two tracks, one each is forgotten.
        let (freed, fragments) = (freed.load(Ordering::Relaxed), fragments.load(Ordering::Relaxed));
        assert!(fragments >= 100, "{fragments} fragments");
        assert!((fragments..=2 * fragments + 2).contains(&freed), "{freed} lists were freed in {fragments} fragments");
    }
}
