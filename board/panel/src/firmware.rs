//! The panel: keys in, lamps out, a serial line to the box. Call [`Panel::step`] about once a millisecond.
//!
//! | state | lamps | keys |
//! |---|---|---|
//! | testing (the first [`TEST_MS`]) | all white, red, green, blue in turn | not told |
//! | heard | as the box said last | told |
//! | alone: nothing heard for 1.5 s | one lamp after the other, blue | not told |
//!
//! A panel that is alone shows nothing that the box said before: what is on air is not known any more. A press in that
//! time is not kept, because it would act when nobody expects it. When the box is heard again the panel says hello, and
//! the box answers with every lamp.

mod lamp;
mod outbox;

use embedded_hal::digital::InputPin;
use embedded_io::{Read, ReadReady, Write, WriteReady};

pub use lamp::{Lamp, OnePin, RgbPins, RgbPwm};

use crate::debounce::Debounce;
use crate::light::{Colour, Light};
use crate::line::{Counts, Reader};
use crate::message::{FromPanel, Hello, LOST_MS, Name, PROTOCOL, ToPanel};
use outbox::Outbox;

/// Milliseconds of the lamp test at start.
pub const TEST_MS: u32 = 1_000;
/// Milliseconds that each lamp is lit in turn while the panel is alone.
pub const CHASE_MS: u32 = 200;
/// Bytes that are read in one step, so that a flood on the line cannot keep the keys from being looked at.
const READS: usize = 64;

/// A key's contact.
pub struct Key<P> {
    pin: P,
    closed_is_high: bool,
    contact: Debounce,
}

impl<P: InputPin> Key<P> {
    /// A switch from the pin to ground, the pin pulled up.
    pub const fn active_low(pin: P) -> Self {
        Self { pin, closed_is_high: false, contact: Debounce::new() }
    }

    /// A switch from the pin to the supply, the pin pulled down.
    pub const fn active_high(pin: P) -> Self {
        Self { pin, closed_is_high: true, contact: Debounce::new() }
    }

    /// A pin that cannot be read is open.
    fn update(&mut self, now_ms: u32) -> Option<bool> {
        let closed = self.pin.is_high().is_ok_and(|high| high == self.closed_is_high);
        self.contact.update(closed, now_ms)
    }
}

/// A panel of `N` keys, each with its lamp.
pub struct Panel<K, L, S, const N: usize> {
    name: Name,
    keys: [Key<K>; N],
    lamps: [L; N],
    serial: S,
    reader: Reader,
    outbox: Outbox,
    lights: [Light; N],
    lit: [Colour; N],
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    Testing { since_ms: u32 },
    Alone,
    Heard { last_ms: u32 },
}

impl<K, L, S, const N: usize> Panel<K, L, S, N>
where
    K: InputPin,
    L: Lamp,
    S: Read + ReadReady + Write + WriteReady,
{
    pub const fn new(name: Name, keys: [Key<K>; N], lamps: [L; N], serial: S) -> Self {
        Self {
            name,
            keys,
            lamps,
            serial,
            reader: Reader::new(),
            outbox: Outbox::new(),
            lights: [Light::OFF; N],
            lit: [Colour::Off; N],
            state: State::Off,
        }
    }

    /// Does what is due at `now_ms`, a clock that wraps around. Never waits.
    ///
    /// # Errors
    /// The serial line's, after which the panel goes on with the next step all the same.
    pub fn step(&mut self, now_ms: u32) -> Result<(), S::Error> {
        match self.state {
            State::Off => {
                self.state = State::Testing { since_ms: now_ms };
                self.say_hello();
            }
            State::Testing { since_ms } if now_ms.wrapping_sub(since_ms) >= TEST_MS => self.state = State::Alone,
            State::Heard { last_ms } if now_ms.wrapping_sub(last_ms) >= LOST_MS => {
                self.state = State::Alone;
                self.lights = [Light::OFF; N];
            }
            State::Testing { .. } | State::Heard { .. } | State::Alone => {}
        }
        let read = self.listen(now_ms);
        self.look_at_keys(now_ms);
        self.show(now_ms);
        let written = self.outbox.send(&mut self.serial);
        read.and(written)
    }

    /// What came in on the line.
    pub const fn counts(&self) -> Counts {
        self.reader.counts()
    }

    /// Whether the box is heard.
    pub const fn is_heard(&self) -> bool {
        matches!(self.state, State::Heard { .. })
    }

    fn listen(&mut self, now_ms: u32) -> Result<(), S::Error> {
        let mut bytes = [0; READS];
        if !self.serial.read_ready()? {
            return Ok(());
        }
        let count = self.serial.read(&mut bytes)?;
        for byte in bytes.iter().take(count) {
            if let Some(message) = self.reader.push(*byte, ToPanel::decode) {
                self.take(message, now_ms);
            }
        }
        Ok(())
    }

    fn take(&mut self, message: ToPanel, now_ms: u32) {
        match self.state {
            // What is to be shown is kept; the test is shown to its end.
            State::Off | State::Testing { .. } => {}
            State::Heard { .. } => self.state = State::Heard { last_ms: now_ms },
            State::Alone => {
                self.state = State::Heard { last_ms: now_ms };
                // The box may not know that this panel forgot its lamps.
                if message != ToPanel::Who {
                    self.say_hello();
                }
            }
        }
        match message {
            ToPanel::Lamp { lamp, light } => {
                if let Some(place) = self.lights.get_mut(usize::from(lamp).wrapping_sub(1)) {
                    *place = light;
                }
            }
            ToPanel::Ping { number } => self.outbox.put(FromPanel::Pong { number }),
            ToPanel::Who => self.say_hello(),
        }
    }

    fn look_at_keys(&mut self, now_ms: u32) {
        let heard = self.is_heard();
        for (number, key) in (1..).zip(&mut self.keys) {
            if let Some(down) = key.update(now_ms)
                && heard
            {
                self.outbox.put(FromPanel::Key { key: number, down });
            }
        }
    }

    fn show(&mut self, now_ms: u32) {
        for (place, (lamp, lit)) in self.lamps.iter_mut().zip(&mut self.lit).enumerate() {
            let colour = match self.state {
                State::Off => Colour::Off,
                State::Testing { since_ms } => tested(now_ms.wrapping_sub(since_ms)),
                State::Alone => chased(place, N, now_ms),
                State::Heard { .. } => self.lights.get(place).map_or(Colour::Off, |light| light.at(now_ms)),
            };
            if *lit != colour && lamp.show(colour).is_ok() {
                *lit = colour;
            }
        }
    }

    fn say_hello(&mut self) {
        let count = u8::try_from(N).unwrap_or(u8::MAX);
        self.outbox.put(FromPanel::Hello(Hello { protocol: PROTOCOL, keys: count, lamps: count, name: self.name }));
    }
}

/// Each colour of a lamp for a quarter of the test.
const fn tested(since_ms: u32) -> Colour {
    match since_ms * 4 / TEST_MS {
        0 => Colour::White,
        1 => Colour::Red,
        2 => Colour::Green,
        _ => Colour::Blue,
    }
}

fn chased(place: usize, count: usize, now_ms: u32) -> Colour {
    let turn = usize::try_from(now_ms / CHASE_MS).unwrap_or_default().checked_rem(count);
    if turn == Some(place) { Colour::Blue } else { Colour::Off }
}
