//! Cache mounts: directories that outlive a build, one per identity, shared as the step asks.
//!
//! ```text
//! caches/<identity>/0          the directory that shared and locked mounts use
//! caches/<identity>/0.lock     held by whoever uses 0: together by shared mounts, else alone
//! caches/<identity>/1 …        further instances for private mounts
//! caches/<identity>/0.seen     what its files were when it was last saved or restored
//! caches/<identity>/0.state    as what it was last saved or restored
//! caches/<identity>/0.new      what is restored, until it is whole
//! caches/<identity>/0.changing there while what was restored is put in place of what was there
//! caches/<identity>/about      what people call it
//! caches/<identity>/identity   what other machines know it by
//! ```
//!
//! Whoever holds a lock has made sure that its file still has its name: a lock on a file that was
//! removed guards nothing. So a cache that nobody uses can be removed whole, lock files included.

mod about;
mod lock;
pub mod quiet;
pub mod settled;
pub mod shelf;
pub mod state;
pub mod vacancy;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::cache_mount::lock::{Turn, lock_instance, try_lock_instance};
use crate::id::CacheKey;
use crate::last_use::Used;
use crate::live::owner::give;
use crate::store::Store;
use crate::tree::entry::Metadata;

/// The most instances of one private cache. Each is a directory that stays; more steps than this
/// at once would fill a disk for nothing.
const MAX_INSTANCES: usize = 64;

/// A cache that a step asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CacheSpec {
    /// What tells it from others: its id, and whatever else makes it another cache.
    pub identity: Vec<u8>,
    /// What tells it from others on every machine, in which the owners of files have no numbers of this one.
    pub portable: String,
    /// Who may use it at the same time.
    pub company: Company,
    /// Mode of a new directory.
    pub mode: u32,
    /// Owner of a new directory.
    pub uid: u32,
    /// Group of a new directory.
    pub gid: u32,
    /// What people call it; no part of its identity.
    pub label: String,
    /// What the steps that use it run on, as `OS/ARCHITECTURE`; no part of its identity.
    pub platform: String,
}

/// Who may use a cache at the same time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Company {
    /// Everybody, in one directory.
    #[default]
    Everybody,
    /// Nobody: others wait.
    Nobody,
    /// Everybody, each in a directory of his own.
    Apart,
}

/// A cache directory for the time of a step.
#[derive(Debug)]
pub struct Held {
    /// The directory to mount.
    pub path: PathBuf,
    /// Whether this step made it, so that initial content belongs into it.
    pub origin: Origin,
    _lock: File,
}

/// Whether a cache directory was there before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// It was made for this step and is empty.
    Created,
    /// An earlier step left it.
    Existing,
}

/// A cache directory that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the cache directory {path:?}")]
pub struct CacheError {
    /// Which directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: CacheCause,
}

/// Why a cache directory cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheCause {
    /// All instances are in use.
    #[error("all {MAX_INSTANCES} instances are in use")]
    Busy,
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where the caches lie in the store.
pub(crate) const FOLDER: &str = "caches";

impl Store {
    /// Opens, and makes where needed, the directory of a cache. Waits for those who want it alone.
    ///
    /// # Errors
    ///
    /// [`CacheError`] with the directory and the reason.
    pub fn open_cache(&self, spec: &CacheSpec) -> Result<Held, CacheError> {
        let folder = self.cache_folder(spec);
        self.note_use(&Used::CacheMount(&CacheKey::of(&spec.identity).to_string()));
        let held = match spec.company {
            Company::Everybody => common_instance(&folder, spec, Turn::Together),
            Company::Nobody => common_instance(&folder, spec, Turn::Alone),
            Company::Apart => first_free(&folder, spec),
        };
        let told = held.and_then(|held| about::write(&folder, spec).map(|()| held));
        told.map_err(|cause| CacheError { path: folder, cause })
    }

    /// Throws away what a cache holds, except for what somebody uses.
    ///
    /// # Errors
    ///
    /// [`CacheError`] where it cannot be removed.
    pub fn clear_cache(&self, spec: &CacheSpec) -> Result<(), CacheError> {
        let folder = self.cache_folder(spec);
        for number in 0..MAX_INSTANCES {
            let path = folder.join(number.to_string());
            clear_instance(&folder, number, &path)
                .map_err(|cause| CacheError { path: path.clone(), cause })?;
        }
        Ok(())
    }

    /// The directory that all have in common who do not use a cache apart.
    pub fn common_cache(&self, spec: &CacheSpec) -> PathBuf {
        self.cache_folder(spec).join("0")
    }

    /// An id may hold anything, so a directory is named by its hash.
    fn cache_folder(&self, spec: &CacheSpec) -> PathBuf {
        self.path().join(FOLDER).join(CacheKey::of(&spec.identity).to_string())
    }
}

