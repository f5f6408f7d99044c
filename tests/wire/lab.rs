//! Two network namespaces and the line between them. The box lives in one, everything else in the other. Both end with
//! the program that holds them, so a test that is killed leaves nothing behind.
//!
//! Delay and cuts are the line's own (a relay between two tun devices); the rate is the kernel's `tc tbf` on the
//! sender's end, losses are nftables rules on the receiver's. Not every kernel has netem, so none is needed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Addresses of the two ends.
pub const BOX: &str = "10.77.0.2";
pub const WORLD: &str = "10.77.0.1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Box,
    World,
}

pub struct Lab {
    relay: Tool,
    namespaces: Value,
}

impl Lab {
    pub fn new() -> Self {
        // Whoever is not root is it in a user namespace of the relay's own.
        let mut command = if root() { Command::new("python3") } else { Command::new("unshare") };
        if !root() {
            command.args(["--user", "--map-root-user", "python3"]);
        }
        command.args([&tool("relay.py"), BOX, WORLD]);
        let mut relay = Tool::start(&mut command);
        let line = relay.answer();
        let namespaces =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("the namespaces could not be made: {line}"));
        Self { relay, namespaces }
    }

    /// A command that runs on that side, its pid the program's own. It ends with the test's thread, however that ends.
    pub fn command(&self, side: Side, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        if !root() {
            command.args([&format!("--user=/proc/{}/ns/user", self.relay.child.id()), "--preserve-credentials"]);
        }
        let name = if side == Side::Box { "box" } else { "world" };
        command.arg(format!("--net={}", self.namespaces[name].as_str().unwrap()));
        command.args(["setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    /// One way, each way.
    pub fn delay_ms(&mut self, ms: u32) {
        self.relay.order(&format!("delay {ms}"));
    }

    /// What the box sends is bounded to this rate behind a queue of 200 ms, a home router's; `None` takes the bound off.
    #[track_caller]
    pub fn cap_kbps(&self, kbps: Option<u32>) {
        match kbps {
            // The burst is a few packets: less than one packet would pass nothing but sound.
            Some(kbps) => self.run(
                Side::Box,
                &format!("tc qdisc replace dev line root tbf rate {kbps}kbit burst 6000 latency 200ms"),
            ),
            None => self.run(Side::Box, "tc qdisc del dev line root"),
        }
    }

    /// Percent of the packets that are lost, each way.
    #[track_caller]
    pub fn lose_percent(&self, percent: u32) {
        for side in [Side::Box, Side::World] {
            self.run(side, "nft add table ip line");
            self.run(side, "nft flush table ip line");
            self.run(side, "nft add chain ip line in { type filter hook input priority 0 ; }");
            if percent > 0 {
                self.run(side, &format!("nft add rule ip line in iifname line numgen random mod 100 < {percent} drop"));
            }
        }
    }

    /// A firewall before the box: nothing passes but what `open` says, in nft's words, each way.
    #[track_caller]
    pub fn only(&self, open: &[&str]) {
        self.run(Side::Box, "nft add table ip wall");
        for (chain, way) in [("in", "iifname"), ("out", "oifname")] {
            let hook = format!("{chain}put");
            self.run(Side::Box, &format!("nft add chain ip wall {chain} {{ type filter hook {hook} priority 0 ; }}"));
            for rule in open {
                self.run(Side::Box, &format!("nft add rule ip wall {chain} {way} line {rule} accept"));
            }
            self.run(Side::Box, &format!("nft add rule ip wall {chain} {way} line drop"));
        }
    }

    /// Nothing passes any more, and nobody is told.
    pub fn cut(&mut self) {
        self.relay.order("cut");
    }

    pub fn join(&mut self) {
        self.relay.order("join");
    }

    /// Bytes that the box has put on the line so far, headers included.
    #[track_caller]
    pub fn bytes_sent(&self) -> u64 {
        let output = self.command(Side::Box, "cat").arg("/proc/net/dev").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("line:")).expect("the line's counters");
        line.split_whitespace().nth(8).unwrap().parse().unwrap()
    }

    #[track_caller]
    fn run(&self, side: Side, words: &str) {
        let mut words = words.split_whitespace();
        let output = self.command(side, words.next().unwrap()).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of `tests/wire/tools`.
pub fn tool(name: &str) -> String {
    format!("{}/tests/wire/tools/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A helper program that takes orders, a line each, and answers each with a line.
pub struct Tool {
    pub child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Tool {
    pub fn start(command: &mut Command) -> Self {
        // A group of its own: Ctrl-C at the test ends the test, whose end then ends this.
        let mut child = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    #[track_caller]
    pub fn order(&mut self, order: &str) {
        writeln!(self.stdin, "{order}").unwrap();
        let answer = self.answer();
        assert_eq!(answer.trim(), "ok", "{order}");
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
