//! What people and power cuts write, damaged at random: configurations, commands, journals. Nothing of it may break the
//! box, and what is accepted must mean what it says.
//!
//! `CUEBOX_FUZZ_CASES` says how many of each (10,000 in the suite), `CUEBOX_FUZZ_SEED` where the dice begin.

#![expect(clippy::unwrap_used, reason = "where a test cannot go on, it fails")]

mod dice;

use cuebox_core::command::wire::{VERBS, from_json, from_words, parse_request, to_json};
use cuebox_core::command::{Command, Envelope, Origin};
use cuebox_core::config::{self, Config};
use cuebox_core::director::{Director, Event, VaultFact};
use cuebox_core::ids::CommandId;
use cuebox_core::journal::{Journal, last_settings, seen_commands};
use cuebox_core::time::{Mono, Trust, Wall};
use dice::{Dice, setting};

const MANUAL: &str = include_str!("../../../config/cuebox.toml");
const DEMO: &str = include_str!("../../../config/demo-live.toml");

fn cases() -> u64 {
    setting("CUEBOX_FUZZ_CASES", 10_000)
}

impl Dice {
    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// Damages it as disks and editors do: bits, bytes, pieces cut out, doubled, or put elsewhere.
    fn damage(&mut self, bytes: &mut Vec<u8>, words: &[&str]) {
        for _ in 0..=self.below(4) {
            let length = bytes.len();
            let (from, to) = (self.below(length + 1), self.below(length + 1));
            let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 40));
            match self.below(7) {
                0 if length > 0 => bytes[from.min(length - 1)] ^= 1 << self.below(8),
                1 if length > 0 => bytes[from.min(length - 1)] = u8::try_from(self.below(256)).unwrap(),
                2 => drop(bytes.drain(from..to)),
                3 => bytes.truncate(to),
                4 => {
                    let piece = bytes[from..to].to_vec();
                    let at = self.below(length + 1);
                    bytes.splice(at..at, piece);
                }
                5 => bytes[from..to].fill(0),
                _ => {
                    let word = self.pick(words).as_bytes().to_vec();
                    bytes.splice(from..to, word);
                }
            }
        }
    }
}

#[test]
fn no_configuration_breaks_its_reader_and_each_problem_has_its_line() {
    let words = [
        "[box]",
        "[[slot]]",
        "[[leg]]",
        "number = 9",
        "= \"",
        "\n",
        "{",
        "}",
        "kind = \"srt\"",
        "-1",
        "1e400",
        "\"2 GB\"",
        "99999999999999999999",
        "inf",
        "1979-05-27",
        "\u{0}",
        "ü",
        "[record]",
        "keep_free = ",
        "true",
        "''",
        "\"\"\"",
    ];
    // Every line that the manual shows is tried, also those that it shows as examples.
    let examples: Vec<String> = MANUAL
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .map(str::to_owned)
        .collect();
    let seeds = [MANUAL.to_owned(), DEMO.to_owned(), examples.join("\n")];
    let secret = |path: &str| {
        if path.len().is_multiple_of(3) { Err("no such file".to_owned()) } else { Ok("secret".to_owned()) }
    };
    let mut dice = Dice::new(11);
    let mut accepted = 0;
    for _ in 0..cases() {
        let mut bytes = seeds[dice.below(seeds.len())].clone().into_bytes();
        dice.damage(&mut bytes, &words);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match config::parse(&text, "/etc/cuebox", &secret) {
            Ok(checked) => {
                accepted += 1;
                let config = checked.config;
                assert!(!config.slots.is_empty() || text.contains("slot"), "{text}");
                assert!(config.program.fps > 0 && config.program.width > 0 && !config.data_dir.is_empty(), "{text}");
            }
            Err(problems) => {
                let lines = text.lines().count() + 1;
                assert!(!problems.is_empty(), "refused without a reason:\n{text}");
                assert!(
                    problems.iter().all(|it| (1..=lines).contains(&it.line)),
                    "{problems:?} in {lines} lines:\n{text}"
                );
            }
        }
    }
    assert!(accepted > 0 && accepted < cases(), "{accepted} of {} were accepted", cases());
}

