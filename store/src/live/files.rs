//! The regular files of a tree on a file system: each made once, its further names linked to it.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as sys, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::layer::bodies::Bodies;
use crate::layer::files_error::MaterialiseCause;
use crate::path::LayerPath;
use crate::sparse::HoleWriter;
use crate::tree::entry::{File, LinkGroup};

/// The files below one directory.
pub(crate) struct Files<'a> {
    root: BorrowedFd<'a>,
    /// The first path of each hard-link group.
    first: BTreeMap<LinkGroup, LayerPath>,
}

impl<'a> Files<'a> {
    /// Files below `root`.
    pub(crate) fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, first: BTreeMap::new() }
    }

    /// Makes a file in the directory `at`, where its path ends and nothing has its name. Returns it,
    /// to be given its bytes and metadata, unless it is one more name of a file that was made before.
    pub(crate) fn make(
        &mut self,
        at: &OwnedFd,
        (file, mode): (&File, Mode),
        path: &LayerPath,
    ) -> Result<Option<fs::File>, MaterialiseCause> {
        let name = path.name().unwrap_or_default();
        self.make_by(at.as_fd(), (file, path), || Ok(create(at, name, mode)?))
    }

    /// The same, of a file that `make` makes there.
    pub(crate) fn make_by(
        &mut self,
        at: BorrowedFd<'_>,
        (file, path): (&File, &LayerPath),
        make: impl FnOnce() -> Result<fs::File, MaterialiseCause>,
    ) -> Result<Option<fs::File>, MaterialiseCause> {
        let name = path.name().unwrap_or_default();
        if let Some(first) = file.link.and_then(|group| self.first.get(&group)) {
            sys::linkat(self.root, first.as_bytes(), at, name, AtFlags::empty())?;
            return Ok(None);
        }
        let made = make()?;
        if let Some(group) = file.link {
            self.first.insert(group, path.clone());
        }
        Ok(Some(made))
    }
}

/// Makes an empty file for us to write where nothing has its name. It has the permissions of `mode`
/// as far as the process lets new files have them, and never more than those: who runs a file as
/// somebody else may do so once its bytes and its owner are right.
pub(crate) fn create(at: impl AsFd, name: &[u8], mode: Mode) -> Result<fs::File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let permissions = mode & (Mode::RWXU | Mode::RWXG | Mode::RWXO);
    Ok(sys::openat(at, name, flags | OFlags::CLOEXEC, permissions)?.into())
}

/// Writes the bytes of a file that was made for it, as `bodies` has them.
pub(crate) fn write(
    made: &fs::File,
    file: &File,
    bodies: &dyn Bodies,
) -> Result<(), MaterialiseCause> {
    if file.size == 0 {
        return Ok(());
    }
    let body = bodies.body(&file.body)?.ok_or(MaterialiseCause::Missing(file.body))?;
    let mut writer = HoleWriter::new(made);
    body.each_run::<MaterialiseCause>(&mut |run| Ok(writer.run(run)?))?;
    Ok(writer.finish()?)
}
