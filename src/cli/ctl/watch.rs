//! `ctl watch`: the status table, live.
//!
//! Reads the event stream and keeps a document of its own. On a terminal the table is redrawn in place; else, or with
//! `--json`, each event is printed as a line. What is shown is never older than it looks: without an event for
//! [`STALE`], or without a connection, the table says so until it is current again.
//!
//! | state | shown | leaves it by |
//! |---|---|---|
//! | joining, for the first time | nothing | a failure (exit 1) or the snapshot |
//! | current | the table | no event for [`STALE`], the connection's end |
//! | stale | the table, marked | an event, a new connection |

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use cuebox_core::document::{Document, delta};
use futures_util::StreamExt as _;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use crate::cli::Failure;

use super::client::{Client, Events};
use super::table;
use super::text::{Line, Paint, Span, dim};

/// Two heartbeats and a half.
const STALE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);
/// Seconds in the table go on without events.
const REDRAW: Duration = Duration::from_secs(1);
/// A burst of events is drawn once.
const SETTLE: Duration = Duration::from_millis(40);

pub(super) async fn run(client: &Client, json: bool) -> Result<(), Failure> {
    let mut end = End::new()?;
    // A box that is not there at all is told at once; one that goes away later is waited for.
    let mut joined = Some(client.events().await?);
    let mut view = View::new(json || !io::stdout().is_terminal())?;
    loop {
        let lost = match joined.take() {
            Some(events) => match follow(events, &mut view, &mut end).await? {
                ControlFlow::Break(()) => return Ok(()),
                ControlFlow::Continue(lost) => lost,
            },
            None => match end.unless_asked(&mut view, client.events()).await? {
                None => return Ok(()),
                Some(Ok(events)) => {
                    joined = Some(events);
                    continue;
                }
                Some(Err(error)) => error.to_string(),
            },
        };
        view.lose(lost)?;
        if end.unless_asked(&mut view, sleep(RETRY)).await?.is_none() {
            return Ok(());
        }
    }
}

/// Follows one connection; gives why it was lost.
async fn follow(mut events: Events, view: &mut View, end: &mut End) -> Result<ControlFlow<(), String>, Failure> {
    let mut heard = Instant::now();
    let mut redraw = Instant::now() + REDRAW;
    loop {
        let stale_at = heard + STALE;
        tokio::select! {
            _ = end.interrupt.recv() => return Ok(ControlFlow::Break(())),
            _ = end.terminate.recv() => return Ok(ControlFlow::Break(())),
            _ = end.resized.recv() => redraw = Instant::now(),
            received = events.next() => match received {
                Some(Ok(Message::Text(text))) => {
                    heard = Instant::now();
                    redraw = redraw.min(heard + SETTLE);
                    if view.take(&text)?.is_break() {
                        return Ok(ControlFlow::Continue("an event was lost; reading anew".to_owned()));
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map(|frame| frame.reason.to_string()).filter(|reason| !reason.is_empty());
                    return Ok(ControlFlow::Continue(reason.unwrap_or_else(|| "the box closed the connection".to_owned())));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Ok(ControlFlow::Continue(format!("connection lost: {error}"))),
                None => return Ok(ControlFlow::Continue("connection lost".to_owned())),
            },
            () = sleep_until(stale_at) => return Ok(ControlFlow::Continue(
                format!("the box said nothing for {} s", STALE.as_secs()))),
            () = sleep_until(redraw) => {
                view.draw()?;
                redraw = Instant::now() + REDRAW;
            }
        }
    }
}

/// What ends or redraws the view from outside.
struct End {
    interrupt: Signal,
    terminate: Signal,
    resized: Signal,
}

impl End {
    fn new() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|error| Failure::Failed(format!("no signals: {error}")));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            resized: on(SignalKind::window_change())?,
        })
    }

    /// Waits for `what` while the view goes on; `None`: the end was asked for before.
    async fn unless_asked<T>(&mut self, view: &mut View, what: impl Future<Output = T>) -> Result<Option<T>, Failure> {
        let mut what = pin!(what);
        loop {
            tokio::select! {
                done = what.as_mut() => return Ok(Some(done)),
                _ = self.interrupt.recv() => return Ok(None),
                _ = self.terminate.recv() => return Ok(None),
                _ = self.resized.recv() => view.draw()?,
                () = sleep(REDRAW) => view.draw()?,
            }
        }
    }
}

/// What is known, and how it is shown.
struct View {
    document: Value,
    /// When `document` was right to the second.
    as_of: Instant,
    /// Why it is not current.
    lost: Option<String>,
    screen: Option<Screen>,
}

impl View {
    fn new(lines: bool) -> Result<Self, Failure> {
        let screen = if lines { None } else { Some(Screen::enter()?) };
        Ok(Self { document: Value::Null, as_of: Instant::now(), lost: None, screen })
    }

    /// Takes an event over. `Break`: one is missing before it.
    fn take(&mut self, text: &str) -> Result<ControlFlow<()>, Failure> {
        if self.screen.is_none() {
            writeln!(io::stdout(), "{text}")?;
        }
        let Ok(event) = serde_json::from_str::<Value>(text) else { return Ok(ControlFlow::Break(())) };
        let now = Instant::now();
        delta::age(&mut self.document, now.duration_since(self.as_of).as_secs_f64());
        self.as_of = now;
        if !delta::apply(&mut self.document, &event) {
            return Ok(ControlFlow::Break(()));
        }
        self.lost = None;
        Ok(ControlFlow::Continue(()))
    }

    fn lose(&mut self, why: String) -> Result<(), Failure> {
        if self.screen.is_none() && self.lost.is_none() {
            writeln!(io::stderr(), "{why}")?;
        }
        self.lost = Some(why);
        self.draw()
    }

    fn draw(&mut self) -> Result<(), Failure> {
        let Some(screen) = &self.screen else { return Ok(()) };
        let mut aged = self.document.clone();
        delta::age(&mut aged, self.as_of.elapsed().as_secs_f64());
        let mut lines = match Document::deserialize(&aged) {
            Ok(document) => table::lines(&document),
            Err(_) if self.document.is_null() => Vec::new(),
            Err(error) => vec![Line(vec![Span::new(Paint::Bad, format!("the box is of another version: {error}"))])],
        };
        match &self.lost {
            Some(why) => {
                let age = format!(" STALE for {} ", table::span_of_time(self.as_of.elapsed().as_secs_f64()));
                lines.insert(0, Line(vec![Span::new(Paint::Alarm, age), Span::new(Paint::Bad, format!(" {why}"))]));
            }
            None => lines.extend([Line::default(), Line(vec![dim("Ctrl-C ends")])]),
        }
        Ok(screen.show(&lines)?)
    }
}

/// The terminal's second screen, left as it was found.
struct Screen {
    coloured: bool,
}

impl Screen {
    fn enter() -> io::Result<Self> {
        write_now("\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J")?;
        Ok(Self { coloured: super::coloured() })
    }

    /// Draws over what is there, line by line, so that nothing flickers.
    fn show(&self, lines: &[Line]) -> io::Result<()> {
        let (width, height) = size();
        let mut text = String::from("\x1b[H");
        for (row, line) in lines.iter().take(height).enumerate() {
            if row > 0 {
                text.push_str("\r\n");
            }
            text.push_str(&line.print(Some(width), self.coloured));
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        write_now(&text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = write_now("\x1b[?25h\x1b[?1049l");
    }
}

fn write_now(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Columns and rows of the terminal; 80 × 24 where it does not tell.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        Ok(_) | Err(_) => (80, 24),
    }
}
