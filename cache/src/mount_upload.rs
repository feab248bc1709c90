//! Cache mounts to a cache: only what has changed since it was saved last.

use std::fmt;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use wythe_store::cache_backend::{CacheBackend, CacheError};
use wythe_store::cache_mount::quiet::Hold;
use wythe_store::cache_mount::shelf::CacheMount;
use wythe_store::error::ReadError;
use wythe_store::lease::Lease;
use wythe_store::patience::{Late, Patience};
use wythe_store::portable_mount::save::{SaveMountError, SentMount, gather, previous};
use wythe_store::timestamp::Timestamp;

/// A cache mount that is to be saved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WantedMount {
    /// Which of the store's.
    pub mount: CacheMount,
    /// What it is called in messages.
    pub label: String,
    /// For steps on which platform; steps on others share its directory.
    pub platform: String,
}

/// Where cache mounts go, and how.
pub struct MountUpload<'a> {
    /// Has a place for what is on its way.
    pub lease: &'a Lease,
    /// The cache.
    pub backend: Arc<dyn CacheBackend>,
    /// How the store's ids are mapped.
    pub idmap: &'a [u8],
    /// When it is.
    pub now: Timestamp,
    /// How long each exchange with the cache may take, and how long a mount in use is waited for.
    pub patience: Patience,
}

impl fmt::Debug for MountUpload<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MountUpload")
            .field("backend", &self.backend.name())
            .finish_non_exhaustive()
    }
}

/// What became of the mounts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UploadedMounts {
    /// Those of which the cache lacked something.
    pub sent: Vec<(String, SentMount)>,
    /// Those that were in use all the time.
    pub busy: Vec<String>,
    /// Those that are not here, or that no step has opened since an earlier version made them.
    pub absent: Vec<String>,
}

/// A cache mount that was not saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountUploadError {
    /// The cache could not do what it was asked for.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The mount could not be read or packed.
    #[error("cannot save cache mount {label}")]
    Save {
        /// What it is called.
        label: String,
        /// Why.
        #[source]
        error: SaveMountError,
    },
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no room in the store for what is on its way.
    #[error("cannot write to the store")]
    Work(#[source] io::Error),
    /// The cache was not waited for any longer.
    #[error(transparent)]
    Late(#[from] Late),
}

impl MountUpload<'_> {
    /// Saves mounts, each while no step uses it. Reads and packs on the threads of the rayon pool that it is called in.
    ///
    /// # Errors
    ///
    /// If the cache or the store fails, or the cache takes too long; what was written before stays.
    pub fn run(&self, wanted: &[WantedMount]) -> Result<UploadedMounts, MountUploadError> {
        let mut uploaded = UploadedMounts::default();
        for (number, one) in wanted.iter().enumerate() {
            let work = self.lease.work_dir().join(format!("mount-{number}"));
            fs::create_dir(&work).map_err(MountUploadError::Work)?;
            let saved = self.save(one, &work, &mut uploaded);
            // What is left of it goes with the lease.
            let _ = fs::remove_dir_all(&work);
            saved?;
        }
        if !uploaded.sent.is_empty() {
            let backend = self.backend.clone();
            self.patience.wait_for(&*self.backend, move || backend.finish())??;
        }
        Ok(uploaded)
    }

    fn save(
        &self,
        wanted: &WantedMount,
        work: &std::path::Path,
        uploaded: &mut UploadedMounts,
    ) -> Result<(), MountUploadError> {
        let (store, label, begun) = (self.lease.store(), wanted.label.clone(), Instant::now());
        let mount =
            match store.hold_cache_mount(&wanted.mount, &|| self.patience.left(begun).is_ok())? {
                Hold::Quiet(mount) => mount.on(&wanted.platform),
                Hold::Busy => {
                    uploaded.busy.push(label);
                    return Ok(());
                }
                Hold::Nothing => {
                    uploaded.absent.push(label);
                    return Ok(());
                }
            };
        let (identity, platform) = (mount.identity().to_owned(), wanted.platform.clone());
        let backend = self.backend.clone();
        let noted = mount.state();
        let known = self.patience.wait_for(&*self.backend, move || {
            previous(&*backend, (&identity, &platform), noted)
        })??;
        let gathered = gather(&mount, known, (work, self.idmap, self.now));
        // Steps need not wait for the line.
        drop(mount);
        let gathered =
            gathered.map_err(|error| MountUploadError::Save { label: label.clone(), error })?;
        let Some(gathered) = gathered else { return Ok(()) };
        let (backend, state) = (self.backend.clone(), gathered.state().clone());
        let sent = self.patience.wait_for(&*self.backend, move || gathered.send(&*backend))??;
        if let Err(error) = store.note_mount_state(&wanted.mount, &state) {
            tracing::debug!(%error, "as what a cache mount was saved is not noted");
        }
        uploaded.sent.push((label, sent));
        Ok(())
    }
}
