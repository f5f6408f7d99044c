//! Cuebox's decisions, and nothing else.
//!
//! This crate is pure: time comes in as an argument, facts come in as events, wishes go out as data. It knows no
//! GStreamer, no async runtime, no file, no socket and no clock, so all of it is tested in seconds on any machine.
//!
//! | module | what it decides |
//! |---|---|
//! | [`director`] | what is on air, what is recorded, what is published; the state machines of the box |
//! | [`config`] | raw TOML → checked configuration, every problem with its line |
//! | [`command`] | the one vocabulary of commands, and its JSON and command-line forms |
//! | [`credentials`] | what lets a leg in, and who can get it |
//! | [`encode_plan`] | who gets which encoder, at which size and rate |
//! | [`line`] | what a line carries, from what arrives at its other end |
//! | [`rate`] | the stream's bitrate, picture size and sound, from what the network carries |
//! | [`board`] | what a board's encoders are and what they can carry, from its board file |
//! | [`capture_mode`] | which of a camera's modes is taken |
//! | [`camera_controls`] | what a camera is set to, from what is wished |
//! | [`edid`] | what an HDMI input asks cameras for |
//! | [`usb`] | which cameras share a bus, and what each reserves of it |
//! | [`job`], [`picture_size`] | what pipelines are for, and how large their pictures are |
//! | [`device`] | what a shell tells of a camera or an encoder |
//! | [`mqtt`] | topics and payloads: what comes in, what goes out when |
//! | [`overload`] | what is given up while the machine cannot keep up |
//! | [`retime`] | which frame of the grid a picture of a source gets |
//! | [`crashes`] | what is left out of a box that crashed in it again and again |
//! | [`settings`] | what operators set and find again after a restart |
//! | [`status`] | what every surface shows |
//! | [`panel`] | what the keys of panels mean, and when a panel counts as there |
//! | [`tally`] | what lamps show |
//! | [`document`] | the status document that surfaces publish, and its changes |
//! | [`health`] | how well a slot does, 0–100, and why |
//! | [`grid`] | the show's frame grid: frame numbers ↔ time |
//! | [`journal`] | bounded history of events; replay gives the same status |
//! | [`timeline`] | the show's switches with their exact frames |

pub mod board;
pub mod camera_controls;
pub mod capture_mode;
pub mod command;
pub mod config;
pub mod crashes;
pub mod credentials;
pub mod device;
pub mod director;
pub mod doctor;
pub mod document;
pub mod edid;
pub mod encode_plan;
mod fnv;
pub mod grid;
pub mod health;
pub mod ids;
pub mod job;
pub mod journal;
pub mod line;
pub mod mqtt;
pub mod overload;
pub mod panel;
pub mod picture_size;
pub mod rate;
pub mod retime;
pub mod settings;
mod similar;
pub mod status;
pub mod tally;
pub mod time;
pub mod timeline;
pub mod usb;
