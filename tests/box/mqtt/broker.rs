//! A mosquitto of the test's own, and its clients.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::harness::{Folder, signal, until};
use crate::ports::free_port;

pub struct Broker {
    child: Child,
    pub port: u16,
    folder: PathBuf,
    /// Names of certificates, when it wants some.
    certificates: Option<PathBuf>,
}

impl Broker {
    /// Takes everybody on a free loopback port; `extra` is added to its configuration.
    pub fn start(folder: &Folder, extra: &str) -> Self {
        let port = free_port();
        let config = format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n{extra}");
        Self::start_with(folder, &config, port, None)
    }

    /// Takes everybody, and keeps on disk what it was given: at its end in order, and each second.
    pub fn start_kept(folder: &Folder) -> Self {
        let kept = folder.path().join("mosquitto");
        std::fs::create_dir(&kept).unwrap();
        let place = kept.display();
        Self::start(folder, &format!("persistence true\npersistence_location {place}/\nautosave_interval 1\n"))
    }

    /// Takes who shows a certificate of ours, and lets everybody do what the list says.
    pub fn start_tls(folder: &Folder, certificates: &Certificates, acl: &str) -> Self {
        let port = free_port();
        let list = folder.path().join("acl");
        std::fs::write(&list, acl).unwrap();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npersistence false\nuser root\nrequire_certificate true\n\
             use_identity_as_username true\ncafile {}\ncertfile {}\nkeyfile {}\nacl_file {}\n",
            certificates.authority(),
            certificates.certificate("localhost"),
            certificates.key("localhost"),
            list.display(),
        );
        Self::start_with(folder, &config, port, Some(certificates.0.clone()))
    }

    fn start_with(folder: &Folder, config: &str, port: u16, certificates: Option<PathBuf>) -> Self {
        let folder = folder.path().to_owned();
        std::fs::write(folder.join("mosquitto.conf"), config).unwrap();
        let child = launch(&folder, port);
        Self { child, port, folder, certificates }
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asked to end, it first writes down what it has.
    pub fn end(&mut self) {
        self.signal("TERM");
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.child = launch(&self.folder, self.port);
    }

    #[track_caller]
    pub fn publish(&self, arguments: &[&str]) {
        self.publish_as("", arguments);
    }

    #[track_caller]
    pub fn publish_as(&self, who: &str, arguments: &[&str]) {
        let status = self.client("mosquitto_pub", who).args(["-q", "1"]).args(arguments).status().unwrap();
        assert!(status.success(), "mosquitto_pub {arguments:?}");
    }

    /// A message for each line.
    #[track_caller]
    pub fn publish_lines(&self, topic: &str, lines: &str) {
        let mut command = self.client("mosquitto_pub", "");
        let mut child = command.args(["-q", "1", "-l", "-t", topic]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// A client that sends a message for each line that it is given.
    pub fn lines(&self, topic: &str) -> Lines {
        let mut command = self.client("mosquitto_pub", "");
        let mut child = command.args(["-q", "1", "-l", "-t", topic]).stdin(Stdio::piped()).spawn().unwrap();
        Lines { input: child.stdin.take(), child }
    }

    /// Sends a command with a response topic and waits for its answer.
    #[track_caller]
    pub fn ask(&self, verb: &str, payload: &str) -> Value {
        self.ask_as("any", verb, payload)
    }

    #[track_caller]
    pub fn ask_as(&self, who: &str, verb: &str, payload: &str) -> Value {
        let (topic, reply) = (format!("cuebox/hall-1/command/{verb}"), format!("reply/{who}/{verb}"));
        let mut command = self.client("mosquitto_rr", who);
        let output = command.args(["-W", "20", "-q", "1", "-t", &topic, "-e", &reply, "-m", payload]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no answer to {verb} {payload}: {said}"))
    }

    pub fn client(&self, program: &str, who: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-V", "mqttv5", "-p", &self.port.to_string()]);
        match &self.certificates {
            None => drop(command.args(["-h", "127.0.0.1"])),
            Some(folder) => {
                let file = |name: &str| folder.join(name).display().to_string();
                let (cert, key) = (file(&format!("{who}.pem")), file(&format!("{who}.key")));
                command.args(["-h", "localhost", "--cafile", &file("ca.pem"), "--cert", &cert, "--key", &key]);
            }
        }
        command
    }
}

/// See [`Broker::lines`].
pub struct Lines {
    child: Child,
    input: Option<ChildStdin>,
}

impl Lines {
    pub fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Everything was sent and acknowledged.
    pub fn end(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &Path, port: u16) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("mosquitto.log")).unwrap();
    let mut command = Command::new(installed("mosquitto"));
    let command = command.arg("-c").arg(folder.join("mosquitto.conf")).stdout(log.try_clone().unwrap()).stderr(log);
    let child = command.spawn().unwrap();
    until("mosquitto listens", 10, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    child
}

/// Debian puts it where only root looks.
fn installed(name: &str) -> String {
    let path = format!("/usr/sbin/{name}");
    if Path::new(&path).exists() { path } else { name.to_owned() }
}

pub fn now_rfc3339() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let unix_ns = i64::try_from(now.as_nanos()).unwrap();
    cuebox_core::time::Wall { unix_ns, trust: cuebox_core::time::Trust::Ntp }.rfc3339()
}

/// A foreign client that writes down everything.
pub struct Watcher {
    child: Child,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Watcher {
    /// Hears everything, or what the topics say.
    pub fn start(broker: &Broker, topics: &[&str]) -> Self {
        let mut command = broker.client("mosquitto_sub", "any");
        command.args(["-q", "1", "-F", "%t %p"]);
        for topic in if topics.is_empty() { &["#"][..] } else { topics } {
            command.args(["-t", topic]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = seen.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let (topic, payload) = line.split_once(' ').unwrap_or((&line, ""));
                notes.lock().unwrap().push((topic.to_owned(), payload.to_owned()));
            }
        });
        // Its own message tells that it listens.
        let marker = if topics.is_empty() { "watcher".to_owned() } else { topics[0].replace('+', "watcher") };
        let watcher = Self { child, seen };
        until("the watcher listens", 10, || {
            broker.publish(&["-t", &marker, "-m", "here"]);
            !watcher.messages(&marker).is_empty()
        });
        watcher
    }

    /// Payloads on topics that begin so.
    pub fn messages(&self, prefix: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(topic, _)| topic.starts_with(prefix)).map(|(_, payload)| payload.clone()).collect()
    }

    /// Different topics that begin so.
    pub fn topics(&self, prefix: &str) -> std::collections::BTreeSet<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(topic, _)| topic.starts_with(prefix)).map(|(topic, _)| topic.clone()).collect()
    }

    fn newest(&self, topic: &str) -> Option<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().rev().find(|(seen, _)| seen == topic).map(|(_, payload)| payload.clone())
    }

    #[track_caller]
    pub fn newest_json(&self, topic: &str) -> Value {
        serde_json::from_str(&self.newest(topic).unwrap()).unwrap()
    }

    /// Waits until the newest message of a topic holds.
    #[track_caller]
    pub fn wait(&self, topic: &str, holds: impl Fn(&str) -> bool) {
        until(topic, 30, || self.newest(topic).is_some_and(|text| holds(&text)));
    }

    #[track_caller]
    pub fn wait_json(&self, topic: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let read = |text: &str| serde_json::from_str::<Value>(text).ok().filter(|value| holds(value));
        self.wait(topic, |text| read(text).is_some());
        self.newest(topic).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority of the test's own, the broker's certificate, and one for each client.
pub struct Certificates(PathBuf);

impl Certificates {
    pub fn make(folder: &Folder, clients: &[&str]) -> Self {
        let folder = folder.path().join("certificates");
        std::fs::create_dir_all(&folder).unwrap();
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            command.args(arguments.split(' ')).current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null());
            assert!(command.status().unwrap().success(), "openssl {arguments}");
        };
        openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Venue -keyout ca.key -out ca.pem");
        std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
        for name in clients.iter().chain(&["localhost"]) {
            openssl(&format!("req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {name}.pem"
            ));
        }
        Self(folder)
    }

    pub fn authority(&self) -> String {
        self.0.join("ca.pem").display().to_string()
    }

    pub fn certificate(&self, name: &str) -> String {
        self.0.join(format!("{name}.pem")).display().to_string()
    }

    pub fn key(&self, name: &str) -> String {
        self.0.join(format!("{name}.key")).display().to_string()
    }
}
