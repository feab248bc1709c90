//! The working directory of a step that no layer has: it comes back, as an earlier step may have
//! removed it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use wythe_store::live::owner::give;
use wythe_store::live::scratch::Scratch;
use wythe_store::tree::entry::Metadata;

use crate::error::BuildCause;
use crate::owner::Owner;
use crate::view::{View, ViewCause, ViewError};

/// The mode of a directory that is made for a step to work in.
pub(crate) const MODE: u32 = 0o755;

/// Makes the working directory of a step where no layer has it, so that the step can start there. It
/// and what is missing on the way belong to `owner`.
///
/// # Errors
///
/// A file is on the way, or the file system refuses.
pub fn recreate(
    (view, area): (&View<'_>, &Scratch),
    cwd: &str,
    owner: Owner,
    idmap: &[u8],
) -> Result<(), BuildCause> {
    let found = view.resolve(cwd)?;
    if found.file.is_some() {
        return Ok(());
    }
    let mut at = PathBuf::new();
    let mut covering = Vec::new();
    for part in found.path.components() {
        at.push(part);
        let made = area.upper.join(&at);
        let fail = |error| ViewError { path: cwd.to_owned(), cause: ViewCause::Io(error) };
        if let Some(lower) = view.shown(&at)? {
            fs::create_dir(&made).map_err(fail)?;
            covering.push((at.clone(), lower));
        } else {
            make(&made, owner).map_err(fail)?;
        }
    }
    // From below, since what is made in a directory changes its time.
    for (path, lower) in covering.iter().rev() {
        area.cover(path, lower, idmap)?;
    }
    Ok(())
}

/// As [`recreate`], in a directory that has all files of the root.
///
/// # Errors
///
/// As [`recreate`].
pub(crate) fn recreate_in(root: &Path, cwd: &str, owner: Owner) -> Result<(), ViewError> {
    let layers = [root.to_owned()];
    let found = View::new(&layers).resolve(cwd)?;
    let mut at = root.to_owned();
    for part in found.path.components() {
        at.push(part);
        let fail = |error| ViewError { path: cwd.to_owned(), cause: ViewCause::Io(error) };
        if found.file.is_none() && fs::symlink_metadata(&at).is_err() {
            make(&at, owner).map_err(fail)?;
        }
    }
    Ok(())
}

fn make(path: &Path, owner: Owner) -> io::Result<()> {
    fs::create_dir(path)?;
    // Owner before mode: chown clears set-id bits. The mode after the fact: no umask takes any of it.
    let Owner { uid, gid } = owner;
    give(&fs::File::open(path)?, &Metadata { uid, gid, ..Metadata::default() })?;
    fs::set_permissions(path, Permissions::from_mode(MODE))
}
