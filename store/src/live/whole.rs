//! A root file system as one plain directory, for where the kernel stacks no layers.
//!
//! It is made of a tree, led from one tree to the next, and compared with the one it was made of.
//! Comparing costs a look at every name: what a file holds is read only where its inode has changed
//! since it was last seen, which nothing that runs as a step can hide.

mod lead;
mod scan;
mod seen;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{At as _, WriteError};
use crate::layer::bodies::Bodies;
use crate::layer::files_error::MaterialiseError;
use crate::lease::Lease;
use crate::live::materialise::unpack;
use crate::live::upper::UpperError;
use crate::live::whole::scan::scan;
use crate::live::whole::seen::Seen;
use crate::store::Store;
use crate::trash::throw_away;
use crate::tree::diff::diff;
use crate::tree::entry::Tree;
use crate::tree::links;
use crate::tree::merge::merge;

/// A directory could not be made a root file system, or be compared with one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WholeError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] UpperError),
    /// Files could not be written to it.
    #[error(transparent)]
    Fill(#[from] MaterialiseError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A directory with all files of a root file system. It vanishes when dropped, and with the lease.
#[derive(Debug)]
pub struct WholeRoot {
    store: Store,
    /// Where it is in the store.
    place: String,
    path: PathBuf,
    tree: Arc<Tree>,
    seen: Seen,
}

impl WholeRoot {
    /// Writes all files of `tree`, a root file system whose bodies are in the packs.
    ///
    /// # Cost
    ///
    /// All bytes of the file system are copied.
    ///
    /// # Errors
    ///
    /// If a body is missing, or a file cannot be made.
    pub fn make(lease: &Lease, tree: Arc<Tree>) -> Result<Self, WholeError> {
        let (store, place) = (lease.store().clone(), lease.scratch_path());
        store.vfs().make_dir(&place).writing(&place)?;
        let path = store.path().join(&place);
        let mut whole = Self { store, place, path, tree, seen: Seen::default() };
        let bodies = (&whole.store as &dyn Bodies, whole.store.unpacking_threads());
        unpack(&whole.tree, bodies, &whole.path)?;
        whole.seen = Seen::of(&whole.path, &whole.tree)?;
        Ok(whole)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Makes it another root file system, whose bodies are in the packs.
    ///
    /// # Cost
    ///
    /// What differs, and a look at every name.
    ///
    /// # Errors
    ///
    /// As [`make`](Self::make). It is of no use then.
    pub fn lead_to(&mut self, tree: Arc<Tree>) -> Result<(), WholeError> {
        if Arc::ptr_eq(&self.tree, &tree) || self.tree == tree {
            return Ok(());
        }
        lead::lead(&self.store, (&self.tree, &tree), &self.path)?;
        self.seen = Seen::of(&self.path, &tree)?;
        self.tree = tree;
        Ok(())
    }

    /// What has been changed since it was made, led on, or last asked: a changeset over what it was
    /// then, the bytes of its files stored. Owners are those of `idmap`.
    ///
    /// No process may change the directory meanwhile.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read, or the store cannot be written.
    pub fn changes(&mut self, lease: &Lease, idmap: &[u8]) -> Result<Tree, WholeError> {
        let whole = (&*self.path, idmap);
        let (found, seen) = scan(lease, whole, &self.tree, &self.seen)?;
        let changes = diff(&self.tree, &found);
        let children = links::without_singles(&changes.children);
        let changes = Tree { children, ..changes };
        self.tree = Arc::new(merge(&self.tree, &changes));
        self.seen = seen;
        Ok(changes)
    }
}

impl Drop for WholeRoot {
    fn drop(&mut self) {
        // What cannot be moved goes with the lease.
        if let Err(error) = throw_away(&**self.store.vfs(), &self.place) {
            tracing::debug!(%error, place = self.place, "no directory to throw away");
        }
    }
}

#[cfg(test)]
mod tests;
