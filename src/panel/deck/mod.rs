//! Stream Decks: plugged in, they work. Every key shows what it does, the camera's name, its state, and its tally colour
//! behind them.
//!
//! A Stream Deck has no time-out of its own: when the box dies, its last pictures stay. When the box ends in order it
//! goes dark before.

mod face;
mod hidraw;
mod model;
mod picture;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cuebox_core::status::PanelKind;
use cuebox_panel::light::{FAST_MS, Pattern};
use tokio::task::JoinHandle;

use super::desk::Desk;
use face::Face;
use hidraw::Hidraw;
use model::Model;

/// Percent.
const BRIGHTNESS: u8 = 70;
/// Half a fast blink: keys change at multiples of it.
const BEAT_MS: u32 = FAST_MS / 2;

/// A deck that was found.
pub(super) struct Deck {
    device: Arc<Hidraw>,
    model: &'static Model,
    pub id: String,
}

/// HID devices that are there.
pub(super) fn nodes() -> Vec<PathBuf> {
    hidraw::nodes()
}

/// A known model's name and place, and why it cannot be opened.
pub(super) fn known(node: &Path) -> Option<(&'static str, String, Option<String>)> {
    let identity = hidraw::identity(node)?;
    let model = model::find(identity.vendor, identity.product)?;
    let why = std::fs::File::options().read(true).write(true).open(&identity.device).err();
    Some((model.name, identity.place, why.map(|error| error.to_string())))
}

/// Opens the device, if it is a deck of a known model.
pub(super) fn open(node: &Path) -> Option<Deck> {
    let identity = hidraw::identity(node)?;
    let model = model::find(identity.vendor, identity.product)?;
    match Hidraw::open(&identity.device) {
        Ok(device) => Some(Deck { device: Arc::new(device), model, id: identity.place }),
        Err(error) => {
            tracing::warn!(device = %identity.device.display(), "a Stream Deck cannot be opened: {error}");
            None
        }
    }
}

/// Serves the deck until it is gone; gives the desk back.
pub(super) async fn serve(deck: Deck, mut desk: Desk) -> (String, Desk) {
    desk.connected(&deck.id, PanelKind::StreamDeck, deck.model.name, deck.model.keys);
    let why = deck.run(&mut desk).await;
    desk.missing(&deck.id, PanelKind::StreamDeck, &why);
    (deck.id.clone(), desk)
}

impl Deck {
    async fn run(&self, desk: &mut Desk) -> String {
        if let Err(error) = self.device.feature(&self.model.brightness(BRIGHTNESS)) {
            return format!("it was unplugged ({error})");
        }
        let mut snapshots = desk.snapshots();
        let mut down = vec![false; usize::from(self.model.keys)];
        let mut shown: Vec<Option<Face>> = vec![None; down.len()];
        // A whole key takes milliseconds to be written, so that is not done here.
        let mut writing: Option<JoinHandle<std::io::Result<()>>> = None;
        let mut report = [0; 512];
        loop {
            desk.due();
            let now = desk.now();
            let now_ms = u32::try_from(now.as_nanos() / 1_000_000 % (1 << 32)).unwrap_or_default();
            let lamps = desk.lamps();
            if writing.is_none() {
                writing = self.show(face::faces(desk.status().as_ref(), desk.layout(), &lamps, now_ms), &mut shown);
            }
            let blinks = lamps.iter().any(|light| light.pattern != Pattern::Steady);
            let beat = blinks.then(|| Duration::from_millis(u64::from(BEAT_MS - now_ms % BEAT_MS)));
            let held = desk.deadline().map(|at| at.since(now));
            let wait = beat.into_iter().chain(held).min().unwrap_or(Duration::from_secs(60));
            tokio::select! {
                read = self.device.read(&mut report) => match read {
                    Ok(count) => self.take(report.get(..count).unwrap_or_default(), &mut down, desk),
                    Err(error) => return format!("it was unplugged ({error})"),
                },
                written = async { writing.as_mut()?.await.ok() }, if writing.is_some() => {
                    writing = None;
                    if let Some(Err(error)) = written {
                        return format!("it was unplugged ({error})");
                    }
                }
                changed = snapshots.changed() => if changed.is_err() {
                    return "the box is stopping".to_owned();
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn take(&self, report: &[u8], down: &mut [bool], desk: &mut Desk) {
        let Some(now) = self.model.keys_down(report) else { return };
        for (number, (before, now)) in (1..).zip(down.iter_mut().zip(now)) {
            if std::mem::replace(before, now) != now {
                desk.key(number, now);
            }
        }
    }

    /// Begins to write the keys that changed.
    fn show(&self, faces: Vec<Face>, shown: &mut [Option<Face>]) -> Option<JoinHandle<std::io::Result<()>>> {
        let mut changed = Vec::new();
        for (key, (face, shown)) in (0..).zip(faces.into_iter().zip(shown)) {
            if shown.as_ref() != Some(&face) {
                changed.push((key, face.clone()));
                *shown = Some(face);
            }
        }
        if changed.is_empty() {
            return None;
        }
        let (device, model) = (self.device.clone(), self.model);
        Some(tokio::task::spawn_blocking(move || {
            for (key, face) in changed {
                let picture = picture::encoded(&face, model).map_err(std::io::Error::other)?;
                for report in model.picture_reports(key, &picture) {
                    device.write(&report)?;
                }
            }
            Ok(())
        }))
    }
}

impl Drop for Deck {
    fn drop(&mut self) {
        // A deck that is gone does not need it.
        let _ = self.device.feature(&self.model.brightness(0));
    }
}
