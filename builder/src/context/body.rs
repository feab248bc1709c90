//! The bytes of one file: recalled, or read once while they are hashed and stored.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags, fgetxattr, flistxattr, fstat, openat};
use wythe_store::error::WriteError;
use wythe_store::id::BodyId;
use wythe_store::lease::Lease;
use wythe_store::stat_cache::FileStat;
use wythe_store::tree::entry::Xattrs;

use super::error::{ContextCause, ContextError};
use super::stat::facts;

/// How often a file that changes under the reader is read before giving up.
const ATTEMPTS: usize = 3;

/// The longest list of attribute names and the longest value, as on Linux.
const MAX_XATTR: usize = 64 * 1024;

/// Where bodies are kept, and what is known of files read before. Called from many threads.
pub trait Bodies: Sync {
    /// The body recorded for a path, if the file cannot have changed since.
    ///
    /// An implementation must not answer for files whose times are so recent that a later write
    /// might not show in them.
    fn recall(&self, path: &[u8], stat: &FileStat) -> Option<BodyId>;

    /// Stores all bytes of a file, or those of one without any.
    ///
    /// # Errors
    /// The file or the store failed.
    fn store(&self, file: Option<&mut File>, size: u64) -> Result<(BodyId, u64), WriteError>;

    /// Records what was read. Called only for files without extended attributes: a change of them
    /// moves `ctime`, so a recalled file has none, and none need be looked for.
    fn remember(&self, path: &[u8], stat: &FileStat, body: BodyId);
}

/// A lease alone stores and recalls nothing: for contexts that are scanned once.
impl Bodies for Lease {
    fn recall(&self, _: &[u8], _: &FileStat) -> Option<BodyId> {
        None
    }

    fn store(&self, file: Option<&mut File>, size: u64) -> Result<(BodyId, u64), WriteError> {
        match file {
            Some(file) => self.body_from_file(file, size),
            None => Ok((self.put_body(&[])?, 0)),
        }
    }

    fn remember(&self, _: &[u8], _: &FileStat, _: BodyId) {}
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) body: BodyId,
    pub(crate) stat: FileStat,
    pub(crate) xattrs: Xattrs,
}

/// Reads the file `name` in `directory`; `None` if it is no longer a file.
pub(crate) fn read(
    directory: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
    bodies: &dyn Bodies,
) -> Result<Option<Held>, ContextError> {
    let io = |errno| ContextError::of(path, errno);
    for _ in 0..ATTEMPTS {
        // A pipe that took the file's place must not block the build.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat(directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(io(errno)),
        };
        let before = facts(&fstat(&file).map_err(io)?);
        if FileType::from_raw_mode(before.mode) != FileType::RegularFile {
            return Ok(None);
        }
        let (body, length) = store(&mut file, &before, path, bodies)?;
        let after = facts(&fstat(&file).map_err(io)?);
        if before == after && length == before.size {
            let xattrs = xattrs(file.as_fd()).map_err(io)?;
            if xattrs.is_empty() {
                bodies.remember(path, &before, body);
            }
            return Ok(Some(Held { body, stat: before, xattrs }));
        }
    }
    Err(ContextError { path: super::lossy(path), cause: ContextCause::Changing })
}

fn store(
    file: &mut File,
    stat: &FileStat,
    path: &[u8],
    bodies: &dyn Bodies,
) -> Result<(BodyId, u64), ContextError> {
    bodies.store(Some(file), stat.size).map_err(|error| ContextError {
        path: super::lossy(path),
        cause: ContextCause::Store(error),
    })
}

/// The extended attributes an image keeps of a context: those of users.
pub(crate) fn xattrs(file: BorrowedFd<'_>) -> rustix::io::Result<Xattrs> {
    let mut found = Xattrs::new();
    for name in xattr_names(file)?.split(|&byte| byte == 0).filter(|name| is_kept(name)) {
        let mut value = vec![0; MAX_XATTR];
        let length = fgetxattr(file, name, &mut value[..])?;
        found.push((name.into(), value[..length].into()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The names of all attributes, each ended by a zero byte.
fn xattr_names(file: BorrowedFd<'_>) -> rustix::io::Result<Vec<u8>> {
    // Most entries have no attribute at all; then nothing is allocated.
    let mut few = [0; 256];
    match flistxattr(file, &mut few[..]) {
        Ok(length) => Ok(few[..length].to_vec()),
        Err(rustix::io::Errno::NOTSUP) => Ok(Vec::new()),
        Err(rustix::io::Errno::RANGE) => {
            let mut many = vec![0; MAX_XATTR];
            let length = flistxattr(file, &mut many[..])?;
            many.truncate(length);
            Ok(many)
        }
        Err(errno) => Err(errno),
    }
}

fn is_kept(name: &[u8]) -> bool {
    // What overlayfs keeps in `user.overlay.`, and we in `user.wythe.`, would change what a mounted
    // layer shows.
    // File capabilities stay behind: a checkout that has them must not make an image that does.
    let ours = [&b"user.overlay."[..], b"user.wythe."];
    name.starts_with(b"user.") && !ours.iter().any(|own| name.starts_with(own))
}
