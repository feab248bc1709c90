//! Root file systems as directories of their own, where the kernel stacks no layers: one for each
//! step that runs at the time, taken over by the next one of its stage.

use std::collections::BTreeSet;
use std::sync::Arc;

use wythe_sandbox::chroot;
use wythe_store::id::{BodyId, LayerId};
use wythe_store::live::whole::WholeRoot;
use wythe_store::tree::diff::diff;
use wythe_store::tree::entry::Tree;
use wythe_store::tree::files::files;

use super::{Chain, Roots, lock};
use crate::environment::Snapshotter;
use crate::error::BuildCause;

/// A directory that waits for the next step, and the layers that it is made of.
pub(super) type Waiting = (Chain, WholeRoot);

impl Roots<'_> {
    /// Where steps get their files from.
    pub(crate) fn snapshotter(&self) -> Snapshotter {
        let tried = || {
            let stacks =
                !chroot::is_settled() && wythe_sandbox::stacks_layers(&self.env.lease.work_dir());
            if stacks { Snapshotter::Overlayfs } else { Snapshotter::Native }
        };
        *self.snapshotter.get_or_init(|| self.env.snapshotter.unwrap_or_else(tried))
    }

    /// A directory with the files of a chain, which is the caller's alone. An earlier step's is
    /// taken over where one is near.
    pub(crate) fn whole(&self, chain: &[LayerId]) -> Result<WholeRoot, BuildCause> {
        let tree = self.tree(chain)?;
        let Some(mut whole) = self.take_nearest(chain, &tree) else {
            self.bodies(chain, &bodies_of(&tree))?;
            let make = || WholeRoot::make(self.env.lease, Arc::clone(&tree));
            return Ok(self.env.pool.install(make)?);
        };
        self.bodies(chain, &bodies_of(&diff(whole.tree(), &tree)))?;
        whole.lead_to(tree)?;
        Ok(whole)
    }

    /// A directory with files of a chain, which is the caller's alone. Nothing else of the chain is fetched.
    pub(crate) fn part(&self, chain: &[LayerId], tree: Tree) -> Result<WholeRoot, BuildCause> {
        self.bodies(chain, &bodies_of(&tree))?;
        let make = || WholeRoot::make(self.env.lease, Arc::new(tree));
        Ok(self.env.pool.install(make)?)
    }

    /// Leaves a directory, which is that of a chain now, to the next step.
    pub(crate) fn leave(&self, chain: Chain, whole: WholeRoot) {
        lock(&self.waiting).push((chain, whole));
    }

    /// The directory that likely lacks least: one that is this tree already, since layers are named anew
    /// when their step has settled, or else the last of those with most of the lowest layers in common.
    /// Any can be led to any other.
    fn take_nearest(&self, chain: &[LayerId], tree: &Tree) -> Option<WholeRoot> {
        let mut waiting = lock(&self.waiting);
        let common = |made_of: &Chain| {
            made_of.iter().zip(chain).take_while(|(one, other)| one == other).count()
        };
        let near = waiting.iter().enumerate().filter_map(|(at, (made_of, whole))| {
            let (is_same, n_common) = (whole.tree() == tree, common(made_of));
            (is_same || 0 < n_common).then_some((is_same, n_common, at))
        });
        let (_, _, at) = near.max()?;
        Some(waiting.remove(at).1)
    }
}

fn bodies_of(tree: &Tree) -> BTreeSet<BodyId> {
    files(&tree.children)
        .filter(|(_, _, file)| file.size > 0)
        .map(|(_, _, file)| file.body)
        .collect()
}
