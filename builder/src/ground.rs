//! The root file system of a step while it runs, in one of two ways: layers that the kernel stacks, or a
//! directory of its own.

use std::path::PathBuf;

use wythe_sandbox::step::{RootFs, Scratch};
use wythe_store::live::scratch;
use wythe_store::live::whole::WholeRoot;

use crate::error::BuildCause;
use crate::owner::Owner;
use crate::view::View;
use crate::working_directory::{recreate, recreate_in};

/// What a step runs on.
#[derive(Debug)]
pub enum Ground {
    /// Layers, and where changes go.
    Layers {
        /// Their directories, the lowest first.
        lowers: Vec<PathBuf>,
        /// Where changes go.
        area: scratch::Scratch,
    },
    /// A directory of the step's own.
    Whole(WholeRoot),
}

impl Ground {
    /// The directories whose files the step finds, the lowest first.
    pub fn shown(&self) -> Vec<PathBuf> {
        match self {
            Self::Layers { lowers, .. } => lowers.clone(),
            Self::Whole(whole) => vec![whole.path().to_owned()],
        }
    }

    /// Makes the working directory of the step where it is missing in `view`, which is `owner`'s then.
    ///
    /// # Errors
    ///
    /// A file is on the way, or the file system refuses.
    pub fn recreate(
        &self,
        view: &View<'_>,
        (cwd, owner): (&str, Owner),
        idmap: &[u8],
    ) -> Result<(), BuildCause> {
        match self {
            Self::Layers { area, .. } => recreate((view, area), cwd, owner, idmap),
            Self::Whole(whole) => Ok(recreate_in(whole.path(), cwd, owner)?),
        }
    }

    /// The same for the sandbox.
    pub fn root_fs(&self) -> RootFs {
        match self {
            Self::Layers { lowers, area } => {
                let scratch = Scratch { upper: area.upper.clone(), work: area.work.clone() };
                RootFs::Layers { lowers: lowers.clone(), scratch }
            }
            Self::Whole(whole) => RootFs::Whole(whole.path().to_owned()),
        }
    }
}
