//! The firmware on simulated pins and a simulated line; and the Pico's page on the mock's pins.

#![expect(clippy::unwrap_used, reason = "where a test cannot go on, it fails")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;

use cuebox_panel::firmware::{CHASE_MS, Key, Lamp, OnePin, Panel, RgbPwm, TEST_MS};
use cuebox_panel::light::{Colour, Light, Pattern};
use cuebox_panel::line::Reader;
use cuebox_panel::message::{FromPanel, LOST_MS, Name, PING_MS, ToPanel};
use embedded_hal::digital::{ErrorType, InputPin};
use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction};
use embedded_hal_mock::eh1::pwm::{Mock as Pwm, Transaction as Duty};

/// A line whose far end is the test.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Ends>>);

#[derive(Default)]
struct Ends {
    to_panel: VecDeque<u8>,
    from_panel: Vec<u8>,
    blocked: bool,
}

impl embedded_io::ErrorType for Wire {
    type Error = Infallible;
}

impl embedded_io::ReadReady for Wire {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.borrow().to_panel.is_empty())
    }
}

impl embedded_io::Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        let bytes = &mut self.0.borrow_mut().to_panel;
        let count = bytes.len().min(into.len());
        into.iter_mut().zip(bytes.drain(..count)).for_each(|(place, byte)| *place = byte);
        Ok(count)
    }
}

impl embedded_io::WriteReady for Wire {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.borrow().blocked)
    }
}

impl embedded_io::Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        // As a small FIFO does: not all at once.
        let count = bytes.len().min(7);
        self.0.borrow_mut().from_panel.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A switch to ground.
#[derive(Clone, Default)]
struct Switch(Rc<Cell<bool>>);

impl ErrorType for Switch {
    type Error = Infallible;
}

impl InputPin for Switch {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.get())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.get())
    }
}

#[derive(Clone, Default)]
struct Bulb(Rc<Cell<Colour>>);

impl Lamp for Bulb {
    type Error = Infallible;

    fn show(&mut self, colour: Colour) -> Result<(), Infallible> {
        self.0.set(colour);
        Ok(())
    }
}

/// Three keys on a bench.
struct Bench {
    panel: Panel<Switch, Bulb, Wire, 3>,
    keys: [Switch; 3],
    bulbs: [Bulb; 3],
    wire: Wire,
    reader: Reader,
    now: u32,
}

impl Bench {
    fn new() -> Self {
        let (keys, bulbs, wire) = (<[Switch; 3]>::default(), <[Bulb; 3]>::default(), Wire::default());
        let name = Name::new(b"bench").unwrap();
        let panel = Panel::new(name, keys.clone().map(Key::active_low), bulbs.clone(), wire.clone());
        // Shortly before the clock wraps around.
        Self { panel, keys, bulbs, wire, reader: Reader::new(), now: u32::MAX - 700 }
    }

    /// Connected, the lamp test over.
    fn heard() -> Self {
        let mut bench = Self::new();
        bench.pass(TEST_MS + 1);
        bench.say(ToPanel::Who);
        bench.pass(1);
        bench.said();
        bench
    }

    fn pass(&mut self, ms: u32) {
        for _ in 0..ms {
            self.panel.step(self.now).unwrap();
            self.now = self.now.wrapping_add(1);
        }
    }

    fn say(&mut self, message: ToPanel) {
        self.wire.0.borrow_mut().to_panel.extend(message.line().as_bytes());
    }

    fn said(&mut self) -> Vec<FromPanel> {
        let bytes = std::mem::take(&mut self.wire.0.borrow_mut().from_panel);
        bytes.iter().filter_map(|byte| self.reader.push(*byte, FromPanel::decode)).collect()
    }

    fn lit(&self) -> [Colour; 3] {
        self.bulbs.clone().map(|bulb| bulb.0.get())
    }
}

#[test]
fn a_panel_says_hello_and_tests_its_lamps_at_start() {
    let mut bench = Bench::new();
    let mut seen = Vec::new();
    for _ in 0..TEST_MS {
        bench.pass(1);
        let lit = bench.lit();
        assert!(lit.iter().all(|colour| *colour == lit[0]), "all lamps together");
        if seen.last() != Some(&lit[0]) {
            seen.push(lit[0]);
        }
    }
    assert_eq!(seen, [Colour::White, Colour::Red, Colour::Green, Colour::Blue]);
    let said = bench.said();
    assert!(
        matches!(said[..], [FromPanel::Hello(hello)] if hello.keys == 3 && hello.name.as_str() == "bench"),
        "{said:?}"
    );
}

#[test]
fn a_panel_that_hears_nobody_shows_so_and_keeps_its_presses_to_itself() {
    let mut bench = Bench::heard();
    bench.say(ToPanel::Lamp { lamp: 2, light: Light::steady(Colour::Red) });
    bench.pass(LOST_MS);
    assert_eq!(bench.lit(), [Colour::Off, Colour::Red, Colour::Off], "for as long as the box may still be there");
    bench.pass(2);
    let mut lit_in_turn = Vec::new();
    for _ in 0..CHASE_MS * 6 {
        bench.pass(1);
        let lit = bench.lit();
        assert_eq!(lit.iter().filter(|colour| **colour == Colour::Blue).count(), 1, "{lit:?}");
        assert!(!lit.contains(&Colour::Red), "nothing is red that nobody knows of");
        let place = lit.iter().position(|colour| *colour == Colour::Blue).unwrap();
        if lit_in_turn.last() != Some(&place) {
            lit_in_turn.push(place);
        }
    }
    assert!(lit_in_turn.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 3), "{lit_in_turn:?}");
    bench.said();
    bench.keys[0].0.set(true);
    bench.pass(100);
    bench.keys[0].0.set(false);
    bench.pass(100);
    assert_eq!(bench.said(), [], "a press would act later, when nobody expects it");
    bench.say(ToPanel::Ping { number: 9 });
    bench.pass(2);
    let said = bench.said();
    assert!(matches!(said[..], [FromPanel::Hello(_), FromPanel::Pong { number: 9 }]), "{said:?}");
    assert_eq!(bench.lit(), [Colour::Off; 3], "what it showed before is not known any more");
}

