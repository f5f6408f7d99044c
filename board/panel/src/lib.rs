//! Cuebox's button panel, on both ends of its serial line.
//!
//! Without the standard library and without allocation, so that the same code runs in the panel's microcontroller and
//! in the box. Time comes in as milliseconds of any clock that wraps around at 2³².
//!
//! | module | what it is |
//! |---|---|
//! | [`line`] | framing: `$body*hh`, checksum, resynchronisation, what was thrown away |
//! | [`message`] | what both ends say |
//! | [`light`] | a lamp's colour and pattern, and what of it is lit at a moment |
//! | [`debounce`] | a switch's bouncing contact → presses |
//! | [`firmware`] | the panel itself, over `embedded-hal` pins and an `embedded-io` serial line |
//! | [`pico`] | the page of glue for one board: a panel of six keys on a Raspberry Pi Pico |

#![no_std]
#![forbid(unsafe_code)]

/// The traits of pins and serial lines, in the version that this crate is written for.
#[cfg(feature = "firmware")]
pub use {embedded_hal, embedded_io};

pub mod debounce;
#[cfg(feature = "firmware")]
pub mod firmware;
pub mod light;
pub mod line;
pub mod message;
#[cfg(feature = "firmware")]
pub mod pico;
