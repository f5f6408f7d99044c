//! Lamps on a terminal, keys from its keyboard.

use std::io;
use std::path::Path;

use cuebox_panel::light::Colour;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::pins::{Bulb, Contact};
use super::{at_terminal, write_out};

/// Keys of the keyboard: short presses, and below them the long ones.
const SHORT: &[u8] = b"1234567890-=";
const LONG: &[u8] = b"qwertyuiop[]";
const SHORT_MS: u32 = 120;
const LONG_MS: u32 = 900;

pub struct Screen {
    drawn: Option<(Vec<Colour>, bool)>,
    terminal: bool,
}

impl Screen {
    pub fn start(name: &str, place: &Path, keys: usize) -> io::Result<Self> {
        let terminal = at_terminal();
        if terminal {
            let last = |row: &[u8]| char::from(row[keys - 1]);
            write_out(&format!(
                "\nPanel \"{name}\" with {keys} keys at {}\n\n  1 to {} press a key, q to {} hold it, x ends\n\n",
                place.display(),
                last(SHORT),
                last(LONG)
            ))?;
        } else {
            write_out(&format!("panel {name} at {}\n", place.display()))?;
        }
        Ok(Self { drawn: None, terminal })
    }

    pub fn show(&mut self, bulbs: &[Bulb], heard: bool) -> io::Result<()> {
        let now = (bulbs.iter().map(Bulb::colour).collect::<Vec<_>>(), heard);
        if self.drawn.as_ref() == Some(&now) {
            return Ok(());
        }
        let (lamps, heard) = &now;
        if self.terminal {
            let key = |(place, colour): (usize, &Colour)| format!("{}{:^5}\x1b[0m ", paint(*colour), place + 1);
            let row: String = lamps.iter().enumerate().map(key).collect();
            let state = if *heard { "the box is there" } else { "no box is heard " };
            write_out(&format!("\r  {row}  \x1b[2m{state}\x1b[0m"))?;
        } else {
            let words: Vec<&str> = lamps.iter().map(|colour| colour.word()).collect();
            write_out(&format!("lamps {}{}\n", words.join(" "), if *heard { "" } else { " alone" }))?;
        }
        self.drawn = Some(now);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal {
            let _ = write_out("\n");
        }
    }
}

const fn paint(colour: Colour) -> &'static str {
    match colour {
        Colour::Off => "\x1b[48;5;236;38;5;250m",
        Colour::White => "\x1b[48;5;255;38;5;16m",
        Colour::Red => "\x1b[48;5;160;38;5;255;1m",
        Colour::Green => "\x1b[48;5;34;38;5;255;1m",
        Colour::Amber => "\x1b[48;5;214;38;5;16m",
        Colour::Blue => "\x1b[48;5;27;38;5;255m",
    }
}

pub struct Keyboard {
    before: Option<Termios>,
    open: bool,
    /// When each contact opens again.
    held: Vec<(usize, u32)>,
    line: String,
}

impl Keyboard {
    pub fn start() -> io::Result<Self> {
        let before = if at_terminal() {
            let before = tcgetattr(io::stdin())?;
            let mut single = before.clone();
            // Each key at once and unseen; Ctrl-C stays what it is, but must put the terminal back: `x` does.
            single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            tcsetattr(io::stdin(), OptionalActions::Now, &single)?;
            Some(before)
        } else {
            None
        };
        Ok(Self { before, open: true, held: Vec::new(), line: String::new() })
    }

    /// There may be more to come.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Moves the contacts; false when it is to end.
    pub fn read(&mut self, now_ms: u32, contacts: &[Contact]) -> io::Result<bool> {
        self.held.retain(|(place, until)| {
            let over = now_ms.wrapping_sub(*until) < u32::MAX / 2;
            if over {
                contacts[*place].close(false);
            }
            !over
        });
        let mut bytes = [0; 64];
        let count =
            if self.open && is_ready()? { rustix::io::read(io::stdin(), &mut bytes)? } else { return Ok(true) };
        if count == 0 {
            self.open = false;
            // A terminal that is gone; a script that is over leaves the panel as it is.
            return Ok(self.before.is_none());
        }
        for byte in &bytes[..count] {
            if self.before.is_none() {
                self.take_script(*byte, contacts);
            } else if matches!(byte, b'x' | 3 | 4) {
                return Ok(false);
            } else {
                self.take_key(*byte, now_ms, contacts);
            }
        }
        Ok(true)
    }

    fn take_key(&mut self, byte: u8, now_ms: u32, contacts: &[Contact]) {
        let find = |row: &[u8]| row.iter().position(|key| *key == byte).filter(|place| *place < contacts.len());
        let press = find(SHORT).map(|place| (place, SHORT_MS)).or_else(|| find(LONG).map(|place| (place, LONG_MS)));
        let Some((place, ms)) = press else { return };
        contacts[place].close(true);
        self.held.retain(|(held, _)| *held != place);
        self.held.push((place, now_ms.wrapping_add(ms)));
    }

    fn take_script(&mut self, byte: u8, contacts: &[Contact]) {
        if byte != b'\n' {
            // Nobody writes longer lines than "down 12".
            if self.line.len() < 16 {
                self.line.push(char::from(byte));
            }
            return;
        }
        let line = std::mem::take(&mut self.line);
        let (word, number) = line.split_once(' ').unwrap_or_default();
        let contact = number.parse::<usize>().ok().and_then(|number| contacts.get(number.wrapping_sub(1)));
        match (word, contact) {
            ("down", Some(contact)) => contact.close(true),
            ("up", Some(contact)) => contact.close(false),
            (_, _) => {}
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn is_ready() -> io::Result<bool> {
    let stdin = io::stdin();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut watched, Some(&now)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