#[test]
fn a_press_is_told_within_its_bounce_and_answered_pings_keep_the_panel_heard() {
    let mut bench = Bench::heard();
    for round in 0..20 {
        bench.say(ToPanel::Ping { number: round });
        bench.pass(PING_MS);
        assert!(bench.said().contains(&FromPanel::Pong { number: round }));
        assert!(bench.panel.is_heard());
    }
    for closed in [true, false, true, false, true] {
        bench.keys[2].0.set(closed);
        bench.pass(2);
    }
    bench.pass(5);
    assert_eq!(bench.said(), [FromPanel::Key { key: 3, down: true }]);
    bench.keys[2].0.set(false);
    bench.pass(30);
    assert_eq!(bench.said(), [FromPanel::Key { key: 3, down: false }]);
}

#[test]
fn lamps_blink_as_they_are_told_and_garbage_changes_nothing() {
    let mut bench = Bench::heard();
    bench.say(ToPanel::Lamp { lamp: 1, light: Light::new(Colour::Red, Pattern::Fast) });
    bench.say(ToPanel::Lamp { lamp: 200, light: Light::steady(Colour::Red) });
    let garbage = b"$L,3,red,steady*00\n$L,3,red\xff\xff$L,0,red,steady*3d\nL,3,red,steady".as_slice();
    bench.wire.0.borrow_mut().to_panel.extend(garbage);
    bench.pass(10);
    let mut lit = 0;
    for _ in 0..1_000 {
        bench.pass(1);
        lit += u32::from(bench.lit()[0] == Colour::Red);
        assert_eq!(bench.lit()[1..], [Colour::Off; 2]);
    }
    assert_eq!(lit, 500);
    assert!(bench.panel.counts().bad() >= 3, "{:?}", bench.panel.counts());
}

#[test]
fn a_line_that_nobody_reads_stops_no_panel_and_is_whole_afterwards() {
    let mut bench = Bench::heard();
    bench.wire.0.borrow_mut().blocked = true;
    for round in 0..200 {
        bench.say(ToPanel::Ping { number: round });
        bench.pass(5);
    }
    assert!(bench.panel.is_heard());
    bench.wire.0.borrow_mut().blocked = false;
    bench.pass(50);
    let said = bench.said();
    assert!((10..40).contains(&said.len()), "{}", said.len());
    assert_eq!(bench.reader.counts().bad(), 0, "only whole lines were dropped");
}

#[test]
fn the_picos_page_reads_its_keys_and_lights_its_lamps() {
    let wire = Wire::default();
    wire.0.borrow_mut().to_panel.extend(ToPanel::Who.line().as_bytes());
    const STEPS: usize = 5;
    let key = |place| Pin::new(&vec![Transaction::get(if place == 1 { State::Low } else { State::High }); STEPS]);
    let mut keys: [Pin; 6] = std::array::from_fn(key);
    // The lamp test in steps of 200 ms: white, red, green, blue. In each colour the pins are set once.
    let pin = |states: &[State]| Pin::new(&states.iter().map(|state| Transaction::set(*state)).collect::<Vec<_>>());
    let red = [State::Low, State::High, State::Low, State::Low];
    let green = [State::High, State::Low, State::High, State::High];
    let mut lamps: [(Pin, Pin); 6] = std::array::from_fn(|_| (pin(&red), pin(&green)));
    let mut panel = cuebox_panel::pico::panel("stage", keys.clone(), lamps.clone(), wire.clone());
    for step in (0_u32..).take(STEPS) {
        panel.step(step * 200).unwrap();
    }
    let said = String::from_utf8(wire.0.borrow().from_panel.clone()).unwrap();
    assert!(said.starts_with("$H,1,6,6,stage*"), "{said}");
    keys.iter_mut().for_each(Pin::done);
    for (red, green) in &mut lamps {
        red.done();
        green.done();
    }
}

#[test]
fn lamps_of_each_kind_show_what_they_can() {
    let set = |states: &[State]| Pin::new(&states.iter().map(|state| Transaction::set(*state)).collect::<Vec<_>>());
    let mut pin = set(&[State::High, State::Low, State::Low]);
    let mut tally = OnePin::tally(pin.clone());
    for colour in [Colour::Red, Colour::Green, Colour::Off] {
        tally.show(colour).unwrap();
    }
    pin.done();
    let duty = |duties: &[u16]| {
        let each = |duty: &u16| [Duty::max_duty_cycle(1_000), Duty::set_duty_cycle(*duty)];
        Pwm::new(&duties.iter().flat_map(each).collect::<Vec<_>>())
    };
    let (mut red, mut green, mut blue) = (duty(&[501, 501]), duty(&[236, 0]), duty(&[0, 0]));
    let mut lamp = RgbPwm { red: red.clone(), green: green.clone(), blue: blue.clone(), brightness: 128 };
    lamp.show(Colour::Amber).unwrap();
    lamp.show(Colour::Red).unwrap();
    for pin in [&mut red, &mut green, &mut blue] {
        pin.done();
    }
}