fn bodies() -> Vec<String> {
    let words = |line: &str| from_words(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap();
    [
        "cut 3",
        "preview 2",
        "take",
        "auto fade 800",
        "slate on",
        "hold off",
        "audio mode slot 2",
        "audio gain 1 -6.5",
        "audio mute 3 on",
        "audio delay 4 80",
        "show start Anna and Ben",
        "show stop",
        "show delete 20261121-183005-3f2a",
        "stream start",
        "record stop",
        "marker the rings",
        "snapshot 2",
        "rename 2 Main aisle",
        "leg enable backup",
        "lock on",
        "identify",
        "config check program.fps = 25",
        "journal 20",
        "doctor",
        "reload",
        "restart",
    ]
    .map(|line| {
        let mut body = to_json(&words(line));
        body["id"] = "k-1".into();
        body.to_string()
    })
    .into()
}

#[test]
fn no_command_breaks_its_reader_and_what_is_accepted_is_read_back_the_same() {
    let bodies = bodies();
    assert!(VERBS.iter().all(|verb| bodies.iter().any(|body| body.contains(&format!("\"{}\"", verb.name)))));
    let words = [
        "\"slot\":",
        "6",
        "-0",
        "1e999",
        "null",
        "[[[[",
        "{\"verb\":",
        "\"verb\":\"take\"",
        "true",
        "\\u0000",
        "\\ud800",
        "\"",
        "../..",
        "18446744073709551616",
        ",",
        "\"action\":\"delete\"",
    ];
    let mut dice = Dice::new(22);
    let mut accepted = 0;
    for _ in 0..cases() {
        let mut body = bodies[dice.below(bodies.len())].clone().into_bytes();
        dice.damage(&mut body, &words);
        match parse_request(&body) {
            Ok(request) => {
                accepted += 1;
                assert_eq!(from_json(&to_json(&request.command)).unwrap().command, request.command);
                if let Command::ShowDelete { show } = &request.command {
                    assert!(!show.as_str().contains(['/', '.']), "{show} is no folder's name");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(accepted > 0 && accepted < cases(), "{accepted} of {} were accepted", cases());
}

/// A journal as a box of two minutes leaves it.
fn journal() -> String {
    let mut config = Config::default();
    for own in config.slots.values_mut() {
        own.source = config::Source::Test { marks: true, tone_hz: None };
    }
    let mut now = Mono(60_000_000_000);
    let mut director = Director::new(config, 5, now);
    let mut journal = Journal::default();
    let mut lines = vec![journal.open(&director, now)];
    let mut events = vec![
        Event::ClockRead(Wall { unix_ns: 1_795_285_805_000_000_000, trust: Trust::Ntp }),
        Event::Vault(VaultFact::Recovered { segments: Vec::new() }),
        Event::MachineSlowed { why: Some("it is hot".to_owned()) },
    ];
    let words = |line: &str| from_words(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap();
    for (number, line) in
        ["show start Anna", "audio gain 2 -6", "rename 3 Organ", "audio mute 4 on", "marker here", "slate on"]
            .iter()
            .enumerate()
    {
        let (id, command) = (CommandId::new(format!("k-{number}")), words(line));
        events.push(Event::Commanded(Envelope { id, origin: Origin::Http, command }));
        events.push(Event::DeadlineReached);
    }
    for event in events {
        now = Mono(now.0 + 4_000_000_000);
        lines.extend(journal.before(now, &event));
        director.handle(now, event);
        lines.extend(journal.after(now, &director));
        while director.poll_effect().is_some() {}
    }
    lines.join("\n") + "\n"
}

#[test]
fn no_damaged_journal_keeps_a_box_from_starting() {
    let whole = journal();
    assert!(last_settings(&whole).is_some_and(|settings| settings.show.is_some()));
    assert_eq!(seen_commands(&whole).unwrap().len(), 6);
    // The first line is as long as all others together: they are damaged by themselves as well.
    let rest = whole.split_once('\n').unwrap().1.to_owned();
    let words = ["{\"settings\":", "{\"snapshot\":", "null", "-1", "1e308", "\n", "\"\"", "{\"answered\":"];
    let mut dice = Dice::new(33);
    let (mut restored, mut lost) = (0_u64, 0_u64);
    for case in 0..cases() {
        let mut bytes = if case % 8 == 0 { whole.clone() } else { rest.clone() }.into_bytes();
        dice.damage(&mut bytes, &words);
        let text = String::from_utf8_lossy(&bytes);
        let (settings, seen) = (last_settings(&text), seen_commands(&text));
        let Some(settings) = settings else {
            lost += 1;
            continue;
        };
        restored += 1;
        // Starting a box takes longer than reading: some are enough.
        if case % 16 == 0 {
            let mut director = Director::new(Config::default(), case, Mono(0));
            director.restore(settings);
            director.remember(seen.unwrap_or_default());
            director.handle(Mono(1), Event::Vault(VaultFact::Recovered { segments: Vec::new() }));
            director.check();
        }
    }
    assert!(restored > 0 && lost > 0, "{restored} journals had settings, {lost} had none");
}
