//! Reads frame marks and the flash-and-burst of the test source back from recorded files, with ffmpeg's decoder.

use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

/// The marks of one decoded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub slot: u8,
    /// Low 24 bits of the frame number.
    pub frame: u32,
    /// CLOCK_MONOTONIC when the picture was made, ms, modulo 2^32.
    pub pushed_ms: u32,
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { (crc << 1) ^ 7 }))
}

/// The five bytes of one row of 40 cells.
fn row(luma: &[u8], width: usize, cell_width: usize, top: usize, cell_height: usize) -> [u8; 5] {
    let mut bytes = [0u8; 5];
    for bit in 0..40 {
        let (mut sum, mut count) = (0u32, 0u32);
        for y in top + cell_height / 4..top + cell_height - cell_height / 4 {
            for x in bit * cell_width + cell_width / 4..(bit + 1) * cell_width - cell_width / 4 {
                sum += u32::from(luma[y * width + x]);
                count += 1;
            }
        }
        bytes[bit / 8] |= u8::from(sum > 125 * count) << (7 - bit % 8);
    }
    bytes
}

/// Marks of every frame of a 16:9 file; `None` for a frame without valid marks (the slate, a fade).
#[track_caller]
pub fn read(file: &Path, width: usize, height: usize) -> Vec<Option<Mark>> {
    let (cell_width, cell_height) = (width / 40, height / 45);
    let rows = 2 * cell_height;
    let raw = ffmpeg(
        file,
        &["-map", "0:v:0", "-fps_mode", "passthrough", "-vf"],
        &format!("crop={width}:{rows}:0:0"),
        &["-f", "rawvideo", "-pix_fmt", "gray", "-"],
    );
    raw.chunks_exact(width * rows)
        .map(|luma| {
            let first = row(luma, width, cell_width, 0, cell_height);
            let second = row(luma, width, cell_width, cell_height, cell_height);
            let valid = |row: &[u8; 5]| crc8(&row[..4]) == row[4];
            (valid(&first) && valid(&second) && first[0] >> 4 == 0b1010).then(|| Mark {
                slot: first[0] & 15,
                frame: u32::from_be_bytes([0, first[1], first[2], first[3]]),
                pushed_ms: u32::from_be_bytes([second[0], second[1], second[2], second[3]]),
            })
        })
        .collect()
}

fn ffmpeg(file: &Path, before: &[&str], filter: &str, after: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(before)
        .arg(filter)
        .args(after)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Times in seconds of the frames whose flash rectangle is white.
pub fn flashes(file: &Path, width: usize, height: usize, fps: f64) -> Vec<f64> {
    let crop = format!("crop={}:{}:{}:{},scale=8:8", width / 8, height / 8, width - width / 8, height - height / 8);
    let raw = ffmpeg(
        file,
        &["-map", "0:v:0", "-fps_mode", "passthrough", "-vf"],
        &crop,
        &["-f", "rawvideo", "-pix_fmt", "gray", "-"],
    );
    let white = |luma: &[u8]| luma.iter().map(|value| u32::from(*value)).sum::<u32>() > 170 * 64;
    let frames: Vec<bool> = raw.chunks_exact(64).map(white).collect();
    frames.iter().enumerate().filter(|(_, white)| **white).map(|(n, _)| n as f64 / fps).collect()
}

/// Times in seconds at which a burst begins, on the picture's time axis.
#[track_caller]
pub fn bursts(file: &Path) -> Vec<f64> {
    let threshold = 10f32.powf(-14.0 / 20.0);
    let mut found: Vec<f64> = Vec::new();
    hear(file, |n, value| {
        let at = n as f64 / SAMPLES_PER_S;
        if value.abs() > threshold && found.last().is_none_or(|last| at - last > 0.5) {
            found.push(at);
        }
    });
    found
}

/// Seconds for which the tone stops, each time that it does, in this part of a file.
#[track_caller]
pub fn silences(file: &Path, part: Range<f64>) -> Vec<f64> {
    /// Two swings of the lowest tone.
    const LONG_S: f64 = 0.005;
    let mut found: Vec<f64> = Vec::new();
    let mut heard = part.start;
    hear(file, |n, value| {
        let at = n as f64 / SAMPLES_PER_S;
        if part.contains(&at) && value.abs() > 0.03 {
            found.push(at - heard);
            heard = at;
        }
    });
    found.push(part.end - heard);
    found.retain(|silence| *silence > LONG_S);
    found
}

const SAMPLES_PER_S: f64 = 48_000.0;

/// Every sample of the first channel, with its number on the picture's time axis. Hours of them are too many to be held.
#[track_caller]
fn hear(file: &Path, mut sample: impl FnMut(u64, f32)) {
    let mut decoder = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:a:0", "-af", "aresample=48000:async=1:first_pts=0", "-f", "f32le", "-ac", "1", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut samples = BufReader::with_capacity(1 << 16, decoder.stdout.take().unwrap());
    let mut bytes = [0; 4];
    let mut n = 0;
    while samples.read_exact(&mut bytes).is_ok() {
        sample(n, f32::from_le_bytes(bytes));
        n += 1;
    }
    assert!(decoder.wait().unwrap().success(), "{}", file.display());
}
