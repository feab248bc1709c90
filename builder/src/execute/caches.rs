//! Cache mounts: directories that outlive a build, one per identity, shared as the step asks.
//!
//! ```text
//! caches/<identity>/0        the directory that shared and locked mounts use
//! caches/<identity>/0.lock   held by whoever uses 0: together by shared mounts, else alone
//! caches/<identity>/1 …      further instances for private mounts
//! ```
//!
//! Lock files stay: one that is made anew would be another lock than that which somebody holds.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use wythe_dockerfile::mount::Sharing;
use wythe_store::id::CacheKey;

/// The most instances of one private cache. Each is a directory that stays; more steps than this
/// at once would fill a disk for nothing.
const MAX_INSTANCES: usize = 64;

/// A cache that a step asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CacheSpec {
    /// What tells it from others: its id, and whatever else makes it another cache.
    pub identity: Vec<u8>,
    /// How it is shared.
    pub sharing: Sharing,
    /// Mode of a new directory.
    pub mode: u32,
    /// Owner of a new directory.
    pub uid: u32,
    /// Group of a new directory.
    pub gid: u32,
}

/// A cache directory for the time of a step.
#[derive(Debug)]
pub struct Held {
    /// The directory to mount.
    pub path: PathBuf,
    /// Whether this step made it, so that initial content belongs into it.
    pub origin: Origin,
    _lock: Option<File>,
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

/// Opens, and makes where needed, the directory of `spec` below `root`.
///
/// # Errors
///
/// [`CacheError`] with the directory and the reason.
pub fn open(root: &Path, spec: &CacheSpec) -> Result<Held, CacheError> {
    let folder = folder(root, spec);
    let fail = |cause| CacheError { path: folder.clone(), cause };
    make_private_dir(&folder).map_err(|error| fail(error.into()))?;
    match spec.sharing {
        Sharing::Shared => join(&folder, spec),
        Sharing::Locked => wait_for_turn(&folder, spec),
        Sharing::Private => first_free(&folder, spec),
    }
    .map_err(fail)
}

/// Throws away what the cache of `spec` holds, except for what somebody uses.
///
/// # Errors
///
/// [`CacheError`] where it cannot be removed.
pub fn clear(root: &Path, spec: &CacheSpec) -> Result<(), CacheError> {
    let folder = folder(root, spec);
    for number in 0..MAX_INSTANCES {
        let path = folder.join(number.to_string());
        clear_instance(&folder, number, &path)
            .map_err(|cause| CacheError { path: path.clone(), cause })?;
    }
    Ok(())
}

fn clear_instance(folder: &Path, number: usize, path: &Path) -> Result<(), CacheCause> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    match lock_file(folder, number)?.try_lock() {
        Ok(()) => Ok(fs::remove_dir_all(path)?),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The directory that all have in common who do not use a cache privately.
pub fn common(root: &Path, spec: &CacheSpec) -> PathBuf {
    folder(root, spec).join("0")
}

/// An id may hold anything, so a directory is named by its hash.
fn folder(root: &Path, spec: &CacheSpec) -> PathBuf {
    root.join("caches").join(CacheKey::of(&spec.identity).to_string())
}

/// Waits for those who want it alone, but not for others who share it.
fn join(folder: &Path, spec: &CacheSpec) -> Result<Held, CacheCause> {
    let lock = lock_file(folder, 0)?;
    lock.lock_shared()?;
    instance(folder, 0, spec, Some(lock))
}

fn wait_for_turn(folder: &Path, spec: &CacheSpec) -> Result<Held, CacheCause> {
    let lock = lock_file(folder, 0)?;
    lock.lock()?;
    instance(folder, 0, spec, Some(lock))
}

fn first_free(folder: &Path, spec: &CacheSpec) -> Result<Held, CacheCause> {
    for number in 0..MAX_INSTANCES {
        let lock = lock_file(folder, number)?;
        match lock.try_lock() {
            Ok(()) => return instance(folder, number, spec, Some(lock)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(CacheCause::Busy)
}

fn lock_file(folder: &Path, number: usize) -> Result<File, CacheCause> {
    let path = folder.join(format!("{number}.lock"));
    Ok(File::options().create(true).truncate(false).write(true).open(path)?)
}

fn instance(
    folder: &Path,
    number: usize,
    spec: &CacheSpec,
    lock: Option<File>,
) -> Result<Held, CacheCause> {
    let path = folder.join(number.to_string());
    let origin = match fs::create_dir(&path) {
        Ok(()) => {
            // Owner before mode: chown clears set-id bits.
            chown(&path, Some(spec.uid), Some(spec.gid))?;
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

    fn spec(id: &str, sharing: Sharing) -> CacheSpec {
        let uid = rustix::process::getuid().as_raw();
        let gid = rustix::process::getgid().as_raw();
        CacheSpec { identity: id.into(), sharing, mode: 0o1770, uid, gid }
    }

    #[test]
    fn a_new_cache_has_the_mode_asked_for_and_is_found_again() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path(), &spec("a", Sharing::Shared)).unwrap();
        assert_eq!(first.origin, Origin::Created);
        assert_eq!(fs::metadata(&first.path).unwrap().permissions().mode() & 0o7777, 0o1770);
        let second = open(root.path(), &spec("a", Sharing::Shared)).unwrap();
        assert_eq!((second.origin, &second.path), (Origin::Existing, &first.path));
    }

    #[test]
    fn private_caches_in_use_at_once_are_apart_and_come_back() {
        let root = tempfile::tempdir().unwrap();
        let private = spec("a", Sharing::Private);
        let first = open(root.path(), &private).unwrap();
        let second = open(root.path(), &private).unwrap();
        assert_ne!(first.path, second.path);
        let path = first.path.clone();
        drop(first);
        assert_eq!(open(root.path(), &private).unwrap().path, path);
    }

    #[test]
    fn an_id_never_becomes_a_path() {
        let root = tempfile::tempdir().unwrap();
        for id in ["../../etc", "/", "", ".", "a/b"] {
            let held = open(root.path(), &spec(id, Sharing::Locked)).unwrap();
            assert!(held.path.starts_with(root.path().join("caches")), "{id:?}");
        }
    }

    #[test]
    fn a_cleared_cache_is_made_anew_and_one_in_use_stays() {
        let root = tempfile::tempdir().unwrap();
        for sharing in [Sharing::Shared, Sharing::Locked, Sharing::Private] {
            let wanted = spec("a", sharing);
            let held = open(root.path(), &wanted).unwrap();
            fs::write(held.path.join("f"), "").unwrap();
            clear(root.path(), &wanted).unwrap();
            assert!(held.path.join("f").exists(), "{sharing:?}");
            drop(held);
            clear(root.path(), &wanted).unwrap();
            clear(root.path(), &wanted).unwrap();
            assert_eq!(open(root.path(), &wanted).unwrap().origin, Origin::Created, "{sharing:?}");
            clear(root.path(), &wanted).unwrap();
        }
    }

    #[test]
    fn a_lock_outlives_the_clearing_of_what_it_guards() {
        let root = tempfile::tempdir().unwrap();
        let locked = spec("a", Sharing::Locked);
        drop(open(root.path(), &locked).unwrap());
        let before = lock_file(&folder(root.path(), &locked), 0).unwrap();
        clear(root.path(), &locked).unwrap();
        let _held = open(root.path(), &locked).unwrap();
        assert!(matches!(before.try_lock(), Err(TryLockError::WouldBlock)));
    }

    #[test]
    fn those_who_share_a_cache_do_not_wait_for_each_other() {
        let root = tempfile::tempdir().unwrap();
        let shared = spec("a", Sharing::Shared);
        let first = open(root.path(), &shared).unwrap();
        assert_eq!(open(root.path(), &shared).unwrap().path, first.path);
        let alone = lock_file(&folder(root.path(), &shared), 0).unwrap();
        assert!(matches!(alone.try_lock(), Err(TryLockError::WouldBlock)));
    }
}
