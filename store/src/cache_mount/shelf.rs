//! All cache mounts of a store, as their collection sees them.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use crate::cache_mount::FOLDER;
use crate::cache_mount::about::{self, About};
use crate::cache_mount::lock::try_lock_existing;
use crate::error::{At, ReadError, WriteError};
use crate::last_use::Used;
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::trash::throw_away;
use crate::usage::measure::Measure;

/// A cache mount that is there: all its instances.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CacheMount {
    /// The name of its folder, which stands for its identity.
    pub name: String,
}

/// A cache mount as people know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedCacheMount {
    /// Which.
    pub mount: CacheMount,
    /// What the Dockerfile calls it; empty where an earlier version made it.
    pub label: String,
    /// What its steps run on; empty as above.
    pub platform: String,
}

/// A cache mount, and what it takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedCacheMount {
    /// Which.
    pub named: NamedCacheMount,
    /// What all its instances take on disk, in bytes.
    pub bytes: u64,
    /// When it was last used, as far as that is known.
    pub last_used: Option<Timestamp>,
}

/// Whether a cache mount could be removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Removal {
    /// It is gone.
    Done,
    /// A step uses it, so that it stays.
    InUse,
}

impl CacheMount {
    /// Where it lies in the store.
    pub fn path(&self) -> String {
        format!("{FOLDER}/{}", self.name)
    }
}

impl Store {
    /// The cache mounts there are, by name.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn cache_mounts(&self) -> Result<Vec<CacheMount>, ReadError> {
        match self.vfs().list(FOLDER) {
            Ok(names) => Ok(names.into_iter().map(|name| CacheMount { name }).collect()),
            // A store of a time when caches made their folder themselves.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).reading(FOLDER),
        }
    }

    /// The cache mounts there are, by what they are called.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn named_cache_mounts(&self) -> Result<Vec<NamedCacheMount>, ReadError> {
        let mut named = Vec::new();
        for mount in self.cache_mounts()? {
            let about = about::read(&self.path().join(mount.path())).reading(&mount.path())?;
            let About { label, platform, .. } = about;
            named.push(NamedCacheMount { mount, label, platform });
        }
        named.sort_by(|one, other| (&one.label, &one.mount).cmp(&(&other.label, &other.mount)));
        Ok(named)
    }

    /// What cache mounts take now, which is a look at each of their files.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn list_cache_mounts(
        &self,
        mounts: Vec<NamedCacheMount>,
    ) -> Result<Vec<ListedCacheMount>, ReadError> {
        let (uses, measure) = (self.uses(), Measure::new(self, &|| true));
        let listed = mounts.into_iter().map(|named| {
            let bytes = measure.mount(&named.mount, &uses)?;
            let last_used = uses.of(&Used::CacheMount(&named.mount.name)).map(|known| known.last);
            Ok(ListedCacheMount { named, bytes, last_used })
        });
        listed.collect()
    }

    /// Removes a cache mount with its locks, unless a step uses it. What it holds lies in `trash/`
    /// then. Needs no space and no inode.
    ///
    /// # Errors
    ///
    /// If the store cannot be changed.
    pub fn remove_cache_mount(&self, mount: &CacheMount) -> Result<Removal, WriteError> {
        let (path, folder) = (mount.path(), self.path().join(mount.path()));
        let names = match self.vfs().list(&path) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removal::Done),
            Err(error) => return Err(error).writing(&path),
        };
        let (locks, contents): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| name.strip_suffix(".lock").is_some());
        let mut held: Vec<(PathBuf, File)> = Vec::new();
        for lock in locks {
            let lock = folder.join(lock);
            match try_lock_existing(&lock).writing(&path)? {
                Some(file) => held.push((lock, file)),
                None => return Ok(Removal::InUse),
            }
        }
        for name in contents {
            throw_away(&**self.vfs(), &format!("{path}/{name}")).writing(&path)?;
        }
        // The locks go last: until then they keep steps from what is being removed.
        for (lock, _file) in &held {
            fs::remove_file(lock).writing(&path)?;
        }
        match fs::remove_dir(&folder) {
            // A step began to use it anew.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(Removal::InUse),
            Err(error) => Err(error).writing(&path),
            Ok(()) => Ok(Removal::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache_mount::{CacheSpec, Company, Origin};
    use crate::store::OpenOptions;

    #[test]
    fn a_cache_in_use_stays_and_one_out_of_use_goes_whole() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let uid = rustix::process::getuid().as_raw();
        let gid = rustix::process::getgid().as_raw();
        for company in [Company::Everybody, Company::Nobody, Company::Apart] {
            let mut spec = CacheSpec {
                identity: b"a".to_vec(),
                company,
                mode: 0o700,
                uid,
                gid,
                ..CacheSpec::default()
            };
            (spec.label, spec.platform) = ("cargo".to_owned(), "linux/amd64".to_owned());
            let held = store.open_cache(&spec).unwrap();
            fs::write(held.path.join("f"), "kept").unwrap();
            let mount = store.cache_mounts().unwrap().remove(0);
            let named = store.named_cache_mounts().unwrap();
            let listed = store.list_cache_mounts(named).unwrap().remove(0);
            assert_eq!((&*listed.named.label, &*listed.named.platform), ("cargo", "linux/amd64"));
            assert!(listed.bytes > 0, "{company:?}");
            assert_eq!(store.remove_cache_mount(&mount).unwrap(), Removal::InUse, "{company:?}");
            assert!(held.path.join("f").exists());
            drop(held);
            assert_eq!(store.remove_cache_mount(&mount).unwrap(), Removal::Done);
            assert_eq!(store.cache_mounts().unwrap(), []);
            assert_eq!(store.open_cache(&spec).unwrap().origin, Origin::Created);
            store.remove_cache_mount(&mount).unwrap();
        }
    }

    #[test]
    fn who_waited_for_the_lock_of_a_removed_cache_takes_the_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let uid = rustix::process::getuid().as_raw();
        let gid = rustix::process::getgid().as_raw();
        let company = Company::Nobody;
        let spec = CacheSpec {
            identity: b"a".to_vec(),
            company,
            mode: 0o700,
            uid,
            gid,
            ..CacheSpec::default()
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let held = store.open_cache(&spec).unwrap();
                        let mine = held.path.join("mine");
                        File::options().write(true).create_new(true).open(&mine).unwrap();
                        fs::remove_file(&mine).unwrap();
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..200 {
                    for mount in store.cache_mounts().unwrap() {
                        store.remove_cache_mount(&mount).unwrap();
                    }
                }
            });
        });
    }
}
