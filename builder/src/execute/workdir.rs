//! WORKDIR: directories that are missing are made; those that exist are left alone. So it is with
//! the working directory of a step that an earlier one has removed.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use wythe_store::id::LayerId;
use wythe_store::live::scratch::Scratch;
use wythe_store::tree::entry::Metadata;

use super::Execution;
use crate::account::{Accounts, workdir_owner};
use crate::copy::canvas::{Canvas, PathCause, Seen};
use crate::error::BuildCause;
use crate::operation::WorkdirStep;
use crate::owner::Owner;
use crate::view::{View, ViewCause, ViewError};

/// The mode of a directory that WORKDIR makes.
const MODE: u32 = 0o755;

impl Execution<'_> {
    pub(crate) fn workdir(&self, step: &WorkdirStep) -> Result<LayerId, BuildCause> {
        let lower = self.roots.tree(self.below)?;
        let [passwd, group] = self.account_files(&step.user, &lower)?;
        let accounts = Accounts { passwd: passwd.as_deref(), group: group.as_deref() };
        let owner = workdir_owner(&step.user, accounts);
        let mut canvas = Canvas::over(lower.children.clone());
        let fail = |cause| BuildCause::Workdir { path: step.path.clone(), cause };
        let place = canvas.resolve(step.path.as_bytes()).map_err(fail)?;
        for end in 1..=place.len() {
            match canvas.seen(&place[..end]) {
                Some(Seen::Directory) => {}
                None => {
                    let mtime = self.new_time(step.epoch);
                    let (uid, gid) = (owner.uid, owner.gid);
                    let made = Metadata { mode: MODE, uid, gid, mtime, xattrs: Vec::new() };
                    canvas.make_directory(&place[..end], made);
                }
                Some(_) => return Err(fail(PathCause::NotADirectory)),
            }
        }
        self.keep(&canvas.finish())
    }
}

/// Makes the working directory of a step where no layer has it, so that the step can start there. It
/// and what is missing on the way belong to whom the step runs as.
pub(super) fn recreate(
    (lowers, area): (&[PathBuf], &Scratch),
    cwd: &str,
    owner: Owner,
    idmap: &[u8],
) -> Result<(), BuildCause> {
    let view = View::new(lowers);
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

fn make(path: &Path, owner: Owner) -> io::Result<()> {
    fs::create_dir(path)?;
    // Owner before mode: chown clears set-id bits. The mode after the fact: no umask takes any of it.
    chown(path, Some(owner.uid), Some(owner.gid))?;
    fs::set_permissions(path, Permissions::from_mode(MODE))
}
