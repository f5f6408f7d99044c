//! Contacts and lamps that are shared between the firmware and the screen.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use cuebox_panel::embedded_hal::digital::{ErrorType, InputPin};
use cuebox_panel::firmware::Lamp;
use cuebox_panel::light::Colour;

/// A switch to ground.
#[derive(Clone, Default)]
pub struct Contact(Rc<Cell<bool>>);

impl Contact {
    pub fn close(&self, closed: bool) {
        self.0.set(closed);
    }
}

impl ErrorType for Contact {
    type Error = Infallible;
}

impl InputPin for Contact {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.get())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.get())
    }
}

#[derive(Clone, Default)]
pub struct Bulb(Rc<Cell<Colour>>);

impl Bulb {
    pub fn colour(&self) -> Colour {
        self.0.get()
    }
}

impl Lamp for Bulb {
    type Error = Infallible;

    fn show(&mut self, colour: Colour) -> Result<(), Infallible> {
        self.0.set(colour);
        Ok(())
    }
}
