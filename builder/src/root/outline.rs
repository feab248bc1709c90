//! The files below a step that lays others over them: what they hold matters to it only where it lays the same.

use std::sync::Arc;

use wythe_store::id::LayerId;
use wythe_store::live::seal::{SealError, outline};
use wythe_store::tree::entry::Tree;
use wythe_store::tree::merge::merge;

use super::{Roots, lock};
use crate::error::BuildCause;

/// The files of a chain as one tree, where it is known what they hold.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    pub(crate) tree: Arc<Tree>,
    /// Whether that is known of all of them.
    pub(crate) is_read: bool,
}

impl Default for Outline {
    fn default() -> Self {
        Self { tree: Arc::default(), is_read: true }
    }
}

impl Roots<'_> {
    /// As [`tree`](Self::tree), for who lays files over those of the chain: what a step has just made is not waited for
    /// until it is read and hashed, and
    /// [`UNREAD`](wythe_store::live::reading::UNREAD) stands for what files of it hold.
    pub(crate) fn outline(&self, chain: &[LayerId]) -> Result<Outline, BuildCause> {
        if lock(&self.merged).get(chain).is_none() {
            self.fetch_lacking(chain)?;
        }
        self.outline_of(chain)
    }

    /// As [`outline`](Self::outline), where nothing has to be fetched for it.
    pub(crate) fn outline_here(&self, chain: &[LayerId]) -> Option<Outline> {
        self.outline_of(chain).ok()
    }

    fn outline_of(&self, chain: &[LayerId]) -> Result<Outline, BuildCause> {
        let Some((top, below)) = chain.split_last() else { return Ok(Outline::default()) };
        if let Some(known) = lock(&self.merged).get(chain) {
            return Ok(Outline { tree: known.clone(), is_read: true });
        }
        let lower = self.outline_of(below)?;
        if let Some(changes) = self.stored_tree(top)? {
            let tree = Arc::new(merge(&lower.tree, &changes));
            if lower.is_read {
                lock(&self.merged).insert(chain, tree.clone());
            }
            return Ok(Outline { tree, ..lower });
        }
        if let Some(known) = lock(&self.outlined).get(chain) {
            return Ok(Outline { tree: known.clone(), is_read: false });
        }
        let record = self.env.store.layer(top)?.ok_or(SealError::Gone)?;
        let changes = outline(self.env.lease, &record, &lower.tree)?;
        let tree = Arc::new(merge(&lower.tree, &changes));
        lock(&self.outlined).insert(chain, tree.clone());
        Ok(Outline { tree, is_read: false })
    }
}
