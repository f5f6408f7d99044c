//! Starts every shell in order and ties them to the loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuebox_core::board::Board;
use cuebox_core::command::{Answer, Envelope, Origin};
use cuebox_core::config::HttpConfig;
use cuebox_core::crashes::{Crashes, Part};
use cuebox_core::director::{Director, Event};
use cuebox_core::document::{Life, Snapshot};
use cuebox_core::edid::Preferred;
use cuebox_core::grid::Grid;
use cuebox_core::ids::{CommandId, ShowId, Track};
use cuebox_core::panel::PanelConfig;
use cuebox_core::status::Gauges;
use cuebox_core::time::Mono;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::apart::Apart;
use super::banner::Banner;
use super::cycle::{Cycle, Order};
use super::journal::{self, Keeper};
use super::{Job, RunError, fault};
use crate::console::{Answers, Console, ConsoleHandle, Deps, Shows, SubmitError};
use crate::devices::{self, DeviceWatch};
use crate::media::{self, Media, timing::ShowFormat};
use crate::mounts::Place;
use crate::panel::{self, Panels};
use crate::platform::Platform;
use crate::remote::{self, Remote};
use crate::supervise::crash::CrashRecord;
use crate::supervise::service::ServiceManager;
use crate::supervise::{board, clock, machine};
use crate::vault::{VaultConfig, VaultHandle, VaultReader, boot_id};

/// What the console may take to tell its readers that it goes.
const FAREWELL: Duration = Duration::from_millis(300);

/// `CLOCK_MONOTONIC`, which GStreamer's system clock is as well.
pub fn now() -> Mono {
    let time = clock_gettime(ClockId::Monotonic);
    let whole = u64::try_from(time.tv_sec).unwrap_or_default().saturating_mul(1_000_000_000);
    Mono(whole.saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default()))
}

/// Brings the box up. Nothing is waited for that a show does not need: encoders are probed and devices looked at while
/// the program runs already.
pub fn start(job: Job) -> Result<Cycle, RunError> {
    let started = now();
    media::requirements::check().map_err(RunError::Missing)?;
    let config = job.config;
    let data_dir = PathBuf::from(&config.data_dir);
    let (sender, events) = mpsc::unbounded_channel();

    let boot = boot_id().unwrap_or_default();
    let vault_config = VaultConfig {
        data_dir: data_dir.clone(),
        require_mount: config.record.require_mount,
        second_dir: config.record.second_dir.clone().map(PathBuf::from),
        box_id: config.box_id.clone(),
        boot: boot.clone(),
    };
    let wall = clock::read();
    let _ = sender.send(Event::ClockRead(wall));
    let clocks = sender.clone();
    Handle::current().spawn(clock::watch(wall, now, move |wall| clocks.send(Event::ClockRead(wall)).is_ok()));
    let heat = sender.clone();
    let slowed = move |why| heat.send(Event::MachineSlowed { why }).is_ok();
    Handle::current().spawn(machine::watch(PathBuf::from("/"), machine::LOOKS, slowed));
    let (vault, recovery) = VaultHandle::open(vault_config, sender.clone())?;
    for note in &recovery.notes {
        tracing::warn!("recovery: {note}");
    }
    let program = &config.program;
    let format = ShowFormat { width: program.width, height: program.height, grid: Grid::new(program.fps) };
    let credentials = Arc::new(Platform::start(Handle::current(), &config.box_id, clock::read));
    let media = Arc::new(Media::start(format, data_dir.clone(), credentials, sender.clone())?);
    let place = Place::new(data_dir.clone(), config.record.require_mount);
    probe_encoders(place.clone(), sender.clone())?;
    let devices = devices::watch(sender.clone(), Preferred::for_show(program.fps))?;

    let crashes = CrashRecord::begin(&boot, now(), &config);
    let mut director = Director::new(config.clone(), seed(), started);
    let before = journal::process_before(&data_dir);
    if let Some(settings) = before.settings {
        director.restore(settings);
    }
    director.remember(before.commands);
    leave_out(&mut director, crashes.crashes());
    let shown = Arc::new(director.status());
    let (snapshots, newest) = watch::channel(Snapshot { status: shown.clone(), gauges: Arc::new(Gauges::default()) });
    let journal = Keeper::start(place, &director, started, sender.clone()).map_err(RunError::Runtime)?;
    let life = Life { boot: uuid::Uuid::now_v7().to_string(), version: env!("CARGO_PKG_VERSION").to_owned(), started };
    let faults = fault::allowed();
    let answers = Answers::default();
    let has = |part: &Part| !crashes.crashes().left_out().any(|out| out == part);
    let no_panels = PanelConfig::default();
    let panels = if has(&Part::Panels) { &config.panel } else { &no_panels };
    let panels_apart = Apart::start("panel").map_err(RunError::Runtime)?;
    let panels = panels_apart.within(|| Panels::start(panels, &panel_deps(newest.clone(), &sender)));
    let deps = Deps {
        life,
        clock: if faults { fault::clock } else { now },
        snapshots: newest,
        submit: submit(sender.clone()),
        answers: answers.clone(),
        picture: picture(media.clone()),
        shows: Arc::new(Recorded(vault.reader())),
    };
    let console = Some(Console::start(&config.http, deps.clone())?);
    let mqtt = config.mqtt.clone().filter(|_| has(&Part::Mqtt));
    let connect = |mqtt| {
        let apart = Apart::start("mqtt")?;
        let remote = apart.within(|| Remote::start(mqtt, remote_deps(&config.box_id, &deps, sender.clone())));
        Ok((remote, apart))
    };
    let remote = mqtt.map(connect).transpose().map_err(RunError::Runtime)?;
    let surfaces = Surfaces {
        http: config.http.clone(),
        deps,
        console,
        answers,
        panels,
        remote,
        _devices: devices,
        _panels_apart: panels_apart,
    };
    let banner = Banner::new(&config, job.file);
    Ok(Cycle {
        director,
        events,
        sender,
        media,
        vault,
        journal,
        surfaces,
        snapshots,
        banner,
        reload: job.reload,
        change: job.patch,
        service: ServiceManager::from_environment(),
        faults,
        given: None,
        shown,
        free_bytes: 0,
        ending: None,
        order: Order::default(),
        crashes,
    })
}

