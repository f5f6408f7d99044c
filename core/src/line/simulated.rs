//! A stream on a simulated line, packet by packet: encoder, pacing, a bottleneck with a queue, a server that reports as
//! LiveKit's does, and the estimator and the governor that are judged.

use std::collections::VecDeque;
use std::time::Duration;

use super::{BELOW_RTP, Bucket, Estimator, Report};
use crate::picture_size::PictureSize;
use crate::rate::{Governor, Limits, SoundStep, usable};
use crate::time::Mono;

const P720: PictureSize = PictureSize { width: 1280, height: 720, fps: 30 };
const SOUND_BPS: u64 = 128_000;
const MTU: u32 = 1_200;
/// The other side's clock is another one.
const THEIR_CLOCK_NS: u64 = 77_000_000_000;

/// What it was like, each 100 ms.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub estimate_bps: u64,
    pub bitrate_bps: u64,
    pub height: u32,
    /// On the line, headers and sound included.
    pub line_bps: u64,
    /// In the bottleneck's queue, ms.
    pub waits_ms: u64,
    pub sound: SoundStep,
}

pub struct Line {
    pub capacity_bps: u64,
    /// What the bottleneck's queue holds, as time at the capacity.
    pub depth_ms: u64,
    /// One way.
    pub delay_ms: u64,
    /// Lost at random, per mille.
    pub loss: u64,
    /// The picture gives the encoder this part of its bitrate to do, per cent.
    pub effort: u64,
    pub estimator: Estimator,
    pub governor: Governor,
    /// Packets that found the queue full.
    pub dropped: u64,
    pub longest_wait_ms: u64,
    now_us: u64,
    free_at_us: u64,
    dice: u64,
    bucket: Bucket,
    due: VecDeque<(u32, bool)>,
    sound: SoundStep,
    frame: u64,
    key_at: u64,
    height: u32,
    /// On their way: what the server will have of each packet that is reported on.
    travels: VecDeque<Travel>,
    seen_to: usize,
    held: usize,
    reported_at_us: u64,
    returns: VecDeque<(u64, Vec<Report>)>,
    sent_bits: u64,
}

struct Travel {
    report: Report,
    /// Of this machine's clock; `None`: never.
    arrives_us: Option<u64>,
    marker: bool,
}

impl Line {
    pub fn new(capacity_bps: u64, depth_ms: u64, target_bps: u64) -> Self {
        let limits = Limits { min_bps: 150_000, max_bps: target_bps, full: P720, resizable: true };
        Self {
            capacity_bps,
            depth_ms,
            delay_ms: 5,
            loss: 0,
            effort: 97,
            estimator: Estimator::new(target_bps * 14 / 10),
            governor: Governor::new(limits),
            dropped: 0,
            longest_wait_ms: 0,
            now_us: 0,
            free_at_us: 0,
            dice: 0x2545_f491_4f6c_dd1d,
            bucket: Bucket::default(),
            due: VecDeque::new(),
            sound: SoundStep::Full,
            frame: 0,
            key_at: 0,
            height: 720,
            travels: VecDeque::new(),
            seen_to: 0,
            held: 0,
            reported_at_us: 0,
            returns: VecDeque::new(),
            sent_bits: 0,
        }
    }

    pub fn run(&mut self, seconds: u64) -> Vec<Moment> {
        let end = self.now_us + seconds * 1_000_000;
        let mut seen = Vec::new();
        while self.now_us < end {
            self.now_us += 1_000;
            self.step();
            if self.now_us.is_multiple_of(100_000) {
                seen.push(Moment {
                    estimate_bps: self.estimator.estimate_bps(),
                    bitrate_bps: self.governor.bitrate_bps(),
                    height: self.governor.picture().height,
                    line_bps: std::mem::take(&mut self.sent_bits) * 10,
                    waits_ms: self.free_at_us.saturating_sub(self.now_us) / 1_000,
                    sound: self.sound,
                });
            }
        }
        seen
    }

    fn now(&self) -> Mono {
        Mono(self.now_us * 1_000)
    }

    fn step(&mut self) {
        if self.now_us.is_multiple_of(20_000) {
            let bytes = self.sound.bps(SOUND_BPS) / 50 / 8 + 12;
            self.due.push_front((u32::try_from(bytes).unwrap(), false));
        }
        let fps = u64::from(self.governor.picture().fps);
        if self.now_us / 1_000 * fps / 1_000 != (self.now_us / 1_000 - 1) * fps / 1_000 {
            self.encode(fps);
        }
        self.send();
        self.serve();
        let now = self.now();
        while self.returns.front().is_some_and(|(at, _)| *at <= self.now_us) {
            if let Some((_, reports)) = self.returns.pop_front() {
                self.estimator.reported(now, &reports);
            }
        }
        if self.now_us.is_multiple_of(20_000) {
            self.estimator.look(now);
        }
        let usable = usable(self.estimator.estimate_bps());
        self.sound = self.sound.follow(usable);
        self.governor.offer(now, Some(usable.saturating_sub(self.sound.bps(SOUND_BPS))));
    }

