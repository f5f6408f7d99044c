//! A panel of six keys on a Raspberry Pi Pico: the page of glue between its crate `rp2040-hal` and the firmware core.
//!
//! ```text
//!   Pico pin   what                            Pico pin   what
//!   GP0        UART0 TX → the box's RX         GP8  GP9   lamp 1: red, green
//!   GP1        UART0 RX ← the box's TX         GP10 GP11  lamp 2
//!   GP2 … GP7  keys 1 … 6, each to ground      GP12 GP13  lamp 3
//!   GND        the box's ground                GP14 GP15  lamp 4
//!                                              GP16 GP17  lamp 5
//!                                              GP18 GP19  lamp 6, each by 330 Ω
//! ```
//!
//! Two-colour lamps with a common cathode show red, green and amber; white and blue, which are not on air either, are
//! shown as green. The whole program is then:
//!
//! ```text
//! #[rp2040_hal::entry]
//! fn main() -> ! {
//!     let mut pac = pac::Peripherals::take().unwrap();
//!     // … clocks, and `pins`, as in each example of rp2040-hal …
//!     let timer = Timer::new(pac.TIMER, &mut pac.RESETS, &clocks);
//!     let uart = UartPeripheral::new(pac.UART0, (pins.gpio0.into_function(), pins.gpio1.into_function()), &mut pac.RESETS)
//!         .enable(UartConfig::new(115_200.Hz(), DataBits::Eight, None, StopBits::One), clocks.peripheral_clock.freq())
//!         .unwrap();
//!     let keys = [pins.gpio2.into_pull_up_input().into_dyn_pin(), /* … as GP3 to GP7 */];
//!     let lamps = [
//!         (pins.gpio8.into_push_pull_output().into_dyn_pin(), pins.gpio9.into_push_pull_output().into_dyn_pin()),
//!         /* … */
//!     ];
//!     let mut panel = cuebox_panel::pico::panel("stage", keys, lamps, uart);
//!     loop {
//!         let _ = panel.step(timer.get_counter().ticks() as u32 / 1000);
//!     }
//! }
//! ```

use embedded_hal::digital::{InputPin, OutputPin};
use embedded_io::{Read, ReadReady, Write, WriteReady};

use crate::firmware::{Key, Lamp, Panel};
use crate::light::Colour;
use crate::message::Name;

/// Keys of this panel, and lamps.
pub const KEYS: usize = 6;

/// A lamp of two colours with a common cathode.
pub struct TwoColours<P> {
    red: P,
    green: P,
}

impl<P: OutputPin> Lamp for TwoColours<P> {
    type Error = P::Error;

    fn show(&mut self, colour: Colour) -> Result<(), P::Error> {
        let (red, green) = match colour {
            Colour::Off => (false, false),
            Colour::Red => (true, false),
            Colour::Amber => (true, true),
            Colour::Green | Colour::White | Colour::Blue => (false, true),
        };
        self.red.set_state(red.into())?;
        self.green.set_state(green.into())
    }
}

/// The panel on its pins. `name` is what the box calls it; one that cannot stand on a line becomes `panel`.
pub fn panel<K, L, S>(name: &str, keys: [K; KEYS], lamps: [(L, L); KEYS], serial: S) -> Panel<K, TwoColours<L>, S, KEYS>
where
    K: InputPin,
    L: OutputPin,
    S: Read + ReadReady + Write + WriteReady,
{
    let name = Name::new(name.as_bytes()).unwrap_or_default();
    Panel::new(name, keys.map(Key::active_low), lamps.map(|(red, green)| TwoColours { red, green }), serial)
}
