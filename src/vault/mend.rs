//! Makes a recording that was cut short playable again, or takes it out of the way.

use std::fs::File;
use std::path::Path;

use super::disk::{self, Disk, DiskError};
use super::mp4::{self, Content, Verdict};

/// A file without a whole fragment holds less than this: its first fragment is half a second (3 MB at 50 Mbit/s)
/// and the muxer waits for at most two. A larger file that cannot be read is kept aside for someone to look at.
const LARGEST_LOSS_BYTES: u64 = 16 << 20;

/// The name that an unreadable file gets: `0001.mp4.unreadable`.
pub const ASIDE: &str = "unreadable";

#[derive(Debug, PartialEq, Eq)]
pub enum Mended {
    /// It plays.
    Plays {
        content: Content,
        bytes: u64,
        /// It was finished in order, nothing is missing.
        finished: bool,
        cut_bytes: u64,
    },
    /// It held nothing that plays and is gone.
    Removed { why: &'static str },
    /// It cannot be played, but it is too large to be thrown away unseen.
    PutAside { why: &'static str },
}

/// Examines the file and mends it durably. Mending a mended file changes nothing.
///
/// # Errors
/// When the disk refuses; the file is then as it was or mended.
pub fn mend(disk: &Disk, path: &Path) -> disk::Result<Mended> {
    let wrong = |what| move |source| DiskError { what, path: path.to_owned(), source };
    let mut file = File::options().read(true).write(true).open(path).map_err(wrong("open"))?;
    let size = file.metadata().map_err(wrong("read"))?.len();
    match mp4::examine(&mut file).map_err(wrong("read"))? {
        Verdict::Finished(content) => Ok(Mended::Plays { content, bytes: size, finished: true, cut_bytes: 0 }),
        Verdict::Fragmented { content, keep, hidden_index } => {
            if let Some(at) = hidden_index {
                disk.write_at(&mut file, path, at, b"moov")?;
            }
            if keep < size {
                disk.cut(&file, path, keep)?;
            }
            Ok(Mended::Plays { content, bytes: keep, finished: false, cut_bytes: size.saturating_sub(keep) })
        }
        Verdict::Unplayable { why } if size > LARGEST_LOSS_BYTES => {
            let mut name = path.as_os_str().to_owned();
            name.push(".");
            name.push(ASIDE);
            disk.rename(path, Path::new(&name))?;
            Ok(Mended::PutAside { why })
        }
        Verdict::Unplayable { why } => {
            disk.remove(path)?;
            Ok(Mended::Removed { why })
        }
    }
}
