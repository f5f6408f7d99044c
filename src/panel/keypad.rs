//! USB number pads, by the kernel's input devices. A pad is grabbed, so that its keys do not type into a console as
//! well. A keyboard with letters is left alone: somebody may need it to repair the box.
//!
//! | pad | key of the panel |
//! |---|---|
//! | 1–5 | 1–5, the slots |
//! | 0 | 6, the slate |
//! | Enter | 7, take |
//! | + | 8, auto |
//! | − | 9, hold |
//! | * | 10, record (hold it) |
//! | / | 11, stream (hold it) |
//! | . | 12, marker (hold it: lock) |

use std::path::{Path, PathBuf};

use cuebox_core::status::PanelKind;
use evdev::{AttributeSetRef, Device, EventSummary, KeyCode};

use super::desk::Desk;

/// Keys of a pad.
const KEYS: u8 = 12;

/// Each key of the panel, with the keys of the pad that are it: those of a pad, and of one that sends a keyboard's digits.
const MAP: [(KeyCode, u8); 19] = [
    (KeyCode::KEY_KP1, 1),
    (KeyCode::KEY_KP2, 2),
    (KeyCode::KEY_KP3, 3),
    (KeyCode::KEY_KP4, 4),
    (KeyCode::KEY_KP5, 5),
    (KeyCode::KEY_KP0, 6),
    (KeyCode::KEY_KPENTER, 7),
    (KeyCode::KEY_KPPLUS, 8),
    (KeyCode::KEY_KPMINUS, 9),
    (KeyCode::KEY_KPASTERISK, 10),
    (KeyCode::KEY_KPSLASH, 11),
    (KeyCode::KEY_KPDOT, 12),
    (KeyCode::KEY_1, 1),
    (KeyCode::KEY_2, 2),
    (KeyCode::KEY_3, 3),
    (KeyCode::KEY_4, 4),
    (KeyCode::KEY_5, 5),
    (KeyCode::KEY_0, 6),
    (KeyCode::KEY_ENTER, 7),
];

/// An input device that may be a pad.
pub(super) struct Pad {
    device: Device,
    pub id: String,
    name: String,
}

/// Input devices that are there.
pub(super) fn nodes() -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir("/dev/input") else { return Vec::new() };
    let is_event = |node: &PathBuf| node.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event"));
    folder.flatten().map(|entry| entry.path()).filter(is_event).collect()
}

/// A pad's name and place.
pub(super) fn known(node: &Path) -> Option<(String, String)> {
    let pad = look(node)?;
    Some((pad.name, pad.id))
}

/// Opens and grabs the device, if it is a pad. `None`: it is none, or somebody else has it.
pub(super) fn open(node: &Path) -> Option<Pad> {
    let mut pad = look(node)?;
    if let Err(error) = pad.device.grab() {
        tracing::warn!(node = %node.display(), "a number pad cannot be taken: {error}");
        return None;
    }
    Some(pad)
}

fn look(node: &Path) -> Option<Pad> {
    let device = Device::open(node).ok()?;
    if !device.supported_keys().is_some_and(is_pad) {
        return None;
    }
    // Where it is plugged in, where the device says so.
    let place = device.physical_path().filter(|place| !place.is_empty()).map(str::to_owned);
    let id = place.unwrap_or_else(|| node.display().to_string());
    let name: String = device.name().unwrap_or("number pad").chars().filter(|c| !c.is_control()).take(32).collect();
    Some(Pad { device, id, name })
}

/// Keys 1 to 5 and no letters.
fn is_pad(keys: &AttributeSetRef<KeyCode>) -> bool {
    let has_all = |wanted: &[KeyCode]| wanted.iter().all(|key| keys.contains(*key));
    let pad = [KeyCode::KEY_KP1, KeyCode::KEY_KP2, KeyCode::KEY_KP3, KeyCode::KEY_KP4, KeyCode::KEY_KP5];
    let row = [KeyCode::KEY_1, KeyCode::KEY_2, KeyCode::KEY_3, KeyCode::KEY_4, KeyCode::KEY_5];
    let letters = [KeyCode::KEY_A, KeyCode::KEY_Q, KeyCode::KEY_SPACE, KeyCode::KEY_Z];
    (has_all(&pad) || has_all(&row)) && !letters.iter().any(|key| keys.contains(*key))
}

/// Serves the pad until it is gone; gives the desk back.
pub(super) async fn serve(pad: Pad, mut desk: Desk) -> (String, Desk) {
    let Pad { device, id, name } = pad;
    desk.connected(&id, PanelKind::Keypad, &name, KEYS);
    let why = match device.into_event_stream() {
        Ok(events) => listen(events, &mut desk).await,
        Err(error) => error,
    };
    desk.missing(&id, PanelKind::Keypad, &format!("it was unplugged ({why})"));
    (id, desk)
}

async fn listen(mut events: evdev::EventStream, desk: &mut Desk) -> std::io::Error {
    loop {
        let held = desk.deadline().map(|at| at.since(desk.now()));
        tokio::select! {
            event = events.next_event() => match event {
                Ok(event) => {
                    if let EventSummary::Key(_, code, value @ (0 | 1)) = event.destructure()
                        && let Some((_, key)) = MAP.iter().find(|(known, _)| *known == code)
                    {
                        desk.key(*key, value == 1);
                    }
                }
                Err(error) => return error,
            },
            () = tokio::time::sleep(held.unwrap_or_default()), if held.is_some() => desk.due(),
        }
    }
}

#[cfg(test)]
mod tests {
    use evdev::AttributeSet;

    use super::*;

    #[test]
    fn a_pad_is_taken_and_a_keyboard_is_not() {
        let set = |codes: &[KeyCode]| codes.iter().copied().collect::<AttributeSet<KeyCode>>();
        let pad: Vec<KeyCode> = MAP.iter().take(12).map(|(code, _)| *code).collect();
        let row: Vec<KeyCode> = MAP.iter().skip(12).map(|(code, _)| *code).collect();
        let keyboard = [&pad[..], &row[..], &[KeyCode::KEY_A, KeyCode::KEY_SPACE]].concat();
        let table = [
            ("a number pad", pad, true),
            ("a pad that sends digits", row, true),
            ("a keyboard", keyboard, false),
            ("a power button", vec![KeyCode::KEY_POWER], false),
        ];
        for (name, codes, expected) in table {
            assert_eq!(is_pad(&set(&codes)), expected, "{name}");
        }
    }
}
