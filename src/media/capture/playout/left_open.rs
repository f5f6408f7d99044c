//! Closes connections that a stopped RTMP source leaves open.
//!
//! An rtmp2src (seen in GStreamer 1.22) that is stopped after a server's handshake and before its answer cannot cancel
//! that: it ties its own cancellable to the wrong one, and its main loop ends with the connection still waiting on it. A
//! socket, a main context with its descriptor and the source itself then stay for as long as the process lives. A
//! camera's server that accepts and never answers is tried again every few seconds: it would take all descriptors of the
//! box in hours.
//!
//! So every connection that is made on a main context is noted, and once a source was stopped, those to its server
//! whose context nobody runs any more are shut down; then the context is run until nothing is left to do, in which all of
//! them let go of each other.

#![expect(unsafe_code, reason = "a connection in a source's private part is heard of nowhere else")]

use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use gst::glib;
use gst::prelude::*;
use rustix::net::Shutdown;

/// Far more than a connection needs to end.
const MOST_STEPS: u32 = 1_000;

/// Host and port.
pub type Server = (String, u16);

struct Opened {
    server: Server,
    connection: Weak,
    context: glib::MainContext,
}

struct Weak(glib::WeakRef<glib::Object>);

// SAFETY: references are counted atomically; and what is asked of the connection is asked by whoever has acquired its
// context, as its own thread had.
unsafe impl Send for Weak {}

static OPENED: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

fn opened() -> MutexGuard<'static, Vec<Opened>> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on connections are noted. To be called before the first source of the kind plays.
pub fn watch() {
    static WATCHES: Once = Once::new();
    WATCHES.call_once(|| {
        // SAFETY: the type exists once it was asked for, and its class holds its signals once it is referenced; the hook
        // takes no data.
        unsafe {
            let client = gio_sys::g_socket_client_get_type();
            let class = glib::gobject_ffi::g_type_class_ref(client);
            let signal = glib::gobject_ffi::g_signal_lookup(c"event".as_ptr(), client);
            glib::gobject_ffi::g_signal_add_emission_hook(signal, 0, Some(note), std::ptr::null_mut(), None);
            glib::gobject_ffi::g_type_class_unref(class);
        }
    });
}

/// `GSocketClient::event`: the client, the event, to where, the connection. On the thread that connects.
unsafe extern "C" fn note(
    _: *mut glib::gobject_ffi::GSignalInvocationHint,
    count: u32,
    values: *const glib::gobject_ffi::GValue,
    _: glib::ffi::gpointer,
) -> glib::ffi::gboolean {
    // SAFETY: the signal's own values, as many as it says, for the time of this call; `Value` is transparent.
    let values = unsafe { std::slice::from_raw_parts(values.cast::<glib::Value>(), count as usize) };
    if let Some(connection) = connected(values) {
        let mut opened = opened();
        opened.retain(|opened| opened.connection.0.upgrade().is_some());
        opened.push(connection);
    }
    glib::ffi::GTRUE
}

/// What is connected now, on a context that its thread runs.
fn connected(values: &[glib::Value]) -> Option<Opened> {
    let [_, event, place, connection] = values else { return None };
    let (_, event) = glib::EnumValue::from_value(event)?;
    if event.nick() != "connected" {
        return None;
    }
    let context = glib::MainContext::thread_default()?;
    let place = place.get::<glib::Object>().ok()?;
    let has = |name: &str| place.find_property(name).is_some();
    if !has("hostname") || !has("port") {
        return None;
    }
    let port = u16::try_from(place.property::<u32>("port")).ok()?;
    let connection = connection.get::<glib::Object>().ok()?;
    Some(Opened {
        server: (place.property::<String>("hostname"), port),
        connection: Weak(connection.downgrade()),
        context,
    })
}

/// Closes what stopped sources left open to this server.
pub fn close(server: &Server) {
    let to_it: Vec<Opened> = opened().extract_if(.., |opened| opened.server == *server).collect();
    for left in to_it {
        let Opened { connection, context, .. } = &left;
        // Refused while a thread runs it: that source plays, or connects.
        let ended = context.with_thread_default(|| {
            shut_down(connection);
            (0..MOST_STEPS).take_while(|_| context.iteration(false)).for_each(drop);
        });
        if ended.is_err() {
            opened().push(left);
        }
    }
}

fn shut_down(connection: &Weak) {
    let Some(connection) = connection.0.upgrade() else { return };
    let Some(socket) =
        connection.find_property("socket").and_then(|_| connection.property::<Option<glib::Object>>("socket"))
    else {
        return;
    };
    let number = socket.property::<i32>("fd");
    if number >= 0 {
        // SAFETY: the socket is open as long as its object is referenced here and nobody closes it, and who could has run
        // on the context that this thread has.
        let _ = rustix::net::shutdown(unsafe { BorrowedFd::borrow_raw(number) }, Shutdown::Both);
    }
}
