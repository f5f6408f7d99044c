//! The line protocol against what lines really carry: noise, halves, floods.

#![expect(clippy::unwrap_used, reason = "where a test cannot go on, it fails")]

use cuebox_panel::light::{Colour, Light, Pattern};
use cuebox_panel::line::{Line, MAX_LINE, Reader};
use cuebox_panel::message::{FromPanel, Hello, Name, ToPanel};

fn heard(reader: &mut Reader, bytes: &[u8]) -> Vec<FromPanel> {
    bytes.iter().filter_map(|byte| reader.push(*byte, FromPanel::decode)).collect()
}

fn hello(name: &str) -> FromPanel {
    FromPanel::Hello(Hello { protocol: 1, keys: 6, lamps: 6, name: Name::new(name.as_bytes()).unwrap() })
}

#[test]
fn lines_are_as_they_are_written_down() {
    let text = |line: Line| String::from_utf8(line.as_bytes().to_vec()).unwrap();
    assert_eq!(text(FromPanel::Key { key: 3, down: true }.line()), "$K,3,1*49\n");
    assert_eq!(text(hello("hall").line()), "$H,1,6,6,hall*70\n");
    assert_eq!(text(FromPanel::Pong { number: 7 }.line()), "$P,7*4b\n");
    assert_eq!(text(ToPanel::Who.line()), "$W*57\n");
    assert_eq!(text(ToPanel::Ping { number: 4_294_967_295 }.line()), "$Q,4294967295*70\n");
    let light = Light::new(Colour::Amber, Pattern::Slow);
    assert_eq!(text(ToPanel::Lamp { lamp: 12, light }.line()), "$L,12,amber,slow*1d\n");
}

#[test]
fn every_message_is_read_back() {
    let mut reader = Reader::new();
    let longest = "n".repeat(32);
    for message in
        [hello("a"), hello(&longest), FromPanel::Key { key: 255, down: false }, FromPanel::Pong { number: 0 }]
    {
        assert_eq!(heard(&mut reader, message.line().as_bytes()), [message]);
        assert!(message.line().as_bytes().len() <= MAX_LINE);
    }
    for colour in Colour::ALL {
        for pattern in Pattern::ALL {
            let message = ToPanel::Lamp { lamp: 255, light: Light::new(colour, pattern) };
            let read = message.line().as_bytes().iter().filter_map(|b| reader.push(*b, ToPanel::decode)).last();
            assert_eq!(read, Some(message));
        }
    }
    assert_eq!(reader.counts().bad(), 0);
}

#[test]
fn what_is_not_a_good_line_is_counted_and_nothing_else() {
    let press = FromPanel::Key { key: 3, down: true };
    // Bytes, then: garbage, broken, checksum, unknown.
    let table: &[(&[u8], [u32; 4])] = &[
        (b"hello\r\n", [5, 0, 0, 0]),
        (b"$K,3", [0, 1, 0, 0]),
        (b"$K,3,1*4", [0, 1, 0, 0]),
        (b"$K,3,1\n", [0, 1, 0, 0]),
        (b"$K,3,1*00\n", [0, 0, 1, 0]),
        (b"$K,3,1*zz\n", [0, 0, 1, 0]),
        (b"$K,3,0*49\n", [0, 0, 1, 0]),
        (b"$K,0,1*4a\n", [0, 0, 0, 1]),
        (b"$K,3,2*4a\n", [0, 0, 0, 1]),
        (b"$Z*5a\n", [0, 0, 0, 1]),
        (b"$*00\n", [0, 0, 0, 1]),
        (b"$W*57\n", [0, 0, 0, 1]),
        (b"$$$", [0, 3, 0, 0]),
        (b"\xff\xfe\0\x01", [4, 0, 0, 0]),
    ];
    for (bytes, expected) in table {
        let mut reader = Reader::new();
        assert_eq!(heard(&mut reader, bytes), [], "{bytes:?}");
        assert_eq!(heard(&mut reader, press.line().as_bytes()), [press], "after {bytes:?}");
        let counts = reader.counts();
        let counted = [counts.garbage, counts.broken, counts.checksum, counts.unknown];
        assert_eq!(counted, *expected, "{:?}", String::from_utf8_lossy(bytes));
        assert_eq!(counts.lines, 1);
    }
    let mut reader = Reader::new();
    assert_eq!(heard(&mut reader, b"$K,3,1*49\r\n"), [press], "a terminal's line end is taken");
}

#[test]
fn a_line_of_a_megabyte_takes_no_memory_and_the_next_one_is_read() {
    let mut reader = Reader::new();
    let flood = [b"$".as_slice(), &vec![b'x'; 1 << 20], b"\n"].concat();
    assert_eq!(heard(&mut reader, &flood), []);
    assert_eq!(reader.counts().broken, 1);
    assert_eq!(heard(&mut reader, hello("hall").line().as_bytes()), [hello("hall")]);
    assert!(std::mem::size_of::<Reader>() < 128);
}

#[test]
fn a_name_that_could_not_stand_on_a_line_is_none() {
    for name in ["", "a,b", "a$", "a*", "ä", "a\n", &"n".repeat(33)] {
        assert_eq!(Name::new(name.as_bytes()), None, "{name:?}");
    }
}

/// xorshift: the same bytes on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }
}

#[test]
fn a_line_with_one_byte_changed_is_never_taken_for_another() {
    let mut random = Random(0x51_6e_a1);
    let lines = [hello("hall"), FromPanel::Key { key: 12, down: true }, FromPanel::Pong { number: 31_415 }];
    for _ in 0..100_000 {
        let message = lines[random.below(lines.len())];
        let mut bytes = message.line().as_bytes().to_vec();
        let place = random.below(bytes.len());
        bytes[place] = random.next().to_le_bytes()[3];
        let mut reader = Reader::new();
        let read = heard(&mut reader, &bytes);
        assert!(read.is_empty() || read == [message], "{read:?} from {:?}", String::from_utf8_lossy(&bytes));
    }
}

/// How many inputs; `CUEBOX_FUZZ_INPUTS` asks for more than a test run has time for.
fn inputs() -> u64 {
    std::env::var("CUEBOX_FUZZ_INPUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(60_000)
}

#[test]
fn no_bytes_whatever_stop_the_reader() {
    let mut random = Random(0x5eed_c0de);
    let mut reader = Reader::new();
    let mut fed = 0_u64;
    let press = FromPanel::Key { key: 1, down: true };
    for _ in 0..inputs() {
        let mut bytes = match random.below(4) {
            0 => vec![b'$'; random.below(4)],
            1 => press.line().as_bytes().to_vec(),
            2 => hello("hall").line().as_bytes().to_vec(),
            _ => (0..random.below(90)).map(|_| random.next().to_le_bytes()[2]).collect(),
        };
        bytes.truncate(random.below(bytes.len() + 1));
        fed += bytes.len() as u64;
        for message in heard(&mut reader, &bytes) {
            assert_eq!(heard(&mut Reader::new(), message.line().as_bytes()), [message], "what is read can be written");
        }
    }
    let counts = reader.counts();
    assert!(u64::from(counts.bad()) + u64::from(counts.lines) <= fed, "{counts:?}");
    assert!(counts.lines > 0 && counts.broken > 0 && counts.garbage > 0, "{counts:?}");
}
