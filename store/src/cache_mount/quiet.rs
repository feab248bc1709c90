//! A cache mount that nobody uses for the moment, so that it can be read whole.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::about::{self, About};
use super::lock::try_lock_existing;
use super::settled;
use super::shelf::CacheMount;
use super::state::MountState;
use crate::error::{At as _, ReadError};
use crate::store::Store;

/// How long it is waited before a mount in use is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// The first instance of a cache mount. Steps that want it wait while this lives.
#[derive(Debug)]
pub struct QuietMount {
    folder: PathBuf,
    about: About,
    _lock: File,
}

/// Whether a mount can be read whole.
#[derive(Debug)]
pub enum Hold {
    /// Nobody uses it.
    Quiet(QuietMount),
    /// Somebody has used it for as long as there was patience.
    Busy,
    /// It is not here, or an earlier version made it, which did not say what other machines know it by.
    Nothing,
}

impl QuietMount {
    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Where it is noted what its files were.
    pub fn seen(&self) -> PathBuf {
        self.folder.with_extension("seen")
    }

    /// As what it was saved or restored, where that is noted. A step may have made something else of it since.
    pub fn state(&self) -> Option<MountState> {
        MountState::load(&self.folder.with_extension("state"))
    }

    /// Notes as what it was saved.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub(crate) fn note_state(&self, state: &MountState) -> io::Result<()> {
        state.save(&self.folder.with_extension("state"))
    }

    /// What tells it from others, on every machine.
    pub fn identity(&self) -> &str {
        &self.about.identity
    }

    /// What its steps run on.
    pub fn platform(&self) -> &str {
        &self.about.platform
    }

    /// What people call it.
    pub fn label(&self) -> &str {
        &self.about.label
    }

    /// The same for steps that run on another platform: they share the directory.
    #[must_use]
    pub fn on(mut self, platform: &str) -> Self {
        platform.clone_into(&mut self.about.platform);
        self
    }
}

impl Store {
    /// Notes as what a mount was saved, of which a step may have made something else since.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub fn note_mount_state(&self, mount: &CacheMount, state: &MountState) -> io::Result<()> {
        state.save(&self.path().join(mount.path()).join("0.state"))
    }

    /// Takes the first instance of a mount for oneself, once no step uses it.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn hold_cache_mount(
        &self,
        mount: &CacheMount,
        patience: &dyn Fn() -> bool,
    ) -> Result<Hold, ReadError> {
        let (path, folder) = (mount.path(), self.path().join(mount.path()));
        let about = about::read(&folder).reading(&path)?;
        let instance = folder.join("0");
        if about.identity.is_empty() || !instance.is_dir() {
            return Ok(Hold::Nothing);
        }
        loop {
            match try_lock_existing(&folder.join("0.lock")) {
                Ok(Some(_)) if settled::is_marked(&folder) => return Ok(Hold::Nothing),
                Ok(Some(lock)) => {
                    return Ok(Hold::Quiet(QuietMount { folder: instance, about, _lock: lock }));
                }
                Ok(None) if patience() => std::thread::sleep(PAUSE),
                Ok(None) => return Ok(Hold::Busy),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Hold::Nothing),
                Err(error) => return Err(error).reading(&path),
            }
        }
    }
}
