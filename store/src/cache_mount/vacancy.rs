//! A cache mount that is not there or empty, while it is being filled with what another machine saved.
//!
//! It is filled beside its place and put there whole: no step sees a part of it, and a crash leaves nothing.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::lock::try_lock_instance;
use super::settled;
use super::state::MountNotes;
use super::{CacheCause, CacheError, CacheSpec, Company, MAX_INSTANCES, about, make_private_dir};
use crate::store::Store;

/// A place for a cache mount. Steps that want it wait while this lives.
#[derive(Debug)]
pub struct Vacancy {
    folder: PathBuf,
    /// The instance.
    place: PathBuf,
    /// Where it is filled.
    staged: PathBuf,
    _lock: File,
}

impl Store {
    /// The place of a cache that is not there or empty, and that nobody uses.
    ///
    /// # Errors
    ///
    /// [`CacheError`] with the directory and the reason.
    pub fn vacancy(&self, spec: &CacheSpec) -> Result<Option<Vacancy>, CacheError> {
        let folder = self.cache_folder(spec);
        let found = vacancy(&folder, spec.company);
        found.map_err(|error| CacheError { path: folder, cause: error.into() })
    }
}

fn vacancy(folder: &Path, company: Company) -> io::Result<Option<Vacancy>> {
    let instances = if company == Company::Apart { MAX_INSTANCES } else { 1 };
    for number in 0..instances {
        let Some(lock) = try_lock_instance(folder, number)? else { continue };
        if number == 0 {
            settled::mend(folder)?;
        }
        let place = folder.join(number.to_string());
        if !is_vacant(&place)? {
            return Ok(None);
        }
        let staged = place.with_extension("new");
        let vacancy = Vacancy { folder: folder.to_owned(), place, staged, _lock: lock };
        vacancy.clear()?;
        return Ok(Some(vacancy));
    }
    Ok(None)
}

fn is_vacant(place: &Path) -> io::Result<bool> {
    match fs::read_dir(place) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

impl Vacancy {
    /// The directory to fill.
    pub fn path(&self) -> &Path {
        &self.staged
    }

    /// Empties the directory.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub fn clear(&self) -> io::Result<()> {
        remove(&self.staged)?;
        make_private_dir(&self.staged)
    }

    /// Makes the directory the cache mount, and keeps what is to be noted of it.
    ///
    /// # Errors
    ///
    /// [`CacheError`] with the reason; there is no mount then.
    pub fn settle(self, spec: &CacheSpec, notes: &MountNotes) -> Result<(), CacheError> {
        let MountNotes { seen, state } = notes;
        let settle = || -> Result<(), CacheCause> {
            let noted = seen.save(&self.place.with_extension("seen"));
            if let Err(error) = noted.and_then(|()| state.save(&self.place.with_extension("state")))
            {
                tracing::debug!(%error, "what was seen of a cache mount is not noted");
            }
            about::write(&self.folder, spec)?;
            Ok(fs::rename(&self.staged, &self.place)?)
        };
        settle().map_err(|cause| CacheError { path: self.place.clone(), cause })
    }
}

impl Drop for Vacancy {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.staged) {
            tracing::debug!(%error, "what was to fill a cache mount is left over");
        }
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
