//! The shows of a data folder, for whoever has no running box to ask: the disk of a box that is off, or in another
//! machine.

use std::path::Path;
use std::time::Duration;

use cuebox_core::director::{Event, VaultFact, VaultOp};
use cuebox_core::ids::ShowId;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::vault::{VaultConfig, VaultError, VaultHandle, VaultReader, boot_id};

/// What is being removed is removed within this: a large show has thousands of files.
const REMOVES: Duration = Duration::from_secs(60);

/// A data folder, opened without a box.
pub struct Shows {
    reader: VaultReader,
    /// `None`: a running box owns the folder, and it is only read.
    own: Option<(VaultHandle, UnboundedReceiver<Event>)>,
    /// What a crash had left and was mended.
    pub mended: Vec<String>,
}

impl Shows {
    /// Opens the folder and recovers what a crash has left in it, as a box does when it starts. A folder that a running
    /// box owns is only read.
    ///
    /// # Errors
    /// In words, when there is no such folder or it cannot be used.
    pub fn open(data_dir: &Path, box_id: &str) -> Result<Self, String> {
        if !data_dir.join("shows").is_dir() {
            return Err(format!("{} holds no shows", data_dir.display()));
        }
        let reader = VaultReader::new(data_dir, None);
        let (facts, mut told) = unbounded_channel();
        let config = VaultConfig {
            data_dir: data_dir.to_owned(),
            second_dir: None,
            require_mount: false,
            box_id: box_id.to_owned(),
            boot: boot_id().unwrap_or_default(),
        };
        let (handle, recovery) = match VaultHandle::open(config, facts) {
            Ok(opened) => opened,
            Err(VaultError::Locked { .. }) => return Ok(Self { reader, own: None, mended: Vec::new() }),
            Err(error @ VaultError::Thread(_)) => return Err(error.to_string()),
        };
        while let Ok(event) = told.try_recv() {
            if let Event::Vault(VaultFact::Unwritable { why }) = event {
                return Err(why);
            }
        }
        Ok(Self { reader, own: Some((handle, told)), mended: recovery.notes })
    }

    /// Newest first.
    ///
    /// # Errors
    /// In words, when they cannot be read.
    pub fn list(&self) -> Result<Value, String> {
        let shows = self.reader.shows().map_err(|error| error.to_string())?;
        serde_json::to_value(shows).map_err(|error| error.to_string())
    }

    /// One show with its segments and its timeline; `None`: there is no such show.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    pub fn show(&self, id: &str) -> Result<Option<Value>, String> {
        let show = self.reader.show(&ShowId::new(id)).map_err(|error| error.to_string())?;
        show.map(serde_json::to_value).transpose().map_err(|error| error.to_string())
    }

    /// Removes a show with all its files.
    ///
    /// # Errors
    /// In words: there is none of that id, a running box owns the folder, or the disk refuses.
    pub fn delete(&mut self, id: &str) -> Result<(), String> {
        if self.show(id)?.is_none() {
            return Err(format!("there is no show {id}"));
        }
        let Some((handle, told)) = &mut self.own else {
            return Err(format!("a box is running: cuebox ctl show delete {id}"));
        };
        handle.submit(VaultOp::RemoveShow { show: ShowId::new(id) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|e| e.to_string())?;
        let removed = runtime.block_on(tokio::time::timeout(REMOVES, async {
            while let Some(event) = told.recv().await {
                if let Event::Vault(VaultFact::Unwritable { why }) = event {
                    return Err(why);
                }
                if let Event::Vault(VaultFact::ShowRemoved { show }) = event
                    && show.as_str() == id
                {
                    return Ok(());
                }
            }
            Err("the vault has ended".to_owned())
        }));
        removed.unwrap_or_else(|_| Err("it takes too long; it goes on when the box starts".to_owned()))
    }
}
