//! What a viewer saw and heard, and the questions that tests ask of it. Times are CLOCK_MONOTONIC in milliseconds.

use std::collections::BTreeSet;

use serde_json::Value;

/// A decoded picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// When the viewer had it.
    pub t: f64,
    pub track: String,
    pub width: u64,
    pub height: u64,
    pub mark: Option<FrameMark>,
    pub flash: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMark {
    pub slot: u64,
    /// Frames of the show's rate on the machine's clock, low 24 bits.
    pub number: u64,
    /// When the source made it, low 32 bits.
    pub pushed_ms: u64,
}

/// 20 ms of sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    pub t: f64,
    pub track: String,
    pub dbfs: f64,
    pub hz: Option<f64>,
    pub burst_t: Option<f64>,
}

/// Everything so far, in the order in which it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub frames: Vec<Frame>,
    pub sounds: Vec<Sound>,
    /// Everything else, as the viewer wrote it down.
    pub events: Vec<Value>,
    /// Until when it has written.
    pub until: f64,
}

/// Below it a block of the program's tone is a hole. The tone lies at −20 dBFS.
const AUDIBLE_DBFS: f64 = -35.0;
/// A viewer's blocks come every 20 ms; this much later the sound stood still.
const BLOCK_MS: f64 = 20.0;

impl Seen {
    pub fn take(&mut self, line: Value) {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let t = line["t"].as_f64().unwrap_or_default();
        self.until = self.until.max(t);
        match line["kind"].as_str() {
            Some("frame") => {
                let number = |key: &str| line[key].as_u64();
                let mark = number("slot").zip(number("frame")).zip(number("pushed_ms"));
                self.frames.push(Frame {
                    t,
                    track: text("track"),
                    width: number("width").unwrap_or_default(),
                    height: number("height").unwrap_or_default(),
                    mark: mark.map(|((slot, number), pushed_ms)| FrameMark { slot, number, pushed_ms }),
                    flash: line["flash"] == true,
                });
            }
            Some("sound") => self.sounds.push(Sound {
                t,
                track: text("track"),
                dbfs: line["dbfs"].as_f64().unwrap_or(-120.0),
                hz: line["hz"].as_f64(),
                burst_t: line["burst_t"].as_f64(),
            }),
            _ => self.events.push(line),
        }
    }

    /// Frames of one track that the viewer had from then till then.
    pub fn frames(&self, track: &str, from: f64, to: f64) -> Vec<&Frame> {
        self.frames.iter().filter(|frame| frame.track == track && frame.t >= from && frame.t < to).collect()
    }

    pub fn sounds(&self, track: &str, from: f64, to: f64) -> Vec<&Sound> {
        self.sounds.iter().filter(|sound| sound.track == track && sound.t >= from && sound.t < to).collect()
    }

    pub fn events(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["kind"] == kind).collect()
    }

    /// Data messages of a topic: when they came, and what they say.
    pub fn messages(&self, topic: &str) -> Vec<(f64, Value)> {
        let data = self.events("data").into_iter().filter(|event| event["topic"] == topic);
        let parsed = |event: &Value| serde_json::from_str(event["text"].as_str()?).ok();
        data.map(|event| (event["t"].as_f64().unwrap_or_default(), parsed(event).unwrap_or_default())).collect()
    }

    /// Kilobits a second of a track that arrived, between the first and the last count in that time.
    pub fn kbps(&self, track: &str, media: &str, from: f64, to: f64) -> f64 {
        let counts: Vec<(f64, f64)> = self
            .events("stats")
            .into_iter()
            .filter(|event| event["track"] == track && event["media"] == media)
            .filter_map(|event| Some((event["t"].as_f64()?, event["bytes"].as_f64()?)))
            .filter(|(t, _)| *t >= from && *t < to)
            .collect();
        let (Some(first), Some(last)) = (counts.first(), counts.last()) else { return 0.0 };
        (last.1 - first.1) * 8.0 / (last.0 - first.0).max(1.0)
    }

    /// The longest time without a new picture, the edges counted, ms.
    pub fn longest_stall(&self, track: &str, from: f64, to: f64) -> f64 {
        longest(self.frames(track, from, to).iter().map(|frame| frame.t), from, to)
    }

    /// The longest time without sound, ms: nothing came, or silence.
    pub fn longest_silence(&self, track: &str, from: f64, to: f64) -> f64 {
        let heard = self.sounds(track, from, to).into_iter().filter(|sound| sound.dbfs > AUDIBLE_DBFS);
        (longest(heard.map(|sound| sound.t), from, to) - BLOCK_MS).max(0.0)
    }

    /// The middle of the pitches of the tone, Hz; bursts are left out by being few.
    pub fn pitch(&self, track: &str, from: f64, to: f64) -> Option<f64> {
        let mut found: Vec<f64> = self.sounds(track, from, to).into_iter().filter_map(|sound| sound.hz).collect();
        found.sort_by(f64::total_cmp);
        found.get(found.len() / 2).copied()
    }

    /// For every flash that was seen: how much later its burst was heard, ms.
    pub fn sound_after_picture(&self, track: &str, from: f64, to: f64) -> Vec<f64> {
        let bursts: Vec<f64> = self.sounds(track, from, to).into_iter().filter_map(|sound| sound.burst_t).collect();
        let flashes = self.frames(track, from + 600.0, to - 600.0).into_iter().filter(|frame| frame.flash);
        let nearest = |flash: &Frame| bursts.iter().map(|at| at - flash.t).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        flashes.filter_map(nearest).collect()
    }
}

/// What the marks of one track's frames say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// From the first frame's number to the last one's.
    pub expected: u64,
    /// Different frames that came.
    pub came: u64,
    /// Pictures without valid marks.
    pub unreadable: u64,
    /// Frames that came after a later one.
    pub backwards: u64,
}

impl Arrival {
    pub fn of(frames: &[&Frame]) -> Self {
        let numbers: Vec<u64> = frames.iter().filter_map(|frame| frame.mark).map(|mark| mark.number).collect();
        let different: BTreeSet<u64> = numbers.iter().copied().collect();
        let expected = different.first().zip(different.last()).map_or(0, |(first, last)| last - first + 1);
        Self {
            expected,
            came: different.len() as u64,
            unreadable: (frames.len() - numbers.len()) as u64,
            backwards: numbers.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64,
        }
    }

    pub fn share(self) -> f64 {
        self.came as f64 / self.expected.max(1) as f64
    }
}

/// Longest gap between moments, from `from` and to `to` included.
fn longest(moments: impl Iterator<Item = f64>, from: f64, to: f64) -> f64 {
    let mut last = from;
    let mut longest = 0.0f64;
    for moment in moments.chain([to]) {
        longest = longest.max(moment - last);
        last = moment;
    }
    longest
}
