//! What of a camera can be set: exposure, white balance, power-line frequency. Only read here.

#![expect(unsafe_code, reason = "ioctl: request number and structure must fit together, which only a reader can check")]

use cuebox_core::device::Control;
use rustix::ioctl::{Updater, ioctl, opcode};

use super::v4l2::Node;

const VIDEO: u8 = b'V';
const NEXT: u32 = 0x8000_0000;
/// No camera has as many; a bound for drivers that never say "no more".
const MOST: usize = 200;
const MOST_CHOICES: i64 = 64;

const INTEGER: u32 = 1;
const BOOLEAN: u32 = 2;
const MENU: u32 = 3;
const INTEGER_MENU: u32 = 9;

const DISABLED: u32 = 0x01;
const READ_ONLY: u32 = 0x04;

/// Every control that somebody could set, in the driver's order.
pub fn read(node: &Node) -> Vec<Control> {
    let mut controls = Vec::new();
    let mut last = 0;
    for _ in 0..MOST {
        let mut raw = RawQuery { id: last | NEXT, ..RawQuery::default() };
        // SAFETY: VIDIOC_QUERYCTRL reads the id of a v4l2_queryctrl and fills the rest.
        let asked = unsafe { ioctl(node, Updater::<{ opcode::read_write::<RawQuery>(VIDEO, 36) }, _>::new(&mut raw)) };
        // A driver that gives the same one again would never end.
        if asked.is_err() || raw.id <= last {
            break;
        }
        last = raw.id;
        controls.extend(raw.checked(node));
    }
    controls
}

fn value(node: &Node, id: u32) -> Option<i64> {
    let mut raw = RawControl { id, value: 0 };
    // SAFETY: VIDIOC_G_CTRL reads the id of a v4l2_control and fills its value.
    unsafe { ioctl(node, Updater::<{ opcode::read_write::<RawControl>(VIDEO, 27) }, _>::new(&mut raw)) }.ok()?;
    Some(raw.value.into())
}

/// The choice's name, or the number that it stands for.
fn choice(node: &Node, id: u32, index: i64, kind: u32) -> Option<String> {
    let mut raw = RawChoice { id, index: u32::try_from(index).ok()?, name: [0; 32], reserved: 0 };
    // SAFETY: VIDIOC_QUERYMENU reads id and index of a v4l2_querymenu and fills the rest.
    unsafe { ioctl(node, Updater::<{ opcode::read_write::<RawChoice>(VIDEO, 37) }, _>::new(&mut raw)) }.ok()?;
    if kind == INTEGER_MENU {
        let number = raw.name.first_chunk::<8>().map(|bytes| i64::from_ne_bytes(*bytes))?;
        return Some(number.to_string());
    }
    Some(text(&raw.name))
}

#[repr(C)]
#[derive(Default)]
struct RawQuery {
    id: u32,
    kind: u32,
    name: [u8; 32],
    min: i32,
    max: i32,
    step: i32,
    default: i32,
    flags: u32,
    reserved: [u32; 2],
}

impl RawQuery {
    fn checked(&self, node: &Node) -> Option<Control> {
        let settable = self.flags & (DISABLED | READ_ONLY) == 0;
        if !settable || ![INTEGER, BOOLEAN, MENU, INTEGER_MENU].contains(&self.kind) {
            return None;
        }
        let name = key(&text(&self.name));
        let (min, max) = (i64::from(self.min), i64::from(self.max));
        let menu = if [MENU, INTEGER_MENU].contains(&self.kind) {
            let choices = min..=max.min(min + MOST_CHOICES);
            choices.filter_map(|index| Some((index, choice(node, self.id, index, self.kind)?))).collect()
        } else {
            Vec::new()
        };
        Some(Control {
            id: self.id,
            leads: self.kind != INTEGER && name.contains("auto"),
            name,
            min,
            max,
            step: u64::try_from(self.step).unwrap_or(1),
            default: self.default.into(),
            value: value(node, self.id)?,
            menu,
        })
    }
}

#[repr(C)]
struct RawControl {
    id: u32,
    value: i32,
}

/// `v4l2_querymenu` is packed; its union is held as the name.
#[repr(C)]
struct RawChoice {
    id: u32,
    index: u32,
    name: [u8; 32],
    reserved: u32,
}

const _: () = {
    assert!(size_of::<RawQuery>() == 68);
    assert!(size_of::<RawControl>() == 8);
    assert!(size_of::<RawChoice>() == 44);
};

fn text(bytes: &[u8]) -> String {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    super::sysfs::printable(&String::from_utf8_lossy(name))
}

/// A control's name as a key: `Exposure Time, Absolute` is `exposure_time_absolute`, as v4l2-ctl has it.
fn key(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_is_named_as_v4l2_ctl_names_it() {
        for (name, expected) in [
            ("Power Line Frequency", "power_line_frequency"),
            ("Exposure Time, Absolute", "exposure_time_absolute"),
            ("White Balance, Auto & Preset", "white_balance_auto_preset"),
            ("Gain", "gain"),
        ] {
            assert_eq!(key(name), expected);
        }
    }
}
