//! A publisher's side of RTMP: bytes and messages in, bytes and news out. Pure: no socket, no clock.
//!
//! | state | sent | then |
//! |---|---|---|
//! | Greeting | version, our 1,536 bytes | their bytes came → theirs sent back, `connect` → Connecting |
//! | Connecting | `connect` | `_result` → `createStream` → Creating; `_error` → refused |
//! | Creating | `createStream` | `_result` → `publish` → Asking |
//! | Asking | `publish` | `onStatus` of success → Publishing; of failure → refused |
//! | Publishing | pictures and sound | `onStatus` of failure → refused |
//!
//! What a server has taken it tells in two ways: acknowledgements, which it sends each [`WINDOW`] bytes because it is
//! told to (servers left to themselves do so each 5 MB only), and answers to [`Session::ping`], which mean that all that
//! was sent before has been read.

use cuebox_core::director::ErrorClass;

use super::amf::{self, Value};
use super::chunks::{self, CHUNK, Message, Reader, Wrong};
use crate::media::part::Failure;
use crate::media::publish::words;

/// The server is to acknowledge each so many bytes: about four times a second at 1 Mbit/s.
const WINDOW: u32 = 32 * 1024;
const HANDSHAKE: usize = 1_536;

/// Where and under which name is published.
#[derive(Clone)]
pub struct Place {
    pub app: String,
    pub key: String,
    /// The whole address without key, as servers with several names want it.
    pub tc_url: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The server takes pictures and sound from now on.
    Published,
    /// It has read so many of our bytes, all in all.
    Acknowledged(u64),
    /// The answer to a ping with this number.
    Answered(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    Connecting,
    Creating,
    Asking,
    Publishing,
}

pub struct Session {
    state: State,
    place: Place,
    reader: Reader,
    greeting: Vec<u8>,
    out: Vec<u8>,
    /// Stream id that the server gave.
    stream: u32,
    received: u64,
    acknowledged: u64,
    their_window: u64,
    /// Of what we sent, the server's last word; it counts in 32 bits.
    read: u64,
}

/// Kinds of messages.
const SET_CHUNK_SIZE: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 3;
const USER_CONTROL: u8 = 4;
const WINDOW_SIZE: u8 = 5;
const SOUND: u8 = 8;
const PICTURE: u8 = 9;
const DATA: u8 = 18;
const COMMAND_AMF3: u8 = 17;
const COMMAND: u8 = 20;
const PING: u16 = 6;
const PONG: u16 = 7;

/// Transactions; servers answer with the number.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;

impl Session {
    pub fn new(place: Place) -> Self {
        let mut out = vec![3];
        out.extend([0; 8]);
        // The rest may be anything.
        out.extend((8..HANDSHAKE).map(|at| at.wrapping_mul(167) as u8));
        Self {
            state: State::Greeting,
            place,
            reader: Reader::default(),
            greeting: Vec::new(),
            out,
            stream: 0,
            received: 0,
            acknowledged: 0,
            their_window: u64::MAX,
            read: 0,
        }
    }

    /// What is to be sent now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Takes what came from the server.
    pub fn input(&mut self, bytes: &[u8], news: &mut Vec<News>) -> Result<(), Failure> {
        self.received += bytes.len() as u64;
        if self.state == State::Greeting {
            self.greeting.extend_from_slice(bytes);
            self.greeted()?;
        } else {
            self.reader.push(bytes);
        }
        while let Some(message) = self.reader.next().map_err(wrong)? {
            self.hear(&message, news)?;
        }
        if self.received - self.acknowledged >= self.their_window {
            self.acknowledged = self.received;
            self.control(ACKNOWLEDGEMENT, (self.received as u32).to_be_bytes().to_vec());
        }
        Ok(())
    }

    pub fn picture(&mut self, time_ms: u32, body: Vec<u8>) {
        self.send(6, PICTURE, self.stream, time_ms, body);
    }

    pub fn sound(&mut self, time_ms: u32, body: Vec<u8>) {
        self.send(4, SOUND, self.stream, time_ms, body);
    }

    pub fn metadata(&mut self, time_ms: u32, body: Vec<u8>) {
        self.send(5, DATA, self.stream, time_ms, body);
    }

    /// The server answers with the same number when it has read everything before.
    pub fn ping(&mut self, number: u32) {
        self.control(USER_CONTROL, [&PING.to_be_bytes()[..], &number.to_be_bytes()].concat());
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        if self.state == State::Publishing {
            let key = Value::text(self.place.key.clone());
            self.command(0, &[Value::text("FCUnpublish"), Value::Number(6.0), Value::Null, key]);
            let stream = Value::Number(f64::from(self.stream));
            self.command(0, &[Value::text("deleteStream"), Value::Number(7.0), Value::Null, stream]);
        }
    }

    /// What it means that the server closes now.
    pub fn closed(&self) -> Failure {
        let (class, what) = match self.state {
            State::Greeting => (ErrorClass::NetworkLost, "the server closed the connection; it may not speak RTMP"),
            State::Connecting | State::Creating => {
                (ErrorClass::Unauthorised, "the server closed the connection instead of accepting the application")
            }
            State::Asking => {
                (ErrorClass::Unauthorised, "the server closed the connection instead of accepting the stream key")
            }
            State::Publishing => (ErrorClass::NetworkLost, "the server closed the connection"),
        };
        Failure::new(class, what)
    }

