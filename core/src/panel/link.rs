//! The conversation with one serial panel, without a line or a clock.
//!
//! | state | leaves it when |
//! |---|---|
//! | asking | a hello came: *connected*. Without one in [`HELLO`] that is told, and asked on |
//! | connected | no good line came for three pings: *asking*, lost |
//!
//! Keys count only while connected. Whatever is no good line is counted and has no other effect; a line that carries
//! more than its baud rate could is not read for the rest of that second.

use std::time::Duration;

use cuebox_panel::line::{Counts, Line, Reader};
use cuebox_panel::message::{FromPanel, Hello, LOST_MS, PING_MS, PROTOCOL, ToPanel};

use crate::time::Mono;

use super::action::MAX_KEYS;

/// A panel says hello within this.
pub const HELLO: Duration = Duration::from_secs(1);
const PING: Duration = Duration::from_millis(PING_MS as u64);
const LOST: Duration = Duration::from_millis(LOST_MS as u64);
/// How often a silent line is asked who it is.
const ASK: Duration = Duration::from_millis(250);
/// Bytes that are read in a second: twenty times what 115200 baud carries.
const FLOOD: usize = 256 * 1024;
const SECOND: Duration = Duration::from_secs(1);
/// Presses of one panel in a second; ten fingers make fewer.
const PRESSES: u32 = 25;

/// What came of what was heard, or of silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Connected(Hello),
    /// Nobody said hello, or nobody that can be understood.
    Unanswered {
        why: String,
    },
    Lost {
        why: String,
    },
    Key {
        key: u8,
        down: bool,
    },
}

#[derive(Debug)]
pub struct Link {
    reader: Reader,
    state: State,
    /// When a ping or a question is due.
    speaks: Mono,
    pings: u32,
    /// The running second, and what it brought.
    second: Mono,
    bytes: usize,
    presses: u32,
    surplus: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Asking { since: Mono, told: bool },
    Connected { heard: Mono },
}

impl Link {
    /// A line that was opened at `now`.
    pub fn new(now: Mono) -> Self {
        Self {
            reader: Reader::new(),
            state: State::Asking { since: now, told: false },
            speaks: now,
            pings: 0,
            second: now,
            bytes: 0,
            presses: 0,
            surplus: 0,
        }
    }

    pub const fn counts(&self) -> Counts {
        self.reader.counts()
    }

    /// Presses that came faster than any finger.
    pub const fn surplus(&self) -> u64 {
        self.surplus
    }

    pub const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    /// Takes what was read.
    pub fn receive(&mut self, now: Mono, bytes: &[u8]) -> Vec<News> {
        self.roll(now);
        self.bytes = self.bytes.saturating_add(bytes.len());
        let mut news = Vec::new();
        for byte in bytes {
            if let Some(message) = self.reader.push(*byte, FromPanel::decode) {
                news.extend(self.take(now, message));
            }
        }
        news
    }

    /// Until when nothing is to be read, because too much came.
    pub fn rests_until(&mut self, now: Mono) -> Option<Mono> {
        self.roll(now);
        (self.bytes > FLOOD).then(|| self.second + SECOND)
    }

    /// What is due at `now`: a line to be written, and what silence means.
    pub fn tick(&mut self, now: Mono) -> (Option<Line>, Option<News>) {
        let news = match &mut self.state {
            State::Asking { since, told } if !*told && now.since(*since) >= HELLO => {
                *told = true;
                Some(News::Unanswered { why: "nobody said hello: is it a panel?".to_owned() })
            }
            State::Connected { heard } if now.since(*heard) >= LOST => {
                self.state = State::Asking { since: now, told: true };
                self.speaks = now;
                Some(News::Lost { why: "it does not answer".to_owned() })
            }
            State::Asking { .. } | State::Connected { .. } => None,
        };
        if now < self.speaks {
            return (None, news);
        }
        let line = match self.state {
            State::Asking { .. } => {
                self.speaks = now + ASK;
                ToPanel::Who.line()
            }
            State::Connected { .. } => {
                self.speaks = now + PING;
                self.pings = self.pings.wrapping_add(1);
                ToPanel::Ping { number: self.pings }.line()
            }
        };
        (Some(line), news)
    }

    /// When [`Link::tick`] has something to do.
    pub fn deadline(&self) -> Mono {
        let judged = match self.state {
            State::Asking { told: true, .. } => return self.speaks,
            State::Asking { since, told: false } => since + HELLO,
            State::Connected { heard } => heard + LOST,
        };
        judged.min(self.speaks)
    }

    fn take(&mut self, now: Mono, message: FromPanel) -> Option<News> {
        match (&mut self.state, message) {
            (_, FromPanel::Hello(hello)) => self.hello(now, hello),
            (State::Connected { heard }, FromPanel::Pong { .. }) => {
                *heard = now;
                None
            }
            (State::Connected { heard }, FromPanel::Key { key, down }) => {
                *heard = now;
                self.presses += u32::from(down);
                if self.presses > PRESSES {
                    self.surplus += u64::from(down);
                    return None;
                }
                Some(News::Key { key, down })
            }
            (State::Asking { .. }, FromPanel::Pong { .. } | FromPanel::Key { .. }) => None,
        }
    }

