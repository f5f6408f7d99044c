//! `cuebox-panel-sim`: a button panel in a terminal. It runs the panel's own firmware on a pseudo-terminal, which the
//! box takes for a serial line.
//!
//! In a terminal it draws its lamps and takes keys from the keyboard. Elsewhere it reads `down N` and `up N`, a line
//! each, and prints its lamps whenever they change.

mod pins;
mod pty;
mod screen;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use cuebox_panel::firmware::{Key, Panel};
use cuebox_panel::message::Name;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use pins::{Bulb, Contact};
use pty::Pty;
use screen::{Keyboard, Screen};

const USAGE: &str = "\
usage: cuebox-panel-sim [--link PATH] [--keys 6|8|12] [--name NAME]

  --link PATH   also reachable at PATH, which the box's configuration can name:
                [panel] serial = \"PATH\"
  --keys N      6, 8 or 12 keys [default: 6]
  --name NAME   what the panel calls itself [default: sim]";

struct Arguments {
    link: Option<PathBuf>,
    keys: usize,
    name: Name,
}

fn main() -> ExitCode {
    let arguments = match read_arguments(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return told(&mut io::stdout(), USAGE, ExitCode::SUCCESS),
        Err(what) => return told(&mut io::stderr(), &format!("{what}\n\n{USAGE}"), ExitCode::from(2)),
    };
    let outcome = match arguments.keys {
        8 => run::<8>(&arguments),
        12 => run::<12>(&arguments),
        _ => run::<6>(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(&mut io::stderr(), &format!("cuebox-panel-sim: {error}"), ExitCode::from(1)),
    }
}

fn told(out: &mut dyn io::Write, text: &str, code: ExitCode) -> ExitCode {
    // With nobody there to read it, nothing is left to do.
    let _ = writeln!(out, "{text}");
    code
}

/// `None`: help was asked for.
fn read_arguments(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments { link: None, keys: 6, name: Name::new(b"sim").unwrap_or_default() };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--link" => arguments.link = Some(PathBuf::from(value()?)),
            "--keys" => {
                let keys = value()?;
                arguments.keys = keys.parse().ok().filter(|keys| [6, 8, 12].contains(keys)).ok_or("6, 8 or 12 keys")?;
            }
            "--name" => {
                let name = value()?;
                arguments.name = Name::new(name.as_bytes()).ok_or("a name has 1–32 plain letters, and no $ * ,")?;
            }
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(Some(arguments))
}

fn run<const N: usize>(arguments: &Arguments) -> io::Result<()> {
    let pty = Pty::open(arguments.link.as_deref())?;
    let contacts: [Contact; N] = std::array::from_fn(|_| Contact::default());
    let bulbs: [Bulb; N] = std::array::from_fn(|_| Bulb::default());
    let line = pty.line();
    let mut panel = Panel::new(arguments.name, contacts.clone().map(Key::active_low), bulbs.clone(), line);
    let mut screen = Screen::start(arguments.name.as_str(), pty.place(), N)?;
    let mut keyboard = Keyboard::start()?;
    let started = Instant::now();
    loop {
        let now_ms = u32::try_from(started.elapsed().as_millis() % (1 << 32)).unwrap_or_default();
        if !keyboard.read(now_ms, &contacts)? {
            return Ok(());
        }
        panel.step(now_ms)?;
        screen.show(&bulbs, panel.is_heard())?;
        wait(&keyboard)?;
    }
}

/// A millisecond, or until a key of the keyboard is pressed.
fn wait(keyboard: &Keyboard) -> io::Result<()> {
    let stdin = io::stdin();
    let millisecond = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
    let watched = if keyboard.is_open() { &mut watched[..] } else { &mut [] };
    match poll(watched, Some(&millisecond)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody looks at it.
fn at_terminal() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal()
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}
