//! `cuebox replay`: runs a journal through the director again. Each status is printed as one JSON object a line, with
//! the box's monotonic time in nanoseconds.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cuebox_core::journal;
use cuebox_core::status::Status;
use serde::Serialize;

use super::Failure;

#[derive(Serialize)]
struct Line<'a> {
    at_ns: u64,
    status: &'a Status,
}

pub(super) fn run(file: &Path, verify: bool) -> Result<(), Failure> {
    let name = file.display();
    let bytes = fs::read(file).map_err(|error| Failure::Failed(format!("{name}: cannot be read: {error}")))?;
    // A line that a power cut tore may be no text; it is the last one, and the replay passes over it.
    let text = String::from_utf8_lossy(&bytes);
    let mut out = BufWriter::new(io::stdout().lock());
    // A journal of a director that panicked makes this one panic too, which is what such a journal is kept for.
    let replayed = catch_unwind(AssertUnwindSafe(|| print(&text, verify, &mut out)));
    out.flush()?;
    let Ok(replayed) = replayed else {
        return Err(Failure::Failed(format!("{name}: the director panicked after the last status that was printed")));
    };
    match replayed? {
        Err(error) => Err(Failure::Failed(format!("{name}: {error}"))),
        Ok(0) => Err(Failure::Failed(format!("{name}: there is no status in it; is it a journal?"))),
        Ok(count) if verify => Ok(writeln!(io::stderr(), "{name}: {count} statuses, each as it was recorded")?),
        Ok(_) => Ok(()),
    }
}

/// Prints the statuses up to the end or to what is wrong; gives their number.
fn print(text: &str, verify: bool, out: &mut impl Write) -> io::Result<Result<usize, journal::ReplayError>> {
    let mut count = 0;
    for step in journal::replay(text.lines(), verify) {
        let (at, status) = match step {
            Ok(step) => step,
            Err(error) => return Ok(Err(error)),
        };
        serde_json::to_writer(&mut *out, &Line { at_ns: at.as_nanos(), status: &status })?;
        out.write_all(b"\n")?;
        count += 1;
    }
    Ok(Ok(count))
}

#[cfg(test)]
mod tests {
    use cuebox_core::command::{Command, Envelope, Origin};
    use cuebox_core::config::Config;
    use cuebox_core::director::{Director, Event};
    use cuebox_core::ids::CommandId;
    use cuebox_core::journal::Journal;
    use cuebox_core::time::Mono;

    use super::*;

    /// A journal of a box that was told to hold and to let go.
    fn journal() -> Vec<String> {
        let mut director = Director::new(Config::default(), 1, Mono(1_000));
        let mut journal = Journal::default();
        let mut lines = vec![journal.open(&director, Mono(1_000))];
        for (number, on) in [true, false].into_iter().enumerate() {
            let now = Mono(2_000 + number as u64);
            let id = CommandId::new(format!("k-{number}"));
            let event = Event::Commanded(Envelope { id, origin: Origin::Local, command: Command::Hold { on } });
            lines.extend(journal.before(now, &event));
            director.handle(now, event);
            while director.poll_effect().is_some() {}
            lines.extend(journal.after(now, &director));
        }
        lines
    }

    fn printed(text: &str, verify: bool) -> (String, Result<usize, journal::ReplayError>) {
        let mut out = Vec::new();
        let result = print(text, verify, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), result)
    }

    #[test]
    fn every_status_is_a_line_with_its_time() {
        let (out, result) = printed(&journal().join("\n"), true);
        assert_eq!(result, Ok(3));
        let held: Vec<_> = out
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| (line["at_ns"].as_u64().unwrap(), line["status"]["program"]["held"].as_bool().unwrap()))
            .collect();
        assert_eq!(held, [(1_000, false), (2_000, true), (2_001, false)]);
    }

    #[test]
    fn a_status_that_differs_is_told_with_its_line_when_it_is_asked_for() {
        let lines = journal();
        let changed = lines.join("\n").replace("\"on\":true", "\"on\":false");
        assert_ne!(changed, lines.join("\n"));
        let (_, result) = printed(&changed, true);
        assert!(result.unwrap_err().to_string().starts_with("line 3: "));
        assert!(printed(&changed, false).1.is_ok());
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_garbage_is_told() {
        let whole = journal().join("\n");
        let torn = &whole[..whole.len() - 7];
        assert!(printed(torn, true).1.is_ok());
        for garbage in ["\u{0}\u{0}\nx\n", "{}\n{}\n"] {
            assert!(printed(garbage, false).1.is_err(), "{garbage:?}");
        }
    }
}