    fn hello(&mut self, now: Mono, hello: Hello) -> Option<News> {
        if hello.protocol != PROTOCOL {
            let why = format!("it speaks protocol {}, this box speaks {PROTOCOL}", hello.protocol);
            return self.refuse(now, why);
        }
        if hello.keys > MAX_KEYS {
            return self.refuse(now, format!("it says that it has {} keys (at most {MAX_KEYS})", hello.keys));
        }
        if !self.is_connected() {
            self.speaks = now;
        }
        self.state = State::Connected { heard: now };
        Some(News::Connected(hello))
    }

    fn refuse(&mut self, now: Mono, why: String) -> Option<News> {
        self.state = State::Asking { since: now, told: true };
        Some(News::Unanswered { why })
    }

    fn roll(&mut self, now: Mono) {
        if now.since(self.second) >= SECOND {
            (self.second, self.bytes, self.presses) = (now, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use cuebox_panel::message::Name;

    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(1_000_000_000 + ms * 1_000_000)
    }

    fn hello(protocol: u8, keys: u8) -> FromPanel {
        FromPanel::Hello(Hello { protocol, keys, lamps: keys, name: Name::new(b"hall").unwrap() })
    }

    fn connected() -> Link {
        let mut link = Link::new(at(0));
        assert!(matches!(link.receive(at(0), hello(1, 6).line().as_bytes())[..], [News::Connected(_)]));
        link
    }

    type Timed<T> = Vec<(u64, T)>;

    /// Lets time pass in milliseconds; gives what was written and what was told, with their times.
    fn pass(link: &mut Link, from: u64, to: u64) -> (Timed<String>, Timed<News>) {
        let (mut written, mut told) = (Vec::new(), Vec::new());
        for ms in from..to {
            if link.deadline() <= at(ms) {
                let (line, news) = link.tick(at(ms));
                written.extend(line.map(|line| (ms, String::from_utf8_lossy(line.as_bytes()).into_owned())));
                told.extend(news.map(|news| (ms, news)));
                assert!(link.deadline() > at(ms), "each deadline is met once");
            }
        }
        (written, told)
    }

    #[test]
    fn a_line_is_asked_until_somebody_says_hello() {
        let mut link = Link::new(at(0));
        let (written, told) = pass(&mut link, 0, 2_000);
        let times: Vec<u64> = written.iter().map(|(ms, _)| *ms).collect();
        assert_eq!(times, [0, 250, 500, 750, 1_000, 1_250, 1_500, 1_750]);
        assert!(written.iter().all(|(_, line)| line.starts_with("$W*")));
        assert!(matches!(told[..], [(1_000, News::Unanswered { .. })]), "{told:?}");
        assert!(matches!(link.receive(at(2_000), hello(1, 6).line().as_bytes())[..], [News::Connected(_)]));
        let (written, told) = pass(&mut link, 2_000, 3_200);
        assert_eq!(written.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [2_000, 2_500, 3_000]);
        assert!(written.iter().all(|(_, line)| line.starts_with("$Q,")) && told.is_empty());
    }

    #[test]
    fn a_panel_that_is_silent_is_lost_within_two_seconds_and_found_again_by_its_hello() {
        let mut link = connected();
        pass(&mut link, 0, 400);
        link.receive(at(400), FromPanel::Pong { number: 1 }.line().as_bytes());
        let (_, told) = pass(&mut link, 400, 2_000);
        assert!(matches!(told[..], [(1_900, News::Lost { .. })]), "{told:?}");
        assert_eq!(link.receive(at(2_000), FromPanel::Pong { number: 4 }.line().as_bytes()), []);
        assert_eq!(link.receive(at(2_000), FromPanel::Key { key: 1, down: true }.line().as_bytes()), []);
        assert!(matches!(link.receive(at(2_001), hello(1, 6).line().as_bytes())[..], [News::Connected(_)]));
        assert!(link.is_connected());
    }

    #[test]
    fn noise_is_no_sign_of_life() {
        let mut link = connected();
        for ms in 0..1_500 {
            assert_eq!(link.receive(at(ms), b"$P,1*00\nnoise"), []);
        }
        let (_, told) = pass(&mut link, 1_500, 1_600);
        assert!(matches!(told[..], [(1_500, News::Lost { .. })]), "{told:?}");
        assert_eq!(link.counts().checksum, 1_500);
    }

    #[test]
    fn a_panel_that_cannot_be_understood_is_told_as_such_and_its_keys_are_not_acted_on() {
        for (message, part) in [(hello(2, 6), "protocol 2"), (hello(1, 200), "200 keys")] {
            let mut link = connected();
            let told = link.receive(at(5), message.line().as_bytes());
            assert!(matches!(&told[..], [News::Unanswered { why }] if why.contains(part)), "{told:?}");
            assert_eq!(link.receive(at(6), FromPanel::Key { key: 1, down: true }.line().as_bytes()), []);
        }
    }

    #[test]
    fn a_flood_is_not_read_and_more_presses_than_fingers_make_are_not_acted_on() {
        let mut link = connected();
        let press = FromPanel::Key { key: 1, down: true };
        let acted: usize = (0..100).map(|ms| link.receive(at(ms), press.line().as_bytes()).len()).sum();
        assert_eq!((acted, link.surplus()), (PRESSES as usize, 75));
        assert_eq!(link.rests_until(at(100)), None);
        link.receive(at(100), &vec![b'x'; FLOOD]);
        assert_eq!(link.rests_until(at(100)), Some(at(1_000)));
        assert_eq!(link.rests_until(at(1_000)), None);
        assert_eq!(link.receive(at(1_000), press.line().as_bytes()).len(), 1);
    }
}
