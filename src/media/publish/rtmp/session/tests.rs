use super::*;

fn session() -> Session {
    Session::new(Place { app: "live".into(), key: "s3cret".into(), tc_url: "rtmp://host/live".into() })
}

/// A server's side, as far as a test needs one.
struct Server {
    reader: Reader,
    greeted: bool,
}

impl Server {
    /// The commands that came.
    fn hear(&mut self, mut bytes: Vec<u8>) -> Vec<Vec<Value>> {
        if !self.greeted {
            assert_eq!(bytes[0], 3);
            bytes.drain(..1 + HANDSHAKE);
            self.greeted = true;
        }
        self.reader.push(&bytes);
        let mut commands = Vec::new();
        while let Some(message) = self.reader.next().unwrap() {
            match message.kind {
                SET_CHUNK_SIZE => self.reader.set_size(CHUNK as u32).unwrap(),
                COMMAND => commands.push(amf::read(&message.body)),
                _ => {}
            }
        }
        commands
    }
}

fn answer(name: &str, transaction: f64, info: Value) -> Vec<u8> {
    let body = amf::write(&[Value::text(name), Value::Number(transaction), Value::Null, info]);
    let mut out = Vec::new();
    chunks::write(&mut out, 3, &Message { kind: COMMAND, stream: 0, time_ms: 0, body }, 128);
    out
}

fn status(level: &str, code: &str) -> Value {
    let text = |name: &str, value: &str| (name.to_owned(), Value::text(value));
    Value::Object(vec![text("level", level), text("code", code), text("description", "in words")])
}

/// Up to the question whether the key is right.
fn asked() -> (Session, Server) {
    let (mut session, mut server) = (session(), Server { reader: Reader::default(), greeted: false });
    server.hear(session.take_output());
    let mut news = Vec::new();
    let greeting = [&[3][..], &[7; HANDSHAKE], &[8; HANDSHAKE]].concat();
    for piece in greeting.chunks(1_000) {
        session.input(piece, &mut news).unwrap();
    }
    let mut out = session.take_output();
    assert_eq!(out.drain(..HANDSHAKE).collect::<Vec<u8>>(), [7; HANDSHAKE], "their bytes come back");
    let commands = server.hear(out);
    assert_eq!(commands[0][2].get("app").and_then(Value::as_text), Some("live"));
    session.input(&answer("_result", 1.0, status("status", "NetConnection.Connect.Success")), &mut news).unwrap();
    let names: Vec<Value> = server.hear(session.take_output()).into_iter().map(|it| it[0].clone()).collect();
    assert_eq!(names, ["releaseStream", "FCPublish", "createStream"].map(Value::text));
    session.input(&answer("_result", 4.0, Value::Number(5.0)), &mut news).unwrap();
    let publish = &server.hear(session.take_output())[0];
    assert_eq!(publish[3], Value::text("s3cret"));
    assert!(news.is_empty());
    (session, server)
}

#[test]
fn a_server_that_accepts_is_published_to() {
    let (mut session, _server) = asked();
    let mut news = Vec::new();
    session.input(&answer("onStatus", 0.0, status("status", "NetStream.Publish.Start")), &mut news).unwrap();
    assert_eq!(news, [News::Published]);
    assert_eq!(session.stream, 5);
}

#[test]
fn a_refusal_says_what_was_refused_in_the_servers_words() {
    let (mut session, _server) = asked();
    let error = session.input(&answer("onStatus", 0.0, status("error", "NetStream.Publish.BadName")), &mut vec![]);
    let failure = error.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unauthorised);
    assert_eq!(failure.detail, "NetStream.Publish.BadName in words");
    assert_eq!(asked().0.closed().class, ErrorClass::Unauthorised);
    assert!(asked().0.closed().detail.contains("stream key"));
}

#[test]
fn what_a_server_has_read_is_counted_beyond_32_bits() {
    let (mut session, _server) = asked();
    let mut news = Vec::new();
    for low in [3_000_000_000_u32, 4_000_000_000, 1_000_000_000] {
        let mut out = Vec::new();
        let body = low.to_be_bytes().to_vec();
        chunks::write(&mut out, 2, &Message { kind: ACKNOWLEDGEMENT, stream: 0, time_ms: 0, body }, 128);
        session.input(&out, &mut news).unwrap();
    }
    let last = 1_000_000_000 + (1 << 32);
    assert_eq!(news, [3_000_000_000, 4_000_000_000, last].map(News::Acknowledged));
}

#[test]
fn whatever_a_server_says_nothing_breaks() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..500 {
        let mut session = if round % 2 == 0 { session() } else { asked().0 };
        for _ in 0..40 {
            // Damaged answers go deeper than noise.
            let mut bytes = match random() % 4 {
                0 => answer("onStatus", 0.0, status("error", "x")),
                1 => answer("_result", 4.0, Value::Number(f64::NAN)),
                2 => [&[3][..], &[1; HANDSHAKE]].concat(),
                _ => random().to_le_bytes().to_vec(),
            };
            let at = random() as usize % bytes.len();
            bytes[at] ^= random() as u8;
            if session.input(&bytes, &mut Vec::new()).is_err() {
                break;
            }
        }
    }
}
