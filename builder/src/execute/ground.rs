//! The root file system of a step while it runs, in one of two ways: layers that the kernel stacks, or a
//! directory of its own.

use std::path::PathBuf;

use wythe_sandbox::step::{RootFs, Scratch};
use wythe_store::id::LayerId;
use wythe_store::journal::batch::Batch;
use wythe_store::live::scratch::{self, adopt, scratch};
use wythe_store::live::whole::WholeRoot;

use super::Execution;
use crate::environment::Snapshotter;
use crate::error::BuildCause;
use crate::owner::Owner;
use crate::working_directory::{recreate, recreate_in};

/// What a step runs on.
pub(crate) enum Ground {
    /// Layers, and where changes go.
    Layers { lowers: Vec<PathBuf>, area: scratch::Scratch },
    /// A directory of the step's own.
    Whole(WholeRoot),
}

impl Ground {
    /// Makes it ready.
    pub(crate) fn of(execution: &Execution<'_>) -> Result<Self, BuildCause> {
        let (env, below) = (execution.env, execution.below);
        match execution.roots.snapshotter() {
            Snapshotter::Overlayfs => {
                let lowers = execution.roots.directories(below)?;
                let area = scratch(env.lease, &lowers, env.idmap)?;
                Ok(Self::Layers { lowers, area })
            }
            Snapshotter::Native => Ok(Self::Whole(execution.roots.whole(below)?)),
        }
    }

    /// The directories whose files the step finds, the lowest first.
    pub(crate) fn shown(&self) -> Vec<PathBuf> {
        match self {
            Self::Layers { lowers, .. } => lowers.clone(),
            Self::Whole(whole) => vec![whole.path().to_owned()],
        }
    }

    /// Makes the working directory of the step where it is missing.
    pub(crate) fn recreate(&self, cwd: &str, owner: Owner, idmap: &[u8]) -> Result<(), BuildCause> {
        match self {
            Self::Layers { lowers, area } => recreate((lowers, area), cwd, owner, idmap),
            Self::Whole(whole) => Ok(recreate_in(whole.path(), cwd, owner)?),
        }
    }

    /// The same for the sandbox.
    pub(crate) fn root_fs(&self) -> RootFs {
        match self {
            Self::Layers { lowers, area } => {
                let scratch = Scratch { upper: area.upper.clone(), work: area.work.clone() };
                RootFs::Layers { lowers: lowers.clone(), scratch }
            }
            Self::Whole(whole) => RootFs::Whole(whole.path().to_owned()),
        }
    }

    /// Makes what the step has changed a layer, which is there once `batch` is committed.
    pub(crate) fn keep(
        self,
        execution: &Execution<'_>,
        batch: &mut Batch,
    ) -> Result<LayerId, BuildCause> {
        let env = execution.env;
        let mut whole = match self {
            Self::Layers { area, .. } => return Ok(adopt(env.lease, &area, env.idmap, batch)?),
            Self::Whole(whole) => whole,
        };
        let changes = env.pool.install(|| whole.changes(env.lease, env.idmap))?;
        let layer = execution.keep(&changes, batch)?;
        let mut chain = execution.below.clone();
        chain.push(layer);
        execution.roots.leave(chain, whole);
        Ok(layer)
    }
}
