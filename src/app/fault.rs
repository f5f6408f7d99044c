//! Faults on request, so that tests can show what the box does with its own bugs. Off unless `CUEBOX_FAULTS=1`.

use std::sync::atomic::{AtomicBool, Ordering};

use cuebox_core::command::Command;
use cuebox_core::director::Event;
use cuebox_core::time::Mono;

static CONSOLE: AtomicBool = AtomicBool::new(false);

/// Markers with these texts break the part they name.
const IN_THE_DIRECTOR: &str = "fault: director";
const IN_THE_CONSOLE: &str = "fault: console";
/// The loop comes round no more.
const IN_THE_LOOP: &str = "fault: loop";

/// Whether this run may be broken on request.
pub fn allowed() -> bool {
    std::env::var_os("CUEBOX_FAULTS").is_some_and(|value| value == "1")
}

/// Breaks what the event asks to break.
#[expect(clippy::panic, reason = "this is the fault that a test asked for")]
pub fn inject(event: &Event) {
    let Event::Commanded(envelope) = event else { return };
    let Command::Marker { text } = &envelope.command else { return };
    match text.as_str() {
        IN_THE_DIRECTOR => panic!("a fault was asked for"),
        IN_THE_CONSOLE => CONSOLE.store(true, Ordering::Relaxed),
        IN_THE_LOOP => loop {
            std::thread::park();
        },
        _ => {}
    }
}

/// The console's clock, which is broken from when that was asked for until the console is started again.
#[expect(clippy::panic, reason = "this is the fault that a test asked for")]
pub fn clock() -> Mono {
    if CONSOLE.load(Ordering::Relaxed) {
        panic!("a fault was asked for");
    }
    super::wiring::now()
}

pub fn mend() {
    CONSOLE.store(false, Ordering::Relaxed);
}
