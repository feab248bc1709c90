//! The locks of cache mounts: a lock counts only while its file has its name.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::cache_mount::make_private_dir;

/// How a directory is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// With everybody who does so, too.
    Together,
    /// By nobody else.
    Alone,
}

/// Waits for the lock of an instance, whose file and folder are made where they are missing.
pub(super) fn lock_instance(folder: &Path, number: usize, turn: Turn) -> io::Result<File> {
    loop {
        let Some((path, file)) = make_file(folder, number)? else { continue };
        match turn {
            Turn::Together => file.lock_shared()?,
            Turn::Alone => file.lock()?,
        }
        if has_its_name(&file, &path)? {
            return Ok(file);
        }
    }
}

/// Takes the lock of an instance alone; `None` where somebody has it.
pub(super) fn try_lock_instance(folder: &Path, number: usize) -> io::Result<Option<File>> {
    loop {
        let Some((path, file)) = make_file(folder, number)? else { continue };
        match file.try_lock() {
            Ok(()) if has_its_name(&file, &path)? => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Takes an existing lock file alone, which costs no inode; `None` where somebody has it.
pub(super) fn try_lock_existing(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().write(true).open(path)?;
    match file.try_lock() {
        Ok(()) if has_its_name(&file, path)? => Ok(Some(file)),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// `None` where the folder is removed at this moment.
fn make_file(folder: &Path, number: usize) -> io::Result<Option<(PathBuf, File)>> {
    match make_private_dir(folder) {
        // It was there when it was to be made, and gone when it was looked at.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_other(folder) => {
            return Ok(None);
        }
        made => made?,
    }
    let path = folder.join(format!("{number}.lock"));
    match File::options().create(true).truncate(false).write(true).open(&path) {
        Ok(file) => Ok(Some((path, file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether something that is no directory has the name.
fn is_other(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|there| !there.is_dir())
}

fn has_its_name(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
