//! Lamps of several kinds.

use embedded_hal::digital::OutputPin;
use embedded_hal::pwm::SetDutyCycle;

use crate::light::Colour;

/// Something that can show a colour.
pub trait Lamp {
    type Error;

    /// Shows a colour, at once and until the next.
    ///
    /// # Errors
    /// The pin's. The panel tries again in its next step.
    fn show(&mut self, colour: Colour) -> Result<(), Self::Error>;
}

/// A tally lamp of one colour. It is lit for red, because to whoever stands before a camera a lamp that is lit means
/// *on air*; and for blue, white and amber only where it was made with [`OnePin::all`].
pub struct OnePin<P> {
    pin: P,
    red_only: bool,
}

impl<P> OnePin<P> {
    pub const fn tally(pin: P) -> Self {
        Self { pin, red_only: true }
    }

    /// Lit for every colour: for the lamp of a key.
    pub const fn all(pin: P) -> Self {
        Self { pin, red_only: false }
    }
}

impl<P: OutputPin> Lamp for OnePin<P> {
    type Error = P::Error;

    fn show(&mut self, colour: Colour) -> Result<(), P::Error> {
        let lit = if self.red_only { colour == Colour::Red } else { colour != Colour::Off };
        self.pin.set_state(lit.into())
    }
}

/// Three pins that are on or off. Amber is red with green.
pub struct RgbPins<R, G, B> {
    pub red: R,
    pub green: G,
    pub blue: B,
}

impl<E, R, G, B> Lamp for RgbPins<R, G, B>
where
    R: OutputPin<Error = E>,
    G: OutputPin<Error = E>,
    B: OutputPin<Error = E>,
{
    type Error = E;

    fn show(&mut self, colour: Colour) -> Result<(), E> {
        let (red, green, blue) = colour.rgb();
        self.red.set_state((red > 0).into())?;
        self.green.set_state((green > 0).into())?;
        self.blue.set_state((blue > 0).into())
    }
}

/// Three pins with pulse width modulation: true colours, and a brightness.
pub struct RgbPwm<R, G, B> {
    pub red: R,
    pub green: G,
    pub blue: B,
    /// 0–255.
    pub brightness: u8,
}

impl<E, R, G, B> Lamp for RgbPwm<R, G, B>
where
    R: SetDutyCycle<Error = E>,
    G: SetDutyCycle<Error = E>,
    B: SetDutyCycle<Error = E>,
{
    type Error = E;

    fn show(&mut self, colour: Colour) -> Result<(), E> {
        let (red, green, blue) = colour.rgb();
        let full = 255 * 255;
        let part = |value: u8| u16::from(value) * u16::from(self.brightness);
        self.red.set_duty_cycle_fraction(part(red), full)?;
        self.green.set_duty_cycle_fraction(part(green), full)?;
        self.blue.set_duty_cycle_fraction(part(blue), full)
    }
}
