//! The directory a step writes to, and how it becomes a layer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, RenameFlags, open, renameat_with};
use rustix::io::Errno;

use crate::error::{At, WriteError};
use crate::id::LayerId;
use crate::journal::batch::Batch;
use crate::last_use::Used;
use crate::layer::files_error::MaterialiseCause;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::attributes;
use crate::live::place::{DIRECTORY, finish};
use crate::live_record::stamp::Stamp;
use crate::live_record::{FORM, LiveName, LiveRecord, Sync};
use crate::sys;
use crate::tree::entry::Metadata;
use crate::tree::merge::implied;

/// An empty upper directory and the work directory an overlay mount wants beside it. They vanish
/// with the lease, unless the upper is adopted.
#[derive(Debug)]
pub struct Scratch {
    /// What the step writes.
    pub upper: PathBuf,
    /// The kernel's own.
    pub work: PathBuf,
}

impl Scratch {
    /// Makes a directory of [`Self::upper`], which is there, say of itself what `lower` does, the one
    /// of a layer below that it covers.
    ///
    /// # Errors
    ///
    /// If the store cannot be written, or a directory not be read.
    pub fn cover(&self, path: &Path, lower: &Path, idmap: &[u8]) -> Result<(), WriteError> {
        let like = attributes::of_directory(lower, idmap);
        let covered = like.and_then(|like| describe(&self.upper.join(path), &like));
        covered.writing(&path.display().to_string())
    }
}

/// Makes the directories for a step over `lowers`, the lowest first.
///
/// The upper directory is the root that the step sees, and says of it what the topmost of `lowers`
/// does, so that only what the step changes of it is a change.
///
/// # Errors
///
/// If the store cannot be written, or a directory not be read.
pub fn scratch(lease: &Lease, lowers: &[PathBuf], idmap: &[u8]) -> Result<Scratch, WriteError> {
    let base = lease.store().path().join(lease.scratch_path());
    let (upper, work) = (base.join("upper"), base.join("work"));
    for directory in [&upper, &work] {
        fs::create_dir_all(directory).writing(&directory.display().to_string())?;
    }
    let root = lowers.last().map(|top| attributes::of_directory(top, idmap)).transpose();
    let like = root.map(|root| root.unwrap_or_else(implied));
    like.and_then(|like| describe(&upper, &like)).writing(&upper.display().to_string())?;
    Ok(Scratch { upper, work })
}

fn describe(directory: &Path, like: &Metadata) -> io::Result<()> {
    let opened = open(directory, DIRECTORY, Mode::empty())?;
    finish(&opened, like).map_err(|cause| match cause {
        MaterialiseCause::Io(error) => error,
        cause @ (MaterialiseCause::Read(_) | MaterialiseCause::Missing(_)) => {
            io::Error::other(cause)
        }
    })
}

/// Makes a step's upper directory a layer, and adds its records to `batch`. Costs a rename: nothing
/// is read or hashed. Nothing may have the directory mounted any more.
///
/// The layer exists once `batch` is committed; until it is synced, a power cut takes it away.
///
/// # Errors
///
/// If the store cannot be written.
pub fn adopt(
    lease: &Lease,
    scratch: &Scratch,
    idmap: &[u8],
    batch: &mut Batch,
) -> Result<LayerId, WriteError> {
    let name = claim(lease, &scratch.upper)?;
    let random = sys::random().writing("live")?;
    let layer = LayerId::of(&[name.as_str().as_bytes(), &random].concat());
    record(lease, batch, &name, LayerRecord::new(layer), idmap)?;
    Ok(layer)
}

/// Records that `layer` lies in `name`, which from now on nobody changes.
pub(super) fn record(
    lease: &Lease,
    batch: &mut Batch,
    name: &LiveName,
    layer: LayerRecord,
    idmap: &[u8],
) -> Result<(), WriteError> {
    batch.put_live(name, &live_record(lease, name, layer.id, idmap)?);
    batch.put_layer(&LayerRecord { live: Some(name.clone()), ..layer });
    Ok(())
}

/// What is recorded of a directory that has just been made for `layer`.
pub(super) fn live_record(
    lease: &Lease,
    name: &LiveName,
    layer: LayerId,
    idmap: &[u8],
) -> Result<LiveRecord, WriteError> {
    let store = lease.store();
    let stamp = Some(Stamp::of(&**store.vfs(), name).writing(&name.path())?);
    let (boot, idmap) = (*store.journal().boot(), idmap.to_vec());
    Ok(LiveRecord { layer, idmap, form: FORM, boot, sync: Sync::Unsynced, stamp })
}

/// Moves a directory to a name under `live/` that nobody has.
pub(super) fn claim(lease: &Lease, from: &Path) -> Result<LiveName, WriteError> {
    loop {
        let random = sys::random().writing("live")?;
        let name = LiveName::from_random([random[0], random[1], random[2], random[3]]);
        let target = lease.store().path().join(name.path());
        if lease.store().is_doomed(&name.path()) {
            // Of a directory that went: one of the same name would be taken for it.
            continue;
        }
        match move_to_new(from, &target) {
            Ok(()) => {
                lease.store().note_use(&Used::Live(&name));
                return Ok(name);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).writing(&name.path()),
        }
    }
}

/// Moves a directory to where nothing is. To put an empty one there first, which the move replaces, costs a block of the disk
/// that is freed at once, and on a disk that is told of what is free (`discard`) each step would wait for that.
fn move_to_new(from: &Path, target: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, target, RenameFlags::NOREPLACE) {
        // A file system without the flag, or something before the kernel that does not know the call. Renaming over
        // anything but an empty directory fails.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::create_dir(target)?;
            fs::rename(from, target)
        }
        moved => Ok(moved?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_moved_to_where_nothing_is_and_nowhere_else() {
        let top = tempfile::tempdir().unwrap();
        let [from, empty, new] = ["from", "empty", "new"].map(|name| top.path().join(name));
        fs::create_dir_all(from.join("kept")).unwrap();
        fs::create_dir(&empty).unwrap();
        let refused = move_to_new(&from, &empty).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        move_to_new(&from, &new).unwrap();
        assert!(new.join("kept").is_dir() && !from.exists());
    }
}
