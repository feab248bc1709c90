//! WORKDIR: directories that are missing are made; those that exist are left alone.

use wythe_store::id::LayerId;
use wythe_store::journal::batch::Batch;
use wythe_store::tree::entry::Metadata;

use super::Execution;
use crate::copy::canvas::{Canvas, PathCause, Seen};
use crate::error::BuildCause;
use crate::operation::WorkdirStep;
use crate::user::{Accounts, needs_no_file, workdir_owner};
use crate::working_directory::MODE;

impl Execution<'_> {
    pub(crate) fn workdir(
        &self,
        step: &WorkdirStep,
        batch: &mut Batch,
    ) -> Result<LayerId, BuildCause> {
        let lower = if needs_no_file(&step.user) {
            self.roots.outline(self.below)?.tree
        } else {
            self.roots.tree(self.below)?
        };
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
        self.keep(&canvas.finish(), batch)
    }
}
