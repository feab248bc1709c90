//! From what a step runs on to what it has changed.

use wythe_store::id::LayerId;
use wythe_store::journal::batch::Batch;
use wythe_store::live::scratch::{adopt, scratch};

use super::Execution;
use crate::environment::Snapshotter;
use crate::error::BuildCause;
use crate::ground::Ground;

impl Execution<'_> {
    /// Makes ready what the step runs on.
    pub(super) fn ground(&self) -> Result<Ground, BuildCause> {
        let (env, below) = (self.env, self.below);
        match self.roots.snapshotter() {
            Snapshotter::Overlayfs => {
                let lowers = self.roots.directories(below)?;
                let area = scratch(env.lease, &lowers, env.idmap)?;
                Ok(Ground::Layers { lowers, area })
            }
            Snapshotter::Native => Ok(Ground::Whole(self.roots.whole(below)?)),
        }
    }

    /// Makes what the step has changed a layer, which is there once `batch` is committed.
    pub(super) fn harvest(&self, ground: Ground, batch: &mut Batch) -> Result<LayerId, BuildCause> {
        let env = self.env;
        let mut whole = match ground {
            Ground::Layers { area, .. } => return Ok(adopt(env.lease, &area, env.idmap, batch)?),
            Ground::Whole(whole) => whole,
        };
        let changes = env.pool.install(|| whole.changes(env.lease, env.idmap))?;
        let layer = self.keep(&changes, batch)?;
        let mut chain = self.below.clone();
        chain.push(layer);
        self.roots.leave(chain, whole);
        Ok(layer)
    }
}
