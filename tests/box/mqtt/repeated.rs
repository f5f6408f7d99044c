//! A client that repeats what was not answered, at a broker that is killed and started again under it: every command has
//! to act, and to act once.
//!
//! Markers are what is sent, because each leaves a line in the show's timeline: what acted can be counted.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::broker::Broker;
use crate::harness::pause;

/// Commands that are not answered yet, at a time.
const AT_A_TIME: usize = 64;
/// What was not answered for so long is sent again.
const REPEAT: Duration = Duration::from_secs(2);
/// Longest that nothing is answered: a broker that was started again is found within 15 s.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Plan {
    pub commands: usize,
    /// Between two commands.
    pub pace: Duration,
    /// How often the broker goes down; every third time in order, else by a kill.
    pub restarts: usize,
    /// The longest that it stays up when the box is connected.
    pub up: Duration,
}

/// What each command came to.
pub struct Outcome {
    pub sent: usize,
    /// For each command the different answers, without `duplicate`s.
    pub answers: BTreeMap<usize, Vec<String>>,
}

/// Sends `markers` "m-0", "m-1" … with the ids "x-0", "x-1" … until every one is answered. `connected`: whether the box
/// is, at the moment.
#[track_caller]
pub fn run(broker: &mut Broker, plan: &Plan, connected: impl Fn() -> bool) -> Outcome {
    let answers = Answers::listen(broker);
    let mut sender = Sender { child: None, tried: Instant::now() };
    // When each was sent last.
    let mut waiting: BTreeMap<usize, Option<Instant>> = BTreeMap::new();
    let mut outcome = Outcome { sent: 0, answers: BTreeMap::new() };
    let (mut next, mut random, mut restarts) = (0, 7_u64, 0);
    let begun = Instant::now();
    let (mut due, mut heard, mut down_at) = (begun, begun, None);
    while outcome.answers.len() < plan.commands || restarts < plan.restarts {
        if restarts < plan.restarts {
            let at = *down_at.get_or_insert_with(|| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                Instant::now() + plan.up.mul_f64((random >> 40) as f64 / (1_u64 << 24) as f64)
            });
            if Instant::now() >= at && connected() {
                if restarts % 3 == 2 {
                    broker.end()
                } else {
                    broker.kill()
                }
                broker.restart();
                (restarts, down_at) = (restarts + 1, None);
            }
        }
        while next < plan.commands && waiting.len() < AT_A_TIME && Instant::now() >= due {
            due += plan.pace;
            waiting.insert(next, None);
            next += 1;
        }
        for (number, sent) in &mut waiting {
            if sent.is_none_or(|at| at.elapsed() >= REPEAT) && sender.send(broker, *number) {
                *sent = Some(Instant::now());
                outcome.sent += 1;
            }
        }
        for (number, answer) in answers.heard.try_iter() {
            heard = Instant::now();
            waiting.remove(&number);
            let known = outcome.answers.entry(number).or_default();
            if !known.contains(&answer) {
                known.push(answer);
            }
        }
        assert!(heard.elapsed() < PATIENCE, "{} of {} are answered", outcome.answers.len(), plan.commands);
        pause();
    }
    outcome
}

/// Number and result of each answer; of a duplicate the first result.
struct Answers {
    listener: Child,
    heard: Receiver<(usize, String)>,
}

impl Answers {
    fn listen(broker: &Broker) -> Self {
        let mut command: Command = broker.client("mosquitto_sub", "any");
        command.args(["-q", "1", "-F", "%p", "-t", "cuebox/hall-1/reply/+"]);
        let mut listener = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(listener.stdout.take().unwrap()).lines();
        let (sender, heard) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&line).unwrap_or_default();
                let number = answer["id"].as_str().and_then(|id| id.strip_prefix("x-")?.parse().ok());
                let first = if answer["result"] == "duplicate" { &answer["first"] } else { &answer["result"] };
                if number.is_some_and(|number| sender.send((number, first.to_string())).is_err()) {
                    return;
                }
            }
        });
        Self { listener, heard }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}

/// A foreign client that sends a command for each line that it is given, started again when it gave up.
struct Sender {
    child: Option<Child>,
    tried: Instant,
}

impl Sender {
    /// False: there is nobody to send it now.
    fn send(&mut self, broker: &Broker, number: usize) -> bool {
        if self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some()) {
            self.child = None;
        }
        if self.child.is_none() && self.tried.elapsed() >= Duration::from_millis(200) {
            self.tried = Instant::now();
            let mut command = broker.client("mosquitto_pub", "any");
            command.args(["-q", "1", "-l", "-t", "cuebox/hall-1/command/marker"]);
            self.child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().ok();
        }
        let Some(input) = self.child.as_mut().and_then(|child| child.stdin.as_mut()) else { return false };
        writeln!(input, "{{\"id\":\"x-{number}\",\"text\":\"m-{number}\"}}").is_ok()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How often each marker stands in the timeline.
pub fn markers(timeline: &[Value]) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    for entry in timeline.iter().filter(|entry| entry["kind"] == "marker") {
        if let Some(number) = entry["text"].as_str().and_then(|text| text.strip_prefix("m-")?.parse().ok()) {
            *found.entry(number).or_default() += 1;
        }
    }
    found
}
