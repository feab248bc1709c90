//! The regular files of a tree on a file system: bytes written once, further names linked to them.

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{self as sys, AtFlags, Mode, OFlags};

use crate::layer::bodies::Bodies;
use crate::layer::files_error::MaterialiseCause;
use crate::path::LayerPath;
use crate::sparse::HoleWriter;
use crate::tree::entry::{File, LinkGroup};

/// The files below one directory.
pub(crate) struct Files<'a> {
    root: BorrowedFd<'a>,
    bodies: &'a dyn Bodies,
    /// The first path of each hard-link group.
    first: BTreeMap<LinkGroup, LayerPath>,
}

impl<'a> Files<'a> {
    /// Files below `root`, whose bytes are in `bodies`.
    pub(crate) fn new(root: BorrowedFd<'a>, bodies: &'a dyn Bodies) -> Self {
        Self { root, bodies, first: BTreeMap::new() }
    }

    /// Makes a file in the directory `at`, where its path ends and nothing has its name. Returns it,
    /// to be given its metadata, unless it is one more name of a file that was made before.
    pub(crate) fn make(
        &mut self,
        at: &OwnedFd,
        file: &File,
        path: &LayerPath,
    ) -> Result<Option<OwnedFd>, MaterialiseCause> {
        let name = path.name().unwrap_or_default();
        if let Some(first) = file.link.and_then(|group| self.first.get(&group)) {
            sys::linkat(self.root, first.as_bytes(), at, name, AtFlags::empty())?;
            return Ok(None);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let made = sys::openat(at, name, flags | OFlags::CLOEXEC, Mode::RWXU)?;
        let made = std::fs::File::from(made);
        if file.size > 0 {
            let body = self.bodies.body(&file.body)?;
            let body = body.ok_or(MaterialiseCause::Missing(file.body))?;
            let mut writer = HoleWriter::new(&made);
            body.each_run::<MaterialiseCause>(&mut |run| Ok(writer.run(run)?))?;
            writer.finish()?;
        }
        if let Some(group) = file.link {
            self.first.insert(group, path.clone());
        }
        Ok(Some(made.into()))
    }
}