    fn greeted(&mut self) -> Result<(), Failure> {
        if self.greeting.first().is_some_and(|version| *version != 3) {
            return Err(Failure::new(ErrorClass::Format, "the server does not speak RTMP"));
        }
        if self.greeting.len() < 1 + 2 * HANDSHAKE {
            return Ok(());
        }
        let theirs = self.greeting.get(1..=HANDSHAKE).unwrap_or_default().to_vec();
        self.out.extend_from_slice(&theirs);
        let rest = self.greeting.split_off(1 + 2 * HANDSHAKE);
        self.greeting = Vec::new();
        self.reader.push(&rest);
        self.state = State::Connecting;
        let chunk = u32::try_from(CHUNK).unwrap_or(u32::MAX);
        // Goes out in pieces of the old size still, which it is shorter than.
        self.control(SET_CHUNK_SIZE, chunk.to_be_bytes().to_vec());
        self.control(WINDOW_SIZE, WINDOW.to_be_bytes().to_vec());
        let text = |name: &str, value: &str| (name.to_owned(), Value::text(value));
        let about = vec![
            text("app", &self.place.app),
            text("type", "nonprivate"),
            text("flashVer", "FMLE/3.0 (compatible; Cuebox)"),
            text("tcUrl", &self.place.tc_url),
        ];
        self.command(0, &[Value::text("connect"), Value::Number(CONNECT), Value::Object(about)]);
        Ok(())
    }

    fn hear(&mut self, message: &Message, news: &mut Vec<News>) -> Result<(), Failure> {
        let number = |from: usize| -> Option<u32> {
            Some(u32::from_be_bytes(message.body.get(from..from.checked_add(4)?)?.try_into().ok()?))
        };
        match message.kind {
            SET_CHUNK_SIZE => {
                if let Some(size) = number(0) {
                    self.reader.set_size(size).map_err(wrong)?;
                }
            }
            WINDOW_SIZE => {
                if let Some(size) = number(0).filter(|size| *size > 0) {
                    self.their_window = u64::from(size);
                }
            }
            ACKNOWLEDGEMENT => {
                if let Some(low) = number(0) {
                    self.read += u64::from(low.wrapping_sub(self.read as u32));
                    news.push(News::Acknowledged(self.read));
                }
            }
            USER_CONTROL => match (message.body.get(..2), number(2)) {
                (Some([0, 6]), Some(time)) => {
                    self.control(USER_CONTROL, [&PONG.to_be_bytes()[..], &time.to_be_bytes()].concat());
                }
                (Some([0, 7]), Some(time)) => news.push(News::Answered(time)),
                _ => {}
            },
            COMMAND => return self.told(&amf::read(&message.body), news),
            COMMAND_AMF3 => {
                return self.told(&amf::read(message.body.get(1..).unwrap_or_default()), news);
            }
            _ => {}
        }
        Ok(())
    }

    fn told(&mut self, values: &[Value], news: &mut Vec<News>) -> Result<(), Failure> {
        let [Value::Text(name), Value::Number(transaction), rest @ ..] = values else { return Ok(()) };
        let info = rest.get(1);
        match (name.as_str(), self.state) {
            ("_result", State::Connecting) if *transaction == CONNECT => {
                self.state = State::Creating;
                let key = Value::text(self.place.key.clone());
                self.command(0, &[Value::text("releaseStream"), Value::Number(2.0), Value::Null, key.clone()]);
                self.command(0, &[Value::text("FCPublish"), Value::Number(3.0), Value::Null, key]);
                self.command(0, &[Value::text("createStream"), Value::Number(CREATE_STREAM), Value::Null]);
            }
            ("_result", State::Creating) if *transaction == CREATE_STREAM => {
                self.state = State::Asking;
                self.stream = info.and_then(Value::as_number).unwrap_or(1.0) as u32;
                let (key, live) = (Value::text(self.place.key.clone()), Value::text("live"));
                let publish = [Value::text("publish"), Value::Number(5.0), Value::Null, key, live];
                self.command(self.stream, &publish);
            }
            ("_error", State::Connecting) => return Err(refused(&self.place, "the application", info)),
            // Some servers know no `releaseStream` or `FCPublish`, and take the stream all the same.
            ("_error", State::Creating) if *transaction == CREATE_STREAM => {
                return Err(refused(&self.place, "the stream", info));
            }
            ("onStatus", State::Creating | State::Asking | State::Publishing) => {
                let code = info.and_then(|info| info.get("code")).and_then(Value::as_text).unwrap_or_default();
                let level = info.and_then(|info| info.get("level")).and_then(Value::as_text).unwrap_or_default();
                if code == "NetStream.Publish.Start" {
                    self.state = State::Publishing;
                    news.push(News::Published);
                } else if level == "error" {
                    return Err(refused(&self.place, "", info));
                }
            }
            ("close", _) => return Err(self.closed()),
            _ => {}
        }
        Ok(())
    }

    fn control(&mut self, kind: u8, body: Vec<u8>) {
        self.send(2, kind, 0, 0, body);
    }

    fn command(&mut self, stream: u32, values: &[Value]) {
        self.send(3, COMMAND, stream, 0, amf::write(values));
    }

    fn send(&mut self, lane: u8, kind: u8, stream: u32, time_ms: u32, body: Vec<u8>) {
        chunks::write(&mut self.out, lane, &Message { kind, stream, time_ms, body }, CHUNK);
    }
}

fn wrong(wrong: Wrong) -> Failure {
    Failure::new(ErrorClass::Format, format!("the server's answers are no RTMP: {wrong}"))
}

/// A refusal in the server's words, of `what`, where it is not the key.
fn refused(place: &Place, what: &str, info: Option<&Value>) -> Failure {
    let said = |name: &str| info.and_then(|info| info.get(name)).and_then(Value::as_text).unwrap_or_default();
    let words = words::of_server(&format!("{} {}", said("code"), said("description")), &place.key);
    let parts = [what, words.as_str()].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>();
    Failure::new(ErrorClass::Unauthorised, parts.join(": "))
}

#[cfg(test)]
mod tests;
