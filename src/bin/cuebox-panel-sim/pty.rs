//! A pseudo-terminal in place of a serial line.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cuebox_panel::embedded_io::{Error, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

pub struct Pty {
    panel: Rc<File>,
    place: PathBuf,
    link: Option<PathBuf>,
}

impl Pty {
    pub fn open(link: Option<&Path>) -> io::Result<Self> {
        let panel = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&panel)?;
        unlockpt(&panel)?;
        let name = ptsname(&panel, Vec::new())?;
        let place = PathBuf::from(name.to_string_lossy().into_owned());
        if let Some(link) = link {
            lay_link(&place, link)?;
        }
        Ok(Self { panel: Rc::new(File::from(panel)), place, link: link.map(Path::to_owned) })
    }

    /// What the box's configuration may name.
    pub fn place(&self) -> &Path {
        self.link.as_deref().unwrap_or(&self.place)
    }

    pub fn line(&self) -> Line {
        Line(self.panel.clone())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            let _ = std::fs::remove_file(link);
        }
    }
}

/// Replaces a link that was left behind, and nothing else.
fn lay_link(place: &Path, link: &Path) -> io::Result<()> {
    if link.is_symlink() {
        std::fs::remove_file(link)?;
    }
    if let Some(folder) = link.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    std::os::unix::fs::symlink(place, link)
        .map_err(|error| io::Error::new(error.kind(), format!("{} cannot be made: {error}", link.display())))
}

/// The panel's end of the line.
pub struct Line(Rc<File>);

impl Line {
    fn is_ready(&self, what: PollFlags) -> io::Result<bool> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut watched = [PollFd::new(&*self.0, what)];
        match poll(&mut watched, Some(&now)) {
            Ok(_) => Ok(watched[0].revents().intersects(what)),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The line's error, as the firmware may meet it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LineError(#[from] io::Error);

impl Error for LineError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl From<LineError> for io::Error {
    fn from(error: LineError) -> Self {
        error.0
    }
}

impl ErrorType for Line {
    type Error = LineError;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, LineError> {
        Ok(self.is_ready(PollFlags::IN)?)
    }
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, LineError> {
        Ok((&*self.0).read(into)?)
    }
}

impl WriteReady for Line {
    fn write_ready(&mut self) -> Result<bool, LineError> {
        Ok(self.is_ready(PollFlags::OUT)?)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, LineError> {
        Ok((&*self.0).write(bytes)?)
    }

    fn flush(&mut self) -> Result<(), LineError> {
        Ok(())
    }
}
