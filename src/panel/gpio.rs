//! Keys and lamps on the machine's own pins, by the kernel's GPIO character device.
//!
//! Keys are edges with the kernel's own times, debounced by the code that the panels' firmware uses. A red LED is lit on
//! air and blinks when armed; a green one is lit in preview; both together say *identify*. Nothing else lights them,
//! because to whoever stands before a camera a light means *on air*.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuebox_core::panel::{GpioConfig, Pull};
use cuebox_core::status::PanelKind;
use cuebox_core::time::Mono;
use cuebox_panel::debounce::{DOWN_MS, Debounce};
use cuebox_panel::embedded_hal::digital::{self, ErrorKind, ErrorType, OutputPin};
use cuebox_panel::light::{Colour, FAST_MS, Light, SLOW_MS};
use gpiocdev::line::{Bias, EdgeDetection, EdgeEvent, EdgeKind, Value};
use gpiocdev::request::Request;
use gpiocdev::tokio::AsyncRequest;

use super::desk::Desk;

/// How often a chip that is not there is looked for.
const LOOKS: Duration = Duration::from_secs(1);
/// The greatest common divisor of the blinks: lamps change at multiples of it.
const BEAT_MS: u32 = FAST_MS / 2;
const _: () = assert!((SLOW_MS / 2).is_multiple_of(BEAT_MS), "a slow blink changes at a fast one's beat");

/// Serves the pins for ever.
pub(super) async fn serve(config: GpioConfig, mut desk: Desk) {
    let id = format!("gpio:{}", config.chip);
    loop {
        let why = match Pins::request(&config) {
            Ok(pins) => {
                let keys = config.keys.len().max(config.red.len()).max(config.green.len());
                desk.connected(&id, PanelKind::Gpio, "pins", u8::try_from(keys).unwrap_or(u8::MAX));
                pins.run(&mut desk).await
            }
            Err(error) => error.to_string(),
        };
        desk.missing(&id, PanelKind::Gpio, &why);
        tokio::time::sleep(LOOKS).await;
    }
}

/// One key's line.
struct Key {
    offset: u32,
    closed: bool,
    contact: Debounce,
    /// When its level is asked for, after an edge. The kernel looks at the level some time after the edge that it tells,
    /// and edges that follow each other faster than it looks are told once, so the last one told may be wrong.
    asked_ms: Option<u32>,
}

/// One LED.
struct Led {
    lines: Arc<Request>,
    offset: u32,
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct LineError(#[from] gpiocdev::Error);

impl digital::Error for LineError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Led {
    type Error = LineError;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), LineError> {
        Ok(self.lines.set_value(self.offset, Value::Inactive).map(drop)?)
    }

    fn set_high(&mut self) -> Result<(), LineError> {
        Ok(self.lines.set_value(self.offset, Value::Active).map(drop)?)
    }
}

struct Pins {
    inputs: Option<AsyncRequest>,
    keys: Vec<Key>,
    red: Vec<Led>,
    green: Vec<Led>,
    /// What the LEDs show; empty: nothing is known.
    lit: Vec<Colour>,
}

impl Pins {
    fn request(config: &GpioConfig) -> Result<Self, gpiocdev::Error> {
        let chip = if config.chip.starts_with('/') {
            PathBuf::from(&config.chip)
        } else {
            PathBuf::from("/dev").join(&config.chip)
        };
        let mut keys = Vec::new();
        let mut inputs = None;
        if !config.keys.is_empty() {
            let mut builder = Request::builder();
            builder.on_chip(&chip).with_consumer("cuebox keys").with_lines(&config.keys).as_input();
            if config.active_low {
                builder.as_active_low();
            }
            let bias = match config.pull {
                Pull::Up => Some(Bias::PullUp),
                Pull::Down => Some(Bias::PullDown),
                Pull::None => Some(Bias::Disabled),
            };
            builder.with_bias(bias).with_edge_detection(EdgeDetection::BothEdges);
            let request = builder.request()?;
            for offset in &config.keys {
                let closed = request.value(*offset)? == Value::Active;
                keys.push(Key { offset: *offset, closed, contact: Debounce::new(), asked_ms: None });
            }
            inputs = Some(AsyncRequest::new(request));
        }
        let (red, green) = (leds(&chip, &config.red)?, leds(&chip, &config.green)?);
        Ok(Self { inputs, keys, red, green, lit: Vec::new() })
    }

