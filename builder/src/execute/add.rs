//! The half of ADD that is not COPY: archives among the sources are unpacked.

use std::sync::Arc;

use wythe_store::tree::diff::diff;
use wythe_store::tree::entry::{Node, Tree};
use wythe_store::tree::merge::merge;

use super::Execution;
use crate::add::archive::{is_archive, unpack};
use crate::copy::CopySpec;
use crate::copy::place::place;
use crate::copy::select::{Item, Selection};
use crate::error::BuildCause;

impl Execution<'_, '_> {
    /// Lays a selection onto `lower`, unpacking what is an archive.
    pub(crate) fn add(
        &self,
        selection: &Selection,
        lower: &Arc<Tree>,
        spec: &CopySpec,
    ) -> Result<Tree, BuildCause> {
        let archives = selection.items().iter().map(|item| self.archive(item));
        let archives: Vec<bool> = archives.collect::<Result<_, _>>()?;
        if !archives.contains(&true) {
            return Ok(place(selection, &lower.children, spec)?);
        }
        let mut root = (**lower).clone();
        for (item, is_archive) in selection.items().iter().zip(archives) {
            let changes = match item {
                Item::File(entry) if is_archive => {
                    let Node::File(file) = &entry.node else { continue };
                    unpack(self.solver.env.lease, &file.body, &root.children, spec)?
                }
                other => {
                    let one = Selection::from_items(vec![other.clone()]);
                    place(&one, &root.children, spec)?
                }
            };
            if selection.items().len() == 1 {
                return Ok(changes);
            }
            root = merge(&root, &changes);
        }
        Ok(diff(lower, &root))
    }

    fn archive(&self, item: &Item) -> Result<bool, BuildCause> {
        let Item::File(entry) = item else { return Ok(false) };
        let Node::File(file) = &entry.node else { return Ok(false) };
        Ok(is_archive(self.solver.env.lease, &file.body)?)
    }
}