/// What the box crashed in again and again is not started.
fn leave_out(director: &mut Director, crashes: &Crashes) {
    for part in crashes.left_out() {
        tracing::error!("{part} is left out: the box crashed in it again and again");
    }
    director.leave_out(crashes.left_out().cloned());
    if let Some(marks) = crashes.unexplained() {
        tracing::error!(marks, "the box crashes again and again, and there is nothing to leave out");
        director.crashes_unexplained(marks);
    }
}

/// Surfaces that can be started again while the show goes on.
pub struct Surfaces {
    http: HttpConfig,
    deps: Deps,
    console: Option<ConsoleHandle>,
    pub answers: Answers,
    remote: Option<(Remote, Apart)>,
    pub panels: Panels,
    _devices: DeviceWatch,
    _panels_apart: Apart,
}

impl Surfaces {
    /// Resolves when the console broke.
    pub async fn broken(&mut self) -> String {
        match &mut self.console {
            Some(console) => console.broken().await.to_string(),
            None => std::future::pending().await,
        }
    }

    /// A new console in place of the broken one, which lets go of its sockets first.
    pub async fn restart(&mut self) -> Result<(), RunError> {
        if let Some(broken) = self.console.take() {
            broken.shutdown(FAREWELL).await;
        }
        self.console = Some(Console::start(&self.http, self.deps.clone())?);
        Ok(())
    }

    /// Tells whoever sent a command of this origin, from any thread.
    pub fn answerer(&self, origin: Origin) -> impl FnOnce(&CommandId, Answer) + Send + use<> {
        let (answers, remote) = (self.answers.clone(), self.remote.as_ref().map(|(remote, _)| remote.answers()));
        move |id: &CommandId, answer| match origin {
            Origin::Local | Origin::Http => answers.resolve(id, answer),
            Origin::Mqtt => {
                if let Some(remote) = remote {
                    remote.resolve(id, answer);
                }
            }
            Origin::Panel => {}
        }
    }

    pub async fn shutdown(self) {
        if let Some((remote, _apart)) = self.remote {
            remote.shutdown(FAREWELL).await;
        }
        if let Some(console) = self.console {
            console.shutdown(FAREWELL).await;
        }
    }
}

fn remote_deps(box_id: &str, console: &Deps, sender: mpsc::UnboundedSender<Event>) -> remote::Deps {
    remote::Deps {
        box_id: box_id.to_owned(),
        life: console.life.clone(),
        clock: console.clock,
        wall: clock::read,
        snapshots: console.snapshots.clone(),
        tell: Arc::new(move |event| sender.send(event).is_ok()),
    }
}

fn panel_deps(snapshots: watch::Receiver<Snapshot>, sender: &mpsc::UnboundedSender<Event>) -> panel::Deps {
    let (submit, report, broke) = (sender.clone(), sender.clone(), sender.clone());
    panel::Deps {
        clock: now,
        snapshots,
        // A loop that has ended takes nothing, and needs nothing.
        submit: Arc::new(move |envelope| drop(submit.send(Event::Commanded(envelope)))),
        report: Arc::new(move |told| drop(report.send(Event::PanelTold(told)))),
        broke: Arc::new(move || drop(broke.send(Event::ShellRestarted { shell: "panel".to_owned() }))),
    }
}

fn submit(sender: mpsc::UnboundedSender<Event>) -> Arc<dyn Fn(Envelope) -> Result<(), SubmitError> + Send + Sync> {
    Arc::new(move |envelope| sender.send(Event::Commanded(envelope)).map_err(|_| SubmitError::Stopping))
}

fn picture(media: Arc<Media>) -> Arc<dyn Fn(Track) -> Option<Arc<[u8]>> + Send + Sync> {
    Arc::new(move |track| match track {
        Track::Program => media.snapshot(None),
        Track::Slot(slot) => media.snapshot(Some(slot)),
    })
}

/// Takes up to some seconds with a driver that hangs, so it has a thread of its own.
fn probe_encoders(data_dir: Place, sender: mpsc::UnboundedSender<Event>) -> Result<(), RunError> {
    let board = Board::detect(&board::machine())?;
    let probe = move || {
        let cache = data_dir.is_there().then(|| data_dir.folder().join("encoders.json"));
        let encoders = media::encode::probe(&board.id, board.encoder_candidates(), cache.as_deref());
        let _ = sender.send(Event::EncodersProbed(encoders));
    };
    std::thread::Builder::new().name("probe".to_owned()).spawn(probe).map_err(RunError::Runtime)?;
    Ok(())
}

/// Different in every run, so that boxes that lost the same server do not come back to it in step.
fn seed() -> u64 {
    let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
    high ^ low
}

/// The vault's shows, as the console serves them.
struct Recorded(VaultReader);

impl Shows for Recorded {
    fn list(&self) -> Result<Value, String> {
        let shows = self.0.shows().map_err(|error| error.to_string())?;
        serde_json::to_value(shows).map_err(|error| error.to_string())
    }

    fn show(&self, id: &ShowId) -> Result<Option<Value>, String> {
        let show = self.0.show(id).map_err(|error| error.to_string())?;
        show.map(serde_json::to_value).transpose().map_err(|error| error.to_string())
    }
}
