//! The files under `leases/`: who lives, since when, and what the dead left.

use crate::error::{At, ReadError, WriteError};
use crate::id::hex;
use crate::sys;
use crate::trash;
use crate::vfs::{Lock, Vfs, read_from};

/// A lease file that we hold locked, under a name nobody has.
pub(crate) fn create_locked(vfs: &dyn Vfs) -> Result<(String, Lock), WriteError> {
    loop {
        let random = sys::random().writing("leases")?;
        let name = hex(&random[..8]);
        let path = lease_path(&name);
        vfs.create(&path).writing(&path)?;
        match vfs.try_lock(&path) {
            // Between creation and lock a collector may have taken it for dead and removed it.
            Ok(Some(lock)) if vfs.exists(&path).writing(&path)? => return Ok((name, lock)),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).writing(&path),
        }
    }
}

/// Removes what dead leases left. Failing is no error: what stays is met again by the next
/// command, which may be allowed to do more.
pub(crate) fn collect_dead(vfs: &dyn Vfs) {
    for name in vfs.list("leases").unwrap_or_default() {
        match vfs.try_lock(&lease_path(&name)) {
            Ok(Some(_lock)) => discard(vfs, &name),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, name, "cannot look at a lease"),
        }
    }
    // The file of a lease is made before its directory and goes after it, but a power cut may keep
    // the directory alone.
    for name in vfs.list("work").unwrap_or_default() {
        if !vfs.exists(&lease_path(&name)).unwrap_or(true) {
            discard(vfs, &name);
        }
    }
    trash::empty_in_passing(vfs);
}

/// The sequence numbers live leases started from; one that has not said so yet counts as zero.
pub(crate) fn live_since(vfs: &dyn Vfs, except: &str) -> Result<Vec<u64>, ReadError> {
    let mut since = Vec::new();
    for name in vfs.list("leases").reading("leases")? {
        let path = lease_path(&name);
        if name == except || matches!(vfs.try_lock(&path), Ok(Some(_))) {
            continue;
        }
        match vfs.open(&path).and_then(|file| read_from(&*file, 0)) {
            Ok(bytes) => since.push(bytes.first_chunk().map_or(0, |n| u64::from_le_bytes(*n))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ReadError::new(path, error)),
        }
    }
    Ok(since)
}

/// The caller holds the lease's lock.
pub(crate) fn discard(vfs: &dyn Vfs, name: &str) {
    let (work, lease) = (work_path(name), lease_path(name));
    if vfs.exists(&work).unwrap_or(false)
        && let Err(error) = trash::throw_away(vfs, &work)
    {
        tracing::debug!(%error, work, "cannot remove the directory of a lease");
        return;
    }
    if let Err(error) = vfs.unlink(&lease) {
        tracing::debug!(%error, lease, "cannot remove a lease");
    }
}

pub(crate) fn lease_path(name: &str) -> String {
    format!("leases/{name}")
}

pub(crate) fn work_path(name: &str) -> String {
    format!("work/{name}")
}
