//! A panel on a serial line: finds its device, opens it, talks, and begins again when it is gone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cuebox_core::panel::SerialPlace;
use cuebox_core::panel::link::{Link, News};
use cuebox_core::status::PanelKind;
use cuebox_panel::light::Light;
use cuebox_panel::line::Counts;
use cuebox_panel::message::ToPanel;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_serial::{ClearBuffer, SerialPort as _, SerialPortBuilderExt as _, SerialStream};

use super::desk::Desk;
use super::usb;

const BAUD: u32 = 115_200;
/// How often a device that is not there is looked for.
const LOOKS: Duration = Duration::from_millis(250);
/// Bytes that may wait to be written. A panel that does not read gets the newest state when it does, not every one
/// that was.
const WAITING: usize = 2_048;

/// Serves the panel at this place for ever.
pub(super) async fn serve(place: SerialPlace, mut desk: Desk) {
    let id = place.to_string();
    loop {
        let why = match find(&place).and_then(|path| open(&path)) {
            Ok(port) => Conversation::new(port, &id, &mut desk).run().await,
            Err(why) => why,
        };
        desk.missing(&id, PanelKind::Serial, &why);
        tokio::time::sleep(LOOKS).await;
    }
}

fn find(place: &SerialPlace) -> Result<PathBuf, String> {
    match place {
        SerialPlace::Path(path) => Ok(PathBuf::from(path)),
        SerialPlace::Usb { vendor, product, serial } => {
            usb::serial_port(Path::new("/sys"), *vendor, *product, serial.as_deref())
                .ok_or_else(|| "no such USB device is plugged in".to_owned())
        }
    }
}

fn open(path: &Path) -> Result<SerialStream, String> {
    if !path.exists() {
        return Err("it is not plugged in".to_owned());
    }
    let port = tokio_serial::new(path.to_string_lossy(), BAUD).open_native_async();
    let port = port.map_err(|error| format!("it cannot be opened: {error}"))?;
    // What was pressed while nobody listened is not acted on. A line without this call has no such buffer.
    let _ = port.clear(ClearBuffer::Input);
    Ok(port)
}

/// One opening of the line.
struct Conversation<'a> {
    port: SerialStream,
    id: &'a str,
    desk: &'a mut Desk,
    link: Link,
    /// What each lamp was told last; empty: nothing.
    shown: Vec<Option<Light>>,
    unwritten: Vec<u8>,
}

impl<'a> Conversation<'a> {
    fn new(port: SerialStream, id: &'a str, desk: &'a mut Desk) -> Self {
        let link = Link::new(desk.now());
        Self { port, id, desk, link, shown: Vec::new(), unwritten: Vec::new() }
    }

    /// Until the line is gone; says why.
    async fn run(mut self) -> String {
        let mut snapshots = self.desk.snapshots();
        let mut bytes = [0; 1_024];
        let mut counted = (Counts::default(), 0);
        loop {
            self.speak();
            self.tell_counts(&mut counted);
            let now = self.desk.now();
            let rests = self.link.rests_until(now);
            let due = [Some(self.link.deadline()), self.desk.deadline(), rests].into_iter().flatten().min();
            let wait = due.unwrap_or(now).since(now);
            let (mut reader, mut writer) = tokio::io::split(&mut self.port);
            tokio::select! {
                read = reader.read(&mut bytes), if rests.is_none() => match read {
                    Ok(0) => return "it was unplugged".to_owned(),
                    Ok(count) => self.hear(&bytes[..count]),
                    Err(error) => return format!("it was unplugged ({error})"),
                },
                written = writer.write(&self.unwritten), if !self.unwritten.is_empty() => match written {
                    Ok(count) => drop(self.unwritten.drain(..count)),
                    Err(error) => return format!("it was unplugged ({error})"),
                },
                changed = snapshots.changed() => if changed.is_err() {
                    return "the box is stopping".to_owned();
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        for news in self.link.receive(self.desk.now(), bytes) {
            self.learn(news);
        }
    }

    /// Everything that is due to be said.
    fn speak(&mut self) {
        self.desk.due();
        let now = self.desk.now();
        if self.link.deadline() <= now {
            let (line, news) = self.link.tick(now);
            if let Some(line) = line.filter(|_| self.unwritten.len() < WAITING) {
                self.unwritten.extend(line.as_bytes());
            }
            if let Some(news) = news {
                self.learn(news);
            }
        }
        if self.link.is_connected() && self.unwritten.len() < WAITING {
            for (number, (light, shown)) in (1..).zip(self.desk.lamps().into_iter().zip(&mut self.shown)) {
                if shown.replace(light) != Some(light) {
                    self.unwritten.extend(ToPanel::Lamp { lamp: number, light }.line().as_bytes());
                }
            }
        }
    }

    fn learn(&mut self, news: News) {
        match news {
            News::Connected(hello) => {
                self.desk.connected(self.id, PanelKind::Serial, hello.name.as_str(), hello.keys);
                self.shown = vec![None; usize::from(hello.lamps.min(hello.keys))];
            }
            News::Unanswered { why } | News::Lost { why } => self.desk.missing(self.id, PanelKind::Serial, &why),
            News::Key { key, down } => self.desk.key(key, down),
        }
    }

    /// Adds to the panel's counters what came since the last time.
    fn tell_counts(&self, before: &mut (Counts, u64)) {
        let (then, surplus) = std::mem::replace(before, (self.link.counts(), self.link.surplus()));
        let now = self.link.counts();
        if now == then && surplus == self.link.surplus() {
            return;
        }
        let more = |now: u32, then: u32| u64::from(now - then);
        self.desk.count(|gauges| {
            gauges.lines += more(now.lines, then.lines);
            gauges.garbage += more(now.garbage, then.garbage);
            gauges.broken += more(now.broken, then.broken);
            gauges.checksum += more(now.checksum, then.checksum);
            gauges.unknown += more(now.unknown, then.unknown);
            gauges.surplus += self.link.surplus() - surplus;
        });
    }
}