fn common_instance(folder: &Path, spec: &CacheSpec, turn: Turn) -> Result<Held, CacheCause> {
    loop {
        settled::see_to_it(folder)?;
        let lock = lock_instance(folder, 0, turn)?;
        if !settled::is_marked(folder) {
            return instance(folder, 0, spec, lock);
        }
    }
}

fn first_free(folder: &Path, spec: &CacheSpec) -> Result<Held, CacheCause> {
    for number in 0..MAX_INSTANCES {
        if let Some(lock) = try_lock_instance(folder, number)? {
            if number == 0 {
                settled::mend(folder)?;
            }
            return instance(folder, number, spec, lock);
        }
    }
    Err(CacheCause::Busy)
}

fn clear_instance(folder: &Path, number: usize, path: &Path) -> Result<(), CacheCause> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    match try_lock_instance(folder, number)? {
        Some(_lock) => Ok(fs::remove_dir_all(path)?),
        None => Ok(()),
    }
}

fn instance(
    folder: &Path,
    number: usize,
    spec: &CacheSpec,
    lock: File,
) -> Result<Held, CacheCause> {
    let path = folder.join(number.to_string());
    let origin = match fs::create_dir(&path) {
        Ok(()) => {
            // Owner before mode: chown clears set-id bits.
            let own = Metadata { uid: spec.uid, gid: spec.gid, ..Metadata::default() };
            give(&File::open(&path)?, &own).map_err(io::Error::from)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(spec.mode))?;
            Origin::Created
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Origin::Existing,
        Err(error) => return Err(error.into()),
    };
    Ok(Held { path, origin, _lock: lock })
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OpenOptions;

    const ALL: [Company; 3] = [Company::Everybody, Company::Nobody, Company::Apart];

    fn trial() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        (directory, store)
    }

    fn spec(id: &str, company: Company) -> CacheSpec {
        let uid = rustix::process::getuid().as_raw();
        let gid = rustix::process::getgid().as_raw();
        CacheSpec { identity: id.into(), company, mode: 0o1770, uid, gid, ..CacheSpec::default() }
    }

    #[test]
    fn a_new_cache_has_the_mode_asked_for_and_is_found_again() {
        let (_directory, store) = trial();
        let first = store.open_cache(&spec("a", Company::Everybody)).unwrap();
        assert_eq!(first.origin, Origin::Created);
        assert_eq!(fs::metadata(&first.path).unwrap().permissions().mode() & 0o7777, 0o1770);
        let second = store.open_cache(&spec("a", Company::Everybody)).unwrap();
        assert_eq!((second.origin, &second.path), (Origin::Existing, &first.path));
    }

    #[test]
    fn private_caches_in_use_at_once_are_apart_and_come_back() {
        let (_directory, store) = trial();
        let private = spec("a", Company::Apart);
        let first = store.open_cache(&private).unwrap();
        let second = store.open_cache(&private).unwrap();
        assert_ne!(first.path, second.path);
        let path = first.path.clone();
        drop(first);
        assert_eq!(store.open_cache(&private).unwrap().path, path);
    }

    #[test]
    fn an_id_never_becomes_a_path() {
        let (_directory, store) = trial();
        for id in ["../../etc", "/", "", ".", "a/b"] {
            let held = store.open_cache(&spec(id, Company::Nobody)).unwrap();
            assert!(held.path.starts_with(store.path().join(FOLDER)), "{id:?}");
        }
    }

    #[test]
    fn a_cleared_cache_is_made_anew_and_one_in_use_stays() {
        let (_directory, store) = trial();
        for company in ALL {
            let wanted = spec("a", company);
            let held = store.open_cache(&wanted).unwrap();
            fs::write(held.path.join("f"), "").unwrap();
            store.clear_cache(&wanted).unwrap();
            assert!(held.path.join("f").exists(), "{company:?}");
            drop(held);
            store.clear_cache(&wanted).unwrap();
            store.clear_cache(&wanted).unwrap();
            assert_eq!(store.open_cache(&wanted).unwrap().origin, Origin::Created, "{company:?}");
            store.clear_cache(&wanted).unwrap();
        }
    }

    #[test]
    fn a_lock_outlives_the_clearing_of_what_it_guards() {
        let (_directory, store) = trial();
        let locked = spec("a", Company::Nobody);
        drop(store.open_cache(&locked).unwrap());
        store.clear_cache(&locked).unwrap();
        let _held = store.open_cache(&locked).unwrap();
        assert!(try_lock_instance(&store.cache_folder(&locked), 0).unwrap().is_none());
    }

    #[test]
    fn those_who_share_a_cache_do_not_wait_for_each_other() {
        let (_directory, store) = trial();
        let shared = spec("a", Company::Everybody);
        let first = store.open_cache(&shared).unwrap();
        assert_eq!(store.open_cache(&shared).unwrap().path, first.path);
        assert!(try_lock_instance(&store.cache_folder(&shared), 0).unwrap().is_none());
    }
}
