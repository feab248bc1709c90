//! What lies below a step of a build, for who cannot wait for it.

use std::sync::{Arc, OnceLock};

use wythe_store::tree::entry::Directory;

use super::Ground;
use crate::graph::VertexId;
use crate::operation::{BaseSource, Operation};
use crate::sources::FilesBelow;

impl FilesBelow for Ground<'_> {
    fn files_of(&self, VertexId(index): VertexId) -> Option<Arc<Directory>> {
        let made = self.work.made.get(index).and_then(OnceLock::get);
        let chain = match (made, &self.graph.vertices[index].operation) {
            (Some(made), _) => made.chain.clone(),
            (None, Operation::Base(base)) if !matches!(base, BaseSource::Directory { .. }) => {
                self.roots.announce(&self.bases.resolve(base).ok()?.layers)
            }
            (None, _) => return None,
        };
        Some(self.roots.outline_here(&chain)?.tree.children.clone())
    }
}
