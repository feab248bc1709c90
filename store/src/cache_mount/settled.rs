//! A cache mount that was saved or restored, while it is made what another machine has saved since.
//!
//! What is new lies beside it until all of it has come. Then it is put in place, which takes a moment; who is killed in
//! that moment leaves a mark, and the mount is removed by who comes next.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::lock::{Turn, lock_instance, try_lock_instance};
use super::state::{MountNotes, MountState};
use super::vacancy::remove;
use super::{CacheError, CacheSpec, make_private_dir};
use crate::store::Store;

/// The mark of a mount that is being changed.
const MARK: &str = "0.changing";

/// The first instance of a mount that was saved or restored. Steps that want it wait while this lives.
#[derive(Debug)]
pub struct SettledMount {
    folder: PathBuf,
    state: MountState,
    _lock: File,
}

impl Store {
    /// The mount of a cache that was saved or restored here for the platform, where nobody uses it. A step may have
    /// changed it since.
    ///
    /// # Errors
    ///
    /// [`CacheError`] with the directory and the reason.
    pub fn settled_mount(&self, spec: &CacheSpec) -> Result<Option<SettledMount>, CacheError> {
        let folder = self.cache_folder(spec);
        let Some(state) = MountState::load(&folder.join("0.state")) else { return Ok(None) };
        if state.platform != spec.platform {
            return Ok(None);
        }
        let found = || -> io::Result<Option<SettledMount>> {
            let Some(lock) = try_lock_instance(&folder, 0)? else { return Ok(None) };
            let settled = SettledMount { folder: folder.clone(), state, _lock: lock };
            let is_there = settled.path().is_dir() && !is_marked(&settled.folder);
            Ok(is_there.then_some(settled))
        };
        found().map_err(|error| CacheError { path: folder.clone(), cause: error.into() })
    }
}

impl SettledMount {
    /// Its directory.
    pub fn path(&self) -> PathBuf {
        self.folder.join("0")
    }

    /// A directory beside it, for what is new.
    pub fn staged(&self) -> PathBuf {
        self.folder.join("0.new")
    }

    /// As what it was saved or restored.
    pub fn state(&self) -> &MountState {
        &self.state
    }

    pub(crate) fn seen(&self) -> PathBuf {
        self.folder.join("0.seen")
    }

    /// Empties the directory beside it.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.clear_away()?;
        make_private_dir(&self.staged())
    }

    /// Removes the directory beside it.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub(crate) fn clear_away(&self) -> io::Result<()> {
        remove(&self.staged())
    }

    /// Changes the mount, of which is noted what came of it. Where that fails there is no mount any more.
    ///
    /// # Errors
    ///
    /// What `change` says, or the file system.
    pub(crate) fn change<E: From<io::Error>>(
        &self,
        change: impl FnOnce() -> Result<MountNotes, E>,
    ) -> Result<(), E> {
        File::create(self.folder.join(MARK))?;
        match change().and_then(|notes| Ok(self.note(&notes)?)) {
            Ok(()) => Ok(fs::remove_file(self.folder.join(MARK))?),
            Err(error) => {
                mend(&self.folder)?;
                Err(error)
            }
        }
    }

    fn note(&self, MountNotes { seen, state }: &MountNotes) -> io::Result<()> {
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| seen.save(&self.seen()));
            let state = state.save(&self.folder.join("0.state"));
            seen.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(state)
        })
    }
}

impl Drop for SettledMount {
    fn drop(&mut self) {
        if let Err(error) = self.clear_away() {
            tracing::debug!(%error, "what was new of a cache mount is left over");
        }
    }
}

/// Whether whoever changed a mount came to no end.
pub(super) fn is_marked(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(MARK)).is_ok()
}

/// Removes a mount that somebody has left half changed. The caller has it alone.
pub(super) fn mend(folder: &Path) -> io::Result<()> {
    if is_marked(folder) {
        remove(&folder.join("0"))?;
        remove_file(&folder.join("0.state"))?;
        remove_file(&folder.join(MARK))?;
    }
    Ok(())
}

/// Waits until a mount is whole, or removes it.
pub(super) fn see_to_it(folder: &Path) -> io::Result<()> {
    if is_marked(folder) {
        let _alone = lock_instance(folder, 0, Turn::Alone)?;
        mend(folder)?;
    }
    Ok(())
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache_mount::quiet::Hold;
    use crate::cache_mount::{Company, Origin};
    use crate::store::OpenOptions;

    #[test]
    fn a_mount_that_was_left_half_changed_is_gone_for_whoever_comes_next() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        for company in [Company::Everybody, Company::Nobody, Company::Apart] {
            let spec = CacheSpec {
                identity: b"a".to_vec(),
                portable: "a".to_owned(),
                company,
                mode: 0o700,
                uid: rustix::process::getuid().as_raw(),
                gid: rustix::process::getgid().as_raw(),
                ..CacheSpec::default()
            };
            let leave = || {
                let held = store.open_cache(&spec).unwrap();
                fs::write(held.path.join("half"), "").unwrap();
                File::create(store.cache_folder(&spec).join(MARK)).unwrap();
            };
            leave();
            let mount = store.cache_mounts().unwrap().remove(0);
            let hold = store.hold_cache_mount(&mount, &|| false).unwrap();
            assert!(matches!(hold, Hold::Nothing), "{company:?}");
            let held = store.open_cache(&spec).unwrap();
            let count = fs::read_dir(&held.path).unwrap().count();
            assert_eq!((held.origin, count), (Origin::Created, 0), "{company:?}");
            drop(held);
            leave();
            assert!(store.vacancy(&spec).unwrap().is_some(), "{company:?}");
        }
    }
}
