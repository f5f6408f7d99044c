//! Captures on real GStreamer: what comes out of a slot's links is read back, frame by frame and sample by sample.

mod devices;
mod drawn;
mod played;
mod stage;