    /// Key frames are four times as large as the others, and begin each size.
    fn encode(&mut self, fps: u64) {
        let height = self.governor.picture().height;
        let key = self.frame >= self.key_at || height != self.height;
        self.height = height;
        if key {
            self.key_at = self.frame + 2 * fps;
        }
        self.frame += 1;
        let share = if key { 4 * 2 * fps } else { 2 * fps } * 100 / (2 * fps + 3);
        let jitter = 80 + self.random(41);
        let bits = self.governor.bitrate_bps() / fps * share / 100 * jitter / 100 * self.effort / 100;
        let mut bytes = u32::try_from(bits / 8).unwrap();
        while bytes > 0 {
            let part = bytes.min(MTU);
            bytes -= part;
            self.due.push_back((part + 20, true));
        }
    }

    fn send(&mut self) {
        let (now, pace) = (self.now(), self.estimator.pace_bps(self.now()));
        let waiting: u64 = self.due.iter().map(|(bytes, _)| u64::from(*bytes) * 8).sum();
        let waiting = if self.estimator.is_congested(now) { 0 } else { waiting };
        self.bucket.fill(now, pace, waiting);
        while let Some((bytes, picture)) = self.due.front().copied() {
            if picture && !self.bucket.lets_pass() {
                return;
            }
            self.due.pop_front();
            let bytes = bytes + BELOW_RTP;
            self.bucket.take(bytes);
            self.carry(bytes, picture);
        }
    }

    fn carry(&mut self, bytes: u32, picture: bool) {
        let (now, bits) = (self.now(), u64::from(bytes) * 8);
        self.sent_bits += bits;
        let waits_ms = self.free_at_us.saturating_sub(self.now_us) / 1_000;
        self.longest_wait_ms = self.longest_wait_ms.max(waits_ms);
        let full = waits_ms > self.depth_ms;
        self.dropped += u64::from(full);
        let lost = full || self.random(1_000) < self.loss;
        if !full {
            self.free_at_us = self.free_at_us.max(self.now_us) + bits * 1_000_000 / self.capacity_bps;
        }
        if !picture {
            return self.estimator.sent_unreported(now, bytes);
        }
        self.estimator.sent(now);
        let arrives_us = (!lost).then_some(self.free_at_us + self.delay_ms * 1_000);
        let arrived_ns = arrives_us.map(|us| us * 1_000 + THEIR_CLOCK_NS);
        let marker = self.due.front().is_none_or(|(_, picture)| !picture);
        self.travels.push_back(Travel { report: Report { sent: now, bytes, arrived_ns }, arrives_us, marker });
    }

    /// The server reports when it holds more than twenty packets, and the last report is 100 ms ago; 50 ms at the end
    /// of a picture.
    fn serve(&mut self) {
        while let Some(next) = self.travels.iter().skip(self.seen_to).position(|it| it.arrives_us.is_some()) {
            let place = self.seen_to + next;
            if self.travels[place].arrives_us.is_some_and(|at| at > self.now_us) {
                return;
            }
            self.seen_to = place + 1;
            self.held += 1;
            let since = self.now_us - self.reported_at_us;
            if self.held > 20
                && (since >= 100_000 || self.held > 100 || (self.travels[place].marker && since >= 50_000))
            {
                let reports = self.travels.drain(..self.seen_to).map(|it| it.report).collect();
                (self.seen_to, self.held, self.reported_at_us) = (0, 0, self.now_us);
                // Words are lost as packets are.
                if self.random(1_000) >= self.loss {
                    self.returns.push_back((self.now_us + self.delay_ms * 1_000, reports));
                }
            }
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % below
    }
}

/// Of some part of the moments.
pub fn mean(seen: &[Moment], of: impl Fn(&Moment) -> u64) -> u64 {
    seen.iter().map(of).sum::<u64>() / seen.len() as u64
}

/// How far the estimate swings around its mean, per cent.
pub fn swing(seen: &[Moment]) -> u64 {
    let rates = || seen.iter().map(|moment| moment.bitrate_bps);
    (rates().max().unwrap() - rates().min().unwrap()) * 100 / mean(seen, |moment| moment.bitrate_bps)
}

/// Different sizes in a row.
pub fn sizes(seen: &[Moment]) -> usize {
    1 + seen.windows(2).filter(|pair| pair[0].height != pair[1].height).count()
}

/// A line a second, to be read when something is to be understood.
pub fn told(seen: &[Moment]) -> String {
    let line = |(second, some): (usize, &[Moment])| {
        let last = some[some.len() - 1];
        format!(
            "{second:3} s: estimate {:5}, picture {:5} of {:4} lines, on the line {:5} kbit/s, waits {:4} ms\n",
            last.estimate_bps / 1_000,
            last.bitrate_bps / 1_000,
            last.height,
            mean(some, |moment| moment.line_bps) / 1_000,
            some.iter().map(|moment| moment.waits_ms).max().unwrap_or(0),
        )
    };
    seen.chunks(10).enumerate().map(line).collect()
}

/// Time until something holds, in seconds.
pub fn until(seen: &[Moment], holds: impl Fn(&Moment) -> bool) -> Option<Duration> {
    seen.iter().position(holds).map(|place| Duration::from_millis(place as u64 * 100))
}