    /// Until the chip is gone; says why.
    async fn run(mut self, desk: &mut Desk) -> String {
        let mut snapshots = desk.snapshots();
        loop {
            if let Err(error) = self.look(desk) {
                return error.to_string();
            }
            let lamps = desk.lamps();
            if let Err(error) = self.show(&lamps, millis(desk.now())) {
                return error.to_string();
            }
            let wait = self.wait(desk, &lamps);
            tokio::select! {
                edge = next_edge(self.inputs.as_ref()) => match edge {
                    Ok(edge) => self.take(&edge, desk),
                    Err(error) => return error.to_string(),
                },
                changed = snapshots.changed() => if changed.is_err() {
                    return "the box is stopping".to_owned();
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// An edge counts at the kernel's time, however late it is read.
    fn take(&mut self, edge: &EdgeEvent, desk: &mut Desk) {
        let at = millis(Mono(edge.timestamp_ns));
        for (number, key) in (1..).zip(&mut self.keys).filter(|(_, key)| key.offset == edge.offset) {
            key.closed = edge.kind == EdgeKind::Rising;
            key.asked_ms = Some(at.wrapping_add(DOWN_MS));
            if let Some(down) = key.contact.update(key.closed, at) {
                desk.key(number, down);
            }
        }
    }

    /// What the time that has passed means.
    fn look(&mut self, desk: &mut Desk) -> Result<(), LineError> {
        let now = millis(desk.now());
        let lines: Option<&Request> = self.inputs.as_ref().map(AsRef::as_ref);
        for (number, key) in (1..).zip(&mut self.keys) {
            let due = |at: u32| now.wrapping_sub(at) < u32::MAX / 2;
            if let Some(lines) = lines.filter(|_| key.asked_ms.is_some_and(due)) {
                key.closed = lines.value(key.offset)? == Value::Active;
                key.asked_ms = None;
            }
            if let Some(down) = key.contact.update(key.closed, now) {
                desk.key(number, down);
            }
        }
        desk.due();
        Ok(())
    }

    fn show(&mut self, lamps: &[Light], now_ms: u32) -> Result<(), LineError> {
        self.lit.resize(lamps.len(), Colour::Off);
        for (place, (light, lit)) in lamps.iter().zip(&mut self.lit).enumerate() {
            let colour = light.at(now_ms);
            if colour == *lit {
                continue;
            }
            if let Some(led) = self.red.get_mut(place) {
                led.set_state(matches!(colour, Colour::Red | Colour::White).into())?;
            }
            if let Some(led) = self.green.get_mut(place) {
                led.set_state(matches!(colour, Colour::Green | Colour::White).into())?;
            }
            *lit = colour;
        }
        Ok(())
    }

    fn wait(&self, desk: &Desk, lamps: &[Light]) -> Duration {
        let now = desk.now();
        let now_ms = millis(now);
        let blinks = lamps.iter().any(|light| light.pattern != cuebox_panel::light::Pattern::Steady);
        let beat = blinks.then(|| BEAT_MS - now_ms % BEAT_MS);
        // What is due already is due now, not in seven weeks.
        let until = |at: u32| if now_ms.wrapping_sub(at) < u32::MAX / 2 { 0 } else { at.wrapping_sub(now_ms) };
        let key = |key: &Key| key.contact.due().into_iter().chain(key.asked_ms).map(until).min();
        let soonest = self.keys.iter().filter_map(key).chain(beat).min();
        let held = desk.deadline().map(|at| at.since(now));
        let soonest = soonest.map(|ms| Duration::from_millis(u64::from(ms)));
        soonest.into_iter().chain(held).min().unwrap_or(Duration::from_secs(60))
    }
}

impl Drop for Pins {
    /// A lamp that stays lit when nobody minds it any more would lie.
    fn drop(&mut self) {
        for led in self.red.iter_mut().chain(&mut self.green) {
            // A chip that is gone does not need it.
            let _ = led.set_low();
        }
    }
}

fn leds(chip: &std::path::Path, offsets: &[u32]) -> Result<Vec<Led>, gpiocdev::Error> {
    if offsets.is_empty() {
        return Ok(Vec::new());
    }
    let mut builder = Request::builder();
    builder.on_chip(chip).with_consumer("cuebox lamps").with_lines(offsets).as_output(Value::Inactive);
    let lines = Arc::new(builder.request()?);
    Ok(offsets.iter().map(|offset| Led { lines: lines.clone(), offset: *offset }).collect())
}

async fn next_edge(inputs: Option<&AsyncRequest>) -> gpiocdev::Result<EdgeEvent> {
    match inputs {
        Some(inputs) => inputs.read_edge_event().await,
        None => std::future::pending().await,
    }
}

/// A clock that wraps around, as debouncing and blinking take it.
fn millis(at: Mono) -> u32 {
    u32::try_from(at.as_nanos() / 1_000_000 % (1 << 32)).unwrap_or_default()
}
